"""The event loop of the parent and of the workers, and how much of their time the garbage collector takes."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import importlib
import importlib.util
import logging
from collections.abc import Callable, Iterable
from typing import Any

_TIMES = 5  # that a task is cancelled
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # of malloc.h
_LARGE_BYTES = 128 * 1024
_ARENAS = 2  # heaps that threads share; by default each may have one of its own
_PATIENCE_SECONDS = 3.0  # between one time and the next: longer than any of them takes to end in order

log = logging.getLogger("gatehouse.loop")


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's event loop where it is installed (Linux and macOS), else None: asyncio's own."""
    if importlib.util.find_spec("uvloop") is None:
        return None
    new_loop: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module("uvloop").new_event_loop
    return new_loop


def save_memory() -> None:
    """Have large pieces of memory given back when they are freed. Called before there is much of it; for glibc alone.

    By default what is freed makes later pieces of that size stand in the heap, where whatever lies above keeps them.
    """
    tune = getattr(ctypes.CDLL(None), "mallopt", None)
    if tune is not None:
        tune(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        tune(_M_ARENA_MAX, _ARENAS)


def settle_memory() -> None:
    """Take what lives as long as the process out of the garbage collector's sight. Called once all of it is there.

    A full collection over a worker's tables takes tens of milliseconds, in the middle of somebody's request; and the
    parent, which shares the machine with them, handles so many objects that it would collect all the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if give_back is not None:
        give_back(0)


async def end_tasks(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks until they have ended: what they await may swallow a cancellation, and once is then too few.

    What has not ended after fifteen seconds is left behind, and named.
    """
    left = set(tasks)
    for _ in range(_TIMES):
        for task in left:
            task.cancel()
        if left:
            done, left = await asyncio.wait(left, timeout=_PATIENCE_SECONDS)
            await asyncio.gather(*done, return_exceptions=True)  # what they died of was told while they ran
    for task in left:
        log.error("a task does not end, and is left: %s", getattr(task.get_coro(), "__qualname__", "unknown"))
