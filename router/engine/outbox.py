"""What a step has for the callers, handed on when its work is done.

Each event wakes the HTTP side, and behind it a gateway, on the processors that decode. So text that nobody reads yet
waits for more: that of a whole answer for its end, that of a stream among several for a moment.
"""

from __future__ import annotations

import math
from collections.abc import Sequence as Seq

from router.engine.sequence import Sequence
from router.engine.types import Event, Piece

# Between two pieces of a stream while others talk too. Eight at once on two cores say a token each every 45 ms.
_MOMENT_S = 0.06


class Outbox:
    """The first text of a stream leaves at once, and its last with its end. Only the decode thread touches it."""

    def __init__(self) -> None:
        self._events: list[tuple[Sequence, Event]] = []
        self._held: dict[Sequence, list[Piece]] = {}
        self._due: dict[Sequence, float] = {}  # when a sequence that has spoken may speak again

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._events and not self._held

    def put(self, sequence: Sequence, event: Event) -> None:
        """Take an event of this step."""
        self._events.append((sequence, event))

    def drop(self, sequence: Sequence) -> None:
        """Nobody waits for what is held of it any more."""
        self._held.pop(sequence, None)
        self._due.pop(sequence, None)

    def flush(self, now: float, *, is_crowd: bool) -> None:
        """Hand on what is due. `is_crowd`: others talk too, so a moment's text of a stream may go together."""
        events, self._events = self._events, []
        for sequence, event in events:
            if isinstance(event, Piece):
                self._held.setdefault(sequence, []).append(event)
            else:
                self._say(sequence)
                self.drop(sequence)
                sequence.emit(event)
        for sequence in list(self._held):
            if sequence.generation.is_streamed and (not is_crowd or self._due.get(sequence, -math.inf) <= now):
                self._say(sequence)
                self._due[sequence] = now + _MOMENT_S

    def _say(self, sequence: Sequence) -> None:
        pieces = self._held.pop(sequence, None)
        if pieces:
            sequence.emit(_joined(pieces))


def _joined(pieces: Seq[Piece]) -> Piece:
    if len(pieces) == 1:
        return pieces[0]
    logprobs = tuple(entry for piece in pieces for entry in piece.logprobs)
    return Piece("".join(piece.text for piece in pieces), logprobs)
