"""The one writer of decision records: a bounded queue in the parent's event loop, and batches committed in a thread.

Never holds up the loop, and never says that an intent is durable when it is not.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from router.records.filing import FiledRecord
from router.records.store import Store, StoreError
from router.types import JsonObject

_BATCH = 500
_BATCH_SECONDS = 0.2
_INTENT_SECONDS = 2.0
_CLOSE_SECONDS = 10.0
_NICE = 10  # of 19: about a tenth of a processor that somebody else wants too

log = logging.getLogger("gatehouse.records")


@dataclass(slots=True)
class _Waiting:
    record: JsonObject | FiledRecord
    durable: asyncio.Future[bool] | None = None  # for an intent: its answer


def _give_way() -> None:
    """Have requests go first where both want the same processor: a batch takes milliseconds, and nobody waits for it.

    An intent is waited for, and so leaves the processor to this thread.
    """
    if sys.platform == "linux":  # elsewhere it would be the whole process
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


class RecordWriter:
    """Takes records from every worker and appends them to the store. Every call is made in one event loop.

    `drops` counts the records that were lost (queue or disk full, disk error), `written` those that were kept, and
    `failing` says why the last batch could not be written (None: it could).
    """

    def __init__(self, store: Store, *, queue: int = 10_000) -> None:
        self._store = store
        self._limit = queue
        self._waiting: deque[_Waiting] = deque()
        self._work = asyncio.Event()  # something waits
        self._urgent = asyncio.Event()  # an intent waits, or a full batch, or the end
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="records", initializer=_give_way)
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self.drops = 0
        self.written = 0
        self.failing: str | None = None

    async def start(self) -> None:
        """Begin to write. What was submitted before is written too."""
        self._task = asyncio.create_task(self._run())

    @property
    def queued(self) -> int:
        """Records that wait to be written."""
        return len(self._waiting)

    def submit(self, record: JsonObject | FiledRecord) -> bool:
        """Queue a record; it is committed with others within 200 ms. False: the queue is full, it was dropped."""
        return self._enqueue(_Waiting(record))

    async def commit_intent(self, record: JsonObject) -> bool:
        """True only when the record is on the disk; False when it could not be put there within 2 s.

        After False for lateness the record may still be written: an intent without a decision, from which nothing left.
        """
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if not self._enqueue(_Waiting(record, answer)):
            return False
        self._urgent.set()
        try:
            async with asyncio.timeout(_INTENT_SECONDS):
                return await answer
        except TimeoutError:
            return False

    def _enqueue(self, entry: _Waiting) -> bool:
        if self._closing or len(self._waiting) >= self._limit:
            self.drops += 1
            return False
        self._waiting.append(entry)
        self._work.set()
        if len(self._waiting) >= _BATCH:
            self._urgent.set()
        return True

    async def _run(self) -> None:
        while not (self._closing and not self._waiting):
            await self._work.wait()
            if not self._closing:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_BATCH_SECONDS):
                        await self._urgent.wait()
            batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            if len(self._waiting) < _BATCH and all(entry.durable is None for entry in self._waiting):
                self._urgent.clear()
            if not self._waiting:
                self._work.clear()
            if batch:
                await self._write(batch)

    async def _write(self, batch: list[_Waiting]) -> None:
        durable = any(entry.durable is not None for entry in batch)
        append = partial(self._store.append, [entry.record for entry in batch], durable=durable)
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, append)
        except (StoreError, TypeError) as error:  # TypeError: a record that is not JSON
            self.drops += len(batch)
            self._note(str(error) if isinstance(error, StoreError) else "a record is not JSON")
            written = False
        else:
            self.written += len(batch)
            self._note(None)
            written = True
        for entry in batch:
            if entry.durable is not None and not entry.durable.done():
                entry.durable.set_result(written)

    def _note(self, failing: str | None) -> None:
        if failing is not None and self.failing is None:
            log.error("decision records cannot be written: %s", failing)
        elif failing is None and self.failing is not None:
            log.warning("decision records are written again; %d were dropped so far", self.drops)
        self.failing = failing

    async def close(self) -> None:
        """Write what waits, for at most 10 s, then close the store. Idempotent."""
        if self._closing:
            return
        self._closing = True
        self._work.set()
        self._urgent.set()
        if self._task is not None:
            done, _ = await asyncio.wait({self._task}, timeout=_CLOSE_SECONDS)
            if not done:
                self._task.cancel()
                self.drops += len(self._waiting)
                self._thread.shutdown(wait=False, cancel_futures=True)
                log.error("decision records: the disk did not answer; %d were dropped so far", self.drops)
                return
        self._thread.shutdown(wait=True)
        with contextlib.suppress(StoreError):
            self._store.close()
