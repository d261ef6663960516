"""Harmless texts that look like identifiers stay unflagged: at most one in two hundred of each seed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from classifiers.registry import DETECTORS
from classifiers.scanner import Report, Scanner
from classifiers.types import ScanRules
from tests.support.lookalikes import KINDS, lookalikes

PATTERN_DETECTORS = """
    email phone card iban ip national_id health_id papers accounts devices crypto secret_rules passwords tokens
    private_keys
"""


@pytest.fixture(scope="module")
def is_flagged() -> Callable[[str], bool]:
    scanner = Scanner({name: DETECTORS[name] for name in PATTERN_DETECTORS.split()})

    def flagged(text: str) -> bool:
        report = Report()
        for _ in scanner.scan(text.encode(), ScanRules(), report, lambda: False):
            pass
        assert not report.errors
        return bool(report.hits)

    return flagged


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_lookalikes_are_not_flagged(is_flagged: Callable[[str], bool], seed: int) -> None:
    rows = lookalikes(1600, seed)
    assert {kind for kind, _ in rows} == set(KINDS)
    flagged = [text for _, text in rows if is_flagged(text)]
    assert len(flagged) <= len(rows) / 200, flagged
