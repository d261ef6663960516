"""The signal `complexity`: the chance, predicted before it is made, that the local answer will not be good enough.

It reads the text of a chat-completions body only, and never a policy.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from importlib.resources.abc import Traversable
from typing import Any, Final

from classifiers.bodies import last_text, text_size
from classifiers.experts import load
from classifiers.gadgets import Gadgets
from classifiers.linear import DIGITS, sigmoid
from classifiers.types import Band, Signal

MEDIUM: Final = 0.4
HARD: Final = 0.7

# The training texts are single questions. What stands around the last one is a prior, not learned: more to keep in mind
# is harder, by at most half a unit of log-odds, so that a long system prompt alone never makes a greeting hard.
_CONTEXT_FREE: Final = 4000  # characters
_CONTEXT_STEP: Final = 0.1  # log-odds for each doubling above that
_CONTEXT_MOST: Final = 0.5

# Hard words before or after a simple request must not send it out: where an end of the text, read alone, is an everyday
# request, the value stays just below `HARD`.
NOT_HARD: Final = 0.8001  # log-odds just below 0.69


def band(value: float) -> Band:
    """easy < 0.4 <= medium < 0.7 <= hard."""
    return "hard" if value >= HARD else "medium" if value >= MEDIUM else "easy"


class ComplexitySignal:
    """Measures the last user message, with a small allowance for the size of what stands around it."""

    name = "complexity"

    def __init__(self, folder: Traversable | None = None) -> None:
        """Load the artifacts (from `folder`, default the shipped ones). Raises `classifiers.linear.ArtifactError`."""
        self._model = load("complexity", folder)
        self._gadgets = Gadgets(self._model.logit, folder)

    @property
    def digest(self) -> str:
        """SHA-256 of both artifacts' digests, hex: for records and cache keys."""
        return hashlib.sha256((self._model.digest + self._gadgets.digest).encode()).hexdigest()

    def measure(self, body: Mapping[str, Any]) -> Signal:
        """A value in [0, 1] with its band; a body without any text is the error `not_available`."""
        text = last_text(body)
        if not text.strip():
            return Signal(self.name, error="not_available")
        around = text_size(body) - len(text)
        logit = self._logit(text)
        if around > _CONTEXT_FREE:
            logit += min(_CONTEXT_STEP * math.log2(around / _CONTEXT_FREE), _CONTEXT_MOST)
        value = round(sigmoid(logit), DIGITS)
        return Signal(self.name, value, band=band(value))

    def _logit(self, text: str) -> float:
        logit = self._model.logit(text)
        return NOT_HARD if logit > NOT_HARD and self._gadgets.has_request(text) else logit
