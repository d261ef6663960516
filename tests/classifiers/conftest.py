"""One scanner and one pipeline for all tests of this folder: building them loads libphonenumber's tables."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from classifiers.pipeline import Pipeline
from classifiers.placing import settle
from classifiers.scanner import Report, Scanner
from classifiers.types import Scan, ScanRules
from tests.support.patterns import PATTERNS

Found = list[tuple[str, str]]


@pytest.fixture(scope="session")
def scanner() -> Scanner:
    return Scanner(PATTERNS)


@pytest.fixture
def found(scanner: Scanner) -> Callable[..., Found]:
    """(entity, matched text) of everything in a text."""

    def find(text: str, rules: ScanRules | None = None) -> Found:
        report, data = Report(), text.encode()
        for _ in scanner.scan(data, rules or ScanRules(), report, lambda: False):
            pass
        assert not report.errors
        assert report.complete
        return [(hit.entity, data[hit.start : hit.end].decode()) for hit in settle(report.hits)]

    return find


@pytest.fixture
async def pipeline() -> AsyncIterator[Pipeline]:
    pipeline = Pipeline(detectors=PATTERNS, budget_ms=5000)  # a busy machine is not what most of these tests are about
    yield pipeline
    await pipeline.close()


@pytest.fixture
def scan(pipeline: Pipeline) -> Callable[..., Any]:
    async def run(body: Any, rules: ScanRules | None = None, tenant: str = "default") -> Scan:
        return (await pipeline.run(body, rules or ScanRules(), tenant)).scan

    return run
