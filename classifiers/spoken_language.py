"""The signal `language`: the language of the last user message, as an ISO 639-1 code of `vocabulary.LANGUAGES`.

It tells the measured languages from each other, and others by a script that only they use. It says nothing about what
may leave: that is the detector's (`detectors/language.py`), which reads everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources.abc import Traversable
from typing import Any, Final

import numpy as np

from classifiers.bodies import last_text
from classifiers.kernels import KERNELS
from classifiers.language import BACKGROUND, LEARNED, grams, load, parted, words_of
from classifiers.types import Signal
from classifiers.vocabulary import OTHER

_READ: Final = 300  # characters: enough to tell, and what it costs is bounded
_SAMPLES: Final = ("", "Wie heißt die größte Stadt der Schweiz?", "What is 12 x 3? l'eau")
_MARGIN: Final = 2.0  # log-odds between the best language and the next
# Where the letters of a script begin and end, and the language that is written in it.
_SCRIPTS: Final = (
    ("el", 0x370, 0x3FF),
    ("hy", 0x530, 0x58F),
    ("he", 0x590, 0x5FF),
    ("th", 0xE00, 0xE7F),
    ("ka", 0x10A0, 0x10FF),
    ("ja", 0x3040, 0x30FF),
    ("ko", 0xAC00, 0xD7AF),
)
_IN_SCRIPT: Final = 0.3  # share of the letters; Japanese mixes in Chinese characters


class LanguageSignal:
    """`other` where it is not sure, or where the language is none of them; `not_available` for a body without text."""

    name = "language"

    def __init__(self, folder: Traversable | None = None) -> None:
        """Load the artifact (from `folder`, default the shipped one). Raises `classifiers.artifact.ArtifactError`."""
        self._model = load(folder)
        self._compiled = KERNELS.take("language", lambda _: self._model.compiled, self._agrees)

    def _agrees(self, compiled: Any) -> bool:
        return all(_tell(compiled, text) == self.by_numpy(text) for text in _SAMPLES)

    @property
    def digest(self) -> str:
        """SHA-256 of the artifact, hex: for records and cache keys."""
        return self._model.digest

    def measure(self, body: Mapping[str, Any]) -> Signal:
        """A label."""
        text = last_text(body)
        if not text.strip():
            return Signal(self.name, error="not_available")
        return Signal(self.name, self._tell(text[:_READ]))

    def _tell(self, text: str) -> str:
        if not text.isascii():
            written = script_language(text)
            if written is not None:
                return written
        told = self.by_numpy(text) if self._compiled is None else self.by_kernel(text)
        if told is None or told[1] < _MARGIN:
            return OTHER
        language = self._model.classes[told[0]]
        return language if language in LEARNED and language != BACKGROUND else OTHER

    def by_kernel(self, text: str) -> tuple[int, float] | None:
        """What `by_numpy` says, said by the kernel."""
        return _tell(self._compiled, text)

    def by_numpy(self, text: str) -> tuple[int, float] | None:
        """The class and by how much it beats the next, in log-odds; None for a text without a letter."""
        words = words_of(text.encode("utf-8", "replace"))
        if not words:
            return None
        places = np.concatenate(grams(words)[1])
        model = self._model
        total = model.weights.take(places, axis=0).sum(axis=0, dtype=np.int32) * model.step + model.bias
        best = int(total.argmax())
        chosen = float(total[best])
        total[best] = -np.inf
        return best, chosen - float(total.max())


def _tell(compiled: Any, text: str) -> tuple[int, float] | None:
    told: tuple[int, float] | None = KERNELS.module().tell_language(compiled, parted(text.encode("utf-8", "replace")))
    return told


def script_language(text: str) -> str | None:
    """The language of a script that only one language uses, where enough of the letters are in it."""
    letters = [ord(letter) for letter in text if letter.isalpha()]
    for language, first, last in _SCRIPTS:
        if sum(first <= letter <= last for letter in letters) > _IN_SCRIPT * len(letters):
            return language
    return None
