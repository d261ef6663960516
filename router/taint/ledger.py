"""Which texts are sensitive because of what they were made from: marks of answers, looked for in later bodies.

A mark is a keyed digest of a segment (BLAKE2b under a subkey of the tenant), with the level of the request that was
answered. No text is kept. What cannot be looked up is its own result, never "nothing found".
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple, Protocol

from classifiers.walk import strings_of
from policies.types import Inherited, Level, TaintSource
from router.keys import Keys
from router.taint.known_texts import KnownTexts
from router.taint.marks import DIGEST_BYTES, MarkTable
from router.taint.segments import SHORTEST_TEXT, segments
from router.telemetry.telemetry import Telemetry

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
        """The grade of each mark, 0 where there is none; None when nobody answers."""
        ...

    async def put(self, digests: Sequence[bytes], level: int, ttl: float) -> bool:
        """Keep marks; a higher grade stands. False when they were not taken yet: then they are tried again."""
        ...

    async def close(self) -> None:
        """Let go of connections. Idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class Taint:
    """What the ledger says of one body: a level, that of it which no placeholder stands for, why, and whence."""

    level: Level = Level.PUBLIC
    kept: Level = Level.PUBLIC
    source: TaintSource = ""
    at: tuple[Inherited, ...] = ()

    @property
    def pointers(self) -> tuple[str, ...]:
        """The same places as JSON pointers; the whole body's for other parts than messages."""
        if not self.at:
            return ()
        return tuple(f"/messages/{each.message}" if each.message >= 0 else "" for each in self.at)


CLEAN = Taint()


class Grade(NamedTuple):
    """What a mark says. `is_kept`: no placeholder can stand for it, as in an answer that was made of a whole request.

    Otherwise the answer was made outside, of placeholders: what it says without a value has been there already.
    """

    level: Level
    is_kept: bool = True

    @property
    def number(self) -> int:
        """The grade as it is stored, 0 to 7: the higher one stands."""
        return 2 * self.level + self.is_kept

    @classmethod
    def of(cls, number: int) -> Grade:
        """The grade of a stored number."""
        return cls(Level(number >> 1), bool(number & 1))


@dataclass(frozen=True, slots=True)
class _Tenant:
    state: hashlib.blake2b  # keyed, before the first byte
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
        self._known = KnownTexts()

    async def look(self, tenant: str, body: Mapping[str, Any]) -> Taint:
        """The taint of a body: the highest level of the marks that it holds, anywhere in it."""
        who = self._tenant(tenant)
        if self._shared is None and not self._table.has_any(who.number):
            return CLEAN
        parts = list(parts_of(body))
        cut = await self._cut_all(who, [text for _, text in parts])
        found, asked = self._look_here([index for index, _ in parts], cut)
        answered = True
        if self._shared is not None and asked:
            answered = await self._look_there(self._shared, found, asked)
        taint = self._taint(found, who, has_history(body), answered)
        if taint.level:
            self._telemetry.taint_found(taint.level.word, taint.source)
        return taint

    def put(self, tenant: str, grade: Grade, texts: Iterable[str]) -> list[bytes]:
        """Mark segments, on this host; the digests, for `share`. Public leaves no mark."""
        who = self._tenant(tenant)
        return self.put_digests(tenant, grade, {_digest(who, text) for text in texts})

    def put_digests(self, tenant: str, grade: Grade, found: Iterable[bytes]) -> list[bytes]:
        """The same of segments' digests."""
        who, digests = self._tenant(tenant), list(found)
        if digests and grade.level:
            forgotten = self._table.put(digests, who.number, grade.number, self._ttl)
            self._telemetry.taint_marked(len(digests), self._table.written, forgotten)
        return digests

    def digest(self, tenant: str, segment: str) -> bytes:
        """What stands for a segment of this tenant's."""
        return _digest(self._tenant(tenant), segment)

    async def digests(self, tenant: str, texts: Sequence[str]) -> frozenset[bytes]:
        """What stands for the segments of these texts."""
        return frozenset(chain.from_iterable(await self._cut_all(self._tenant(tenant), texts)))

    async def share(self, digests: Sequence[bytes], grade: Grade) -> None:
        """Tell the other hosts; returns when they can know, or when it is sure that nobody answers now."""
        if self._shared is not None and digests and grade.level:
            await self._shared.put(digests, grade.number, self._ttl)

    def put_response(self, tenant: str, grade: Grade, response_id: str) -> list[bytes]:
        """Mark an answer's id, for dialects in which a later request names it instead of bringing its text."""
        return self.put(tenant, grade, [_of_id(response_id)])

    async def taint_of(self, tenant: str, previous_ids: Iterable[str]) -> Taint:
        """What the answers with these ids bring in; restricted when that cannot be asked."""
        who = self._tenant(tenant)
        digests = [_digest(who, _of_id(each)) for each in previous_ids]
        found = {-1: set(self._table.find(digests))}
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

    async def _cut_all(self, who: _Tenant, texts: Sequence[str]) -> list[tuple[bytes, ...]]:
        """The digests of each text's segments. What came before is not cut again, and much that is new in a thread."""

        def key_of(text: str) -> bytes:
            return _digest(who, _of_text(text))

        def cut_rest() -> list[tuple[bytes, ...]]:
            pairs = zip(texts, found, strict=True)
            return [
                self._known.digests(text, key_of, lambda whole: _cut(who, whole)) if known is None else known
                for text, known in pairs
            ]

        found = [self._known.find(text, key_of) for text in texts]
        new = sum(len(text) for text, known in zip(texts, found, strict=True) if known is None)
        return await asyncio.to_thread(cut_rest) if new > _AT_ONCE_CHARACTERS else cut_rest()

    def _look_here(
        self, indices: Sequence[int], cut: Sequence[Sequence[bytes]]
    ) -> tuple[dict[int, set[int]], dict[int, list[bytes]]]:
        """By message: the grades in this host's table, and the digests that others may know."""
        found: dict[int, set[int]] = {}
        asked: dict[int, list[bytes]] = {}
        for index, grades in zip(indices, self._table.find_each(cut), strict=True):
            if grades:
                found.setdefault(index, set()).update(grades)
        if self._shared is not None:
            for index, digests in zip(indices, cut, strict=True):
                if digests:
                    asked.setdefault(index, []).extend(digests)
        return found, asked

    async def _look_there(
        self, shared: SharedMarks, found: dict[int, set[int]], asked: Mapping[int, Sequence[bytes]]
    ) -> bool:
        order = [(index, digest) for index, digests in asked.items() for digest in dict.fromkeys(digests)]
        grades = await shared.find([digest for _, digest in order])
        if grades is None:
            return shared.is_alone
        for (index, _), grade in zip(order, grades, strict=True):
            if grade:
                found.setdefault(index, set()).add(grade)
        return True

    def _taint(self, found: Mapping[int, set[int]], who: _Tenant, history: bool, answered: bool) -> Taint:
        """What was found, or the graver thing that could not be: only a body with turns of a model can miss a mark."""
        if not found and answered and not history:
            return CLEAN
        at = tuple(_inherited(index, grades) for index, grades in sorted(found.items()) if grades)
        level = max((each.level for each in at), default=Level.PUBLIC)
        if history and not answered:
            return Taint(Level.RESTRICTED, Level.RESTRICTED, "unavailable", at)
        missing = Grade.of(self._table.forgotten(who.number)).level if history else Level.PUBLIC
        if missing > level:
            return Taint(missing, missing, "forgotten", at)
        kept = max((missing, *(each.kept for each in at)))
        return Taint(level, kept, "answer" if level else "", at)

    def _tenant(self, tenant: str) -> _Tenant:
        who = self._tenants.get(tenant)
        if who is None:
            if len(self._tenants) >= _MAX_TENANTS:
                self._tenants.clear()
            key = self._keys.subkey("taint", tenant)
            number = hashlib.blake2b(b"number", key=key, digest_size=3).digest()
            who = self._tenants[tenant] = _Tenant(
                hashlib.blake2b(key=key, digest_size=DIGEST_BYTES), int.from_bytes(number, "little")
            )
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


def _inherited(message: int, grades: Iterable[int]) -> Inherited:
    known = [Grade.of(number) for number in grades]
    level = max(grade.level for grade in known)
    return Inherited(message, level, max((grade.level for grade in known if grade.is_kept), default=Level.PUBLIC))


def _digest(who: _Tenant, segment: str) -> bytes:
    state = who.state.copy()
    state.update(segment.encode("utf-8", "surrogatepass"))
    return state.digest()


def _cut(who: _Tenant, text: str) -> list[bytes]:
    """The digests of a text's segments."""
    return [_digest(who, segment) for segment in segments(text)]


def _of_text(text: str) -> str:
    return f"\0text\0{text}"


def _of_id(response_id: str) -> str:
    return f"\0response\0{response_id}"
