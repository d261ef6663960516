"""On the path of a gateway whose detectors are to be too slow: every one in the table is replaced by one that is."""

from __future__ import annotations

from types import MappingProxyType

from classifiers import registry
from tests.support.guard import sitecustomize  # noqa: F401 - this file stands in front of the guard's

registry.DETECTORS = MappingProxyType({"slow": "tests.egress.slow.slow:SlowDetector"})
