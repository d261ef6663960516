"""What a whole text means, where that is confidential although nothing in it is an item: a trained judgement.

It says nothing about texts too short to mean anything, and never more than the classes of `classifiers.vocabulary`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from importlib.resources.abc import Traversable

from classifiers.detectors.base import WALL, Piece
from classifiers.meaning import load, words_of
from classifiers.prose import parts_reader
from classifiers.types import Match
from classifiers.vocabulary import MEANINGS

_DIGITS = b"0123456789"
_LETTERS = re.compile(r"[^\W\d_]+")
_SHORTEST = 24  # bytes; less is a word or two
_FEWEST = 3  # different words without digits that can mean something
_LONG_WORD = 16  # bytes between blanks; where there are more, a value may hold hardly a word
_NAMED = b"\n:\n"  # between a member's name and its value, as a haystack has it
_WINDOW = 1500  # bytes that are judged together: about what the model was trained on
_LINES = 4  # ends of lines that make a text a list, of which
_SURE = 0.7  # a part must reach this where the whole means nothing: there are many of them
_WHOLE = 2000  # a segment up to here is judged in one
_HEADING = 0.95  # what headings must reach: they say what a text is about, and nothing of what stands in it
_LONGEST_HEADING = 160  # bytes
_SMALL_WORD = 3  # letters: up to here words of a heading may begin small


class MeaningDetector:
    """The confidential meanings: one finding over the whole segment (or the stretch of it inside the piece)."""

    name = "meaning"
    entities = MEANINGS
    triggers = ()

    def __init__(self, folder: Traversable | None = None) -> None:
        """Load the artifact (from `folder`, default the shipped one). Raises `classifiers.meaning.ArtifactError`."""
        self._model, self._parts_of = load(folder), parts_reader()

    def detect(self, piece: Piece, hits: Sequence[int]) -> list[Match]:
        """The meanings of each segment; of a long one those of its most telling window.

        What means nothing beside a text must not hide what the text means: its prose is judged alone too, and the
        graver of both counts.
        """
        found = []
        for start, end in segments(piece):
            best: dict[str, float] = {}
            for low, high in windows(piece.data, start, end) if end - start > _WHOLE else ((start, end),):
                self._judge(piece.data[low:high], best)
            found += [Match(label, start, end, score) for label, score in best.items()]
        return found

    def _judge(self, text: bytes, best: dict[str, float]) -> None:
        """Raise `best` to what the text and its prose mean. Of a list, as a log is, a part alone must be surer."""
        found = self._model.judge(text)
        least = _SURE if not found and text.count(b"\n") >= _LINES else 0.0
        for low, high in self._parts_of(text):
            found += [each for each in self._model.judge(text[low:high]) if each[1] >= least]
        if found and is_heading(text):
            found = [each for each in found if each[1] >= _HEADING]
        for label, score in found:
            best[label] = max(score, best.get(label, 0.0))


def segments(piece: Piece) -> Iterator[tuple[int, int]]:
    """The stretches between walls that are long enough to mean something."""
    start = piece.start
    while start < piece.stop:
        wall = piece.data.find(WALL, start, piece.stop)
        end = piece.stop if wall < 0 else wall
        if end - start >= _SHORTEST and not _is_label(piece.data[start:end]):
            yield start, end
        start = end + len(WALL)


def _is_label(segment: bytes) -> bool:
    """Whether a value, without the member's name in front of it, is a word or two, or ids beside each other."""
    value = segment.rpartition(_NAMED)[2]
    if value.count(b" ") * _LONG_WORD >= len(value):
        return False
    return len({word for word in words_of(value) if b"0" not in word}) < _FEWEST


def is_heading(text: bytes) -> bool:
    """Whether a short text has a capital at every word of more than three letters, as headings have, and no number.

    What is in capitals throughout is written so by people who have a lot to say.
    """
    if len(text) > _LONGEST_HEADING or text.translate(None, _DIGITS) != text:
        return False
    words = [word for word in _LETTERS.findall(text.decode("utf-8", "replace")) if len(word) > _SMALL_WORD]
    small = sum(word[1:].islower() for word in words)
    return len(words) > 1 and 2 * small > len(words) and all(word[0].isupper() for word in words)


def windows(data: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """A segment, or stretches of about equal length that together hold all of it, parted at blanks."""
    count = -(-(end - start) // _WINDOW)
    low = start
    for number in range(1, count + 1):
        high = end if number == count else start + (end - start) * number // count
        if high < end:
            blank = max(data.rfind(b" ", low, high), data.rfind(b"\n", low, high))
            high = blank if blank > low else high
        yield low, high
        low = high
