"""The decision table, row by row: each row is one claim about where a request goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from policies.decide import decide
from policies.types import Facts, Level, Release
from tests.policies.worlds import base, scan, signals

ROWS: list[dict[str, Any]] = YAML(typ="safe", pure=True).load(Path(__file__).with_name("decisions.yaml"))
SETS = ("needs", "hints", "unknown_fields", "replaceable")
LEVELS = ("taint", "taint_kept")


def facts_of(row: dict[str, Any]) -> Facts:
    given = dict(row.get("facts") or {})
    given.update({"tools": tuple(given["tools"])} if "tools" in given else {})
    given.update({name: frozenset(given[name]) for name in SETS if name in given})
    given.update({name: Level[given[name].upper()] for name in LEVELS if name in given})
    released = given.get("release")
    if released:
        given["release"] = Release("rl-1", released["model"], Level[released["level"].upper()])
    given.update({"answered_by": tuple(given.get("answered_by", ()))})
    return Facts(**{"input_tokens": 20, **given})


@pytest.mark.parametrize("row", ROWS, ids=[row["claim"].replace(" ", "-") for row in ROWS])
def test_the_decision_is_the_one_of_the_table(row: dict[str, Any]) -> None:
    seen = scan(row.get("findings", ()), row.get("unknowns", ()))
    decision = decide(base(row.get("policy", "base")), facts_of(row), signals(row.get("signals"), seen))
    actual = {
        "route": decision.route,
        "model": decision.model,
        "reason": decision.reason,
        "rule": decision.rule,
        "held": decision.held or "none",
        "payload": decision.payload,
        "sensitivity": decision.sensitivity.word,
        "cacheable": decision.cacheable,
        "released": decision.release.model if decision.release else "none",
        "cache_seconds": decision.cache_seconds,
        "similar": decision.cache_similarity,
        "max_output_tokens": decision.max_output_tokens,
        "races": decision.races,
        "shadow_route": decision.shadow_route or "none",
        "grants": [f"{grant.purpose} {grant.model}" for grant in decision.grants],
        "after": list(decision.after),
        "refusal": decision.refusal.code if decision.refusal else None,
        "status": decision.refusal.status if decision.refusal else None,
    }
    assert {name: actual[name] for name in row["expect"]} == row["expect"]
    assert (decision.route == "refused") == (decision.refusal is not None)


def test_each_row_has_a_claim_of_its_own_and_expects_something() -> None:
    claims = [row["claim"] for row in ROWS]
    assert len(set(claims)) == len(claims) >= 150
    assert all(row["expect"] for row in ROWS)
