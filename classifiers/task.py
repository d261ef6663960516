"""The signal `task`: what the last user message wants done, as one of `vocabulary.TASKS`.

It reads the text of a chat-completions body only, and never a policy.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources.abc import Traversable
from typing import Any

from classifiers.bodies import last_text
from classifiers.classes import load
from classifiers.types import Signal
from classifiers.vocabulary import OTHER


class TaskSignal:
    """`other` where no task is likely enough; the error `not_available` for a body without any text."""

    name = "task"

    def __init__(self, folder: Traversable | None = None) -> None:
        """Load the artifact (from `folder`, default the shipped one). Raises `classifiers.artifact.ArtifactError`."""
        self._model = load("task", folder)

    @property
    def digest(self) -> str:
        """SHA-256 of the artifact, hex: for records and cache keys."""
        return self._model.digest

    def measure(self, body: Mapping[str, Any]) -> Signal:
        """A label."""
        text = last_text(body)
        if not text.strip():
            return Signal(self.name, error="not_available")
        return Signal(self.name, self._model.best(text) or OTHER)
