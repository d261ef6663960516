"""Each of the service rules finds what its own expression describes, in prose, when the whole scan runs."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from importlib import resources
from typing import Any

import pytest

from classifiers.detectors.base import Piece
from classifiers.detectors.secrets import SecretRule
from tests.support.from_regex import text_for

RULES = json.loads((resources.files("classifiers") / "artifacts" / "gitleaks_rules.json").read_text("utf-8"))
TRIES = 40


@pytest.mark.parametrize("row", RULES, ids=lambda row: row["id"])
def test_a_rule_finds_secrets_made_from_its_expression(found: Callable[..., Any], row: dict[str, Any]) -> None:
    """Some made texts have too little entropy or a stop word; what the rule itself accepts, the scan must report."""
    rule, checked = SecretRule(row), 0
    for turn in range(TRIES):
        chance = random.Random(f"{row['id']}/{turn}")
        text = (
            f"Why is {text_for(row['triggers'][0], chance)} refused? " + text_for(row["regex"], chance) + ", it says.\n"
        )
        data = text.encode()
        spans = rule.find(Piece(data, 0, len(data)))
        if not spans:
            continue
        checked += 1
        start, end = spans[0]
        secrets = [value for entity, value in found(text) if entity == "SECRET"]
        assert any(data[start:end].decode() in secret for secret in secrets), text
        if checked == 3:
            return
    assert checked, f"no text of {TRIES} was accepted"
