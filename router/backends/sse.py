"""Reads server-sent events from an upstream's bytes (WHATWG HTML, section 9.2). It knows nothing of JSON or of chat."""

from __future__ import annotations

from collections import deque


class EventReader:
    """Turns bytes, cut anywhere, into the data of whole events, each read when it is asked for.

    Takes `\\n` and `\\r\\n` line ends, comments, `data:` with or without the blank, and data over several lines;
    ignores other fields. It holds what is unfinished: whoever feeds it bounds the sum.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []  # of the unfinished line
        self._lines: deque[bytes] = deque()  # whole ones that nobody has read
        self._data: list[bytes] = []  # of the unfinished event

    def feed(self, data: bytes) -> None:
        """Take what has come."""
        if b"\n" not in data:
            self._parts.append(data)  # joined once, when the line ends
            return
        lines = (b"".join(self._parts) + data).split(b"\n") if self._parts else data.split(b"\n")
        tail = lines.pop()
        self._parts = [tail] if tail else []
        self._lines.extend(lines)

    def finish(self) -> None:
        """Nothing more comes: what has been unfinished is an event as it is."""
        self.feed(b"\n\n")

    def next(self) -> bytes | None:
        """The data of the next event; None: it has not come whole."""
        lines = self._lines
        while lines:
            raw = lines.popleft()
            line = raw[:-1] if raw.endswith(b"\r") else raw
            if line.startswith(b"data:"):
                self._data.append(line[6:] if line.startswith(b"data: ") else line[5:])
            elif not line and self._data:
                data, self._data = self._data, []
                return data[0] if len(data) == 1 else b"\n".join(data)
        return None
