"""Which model a conversation was answered by, so that it does not bounce: keyed digests with an expiry, no content.

A conversation is its tenant, who asks, and everything up to its first answer. What is remembered is a wish: each
request is decided anew, with its own permit, and what is forgotten is only an ordinary request again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from policies.types import Locality, Policy
from router.keys import Keys
from router.taint.marks import DIGEST_BYTES, MarkTable
from router.types import Principal

TABLE_FILE = "affinity.marks"
TABLE_BYTES = 1 << 20  # 42,000 conversations of one model each; a fuller table forgets
_GRADES: dict[Locality, int] = {"local": 1, "lan": 2, "cloud": 3}
_OPENING = frozenset({"system", "developer", "user"})


class SharedNotes(Protocol):
    """What hosts share; no call raises. `router.cache.redis.RedisAffinity`."""

    async def find(self, digests: Sequence[bytes]) -> list[int] | None:
        """The grade of each digest, 0 where there is none; None when nobody answers."""
        ...

    async def put(self, digests: Sequence[bytes], level: int, ttl: float) -> bool:
        """Keep digests for `ttl` seconds."""
        ...

    async def close(self) -> None:
        """Let go of connections. Idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class Conversation:
    """One conversation: its digest, and the models that answered it lately, by the policy's names, farthest first."""

    digest: bytes
    answered_by: tuple[str, ...] = ()


class Affinity:
    """Remembers who answered. One table for all workers of a host; `shared` between hosts, where there is one."""

    def __init__(self, keys: Keys, table: MarkTable, shared: SharedNotes | None = None) -> None:
        self._keys = keys
        self._table = table
        self._shared = shared

    async def look(self, principal: Principal, body: Mapping[str, Any], policy: Policy) -> Conversation | None:
        """The conversation that a body belongs to; None where the policy asks for no affinity, or it is not one."""
        if policy.escalation.affinity_seconds is None:
            return None
        opening, has_answer = _opening(body)
        if not opening:
            return None
        own = Conversation(self._digest(principal, opening))
        return Conversation(own.digest, await self._answered_by(own, policy)) if has_answer else own

    async def note(self, principal: Principal, conversation: Conversation, name: str, policy: Policy) -> None:
        """Remember that the policy's model `name` has answered, from now on for as long as the policy says."""
        seconds = policy.escalation.affinity_seconds
        if seconds is None:
            return
        digest, grade = _of_model(conversation.digest, name), _GRADES[policy.models[name].locality]
        self._table.put([digest], self._number(principal.tenant), grade, seconds)
        if self._shared is not None:
            await self._shared.put([digest], grade, seconds)

    async def close(self) -> None:
        """Let go of the table and of the connections."""
        if self._shared is not None:
            await self._shared.close()
        self._table.close()

    async def _answered_by(self, own: Conversation, policy: Policy) -> tuple[str, ...]:
        digests = {name: _of_model(own.digest, name) for name in policy.models}
        here = {name for name, digest in digests.items() if self._table.find([digest])}
        if self._shared is not None:
            grades = await self._shared.find(list(digests.values())) or []
            here.update(name for name, grade in zip(digests, grades, strict=False) if grade)
        return tuple(sorted(here, key=lambda name: -_GRADES[policy.models[name].locality]))

    def _digest(self, principal: Principal, opening: Sequence[object]) -> bytes:
        key = self._keys.subkey("affinity", principal.tenant)
        said = json.dumps([principal.key_id, principal.subject, opening], sort_keys=True, separators=(",", ":"))
        return hashlib.blake2b(said.encode(), key=key, digest_size=32).digest()

    def _number(self, tenant: str) -> int:
        key = self._keys.subkey("affinity", tenant)
        return int.from_bytes(hashlib.blake2b(b"number", key=key, digest_size=3).digest(), "little")


def _of_model(conversation: bytes, name: str) -> bytes:
    return hashlib.blake2b(name.encode(), key=conversation, digest_size=DIGEST_BYTES).digest()


def _opening(body: Mapping[str, Any]) -> tuple[list[object], bool]:
    """What stands before the first answer, as roles and contents, and whether an answer follows."""
    messages = body.get("messages")
    opening: list[object] = []
    for message in messages if isinstance(messages, list) else ():
        if not isinstance(message, dict) or message.get("role") not in _OPENING:
            return opening, True
        opening.append([message["role"], message.get("content")])
    return opening, False
