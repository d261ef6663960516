"""Partitions: what the engine is told of tenant and level, and that nobody else is told anything."""

from __future__ import annotations

import itertools
import re

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.types import Level, Model
from router.fields import FIELDS, exit_body
from router.keys import Keys
from router.partitions import Partitions

ENGINE = Model("home", "local", "engine", "smollm2")
ELSEWHERE = [
    Model("server", "local", "openai", "llama", "http://127.0.0.1:1/v1"),
    Model("lan", "lan", "openai", "llama", "http://10.0.0.1:1/v1"),
    Model("cloud", "cloud", "openai", "gpt", "https://api.example.com/v1"),
    Model("claude", "cloud", "litellm", "anthropic/claude-x"),
]
HOUSE = Partitions(Keys(b"k" * 32))
TENANTS = ("default", "acme", "acme\0", "public\0acme", "", "ä" * 3, "\ud800")


def test_two_tenants_or_two_levels_never_share_a_partition() -> None:
    pairs = list(itertools.product(TENANTS, Level))
    salts = {HOUSE.fields(ENGINE, tenant, level)["cache_salt"] for tenant, level in pairs}
    assert len(salts) == len(pairs)


@given(st.tuples(st.text(), st.sampled_from(Level)), st.tuples(st.text(), st.sampled_from(Level)))
def test_partitions_are_equal_exactly_when_tenant_and_level_are(
    one: tuple[str, Level], other: tuple[str, Level]
) -> None:
    assert (HOUSE.fields(ENGINE, *one) == HOUSE.fields(ENGINE, *other)) == (one == other)


def test_a_tenant_is_one_to_the_queue_at_every_level() -> None:
    assert len({HOUSE.fields(ENGINE, "acme", level)["tenant"] for level in Level}) == 1
    names = {HOUSE.fields(ENGINE, tenant, Level.PUBLIC)["tenant"] for tenant in TENANTS}
    assert len(names) == len(TENANTS)


@pytest.mark.parametrize("level", Level)
def test_nothing_of_tenant_or_level_stands_there_in_clear(level: Level) -> None:
    """32 hex digits each, which another gateway's root secret makes into others."""
    fields = HOUSE.fields(ENGINE, "acme-hospital", level)
    assert set(fields) == {"cache_salt", "tenant"}
    assert all(re.fullmatch("[0-9a-f]{32}", value) for value in fields.values())
    written = orjson.dumps(fields).decode()
    assert "acme" not in written
    assert level.word not in written
    others = Partitions(Keys(b"o" * 32)).fields(ENGINE, "acme-hospital", level)
    assert not set(others.values()) & set(fields.values())


@pytest.mark.parametrize("model", ELSEWHERE, ids=lambda model: model.name)
def test_no_other_backend_is_told(model: Model) -> None:
    assert HOUSE.fields(model, "acme", Level.RESTRICTED) == {}


@pytest.mark.parametrize("model", ELSEWHERE[1:], ids=lambda model: model.name)
def test_no_body_that_leaves_holds_either_field(model: Model) -> None:
    """Neither is a caller's to name: the field table refuses both, so nothing puts them there."""
    out, _ = exit_body({"messages": [{"role": "user", "content": "Hi"}], "temperature": 0.1}, model, stream=False)
    assert not {"cache_salt", "tenant"} & set(out)
    assert FIELDS["cache_salt"].kind == FIELDS["tenant"].kind == "forbidden"
