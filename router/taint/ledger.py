"""Which texts are sensitive because of what they were made from: marks of answers, looked for in later bodies.

A mark is a keyed digest of a segment (BLAKE2b under a subkey of the tenant), with the level of the request that was
answered. No text is kept. What cannot be looked up is its own result, never "nothing found".
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from classifiers.walk import strings_of
from policies.types import Level, TaintSource
from router.keys import Keys
from router.taint.marks import DIGEST_BYTES, MarkTable
from router.taint.segments import SHORTEST_TEXT, segments
from router.telemetry import Telemetry

_MAX_TENANTS = 4096  # remembered
_AT_ONCE_CHARACTERS = 16 * 1024  # more is cut into segments in a thread
_MODEL_ROLES = frozenset({"assistant", "tool", "function"})


class SharedMarks(Protocol):
    """Marks that several hosts share. No call raises. `state` is a word for `/readyz`."""

    @property
    def state(self) -> str: ...

    @property
    def is_alone(self) -> bool:
        """Whether no other host can have marks: then nothing is missed while nobody answers."""
        ...

    async def beat(self) -> None:
        """Say that this host is there, and see who else is."""
        ...

    async def find(self, digests: Sequence[bytes]) -> list[int] | None:
        """The level of each mark, 0 where there is none; None when nobody answers."""
        ...

    async def put(self, digests: Sequence[bytes], level: int, ttl: float) -> bool:
        """Keep marks; a higher level stands. False when they were not taken yet: then they are tried again."""
        ...

    async def close(self) -> None:
        """Let go of connections. Idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class Taint:
    """What the ledger says of one body: a level, why, and which messages brought it in (-1: another part)."""

    level: Level = Level.PUBLIC
    source: TaintSource = ""
    at: tuple[tuple[int, Level], ...] = ()

    @property
    def pointers(self) -> tuple[str, ...]:
        """The same places as JSON pointers; the whole body's for other parts than messages."""
        return tuple(f"/messages/{index}" if index >= 0 else "" for index, _ in self.at)


CLEAN = Taint()


@dataclass(frozen=True, slots=True)
class _Tenant:
    key: bytes
    number: int


class TaintLedger:
    """Marks and looks up. `shared` is asked beside the table of this host where several hosts serve one tenant."""

    def __init__(
        self,
        keys: Keys,
        table: MarkTable,
        *,
        ttl: float,
        telemetry: Telemetry,
        shared: SharedMarks | None = None,
    ) -> None:
        self._keys = keys
        self._table = table
        self._shared = shared
        self._ttl = ttl
        self._telemetry = telemetry
        self._tenants: dict[str, _Tenant] = {}

    async def look(self, tenant: str, body: Mapping[str, Any]) -> Taint:
        """The taint of a body: the highest level of the marks that it holds, anywhere in it."""
        who = self._tenant(tenant)
        if self._shared is None and not self._table.has_any(who.number):
            return CLEAN
        parts = list(parts_of(body))
        large = sum(len(text) for _, text in parts) > _AT_ONCE_CHARACTERS
        if large:
            found, asked = await asyncio.to_thread(self._look_here, who, parts)
        else:
            found, asked = self._look_here(who, parts)
        answered = True
        if self._shared is not None and asked:
            answered = await self._look_there(self._shared, found, asked)
        taint = self._taint(found, who, has_history(body), answered)
        if taint.level:
            self._telemetry.taint_found(taint.level.word, taint.source)
        return taint

    def put(self, tenant: str, level: Level, texts: Iterable[str]) -> list[bytes]:
        """Mark segments at `level`, on this host; the digests, for `share`. Public leaves no mark."""
        who = self._tenant(tenant)
        digests = list({_digest(who, text) for text in texts})
        if digests and level:
            forgotten = self._table.put(digests, who.number, level, self._ttl)
            self._telemetry.taint_marked(len(digests), self._table.written, forgotten)
        return digests

    async def share(self, digests: Sequence[bytes], level: Level) -> None:
        """Tell the other hosts; returns when they can know, or when it is sure that nobody answers now."""
        if self._shared is not None and digests and level:
            await self._shared.put(digests, level, self._ttl)

    def put_response(self, tenant: str, level: Level, response_id: str) -> list[bytes]:
        """Mark an answer's id, for dialects in which a later request names it instead of bringing its text."""
        return self.put(tenant, level, [_of_id(response_id)])

    async def taint_of(self, tenant: str, previous_ids: Iterable[str]) -> Taint:
        """What the answers with these ids bring in; restricted when that cannot be asked."""
        who = self._tenant(tenant)
        digests = [_digest(who, _of_id(each)) for each in previous_ids]
        found = {-1: self._table.find(digests)}
        answered = self._shared is None or not digests or await self._look_there(self._shared, found, {-1: digests})
        return self._taint(found, who, bool(digests), answered)

    async def beat(self) -> None:
        """Let the other hosts know of this one; every few seconds."""
        if self._shared is not None:
            await self._shared.beat()

    @property
    def state(self) -> str:
        """A word for `/readyz`: `ok`, or why more counts as sensitive than is."""
        if self._shared is not None and self._shared.state != "ok":
            return self._shared.state
        return "forgetting" if self._table.is_forgetting else "ok"

    async def close(self) -> None:
        """Let go of the table and of the connections."""
        if self._shared is not None:
            await self._shared.close()
        self._table.close()

    def _look_here(
        self, who: _Tenant, parts: Iterable[tuple[int, str]]
    ) -> tuple[dict[int, int], dict[int, list[bytes]]]:
        """By message: the level in this host's table, and the digests that others may know."""
        found: dict[int, int] = {}
        asked: dict[int, list[bytes]] = {}
        for index, text in parts:
            digests = [_digest(who, segment) for segment in segments(text)]
            if not digests:
                continue
            level = self._table.find(digests)
            if level:
                found[index] = max(level, found.get(index, 0))
            if self._shared is not None:
                asked.setdefault(index, []).extend(digests)
        return found, asked

    async def _look_there(
        self, shared: SharedMarks, found: dict[int, int], asked: Mapping[int, Sequence[bytes]]
    ) -> bool:
        order = [(index, digest) for index, digests in asked.items() for digest in dict.fromkeys(digests)]
        levels = await shared.find([digest for _, digest in order])
        if levels is None:
            return shared.is_alone
        for (index, _), level in zip(order, levels, strict=True):
            if level:
                found[index] = max(level, found.get(index, 0))
        return True

    def _taint(self, found: Mapping[int, int], who: _Tenant, history: bool, answered: bool) -> Taint:
        """What was found, or the graver thing that could not be: only a body with turns of a model can miss a mark."""
        at = tuple((index, Level(level)) for index, level in sorted(found.items()) if level)
        level = max((level for _, level in at), default=Level.PUBLIC)
        if history and not answered:
            return Taint(Level.RESTRICTED, "unavailable", at)
        missing = self._table.forgotten(who.number) if history else 0
        if missing > level:
            return Taint(Level(missing), "forgotten", at)
        return Taint(level, "answer" if level else "", at)

    def _tenant(self, tenant: str) -> _Tenant:
        who = self._tenants.get(tenant)
        if who is None:
            if len(self._tenants) >= _MAX_TENANTS:
                self._tenants.clear()
            key = self._keys.subkey("taint", tenant)
            number = hashlib.blake2b(b"number", key=key, digest_size=3).digest()
            who = self._tenants[tenant] = _Tenant(key, int.from_bytes(number, "little"))
        return who


def parts_of(body: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    """The strings of a body that may hold a segment, each with the index of its message, -1 outside of messages."""
    for name, value in body.items():
        if name == "messages" and isinstance(value, list):
            for index, message in enumerate(value):
                content = message.get("content") if isinstance(message, dict) and len(message) == 2 else None
                for text in (content,) if isinstance(content, str) else strings_of(message):
                    if len(text) >= SHORTEST_TEXT:
                        yield index, text
        elif not isinstance(value, int | float | None):
            for text in strings_of(value):
                if len(text) >= SHORTEST_TEXT:
                    yield -1, text


def has_history(body: Mapping[str, Any]) -> bool:
    """Whether a body brings in what a model or a tool has said."""
    messages = body.get("messages")
    if not isinstance(messages, list):
        return True
    return any(not isinstance(each, dict) or each.get("role") in _MODEL_ROLES for each in messages)


def _digest(who: _Tenant, segment: str) -> bytes:
    raw = segment.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(raw, key=who.key, digest_size=DIGEST_BYTES).digest()


def _of_id(response_id: str) -> str:
    return f"\0response\0{response_id}"
