"""The line in front of one model: bounded by count and tokens, fair between tenants, low urgency after the rest.

Pure bookkeeping, no threads.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

Scope = Literal["tenant", "system"]
_Name = tuple[bool, str]  # of a line: whether it is of low urgency, and its tenant
_TENANT_SHARE = 0.75  # of the line that one named tenant may fill: the rest stays open to others
_LOW_SHARE = 0.5  # of the line that requests of low urgency may find full and still join
_IN_A_ROW = 7  # of normal urgency that may go before a waiting one of low urgency does

T = TypeVar("T")


class QueueFullError(Exception):
    """No room to wait. `retry_after` is in seconds; `scope` says whose share is full."""

    def __init__(self, retry_after: int, scope: Scope = "system") -> None:
        super().__init__("the queue is full")
        self.retry_after = retry_after
        self.scope = scope


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """How many requests may wait, and how many tokens they may ask for together (prompt and answer)."""

    count: int = 64
    tokens: int = 131_072


@dataclass(eq=False, slots=True)
class _Waiting(Generic[T]):
    item: T
    tokens: int


class FairQueue(Generic[T]):
    """First come, first served within a tenant; between tenants, whoever was given the fewest tokens so far.

    That is start-time fair queueing: each tenant has a virtual time, which its requests' tokens move on. A tenant that
    comes back starts at the present, so that a pause earns no credit. What is of low urgency stands in lines of its
    own: it goes when nobody else may, and at the latest as the eighth.
    """

    def __init__(self, limits: QueueLimits) -> None:
        self._limits = limits
        self._lines: dict[_Name, deque[_Waiting[T]]] = {}
        self._in_a_row = 0  # of normal urgency that have gone while one of low urgency might have
        self._virtual: dict[str, int] = {}
        self._now = 0
        self._tokens = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def tokens(self) -> int:
        """Tokens that those who wait ask for."""
        return self._tokens

    def full_for(self, tenant: str, tokens: int, free: int = 0, *, is_low: bool = False) -> Scope | None:
        """Whose share would be exceeded by one more request of `tokens`; None when there is room.

        `free` more may wait than the limit says, because that many can be served at once.

        A request larger than the whole line may wait alone.
        """
        limits, part = self._limits, _LOW_SHARE if is_low else 1.0
        is_long = self._count >= max(1, limits.count * part) + free
        if is_long or (self._count > free and self._tokens + tokens > limits.tokens * part):
            return "system"
        if not tenant:
            return None
        line = [*self._lines.get((False, tenant), ()), *self._lines.get((True, tenant), ())]
        share = sum(waiting.tokens for waiting in line) + tokens
        if len(line) >= free + max(1, math.floor(limits.count * _TENANT_SHARE)):
            return "tenant"
        return "tenant" if len(line) > free and share > limits.tokens * _TENANT_SHARE else None

    def push(self, tenant: str, item: T, tokens: int, *, is_low: bool = False) -> None:
        """Put `item` at the end of its tenant's line. Room is the caller's to check, with `full_for`."""
        name = (is_low, tenant)
        line = self._lines.get(name)
        if line is None:
            line = self._lines[name] = deque()
            self._virtual[tenant] = max(self._virtual.get(tenant, 0), self._now)
        line.append(_Waiting(item, tokens))
        self._tokens += tokens
        self._count += 1

    def pop(self, may_go: Callable[[T], bool]) -> T | None:
        """The next item of those whose line's head `may_go`; None when there is none."""
        ready = [name for name, line in self._lines.items() if may_go(line[0].item)]
        if not ready:
            return None
        name = min(self._of_a_class(ready), key=lambda name: self._virtual[name[1]])
        tenant, waiting = name[1], self._lines[name].popleft()
        self._now = max(self._now, self._virtual[tenant])  # the head of its line may have held it up until now
        self._virtual[tenant] += waiting.tokens
        self._taken(name, waiting)
        self._forget_past()
        return waiting.item

    def _of_a_class(self, ready: list[_Name]) -> list[_Name]:
        """Those of normal urgency, but for the turn of the others."""
        normal, low = [name for name in ready if not name[0]], [name for name in ready if name[0]]
        if not normal or (low and self._in_a_row >= _IN_A_ROW):
            self._in_a_row = 0
            return low
        self._in_a_row = self._in_a_row + 1 if low else 0
        return normal

    def remove(self, item: T) -> bool:
        """Take `item` out of its line. False when it does not wait."""
        return bool(self.take_out(lambda other: other is item))

    def take_out(self, is_over: Callable[[T], bool]) -> list[T]:
        """Take everything out that is over."""
        found = [(name, each) for name, line in self._lines.items() for each in line if is_over(each.item)]
        for name, waiting in found:
            self._lines[name].remove(waiting)
            self._taken(name, waiting)
        return [waiting.item for _, waiting in found]

    def drain(self) -> list[T]:
        """Take everything out."""
        items = [waiting.item for line in self._lines.values() for waiting in line]
        self._lines.clear()
        self._tokens = self._count = 0
        return items

    def _forget_past(self) -> None:
        """A tenant that has gone and is owed no waiting starts at the present, as one that never came."""
        here = {tenant for _, tenant in self._lines}
        for tenant in [name for name, at in self._virtual.items() if at <= self._now and name not in here]:
            del self._virtual[tenant]

    def _taken(self, name: _Name, waiting: _Waiting[T]) -> None:
        self._tokens -= waiting.tokens
        self._count -= 1
        if not self._lines[name]:
            del self._lines[name]
        if not self._lines:
            self._virtual.clear()  # nobody waits: all are equal again
            self._now = 0
