"""A policy that another process has read is the same policy from its parsed form: workers need no YAML."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from policies.errors import PolicyError
from policies.schema import compile_parsed, compile_policy, load_policy, read_policy
from policies.text.sources import recipes
from policies.types import Policy
from tests.policies.worlds import BASE, VARIANTS, base

TODAY = date(2026, 6, 1)


def bare(policy: Policy) -> Policy:
    """Without the warnings, whose places only the text has."""
    return replace(policy, warnings=(), tenants={name: bare(view) for name, view in policy.tenants.items()})


@pytest.mark.parametrize("name", recipes())
def test_a_recipe_is_the_same(name: str) -> None:
    policy = load_policy(name)
    again = compile_parsed(policy.parsed, policy.source, today=date.today())  # noqa: DTZ011  # a recipe has no days
    assert bare(again) == bare(policy)
    assert again.digest == policy.digest


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_key_that_decides_is_the_same(variant: str) -> None:
    policy = replace(base(variant), source="policy.yaml")
    again = compile_parsed(policy.parsed, policy.source)
    assert bare(again) == bare(policy)


def test_the_example_with_tenants_and_days_is_the_same() -> None:
    text = (Path(__file__).parent / "example.yaml").read_text("utf-8")
    policy = compile_policy(text, "example.yaml", today=TODAY)
    assert bare(compile_parsed(policy.parsed, "example.yaml", today=TODAY)) == bare(policy)


def test_a_file_that_extends_another_needs_only_its_own_parsed_form(tmp_path: Path) -> None:
    (tmp_path / "parent.yaml").write_text(BASE)
    child = tmp_path / "child.yaml"
    child.write_text("version: 9\nextends: parent.yaml\negress:\n  restricted: {payload: none}\n")
    policy, _ = read_policy(str(child))
    assert bare(compile_parsed(policy.parsed, policy.source)) == bare(policy)


def test_characters_that_json_writes_otherwise_stay() -> None:
    text = BASE.replace("terms: [Bluebird]", 'terms: ["Blüe\\tbird\\u0007 🐦"]')
    policy = compile_policy(text, "policy.yaml")
    assert bare(compile_parsed(policy.parsed, "policy.yaml")) == bare(policy)


def test_what_is_no_policy_is_none_in_this_form_either() -> None:
    with pytest.raises(PolicyError):
        compile_parsed('{"version": 1}', "policy.yaml")
