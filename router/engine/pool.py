"""The models in memory, under a budget: loaded when asked for, the least recently used idle one unloaded for another.

Loading happens in a thread of its own, never on the decode thread or the event loop; a model in use is never unloaded.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, Protocol, TypeVar

from router.engine.loader import BUSY_RETRY_S, Loader
from router.engine.loading import LoadedModel, LoadSettings
from router.engine.loop import DecodeLoop
from router.engine.manifest import Entry
from router.engine.seats import Key, Seat
from router.engine.types import EngineError
from router.engine.vectors import Embedder

_MEGABYTE = 1_000_000

T = TypeVar("T")


class Entries(Protocol):
    """What the pool needs of a manifest."""

    @property
    def entries(self) -> tuple[Entry, ...]: ...

    def refresh(self, *, at_once: bool = False) -> bool:
        """True: there are other entries now. `at_once`: even if somebody has looked just now."""
        ...


class Claim:
    """A hold on a loaded model and, maybe, one of its adapters: neither is unloaded before `release`."""

    def __init__(self, pool: Pool, seats: tuple[Seat, ...]) -> None:
        self._pool = pool
        self._seats = seats
        self._is_over = False

    @property
    def model(self) -> LoadedModel:
        """The model, which is here."""
        loaded = self._seats[0].loaded
        assert loaded is not None
        return loaded

    @property
    def name(self) -> str:
        """The name that was asked for."""
        return self._seats[-1].entry.name

    @property
    def adapter(self) -> str | None:
        """The adapter's key, for a Generation."""
        return self._seats[-1].adapter

    async def embedder(self) -> Embedder:
        """The model's context for embeddings, made when it is first wanted. Raises EngineError."""
        return await self._pool.embedder(self._seats[0])

    async def in_thread(self, work: Callable[[], T]) -> T:
        """What `work` returns, from a thread that holds the model itself: its caller may go before it is done."""
        own = self.again()

        def run() -> T:
            try:
                return work()
            finally:
                own.release()

        return await asyncio.shield(asyncio.to_thread(run))

    def again(self) -> Claim:
        """Another hold on the same."""
        self._pool.hold(self._seats)
        return Claim(self._pool, self._seats)

    def release(self) -> None:
        """Let go. Idempotent."""
        if not self._is_over:
            self._is_over = True
            self._pool.let_go(self._seats)


class Pool:
    """Its methods are called on the event loop; what takes time is the Loader's, in a thread of its own."""

    def __init__(self, manifest: Entries, settings: LoadSettings, loop: DecodeLoop, *, waiting: int) -> None:
        """`waiting`: how many requests may wait for models that are being loaded."""
        self._manifest = manifest
        self._settings = settings
        self._most_waiting = waiting
        self._waiting = 0
        self._loader = Loader(settings, loop, self._current)
        self._thread = ThreadPoolExecutor(1, "loader")
        self._is_closed = False

    # The event loop's side.

    def names(self) -> tuple[str, ...]:
        """Every name that can be asked for, the first model's first."""
        self.refresh()
        return tuple(entry.name for entry in self._manifest.entries)

    def refresh(self, *, at_once: bool = False) -> None:
        """See whether the manifest has changed; what it no longer names goes as soon as nobody uses it."""
        if not self._manifest.refresh(at_once=at_once):
            return
        current = self._current()
        with self._loader.lock:
            gone = [seat for key, seat in self._loader.seats.items() if key not in current and not seat.claims]
        for seat in gone:
            self._submit(self._loader.leave, seat)

    async def claim(self, name: str) -> Claim:
        """Hold the model `name`, loaded if it is not here yet. Raises EngineError."""
        # A name that is not known may have come a moment ago: a gateway asks for it as soon as the manifest is written.
        self.refresh(at_once=all(entry.name != name for entry in self._manifest.entries))
        seats = self._seats_of(name)
        claim = Claim(self, seats)
        try:
            for seat in seats:
                await self._arrive(seat)
        except BaseException:
            claim.release()
            raise
        return claim

    def bring_first(self, when_done: Callable[[str | None], None]) -> None:
        """Load the first model. `when_done` gets None, or why it cannot be served; called in the loader's thread."""
        seats = self._seats_of(self._manifest.entries[0].name)

        def bring() -> None:
            reason: str | None = "the model's loader ended unexpectedly"
            try:
                for seat in seats:
                    self._loader.bring(seat)
                failures = [seat.failure for seat in seats if seat.failure is not None]
                reason = failures[0].error.message if failures else None
            finally:
                self.let_go(seats)
                when_done(reason)

        self._submit(bring)

    async def embedder(self, seat: Seat) -> Embedder:
        """The embedder of a claimed model. Raises EngineError."""
        loaded = seat.loaded
        assert loaded is not None
        if loaded.embedder is None:
            with self._loader.lock:
                future = self._begin(self._loader.bring_embedder, seat)
            await self._until_done(future)
        assert loaded.embedder is not None
        return loaded.embedder

    def hold(self, seats: tuple[Seat, ...]) -> None:
        """One more claim on each."""
        with self._loader.lock:
            for seat in seats:
                seat.claims += 1

    def let_go(self, seats: tuple[Seat, ...]) -> None:
        """One claim less on each."""
        current = self._current()
        now = time.monotonic()
        with self._loader.lock:
            for seat in seats:
                seat.claims -= 1
                seat.used = now
            gone = [seat for seat in reversed(seats) if not seat.claims and seat.key not in current]
        for seat in gone:
            self._submit(self._loader.leave, seat)

    def close(self) -> None:
        """Load no more. Call it when the decode thread has ended; the process's end frees the memory."""
        with self._loader.lock:
            self._is_closed = True
        self._thread.shutdown(wait=False, cancel_futures=True)

    # What it holds.

    @property
    def depth(self) -> tuple[int, int]:
        """How many requests wait, for a model or in its line, and how many run."""
        with self._loader.lock:
            depths = [
                seat.loaded.lane.depth for seat in self._loader.seats.values() if seat.loaded and seat.loaded.lane
            ]
            return self._waiting + sum(depth[0] for depth in depths), sum(depth[1] for depth in depths)

    def loaded(self) -> list[dict[str, Any]]:
        """The models in memory and what they take, by reckoning."""
        with self._loader.lock:
            return [_described(seat) for seat in self._loader.seats.values() if seat.is_here]

    def stats(self) -> dict[str, Any]:
        """Figures of every model that anybody asked for, by name; counters outlive an unloading."""
        self.refresh()
        with self._loader.lock:
            models = {
                seat.entry.name: asdict(seat.figures())
                for seat in self._loader.seats.values()
                if not seat.entry.adapter_of
            }
            used = sum(seat.bytes for seat in self._loader.seats.values())
        budget = self._settings.limits.budget
        return {
            "models": models,
            "loaded": self.loaded(),
            "memory_mb": used / _MEGABYTE,
            "budget_mb": budget / _MEGABYTE,
            "loading": self._waiting,
            "cpu_seconds": time.process_time(),
        }

    # Between the two.

    def _current(self) -> set[Key]:
        entries = self._manifest.entries
        by_name = {entry.name: entry for entry in entries}
        return {(entry, by_name.get(entry.adapter_of or "")) for entry in entries}

    def _seats_of(self, name: str) -> tuple[Seat, ...]:
        """The model's seat, and the adapter's if it is one; each is claimed. Raises EngineError (404, 503)."""
        entries = {entry.name: entry for entry in self._manifest.entries}
        entry = entries.get(name)
        if entry is None:
            raise EngineError(404, "model_not_found", "This engine has no model of this name.", param="model")
        base = entries[entry.adapter_of] if entry.adapter_of is not None else None
        with self._loader.lock:
            if self._is_closed:
                raise EngineError(503, "local_unavailable", "The local engine is stopping.", retry_after=1)
            first = self._seat((base or entry, None), None)
            seats = (first,) if base is None else (first, self._seat((entry, base), first))
            for seat in seats:
                seat.claims += 1
        return seats

    def _seat(self, key: Key, base: Seat | None) -> Seat:
        seat = self._loader.seats.get(key)
        if seat is None:
            seat = self._loader.seats[key] = Seat(key, base)
        return seat

    async def _arrive(self, seat: Seat) -> None:
        with self._loader.lock:
            if seat.is_here:
                return
            if seat.failure is not None and seat.failure.holds(seat.entry.path):
                raise seat.failure.fresh()
            if self._waiting >= self._most_waiting:
                raise EngineError(
                    503, "local_overloaded", "Too many requests wait for a model to load.", retry_after=BUSY_RETRY_S
                )
            if seat.arriving is None:
                seat.arriving = self._begin(self._loader.bring, seat)
            future = seat.arriving
        await self._until_done(future)
        if seat.failure is not None:
            raise seat.failure.fresh()

    def _begin(self, work: Callable[[Seat], None], seat: Seat) -> Future[None]:
        """Let the loader do `work`, with claims of its own: its caller may go before it is done. The lock is held."""
        if self._is_closed:
            raise EngineError(503, "local_unavailable", "The local engine is stopping.", retry_after=1)
        seats = (seat,) if seat.base is None else (seat.base, seat)
        for each in seats:
            each.claims += 1

        def run() -> None:
            try:
                work(seat)
            finally:
                self.let_go(seats)

        return self._thread.submit(run)

    async def _until_done(self, future: Future[None]) -> None:
        """Wait in line. A caller that goes leaves the loading to those who stay."""
        with self._loader.lock:
            self._waiting += 1
        try:
            await asyncio.shield(asyncio.wrap_future(future))
        finally:
            with self._loader.lock:
                self._waiting -= 1

    def _submit(self, work: Callable[..., None], *arguments: Any) -> None:
        with self._loader.lock:
            if not self._is_closed:
                self._thread.submit(work, *arguments)


def _described(seat: Seat) -> dict[str, Any]:
    described: dict[str, Any] = {"name": seat.entry.name, "memory_mb": seat.bytes / _MEGABYTE, "claims": seat.claims}
    if seat.loaded is None:
        return {**described, "adapter_of": seat.entry.adapter_of}
    return {
        **described,
        "context": seat.loaded.context,
        "slots": seat.loaded.checked.plan.slots,
        "embeddings": seat.loaded.embedder is not None,
    }
