"""What the pool's own thread does: brings models, adapters and embedders in, and takes out what must go for them.

Everything here runs in that one thread; the lock is held for bookkeeping only, never while something is loaded.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from router.engine.loading import LoadedModel, LoadError, LoadSettings, check, load, load_adapter, load_embedder
from router.engine.loop import DecodeLoop, StoppedError
from router.engine.seats import Failure, Key, Seat, stamp, to_empty
from router.engine.sizing import megabytes, plan_embedder
from router.engine.types import EngineError

BUSY_RETRY_S = 5  # for a model that waits for another's requests to end


class Loader:
    """`seats` and what is in them change under `lock` only."""

    def __init__(self, settings: LoadSettings, loop: DecodeLoop, current: Callable[[], set[Key]]) -> None:
        """`current` tells what the manifest names now."""
        self.lock = threading.Lock()
        self.seats: dict[Key, Seat] = {}
        self._settings = settings
        self._loop = loop
        self._current = current

    def bring(self, seat: Seat) -> None:
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
            with self.lock:
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
            with self.lock:
                seat.bytes = 0
            raise
        with self.lock:
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
            with self.lock:
                seat.bytes = 0
            raise
        with self.lock:
            seat.adapter, seat.used = key, time.monotonic()

    def bring_embedder(self, seat: Seat) -> None:
        loaded = seat.loaded
        assert loaded is not None
        if loaded.embedder is not None:
            return
        checked, limits = loaded.checked, self._settings.limits
        plan = plan_embedder(checked.header, 0, limits, checked.plan.context)
        self._make_room(seat, plan.total, str(plan))
        try:
            embedder = load_embedder(loaded, plan, self._settings.threads, self._loop)
        except LoadError as error:
            with self.lock:
                seat.bytes -= plan.total
            message = f"The model `{seat.entry.name}` makes no embeddings: {error}."
            raise EngineError(500, "model_load_failed", message) from None
        with self.lock:
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
        with self.lock:
            going = to_empty(self.seats.values(), needed, budget)
            if going is None:
                message = f"The memory of the models is in use by others; `{seat.entry.name}` needs {words}."
                raise EngineError(503, "local_overloaded", message, retry_after=BUSY_RETRY_S)
            freed = self._emptied(going)
            seat.bytes += needed
        self._free(freed)

    def leave(self, seat: Seat) -> None:
        """Unload what the manifest names no more, unless somebody has come back to it."""
        current = self._current()
        with self.lock:
            if seat.claims or seat.key in current:
                return
            freed = self._emptied([other for other in self.seats.values() if other is seat or other.base is seat])
            self.seats.pop(seat.key, None)
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
