"""Whether anything may leave this worker now, and the calls outside that are on their way: a lock cuts them.

Asked where permits are made and where they are spent. Every answer looks at the state's file anew, so that a new lock
counts from the moment it is on the disk; what runs already is cut by `watch`, a tenth of a second later.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from router.cutoff import Cutoff
from router.errors import GatehouseError, Locked
from router.lockdown.lockdown import LOCKDOWN_FILE, Locks, read_locks

_LOOK_SECONDS = 0.1

T = TypeVar("T")
Mark = tuple[int, int, int] | str

log = logging.getLogger("gatehouse.lockdown")


class Exits:
    """The exits of one process, under the locks of one state folder. For one event loop."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._path = str(state_dir / LOCKDOWN_FILE)
        self._mark: Mark | None = None  # how the file looked when it was read; None: there was none
        self._calls: set[ExitCall] = set()
        self._on_lock: set[Callable[[], None]] = set()
        self.on_change: Callable[[], None] = lambda: None
        self.cut = 0  # calls that a lock has cut so far
        self.locks = Locks()
        self.look()

    def holds(self, tenant: str) -> bool:
        """Whether nothing of this tenant may leave."""
        self.look()
        return self.locks.holds(tenant)

    def require_open(self, tenant: str) -> None:
        """Return if something of this tenant may leave. Raises `Locked`."""
        if self.holds(tenant):
            raise Locked

    def call(self, tenant: str) -> ExitCall:
        """Begin a call outside; whoever begins it ends it. Raises `Locked`."""
        self.require_open(tenant)
        call = ExitCall(self, tenant)
        self._calls.add(call)
        return call

    def forget(self, call: ExitCall) -> None:
        """A call has ended."""
        self._calls.discard(call)

    def when_locked(self, close: Callable[[], None]) -> None:
        """Have `close` called whenever everything is locked: connections that rest are closed too."""
        self._on_lock.add(close)

    def not_when_locked(self, close: Callable[[], None]) -> None:
        """Take `close` back. Idempotent."""
        self._on_lock.discard(close)

    def look(self) -> None:
        """Read the state again if its file has changed, and cut what may not go on. Costs a `stat`."""
        mark = self._look_at_file()
        if mark == self._mark:
            return
        was_there = self._mark is not None
        self._mark = mark
        # A file that was there and is gone is a fault, not an end of the locks: `unlock` writes, it removes nothing.
        vanished = Locks(unreadable=f"{LOCKDOWN_FILE} has vanished")
        before, self.locks = self.locks, vanished if mark is None and was_there else read_locks(self._state_dir)
        if mark is None and was_there:
            self._mark = "vanished"
        if self.locks == before:
            return
        log.warning("exits: %s", describe(self.locks))
        for call in [call for call in self._calls if self.locks.holds(call.tenant)]:
            self.cut += 1
            call.cut()
        if self.locks.holds_all:
            for close in list(self._on_lock):
                close()
        self.on_change()

    def _look_at_file(self) -> Mark | None:
        try:
            found = os.stat(self._path, follow_symlinks=False)
        except FileNotFoundError:
            return "vanished" if self._mark == "vanished" else None
        except OSError as error:
            return error.strerror or type(error).__name__
        return (found.st_ino, found.st_mtime_ns, found.st_size)

    async def watch(self) -> None:
        """Look again and again, for as long as this process serves."""
        while True:
            self.look()
            await asyncio.sleep(_LOOK_SECONDS)


class ExitCall:
    """One call outside while it lasts. A lock ends it: whoever waits for it gets `Locked`, and its stream is closed."""

    def __init__(self, exits: Exits, tenant: str) -> None:
        self._exits = exits
        self._scope: Cutoff | None = None
        self._closing: asyncio.Task[None] | None = None
        self.tenant = tenant
        self.is_cut = False
        self.close: Callable[[], Awaitable[None]] | None = None  # of its stream, once there is one

    async def during(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do a part of the call. Raises `Locked` when a lock cuts it, and what `work` raises."""
        if self.is_cut:
            raise Locked(unsent=False)
        try:
            with Cutoff() as self._scope:
                return await work()
        except (TimeoutError, GatehouseError):
            if self.is_cut:
                raise Locked(unsent=False) from None
            raise
        finally:
            self._scope = None

    def cut(self) -> None:
        """End it now. Idempotent."""
        if self.is_cut:
            return
        self.is_cut = True
        loop = asyncio.get_running_loop()
        if self._scope is not None:
            loop.call_soon(self._scope.now)  # not now: it may be this very task that has seen the lock
        elif self.close is not None:  # nobody reads it at the moment: its connection is closed all the same
            self._closing = asyncio.ensure_future(self.close())

    def end(self) -> None:
        """It is over. Idempotent."""
        self._exits.forget(self)


def describe(locks: Locks) -> str:
    """The state in words, for log and command line: without the names of tenants, which may be people's."""
    if locks.unreadable:
        return f"locked, because the state cannot be read ({locks.unreadable})"
    if locks.holds_all:
        return "locked"
    return f"locked for {len(locks.tenants)} tenants" if locks.tenants else "open"


def degraded_words(locks: Locks) -> tuple[str, ...]:
    """What `/readyz` says of them."""
    words = [("lockdown", locks.holds_all), ("lockdown_unreadable", bool(locks.unreadable))]
    return tuple(word for word, holds in [*words, ("lockdown_tenants", bool(locks.tenants))] if holds)
