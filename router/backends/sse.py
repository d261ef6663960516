"""Reads server-sent events from an upstream's bytes (WHATWG HTML, section 9.2). It knows nothing of JSON or of chat."""

from __future__ import annotations


class EventReader:
    """Turns bytes, cut anywhere, into the data of whole events.

    Takes `\\n` and `\\r\\n` line ends, comments, `data:` with or without the blank, and data over several lines;
    ignores other fields. Holds no more than `limit` bytes of an unfinished event.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []  # of the unfinished line
        self._size = 0
        self._data: list[bytes] = []  # of the unfinished event

    def feed(self, data: bytes) -> list[bytes]:
        """The data of each event that `data` completes. Raises `ValueError` when an event exceeds the limit."""
        self._size += len(data)
        if b"\n" not in data:
            self._parts.append(data)
            self._check()
            return []
        lines = (b"".join(self._parts) + data).split(b"\n") if self._parts else data.split(b"\n")
        tail = lines.pop()
        self._parts = [tail] if tail else []
        events = self._read(lines)
        self._size = len(tail) + sum(map(len, self._data))
        self._check()
        return events

    def finish(self) -> list[bytes]:
        """The data of an event whose last line end never came."""
        return self.feed(b"\n\n")

    def _read(self, lines: list[bytes]) -> list[bytes]:
        events: list[bytes] = []
        for raw in lines:
            line = raw[:-1] if raw.endswith(b"\r") else raw
            if not line:
                if self._data:
                    events.append(b"\n".join(self._data))
                    self._data = []
            elif line.startswith(b"data:"):
                self._data.append(line[6:] if line.startswith(b"data: ") else line[5:])
        return events

    def _check(self) -> None:
        if self._size > self._limit:
            raise ValueError("an event is larger than the limit")
