"""The load test's texts are all different, of the right length, and public; when they are not it stops."""

from __future__ import annotations

from dataclasses import replace

import pytest

from classifiers.types import Pattern, ScanRules
from policies.schema import load_policy
from tests.bench.gateway_bodies import public_texts, texts


def test_texts_differ_have_their_length_and_are_public() -> None:
    made = public_texts(150, 60, load_policy("default"))
    assert len(set(made)) == 60
    assert all(120 <= len(text) <= 150 for text in made)
    assert set(made) < set(texts(150, 63))


def test_texts_that_are_held_stop_the_benchmark() -> None:
    rules = ScanRules(patterns=(Pattern("everything", "the|a"),))
    with pytest.raises(SystemExit, match="21 of 21 made-up texts are not public, such as"):
        public_texts(150, 20, replace(load_policy("default"), scan_rules=rules))
