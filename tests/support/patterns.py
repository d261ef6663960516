"""The detectors that go by rules: tests of exact findings do not hang on what a model has learned."""

from __future__ import annotations

from classifiers.registry import DETECTORS

LEARNED = frozenset({"names", "language", "meaning"})
PATTERNS = {name: where for name, where in DETECTORS.items() if name not in LEARNED}
