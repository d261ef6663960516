"""Says which stretches of a text are in a language or script for which no detector was measured. Finds no items.

Too short to tell (under four different words or twenty letters) counts as measured, unless the script is not.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

import numpy as np

from classifiers.detectors.base import WALL, Piece
from classifiers.kernels import KERNELS
from classifiers.language import BACKGROUND, LEARNED, LanguageModel, Scores, load, measured_languages, words_of
from classifiers.scripts import Scripts
from classifiers.strangeness import Strangeness
from classifiers.types import Gap

KIND: Final = "unsupported_language"
_SUSPICION: Final = 5.5  # a run of words that says this much is looked at closely
_LONGEST: Final = 96  # words looked at together
# Words of a window, and the margin in log-odds from which it is in an unmeasured language: a long text has many short
# windows. A text that is one window is judged by the last.
_WINDOWS: Final = ((5, 7.0), (10, 5.0), (20, 4.0))
_WHOLE: Final = 3.0
_MOST: Final = 40
_LEAST_WORDS: Final = 4
_LEAST_LETTERS: Final = 20
# What stands between two words of prose: a mark or three, a blank or a line's end, a mark or three; or an apostrophe or
# a dash. Never an empty pair of brackets, nor two quotes. Marks outside ASCII are dashes, quotes and the like.
_MARK: Final = rb"(?:[,.;:!?\"'()%*0-9-]|\xe2\x80[\x90-\xbf]|\xc2[\xa0\xa1\xab\xbb\xbf])"
_PAIR: Final = rb"\(\)|[\"'][^\"']*[\"']"
_PROSE: Final = re.compile(
    rb"(?!.*(?:%b))%b{0,3}[ \r\n]{1,2}%b{0,3}(?: %b{1,2})?|['-]|\xe2\x80[\x90-\x99]" % (_PAIR, _MARK, _MARK, _MARK),
    re.DOTALL,
)
_LETTERS: Final = re.compile(rb"[A-Za-z\x80-\xff]+")
_HIGH: Final = re.compile(r"[^\x00-\x7f]")
_SAMPLES: Final = (
    b"Please write to my landlord",
    "Dzie\u0144 dobry, nazywam si\u0119 Jan Kowalski i mieszkam w Krakowie od dziesi\u0119ciu lat, a to jest. ".encode()
    * 4,
)
_PROSE_SHARE: Final = 0.6


class LanguageDetector:
    """Reports gaps only."""

    name = "language"
    entities: frozenset[str] = frozenset()
    triggers: tuple[str, ...] = ()

    def __init__(self, model: LanguageModel | None = None, measured: frozenset[str] | None = None) -> None:
        """With the shipped model and what the cards name, unless given. Raises `classifiers.linear.ArtifactError`."""
        self._model = model or load()
        names = (measured or measured_languages()) | {BACKGROUND}
        self._measured = np.array([name in names for name in self._model.classes])
        # The vocabulary tells apart what it was made for; with fewer languages measured every text is looked at.
        self._strangeness = Strangeness(self._model.vocabulary, _SUSPICION if names >= LEARNED else 0.0)
        self._compiled = KERNELS.take("windows", lambda _: self._model.compiled, self._agrees)
        self._scripts = Scripts()

    def detect(self, piece: Piece, hits: Sequence[int]) -> list[Gap]:
        """The stretches of the piece that nothing was measured for; of a piece of one string the first is enough."""
        data = piece.data[piece.start : piece.stop]
        found = [] if data.isascii() else list(self._scripts.unmeasured(piece))
        if not found or WALL in data:
            for more in self._in_runs(piece, data, self._strangeness.runs(data)):
                found += more
                if found and WALL not in data:
                    break
        return [Gap(KIND, start, end) for start, end in found]

    def _in_runs(
        self, piece: Piece, data: bytes, runs: Sequence[tuple[int, int]]
    ) -> Iterator[Iterable[tuple[int, int]]]:
        """Run by run, the byte spans of what is in a language that was not measured."""
        words = words_of(data) if runs else []
        spans: list[tuple[int, int]] = []
        for start, stop in _joined(runs):
            run = words[start:stop]
            strong = self._strong(run) if len(run) >= _LEAST_WORDS else []
            if strong and not spans:
                spans = self._spans(piece, data)
            if strong and len(spans) != len(words):  # a letter here and a digit there: the place is not certain
                yield [(piece.start, piece.stop)]
            elif strong:
                yield self._in_run(piece.data, run, spans[start:stop], strong)

    def _spans(self, piece: Piece, data: bytes) -> list[tuple[int, int]]:
        """Where the words of a piece stand: runs of letters, and of marks on them."""
        spans = (hit.span() for hit in _LETTERS.finditer(_without_signs(data)))
        return [(piece.start + start, piece.start + end) for start, end in spans]

    def _in_run(
        self,
        data: bytes,
        run: Sequence[bytes],
        spans: Sequence[tuple[int, int]],
        strong: Sequence[tuple[int, int]],
    ) -> Iterator[tuple[int, int]]:
        scores = self._model.by_word(run)
        for low, high in _stretches(strong, prose(data, spans), len(run)):
            first, says = self._core(scores[low:high])
            yield from _by_string(data, spans[low + first : low + first + len(says)], says)

    def _strong(self, words: Sequence[bytes]) -> list[tuple[int, int]]:
        """The windows, from word to word, that are in an unmeasured language and hold enough different words."""
        found = self._windows(words) if self._compiled is None else self._by_kernel(self._compiled, words)
        return [(low, high) for low, high in found if len(set(words[low:high])) >= _LEAST_WORDS]

    def _windows(self, words: Sequence[bytes]) -> list[tuple[int, int]]:
        """Those that are in such a language, by numpy: what the kernel is held to."""
        count, scores = len(words), self._model.by_word_in_numpy(words)
        sizes = np.concatenate(([0], np.cumsum([len(word) for word in words])))
        sums = np.concatenate((np.zeros((1, scores.shape[1])), np.cumsum(scores, axis=0)))
        found = []
        for size, least in (*((s, each) for s, each in _WINDOWS if s < count), (min(count, _MOST), _WHOLE)):
            margins = self._model.margins(sums[size:] - sums[:-size] + self._model.bias, self._measured)
            is_strong = (margins >= least) & (sizes[size:] - sizes[:-size] >= _LEAST_LETTERS)
            found += [(start, start + size) for start in np.flatnonzero(is_strong).tolist()]
        return found

    def _by_kernel(self, compiled: Any, words: Sequence[bytes]) -> list[tuple[int, int]]:
        parted = b" " + b" ".join(words) + b" "
        found: list[tuple[int, int]] = KERNELS.module().strong_windows(compiled, self._measured.tobytes(), parted)
        return found

    def _agrees(self, compiled: Any) -> bool:
        return all(self._by_kernel(compiled, words) == self._windows(words) for words in map(words_of, _SAMPLES))

    def _core(self, scores: Scores) -> tuple[int, Scores]:
        """What makes a stretch strange, without the measured words at its ends: the first word, what each says."""
        other = np.where(self._measured, -np.inf, scores.sum(axis=0)).argmax()
        says = scores[:, other] - scores[:, self._measured].max(axis=1)
        first, last = _largest(says)
        return first, says[first:last]


def _without_signs(data: bytes) -> bytes:
    """The text with blanks for what is neither ASCII nor a letter or a mark on one; every byte stays where it is."""
    if data.isascii():
        return data
    text, kept = data.decode("utf-8", "surrogateescape"), -1  # where what was kept last ends

    def letter(hit: re.Match[str]) -> str:
        nonlocal kept
        character, at = hit.group(), hit.start()
        kind = _kind(character)
        if kind == "L" or (kind == "M" and at and (at == kept or _kind(text[at - 1]) == "L")):
            kept = hit.end()
            return character
        return " " * len(character.encode("utf-8", "surrogateescape"))

    return _HIGH.sub(letter, text).encode("utf-8", "surrogateescape")


@lru_cache(maxsize=4096)
def _kind(character: str) -> str:
    """L for a letter, M for a mark on one, and so on: the first letter of the general category."""
    return unicodedata.category(character)[0]


def prose(data: bytes, spans: Sequence[tuple[int, int]]) -> list[int]:
    """For each word, how many up to it are parted from their next one as in prose: by a blank, a comma, a line's end.

    One longer than `spans`. Code has dots, brackets, signs and indentation there.
    """
    counts, total = [0], 0
    for (_, end), (start, _) in pairwise(spans):
        total += _PROSE.fullmatch(data, end, start) is not None
        counts.append(total)
    return [*counts, total]


def _stretches(strong: Sequence[tuple[int, int]], plain: Sequence[int], count: int) -> Iterator[tuple[int, int]]:
    """Stretches of words under windows that read as prose."""
    marked = np.zeros(count + 2, dtype=np.int8)
    for start, stop in strong:
        if plain[stop - 1] - plain[start] >= _PROSE_SHARE * (stop - start - 1):
            marked[start + 1 : stop + 1] = 1
    edges = np.flatnonzero(np.diff(marked)).tolist()
    yield from zip(edges[0::2], edges[1::2], strict=True)


def _by_string(data: bytes, spans: Sequence[tuple[int, int]], says: Scores) -> Iterator[tuple[int, int]]:
    """The stretch cut at the walls between strings; a string at its edge that says little is not part of it."""
    begins = [0] + [place for place in range(1, len(spans)) if b"\x00" in data[spans[place - 1][1] : spans[place][0]]]
    parts = list(zip(begins, [*begins[1:], len(spans)], strict=True))
    for begin, stop in parts:
        first, last = _largest(says[begin:stop])
        if len(parts) == 1 or says[begin + first : begin + last].sum() >= _WHOLE:
            yield spans[begin + first][0], spans[begin + last - 1][1]


def _largest(says: Scores) -> tuple[int, int]:
    """The stretch up to the largest sum from the smallest before it: first word, and one past the last."""
    sums = np.concatenate(([0.0], np.cumsum(says)))
    last = int(sums[1:].argmax()) + 1
    return int(sums[:last].argmin()), last


def _joined(runs: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Runs in order, those that touch as one, of about `_LONGEST` words at most."""
    current: tuple[int, int] | None = None
    for run in runs:
        if current is not None and run[0] <= current[1] and run[1] - current[0] <= _LONGEST:
            current = (current[0], run[1])
        else:
            if current is not None:
                yield current
            current = run
    if current is not None:
        yield current
