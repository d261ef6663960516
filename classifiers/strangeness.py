"""Runs of words that speak for a language that was not measured: what the detector of languages looks at closely.

One pass over the words of a text and what each says by itself. It decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from classifiers.kernels import KERNELS
from classifiers.language import SAYS_SCALE, Vocabulary, parted, words_of

_STRANGE: Final = 1.2  # what a word that is in no vocabulary says; a known one says up to 3, or minus 3
_BEFORE, _AFTER = 8, 24  # words around the place where a run says enough: as in strangeness.h
_SAMPLES: Final = (
    b"",
    b"Please write to my landlord, we have had no hot water for a week.",
    "Dzie\u0144 dobry, nazywam si\u0119 Jan Kowalski i mieszkam w Krakowie od dziesi\u0119ciu lat. ".encode() * 8,
    b"zyx wvu tsr qpo nml " * 30 + b"and the cat " * 20 + b"kji hgf edc ba zyx wvu",
)
_Runs = list[tuple[int, int]]  # the first word, and the one behind the last


class Strangeness:
    """A vocabulary in C where that agrees with the reference; else as a dictionary, which takes eight times the memory.

    A run is reported where what its words say adds up to `least`.
    """

    def __init__(self, vocabulary: Vocabulary, least: float) -> None:
        self._vocabulary, self._least = vocabulary, least
        self._compiled = KERNELS.take("strangeness", self._in_c, self._agrees)
        self._known: Mapping[bytes, float] = vocabulary.as_dict() if self._compiled is None else {}

    def runs(self, data: bytes) -> _Runs:
        """The runs of a text's words, in order; they may overlap."""
        if self._compiled is None:
            return list(reference(words_of(data), self._known, self._least))
        return self._by_kernel(self._compiled, data)

    def _by_kernel(self, compiled: Any, data: bytes) -> _Runs:
        runs: _Runs = KERNELS.module().strange_runs(compiled, parted(data), self._least)
        return runs

    def _in_c(self, kernels: Any) -> Any:
        lines, says = self._vocabulary.lines, self._vocabulary.says
        return kernels.strangeness(kernels.words(lines), says, 1 / SAYS_SCALE, _STRANGE)

    def _agrees(self, compiled: Any) -> bool:
        known = self._vocabulary.as_dict({word for sample in _SAMPLES for word in words_of(sample)})
        return all(
            self._by_kernel(compiled, sample) == list(reference(words_of(sample), known, self._least))
            for sample in _SAMPLES
        )


def reference(words: Sequence[bytes], known: Mapping[bytes, float], least: float) -> Iterator[tuple[int, int]]:
    """The runs by a dictionary: what the kernel is held to."""
    total, began, after = 0.0, 0, -1
    for place, word in enumerate(words):
        if total == 0.0:
            began = place
        total += known.get(word, _STRANGE)
        if total < 0.0:
            total = 0.0
        if total >= least and place >= after:
            after = place + _AFTER
            yield max(0, began - _BEFORE), min(len(words), after)
            total = 0.0
