"""Turns tokens' bytes into text that may be sent: whole characters only, and never the start of a stop string."""

from __future__ import annotations

import codecs

from router.engine.types import Piece, TokenLogprob


class TextAssembler:
    """One answer's text. After `is_stopped` nothing more comes out."""

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = stops
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._tail = ""  # decoded, but it may be the start of a stop string
        self._seen = 0  # characters decoded so far, the tail included
        self._entries: list[tuple[int, int, TokenLogprob]] = []  # first character, end, token; not yet sent
        self.stopped_by: str | None = None  # the stop string that ended it

    @property
    def is_stopped(self) -> bool:
        return self.stopped_by is not None

    def push(self, piece: bytes, logprob: TokenLogprob | None = None) -> Piece | None:
        """Add one token's bytes; return what became final, if anything."""
        start = self._seen
        fresh = self._decoder.decode(piece)
        self._tail += fresh
        self._seen += len(fresh)
        if logprob is not None:
            # A token that ends inside a character goes out with the token that completes it.
            is_partial = bool(self._decoder.getstate()[0])
            self._entries.append((start, self._seen + is_partial, logprob))
        found = [(at, stop) for stop in self._stops if (at := self._tail.find(stop)) >= 0]
        if found:
            cut, self.stopped_by = min(found)
            return self._stop_at(cut)
        return self._release(len(self._tail) - self._held())

    def finish(self) -> Piece | None:
        """What is left when the answer ends without a stop string. A character cut in two is dropped."""
        text, self._tail = self._tail, ""
        entries, self._entries = self._entries, []
        return _piece(text, [entry for _, _, entry in entries])

    def _held(self) -> int:
        """How many characters at the end could still grow into a stop string."""
        longest = 0
        for stop in self._stops:
            for size in range(min(len(stop) - 1, len(self._tail)), longest, -1):
                if self._tail.endswith(stop[:size]):
                    longest = size
                    break
        return longest

    def _release(self, count: int) -> Piece | None:
        text, self._tail = self._tail[:count], self._tail[count:]
        sent = self._seen - len(self._tail)
        ready = [entry for _, end, entry in self._entries if end <= sent]
        self._entries = [item for item in self._entries if item[1] > sent]
        return _piece(text, ready)

    def _stop_at(self, cut: int) -> Piece | None:
        end = self._seen - len(self._tail) + cut
        text, self._tail = self._tail[:cut], ""
        entries, self._entries = self._entries, []
        return _piece(text, [entry for start, _, entry in entries if start < end])


def _piece(text: str, entries: list[TokenLogprob]) -> Piece | None:
    return Piece(text, tuple(entries)) if text or entries else None
