"""Reads server-sent events from an upstream's bytes (WHATWG HTML, section 9.2). It knows nothing of JSON or of chat."""

from __future__ import annotations


class EventReader:
    """Turns bytes, cut anywhere, into the data of whole events.

    Takes `\\n` and `\\r\\n` line ends, comments, `data:` with or without the blank, and data over several lines;
    ignores other fields. It holds what is unfinished: whoever feeds it bounds the sum.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []  # of the unfinished line
        self._data: list[bytes] = []  # of the unfinished event

    def feed(self, data: bytes) -> list[bytes]:
        """The data of each event that `data` completes."""
        if b"\n" not in data:
            self._parts.append(data)  # joined once, when the line ends
            return []
        lines = (b"".join(self._parts) + data).split(b"\n") if self._parts else data.split(b"\n")
        tail = lines.pop()
        self._parts = [tail] if tail else []
        events: list[bytes] = []
        for raw in lines:
            line = raw[:-1] if raw.endswith(b"\r") else raw
            if line.startswith(b"data:"):
                self._data.append(line[6:] if line.startswith(b"data: ") else line[5:])
            elif not line and self._data:
                events.append(b"\n".join(self._data))
                self._data = []
        return events

    def finish(self) -> list[bytes]:
        """The data of an event whose last line end never came."""
        return self.feed(b"\n\n")
