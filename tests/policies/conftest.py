"""What the tests of policies share: one pipeline of the live classifiers, which is slow to build."""

from __future__ import annotations

import pytest

from classifiers.pipeline import Pipeline
from router.cli.policy_probe import BUDGET_MS


@pytest.fixture(scope="session")
def pipeline() -> Pipeline:
    """The shipped detectors and signals; small bodies need no scan process, so there is nothing to close."""
    return Pipeline(budget_ms=BUDGET_MS)
