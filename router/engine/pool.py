"""The models in memory, under a budget: loaded when asked for, the least recently used idle one unloaded for another.

Loading happens in a thread of its own, never on the decode thread or the event loop; a model in use is never unloaded.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Protocol

from router.engine.loading import (
    LoadedModel,
    LoadError,
    LoadSettings,
    check,
    load,
    load_adapter,
    load_embedder,
)
from router.engine.loop import DecodeLoop, StoppedError
from router.engine.manifest import Entry
from router.engine.seats import Failure, Key, Seat, stamp, to_empty
from router.engine.sizing import megabytes, plan_embedder
from router.engine.types import EngineError
from router.engine.vectors import Embedder

_BUSY_RETRY_S = 5  # for a model that waits for another's requests to end
_MEGABYTE = 1_000_000


class Entries(Protocol):
    """What the pool needs of a manifest."""

    @property
    def entries(self) -> tuple[Entry, ...]: ...

    def refresh(self) -> bool:
        """True: there are other entries now."""
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
    """`claim` is called on the event loop; the private methods named in `_submit` run in the loader's thread."""

    def __init__(self, manifest: Entries, settings: LoadSettings, loop: DecodeLoop, *, waiting: int) -> None:
        """`waiting`: how many requests may wait for models that are being loaded."""
        self._manifest = manifest
        self._settings = settings
        self._loop = loop
        self._most_waiting = waiting
        self._waiting = 0
        self._lock = threading.Lock()
        self._seats: dict[Key, Seat] = {}
        self._loader = ThreadPoolExecutor(1, "loader")
        self._is_closed = False

    # The event loop's side.

    def names(self) -> tuple[str, ...]:
        """Every name that can be asked for, the first model's first."""
        self.refresh()
        return tuple(entry.name for entry in self._manifest.entries)

    def refresh(self) -> None:
        """See whether the manifest has changed; what it no longer names goes as soon as nobody uses it."""
        if not self._manifest.refresh():
            return
        current = self._current()
        with self._lock:
            gone = [seat for key, seat in self._seats.items() if key not in current and not seat.claims]
        for seat in gone:
            self._submit(self._leave, seat)

    async def claim(self, name: str) -> Claim:
        """Hold the model `name`, loaded if it is not here yet. Raises EngineError."""
        self.refresh()
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
                    self._bring(seat)
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
            await self._until_done(self._submit(self._bring_embedder, seat))
        assert loaded.embedder is not None
        return loaded.embedder

    def hold(self, seats: tuple[Seat, ...]) -> None:
        """One more claim on each."""
        with self._lock:
            for seat in seats:
                seat.claims += 1

    def let_go(self, seats: tuple[Seat, ...]) -> None:
        """One claim less on each."""
        current = self._current()
        now = time.monotonic()
        with self._lock:
            for seat in seats:
                seat.claims -= 1
                seat.used = now
            gone = [seat for seat in reversed(seats) if not seat.claims and seat.key not in current]
        for seat in gone:
            self._submit(self._leave, seat)

    def close(self) -> None:
        """Load no more. Call it when the decode thread has ended; the process's end frees the memory."""
        with self._lock:
            self._is_closed = True
        self._loader.shutdown(wait=False, cancel_futures=True)

    # What it holds.

    @property
    def depth(self) -> tuple[int, int]:
        """How many requests wait, for a model or in its line, and how many run."""
        with self._lock:
            depths = [seat.loaded.lane.depth for seat in self._seats.values() if seat.loaded and seat.loaded.lane]
            return self._waiting + sum(depth[0] for depth in depths), sum(depth[1] for depth in depths)

    def loaded(self) -> list[dict[str, Any]]:
        """The models in memory and what they take, by reckoning."""
        with self._lock:
            return [_described(seat) for seat in self._seats.values() if seat.is_here]

    def stats(self) -> dict[str, Any]:
        """Figures of every model that anybody asked for, by name; counters outlive an unloading."""
        self.refresh()
        with self._lock:
            models = {
                seat.entry.name: asdict(seat.figures()) for seat in self._seats.values() if not seat.entry.adapter_of
            }
            used = sum(seat.bytes for seat in self._seats.values())
        budget = self._settings.limits.budget
        return {
            "models": models,
            "loaded": self.loaded(),
            "memory_mb": used / _MEGABYTE,
            "budget_mb": budget / _MEGABYTE,
            "loading": self._waiting,
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
        with self._lock:
            if self._is_closed:
                raise EngineError(503, "local_unavailable", "The local engine is stopping.", retry_after=1)
            first = self._seat((base or entry, None), None)
            seats = (first,) if base is None else (first, self._seat((entry, base), first))
            for seat in seats:
                seat.claims += 1
        return seats

    def _seat(self, key: Key, base: Seat | None) -> Seat:
        seat = self._seats.get(key)
        if seat is None:
            seat = self._seats[key] = Seat(key, base)
        return seat

    async def _arrive(self, seat: Seat) -> None:
        with self._lock:
            if seat.is_here:
                return
            if seat.failure is not None and seat.failure.holds(seat.entry.path):
                raise seat.failure.error
            if self._waiting >= self._most_waiting:
                raise EngineError(
                    503, "local_overloaded", "Too many requests wait for a model to load.", retry_after=_BUSY_RETRY_S
                )
            if seat.arriving is None:
                seat.arriving = self._loader.submit(self._bring, seat)
            future = seat.arriving
        await self._until_done(future)
        if seat.failure is not None:
            raise seat.failure.error

    async def _until_done(self, future: Future[None]) -> None:
        """Wait in line. A caller that goes leaves the loading to those who stay."""
        with self._lock:
            self._waiting += 1
        try:
            await asyncio.shield(asyncio.wrap_future(future))
        finally:
            with self._lock:
                self._waiting -= 1

    def _submit(self, work: Callable[..., None], *arguments: Any) -> Future[None]:
        with self._lock:
            if not self._is_closed:
                return self._loader.submit(work, *arguments)
        ended: Future[None] = Future()
        ended.set_exception(EngineError(503, "local_unavailable", "The local engine is stopping.", retry_after=1))
        return ended

    # The loader's thread.

    def _bring(self, seat: Seat) -> None:
        """Make the seat's model be here, or note why it cannot be."""
        failure: Failure | None = None
        try:
            if seat.base is None:
                self._bring_model(seat)
            elif seat.base.loaded is not None:
                self._bring_adapter(seat, seat.base.loaded)
            else:
                failure = seat.base.failure
        except LoadError as error:
            message = f"The model `{seat.entry.name}` cannot be loaded: {error}."
            failure = Failure.of_file(EngineError(500, "model_load_failed", message), seat.entry.path, seat.failure)
        except EngineError as error:
            failure = Failure(error)
            if error.status == 400:  # it never fits: only another file would
                failure = Failure.of_file(error, seat.entry.path, seat.failure)
        finally:
            with self._lock:
                seat.failure, seat.arriving = failure, None

    def _bring_model(self, seat: Seat) -> None:
        if seat.loaded is not None:
            return
        found = stamp(seat.entry.path)
        if seat.checked is None or seat.checked[0] != found:
            seat.checked = (found, check(seat.entry, self._settings.limits))
        checked = seat.checked[1]
        self._make_room(seat, checked.plan.total, str(checked.plan))
        try:
            loaded = load(checked, self._settings, self._loop)
        except BaseException:
            with self._lock:
                seat.bytes = 0
            raise
        with self._lock:
            seat.loaded, seat.used = loaded, time.monotonic()

    def _bring_adapter(self, seat: Seat, base: LoadedModel) -> None:
        if seat.adapter is not None:
            return
        found = stamp(seat.entry.path)
        size = found[2] if found is not None else 0
        self._make_room(seat, size, megabytes(size))
        try:
            key = load_adapter(base, seat.entry)
        except BaseException:
            with self._lock:
                seat.bytes = 0
            raise
        with self._lock:
            seat.adapter, seat.used = key, time.monotonic()

    def _bring_embedder(self, seat: Seat) -> None:
        loaded = seat.loaded
        assert loaded is not None
        if loaded.embedder is not None:
            return
        checked, limits = loaded.checked, self._settings.limits
        plan = plan_embedder(checked.header, 0, limits, checked.plan.context)
        self._make_room(seat, plan.total, str(plan))
        try:
            embedder = load_embedder(loaded, plan, self._settings.threads)
        except LoadError as error:
            with self._lock:
                seat.bytes -= plan.total
            message = f"The model `{seat.entry.name}` makes no embeddings: {error}."
            raise EngineError(500, "model_load_failed", message) from None
        with self._lock:
            loaded.embedder = embedder

    def _make_room(self, seat: Seat, needed: int, words: str) -> None:
        """Count `needed` bytes to `seat`, whatever has to go for them. Raises EngineError."""
        budget = self._settings.limits.budget
        held = seat.bytes + (seat.base.bytes if seat.base is not None else 0)
        if held + needed > budget:
            message = (
                f"The model `{seat.entry.name}` needs {words} on top of {megabytes(held)}, "
                f"and the engine's models may take {megabytes(budget)} together: "
                "choose a smaller model or context, or give the engine more memory."
            )
            raise EngineError(400, "model_too_large", message, param="model")
        with self._lock:
            going = to_empty(self._seats.values(), needed, budget)
            if going is None:
                message = f"The memory of the models is in use by others; `{seat.entry.name}` needs {words}."
                raise EngineError(503, "local_overloaded", message, retry_after=_BUSY_RETRY_S)
            freed = self._emptied(going)
            seat.bytes += needed
        self._free(freed)

    def _leave(self, seat: Seat) -> None:
        """Unload what the manifest names no more, unless somebody has come back to it."""
        current = self._current()
        with self._lock:
            if seat.claims or seat.key in current:
                return
            freed = self._emptied([other for other in self._seats.values() if other is seat or other.base is seat])
            self._seats.pop(seat.key, None)
        self._free(freed)

    def _emptied(self, seats: list[Seat]) -> list[tuple[LoadedModel, str | None]]:
        """Empty the seats; what they held is to be freed: models whole, or one adapter of a model that stays."""
        freed: list[tuple[LoadedModel, str | None]] = []
        for seat in seats:
            if seat.loaded is not None:
                freed.append((seat.loaded, None))
            elif seat.adapter is not None and seat.base not in seats and seat.base is not None and seat.base.loaded:
                freed.append((seat.base.loaded, seat.adapter))
            seat.empty()
        return freed

    def _free(self, freed: list[tuple[LoadedModel, str | None]]) -> None:
        for loaded, adapter in freed:
            with suppress(StoppedError, TimeoutError):  # the process ends, or the watchdog will end it
                if adapter is None:
                    loaded.close(self._loop)
                else:
                    loaded.drop_adapter(adapter, self._loop)


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
