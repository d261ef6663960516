"""The signal `injection`: the chance that some text of the body tries to override the instructions of a model.

It reads every user and tool text in pieces, so that length hides nothing; it never blocks anything itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.resources.abc import Traversable
from typing import Any, Final

from classifiers.bodies import message_texts
from classifiers.linear import DIGITS, LinearModel, load, sigmoid
from classifiers.types import Signal

_ROLES: Final = frozenset({"user", "tool", "function"})
_PIECE: Final = 1500  # characters
_STRIDE: Final = 1200
_MOST_TEXTS: Final = 64  # more messages than this are read joined, which costs the same for a thousand tiny ones


def pieces(text: str) -> Iterator[str]:
    """The whole text, or overlapping pieces of 1,500 characters that together hold all of it."""
    if len(text) <= _PIECE:
        yield text
        return
    for start in range(0, len(text) - (_PIECE - _STRIDE), _STRIDE):
        yield text[start : start + _PIECE]


def highest_logit(model: LinearModel, text: str) -> float:
    """The log-odds of the most suspicious piece."""
    return max(model.logit_of(piece) for piece in pieces(text))


class InjectionSignal:
    """Measures every user and tool text of the body; the value is that of the most suspicious piece."""

    name = "injection"

    def __init__(self, folder: Traversable | None = None) -> None:
        """Load the artifact (from `folder`, default the shipped one). Raises `classifiers.linear.ArtifactError`."""
        self._model = load("injection", folder)

    @property
    def digest(self) -> str:
        """SHA-256 of the artifact, hex: for records and cache keys."""
        return self._model.digest

    def measure(self, body: Mapping[str, Any]) -> Signal:
        """A value in [0, 1]; 0 for a body without a user or tool text: nothing there could inject."""
        texts = message_texts(body, _ROLES)
        if len(texts) > _MOST_TEXTS:
            texts = ["\n".join(texts)]
        if not texts:
            return Signal(self.name, 0.0)
        return Signal(self.name, round(sigmoid(max(highest_logit(self._model, text) for text in texts)), DIGITS))
