"""The wire between the parent and its workers: a unix socket (0600) that carries decision records up and policies down.

Frames are a 4-byte length and a JSON object with its kind under `t`; behind that of kind `records` follow their texts,
which nobody reads on the way. No content travels here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import struct
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol

import orjson

from router.records.filing import FiledRecord, packed, unpacked
from router.types import JsonObject

_LENGTH = struct.Struct(">I")
_MAX_FRAME = 16 * 1024 * 1024
_FLUSH_SECONDS = 0.05
_BATCH = 256
_INTENT_TIMEOUT_SECONDS = 2.0
_FEEDBACK_TIMEOUT_SECONDS = 5.0

log = logging.getLogger("gatehouse.control")


async def read_frame(reader: asyncio.StreamReader) -> JsonObject | None:
    """The next frame, or None when the other side has gone or speaks nonsense."""
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        if length > _MAX_FRAME:
            return None
        frame = orjson.loads(await reader.readexactly(length))
        if isinstance(frame, dict) and frame.get("t") == "records":
            size = sum(card[0] for card in frame["cards"])
            if size > _MAX_FRAME:
                return None
            frame["records"] = unpacked(frame.pop("cards"), await reader.readexactly(size))
    except (asyncio.IncompleteReadError, ConnectionError, orjson.JSONDecodeError):
        return None
    return frame if isinstance(frame, dict) else None


def frame_bytes(message: JsonObject) -> bytes:
    """One message as it goes over the socket."""
    payload = orjson.dumps(message)
    return _LENGTH.pack(len(payload)) + payload


def records_frame(records: Sequence[FiledRecord]) -> bytes:
    """Records as they go over the socket."""
    message, texts = packed(records)
    return frame_bytes({"t": "records", **message}) + texts


class RecordWriting(Protocol):
    """What the parent does with records (`router.records.writer.RecordWriter`)."""

    def submit(self, record: FiledRecord) -> bool: ...

    async def commit_intent(self, record: JsonObject) -> bool: ...


class ControlServer:
    """The parent's side: takes records from every worker, and tells every worker of a new policy or engine state."""

    def __init__(
        self,
        path: Path,
        writer: RecordWriting,
        on_event: Callable[[JsonObject], None],
        on_feedback: Callable[[JsonObject], Awaitable[str]] | None = None,
    ) -> None:
        self._path = path
        self._on_feedback = on_feedback
        self._writer = writer
        self._on_event = on_event
        self._server: asyncio.Server | None = None
        self._peers: set[asyncio.StreamWriter] = set()
        self._standing: dict[str, JsonObject] = {}  # the latest message of each kind, told to each newcomer
        self._intents: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, str(self._path))
        self._path.chmod(0o600)

    async def publish(self, message: JsonObject) -> None:
        """Tell every worker; a worker that comes later is told too."""
        self._standing[message["t"]] = message
        for peer in list(self._peers):
            with contextlib.suppress(ConnectionError):
                peer.write(frame_bytes(message))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._peers.add(writer)
        for message in self._standing.values():
            writer.write(frame_bytes(message))
        try:
            while (frame := await read_frame(reader)) is not None:
                self._take(frame, writer)
        finally:
            self._peers.discard(writer)
            writer.close()

    def _take(self, frame: JsonObject, writer: asyncio.StreamWriter) -> None:
        if frame["t"] == "records":
            for record in frame["records"]:
                self._writer.submit(record)
        elif frame["t"] in ("intent", "feedback"):
            answer = self._commit(frame, writer) if frame["t"] == "intent" else self._hear(frame, writer)
            task = asyncio.create_task(answer)
            self._intents.add(task)
            task.add_done_callback(self._intents.discard)
        else:
            self._on_event(frame)

    async def _commit(self, frame: JsonObject, writer: asyncio.StreamWriter) -> None:
        durable = await self._writer.commit_intent(frame["record"])
        with contextlib.suppress(ConnectionError):
            writer.write(frame_bytes({"t": "intent", "n": frame["n"], "durable": durable}))

    async def _hear(self, frame: JsonObject, writer: asyncio.StreamWriter) -> None:
        answer = "failed" if self._on_feedback is None else await self._on_feedback(frame["feedback"])
        with contextlib.suppress(ConnectionError):
            writer.write(frame_bytes({"t": "feedback", "n": frame["n"], "answer": answer}))

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for peer in list(self._peers):
            peer.close()
        if self._intents:
            await asyncio.wait(self._intents, timeout=_INTENT_TIMEOUT_SECONDS)
        self._path.unlink(missing_ok=True)


class ControlClient:
    """A worker's side; a `RecordSink`. Records wait in a bounded list: what does not fit is dropped and counted."""

    def __init__(
        self,
        path: Path,
        *,
        on_message: Callable[[JsonObject], Awaitable[None]],
        on_lost: Callable[[], None],
    ) -> None:
        self._path = path
        self._queue = 10_000
        self._on_message = on_message
        self._on_lost = on_lost
        self.on_drop: Callable[[int], None] = lambda count: None
        self._waiting: list[FiledRecord] = []
        self._timer: asyncio.TimerHandle | None = None
        self._asked: dict[int, asyncio.Future[JsonObject]] = {}  # intents and feedback that wait for an answer
        self._number = 0
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect. Raises OSError when the parent is not there."""
        reader, self._writer = await asyncio.open_unix_connection(str(self._path))
        self._reading = asyncio.create_task(self._read(reader))

    def limit(self, queue: int) -> None:
        """How many records may wait."""
        self._queue = queue

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while (frame := await read_frame(reader)) is not None:
            if frame["t"] in ("intent", "feedback"):
                waiting = self._asked.pop(frame["n"], None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(frame)
            else:
                await self._on_message(frame)
        for waiting in self._asked.values():
            if not waiting.done():
                waiting.set_result({})
        self._on_lost()

    def tell(self, message: JsonObject) -> None:
        """Send the parent an event of this worker, such as `ready`."""
        if self._writer is not None and not self._writer.transport.is_closing():
            self._writer.write(frame_bytes(message))

    def offer(self, record: FiledRecord) -> None:
        """Hand a record on, at the latest in 50 ms; dropped and counted when the queue is full."""
        if len(self._waiting) >= self._queue:
            self.on_drop(1)
            return
        self._waiting.append(record)
        if len(self._waiting) >= _BATCH:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Send what waits, unless the parent is slow to read: then it goes on waiting, and the queue bounds it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._waiting or self._writer is None:
            return
        transport = self._writer.transport
        if transport.is_closing():
            self.on_drop(len(self._waiting))
            self._waiting = []
            return
        if transport.get_write_buffer_size() > _MAX_FRAME // 4:
            self._timer = asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self.flush)
            return
        for start in range(0, len(self._waiting), _BATCH):
            self._writer.write(records_frame(self._waiting[start : start + _BATCH]))
        self._waiting = []

    async def intend(self, record: JsonObject) -> bool:
        """True only when the record is durable; False after 2 s, or when the parent has gone."""
        answer = await self._ask({"t": "intent", "record": record}, _INTENT_TIMEOUT_SECONDS)
        return bool(answer.get("durable"))

    async def send_feedback(self, feedback: JsonObject) -> str:
        """The desk's answer (`router.records.feedback.Answer`); `failed` after 5 s, or when the parent has gone."""
        answer = await self._ask({"t": "feedback", "feedback": feedback}, _FEEDBACK_TIMEOUT_SECONDS)
        return str(answer.get("answer", "failed"))

    async def _ask(self, message: JsonObject, seconds: float) -> JsonObject:
        """The parent's answer; empty when there is none in time."""
        if self._writer is None or self._writer.transport.is_closing():
            return {}
        self._number += 1
        number = self._number
        waiting = self._asked[number] = asyncio.get_running_loop().create_future()
        self._writer.write(frame_bytes({**message, "n": number}))
        try:
            return await asyncio.wait_for(waiting, seconds)
        except TimeoutError:
            return {}
        finally:
            self._asked.pop(number, None)

    async def close(self) -> None:
        self.flush()
        if self._reading is not None:
            self._reading.cancel()
        if self._writer is not None:
            with contextlib.suppress(ConnectionError, TimeoutError):
                await asyncio.wait_for(self._writer.drain(), 2.0)
            self._writer.close()
