"""The scan process: large bodies are scanned in a child that can be killed, so that no text holds up the event loop.

The child speaks over one socket pair, reads no environment, writes nothing, and ends when its parent does.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from classifiers.kernels import KERNELS
from classifiers.scanner import Hit, Report, Scanner, Unread
from classifiers.types import Dictionary, Pattern, ScanRules

_LENGTH = 8
_START_SECONDS = 30.0  # to import and to build the detectors, on a slow and busy machine
_GRACE_SECONDS = 0.25  # what the child may take longer than it was told before it is killed
_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from classifiers.process import serve; serve(int(sys.argv[2]))"


class ScanProcessDied(Exception):
    """The child ended, or could not be started, before it answered."""


class ScanProcess:
    """One child, started at the first scan, kept, killed at an overrun and started again at the next."""

    def __init__(self, table: Mapping[str, str]) -> None:
        self._table = dict(table)
        self._turn = asyncio.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    @property
    def pid(self) -> int | None:
        """The child's process id while it lives."""
        return self._child.pid if self._child is not None else None

    async def scan(self, haystacks: list[bytes], rules: ScanRules, budget: float) -> list[Report]:
        """One report a haystack, within `budget` seconds in all. Raises `TimeoutError` and `ScanProcessDied`."""
        async with self._turn:
            try:
                await self._ensure()
                request = {"rules": _rules_to_json(rules), "budget": budget, "sizes": [len(data) for data in haystacks]}
                async with asyncio.timeout(budget + _GRACE_SECONDS):
                    answer = await self._exchange([orjson.dumps(request), *haystacks])
            except (OSError, EOFError, asyncio.IncompleteReadError) as error:
                await self.close()
                if isinstance(error, TimeoutError):
                    raise
                raise ScanProcessDied(type(error).__name__) from None
            except BaseException:
                await self.close()
                raise
            return await asyncio.to_thread(_reports_from_json, answer)

    async def start(self) -> None:
        """Start the child now, so that the first large body does not wait for it."""
        async with self._turn:
            await self._ensure()

    async def close(self) -> None:
        """Kill the child, if there is one. Idempotent."""
        child, writer = self._child, self._writer
        self._child = self._reader = self._writer = None
        if writer is not None:
            writer.close()
        if child is not None:
            child.kill()
            await asyncio.to_thread(child.wait)

    async def _ensure(self) -> None:
        if self._child is not None and self._child.poll() is None:
            return
        await self.close()
        ours, theirs = socket.socketpair()
        try:
            self._child = await asyncio.to_thread(_spawn, theirs)
            self._reader, self._writer = await asyncio.open_connection(sock=ours)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        try:
            async with asyncio.timeout(_START_SECONDS):
                await self._exchange([orjson.dumps({"detectors": self._table, "compiled": not KERNELS.is_off})])
        except TimeoutError:
            raise ScanProcessDied("not ready") from None

    async def _exchange(self, frames: list[bytes]) -> bytes:
        reader, writer = self._reader, self._writer
        if reader is None or writer is None:
            raise EOFError
        for frame in frames:
            writer.write(len(frame).to_bytes(_LENGTH, "big"))
            writer.write(frame)
        await writer.drain()
        size = int.from_bytes(await reader.readexactly(_LENGTH), "big")
        return await reader.readexactly(size)


def _spawn(theirs: socket.socket) -> subprocess.Popen[bytes]:
    root = str(Path(__file__).resolve().parents[1])
    command = [sys.executable, "-P", "-c", _BOOT, root, str(theirs.fileno())]
    return subprocess.Popen(  # noqa: S603 - our own interpreter and our own code
        command,
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def serve(descriptor: int) -> None:
    """The child: build the detectors once, answer scans one after the other, end when the parent goes."""
    with socket.socket(fileno=descriptor) as connection, connection.makefile("rwb") as stream:
        told = orjson.loads(_read(stream))
        if not told["compiled"]:
            KERNELS.switch_off()
        scanner = Scanner(told["detectors"])
        _write(stream, {"ready": True})
        while True:
            try:
                request = orjson.loads(_read(stream))
            except EOFError:
                return
            haystacks = [_read(stream) for _ in request["sizes"]]
            over = time.perf_counter() + request["budget"]
            _write(stream, _answer(scanner, haystacks, _rules_from_json(request["rules"]), over))


def _answer(scanner: Scanner, haystacks: list[bytes], rules: ScanRules, over: float) -> list[dict[str, Any]]:
    answer = []
    for data in haystacks:
        report = Report()
        for _ in scanner.scan(data, rules, report, lambda: time.perf_counter() > over):
            pass
        hits = [tuple(hit) for hit in report.hits]
        unread = [tuple(each) for each in report.unread]
        answer.append({"hits": hits, "unread": unread, "errors": list(report.errors), "complete": report.complete})
    return answer


def _read(stream: Any) -> bytes:
    size = _read_exactly(stream, _LENGTH)
    return _read_exactly(stream, int.from_bytes(size, "big"))


def _read_exactly(stream: Any, size: int) -> bytes:
    data: bytes = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _write(stream: Any, value: Any) -> None:
    frame = orjson.dumps(value)
    stream.write(len(frame).to_bytes(_LENGTH, "big") + frame)
    stream.flush()


def _rules_to_json(rules: ScanRules) -> dict[str, Any]:
    """What the detectors need of the rules; exemptions are applied where the findings are placed."""
    return {
        "dictionaries": [
            [entry.name, entry.terms, entry.hashes, entry.salt, entry.words] for entry in rules.dictionaries
        ],
        "patterns": [[entry.name, entry.regex] for entry in rules.patterns],
        "countries": rules.countries,
        "digest": rules.digest,
    }


def _rules_from_json(value: dict[str, Any]) -> ScanRules:
    return ScanRules(
        dictionaries=tuple(
            Dictionary(name, tuple(terms), tuple(hashes), salt, words)
            for name, terms, hashes, salt, words in value["dictionaries"]
        ),
        patterns=tuple(Pattern(name, regex) for name, regex in value["patterns"]),
        countries=tuple(value["countries"]),
        digest=value["digest"],
    )


def _reports_from_json(answer: bytes) -> list[Report]:
    return [
        Report(
            {Hit(*hit) for hit in value["hits"]},
            {Unread(*each) for each in value["unread"]},
            set(value["errors"]),
            value["complete"],
        )
        for value in orjson.loads(answer)
    ]
