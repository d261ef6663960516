"""Each recipe does what its probes say, its probes notice when it no longer does, and it needs no key."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from classifiers.pipeline import Pipeline
from policies.comparing.proof import reachable
from policies.probes import Probe
from policies.reading.probes import load_probes
from policies.schema import compile_policy, load_policy
from policies.text.document import parse
from policies.text.sources import read_source, recipes
from policies.types import Policy
from router.backends.table import make_backend
from router.cli.policy_probe import Probed, run_probes
from router.running import RunningPolicy, unavailable_models
from router.settings import from_environment

ALL = ("coding-agent", "cost-first", "default", "eu-only", "finance", "healthcare", "offline", "privacy-first")


def text_of(recipe: str) -> str:
    return read_source(recipe)[0].decode()


@cache
def loaded(recipe: str) -> tuple[Policy, tuple[Probe, ...]]:
    policy = load_policy(recipe)
    return policy, load_probes(recipe, policy)


def failed(done: list[Probed]) -> list[tuple[str, object, str]]:
    return [(each.probe.name, each.misses, each.error) for each in done if not each.passed]


def test_these_are_the_recipes() -> None:
    assert recipes() == ALL


@pytest.mark.parametrize("recipe", ALL)
async def test_every_probe_of_a_recipe_passes(recipe: str, pipeline: Pipeline) -> None:
    policy, probes = loaded(recipe)
    assert len(probes) >= 20
    assert failed(await run_probes(policy, probes, pipeline)) == []


@pytest.mark.parametrize("recipe", ALL)
async def test_without_its_key_a_recipe_answers_at_home_or_refuses(recipe: str, pipeline: Pipeline) -> None:
    policy, probes = loaded(recipe)
    missing = tuple(unavailable_models(policy))
    assert set(missing) == {name for name, model in policy.models.items() if model.locality == "cloud"}
    keyless = [Probe(each.name, each.line, each.body, unavailable=missing) for each in probes]
    routes = {each.explanation["route"] for each in await run_probes(policy, keyless, pipeline)}
    assert routes <= {"local", "refused"}
    assert "local" in routes


@pytest.mark.parametrize("recipe", ALL)
async def test_a_gateway_starts_with_a_recipe_and_no_key(recipe: str, tmp_path: Path) -> None:
    """Its backends can be made, and what has no key is not available: degraded, not dead."""
    settings = from_environment({"HOME": str(tmp_path)})
    running = RunningPolicy(load_policy(recipe), lambda model, policy: make_backend(model, settings))
    try:
        home = running.current.policy.default_local
        assert set(running.current.unavailable()) == set(running.current.backends) - {home}
    finally:
        await running.close()


@pytest.mark.parametrize("recipe", ALL)
def test_a_recipe_says_what_it_does(recipe: str) -> None:
    lines = text_of(recipe).splitlines()
    comment = [line for line in lines[: lines.index("version: 1")] if line.startswith("#")]
    assert len(comment) >= 10
    assert comment[1].startswith(f"# {recipe}: ")
    warnings = [each for each in load_policy(recipe).warnings if "no detector" not in each]
    assert warnings == []


@pytest.mark.parametrize("recipe", ALL)
def test_no_recipe_lets_out_what_is_restricted_or_confidential_as_it_is(recipe: str) -> None:
    for cell in reachable(load_policy(recipe)):
        if cell.locality != "local" and cell.level.word in ("restricted", "confidential"):
            assert cell.payload in ({"none", "pseudonymized"} if cell.level.word == "confidential" else {"none"})


def loosened() -> Iterator[tuple[str, str]]:
    """Each recipe with one rule taken out, or with what is sensitive let out: what its probes must notice."""
    for recipe in ALL:
        value: Any = parse(text_of(recipe), recipe).value
        for number, rule in enumerate(value.get("decisions", [])):
            less = copy.deepcopy(value)
            del less["decisions"][number]
            yield f"{recipe}-without-{rule['name']}", json.dumps(less)
        if "egress" in value:
            more = copy.deepcopy(value)
            for level in ("public", "internal", "confidential"):
                more["egress"][level] = {"payload": "full"}
            yield f"{recipe}-lets-all-out", json.dumps(more)
        if "audit" in value or recipe == "default":
            lower = copy.deepcopy(value)
            lower["sensitivity"]["levels"] = {"confidential": ["SECRET"]}
            yield f"{recipe}-without-restricted", json.dumps(lower)


@pytest.mark.parametrize(("name", "text"), [pytest.param(*each, id=each[0]) for each in loosened()])
async def test_the_probes_notice_what_a_change_takes_away(name: str, text: str, pipeline: Pipeline) -> None:
    recipe = next(each for each in ALL if name.startswith(each))
    changed = compile_policy(text, "changed")
    assert failed(await run_probes(changed, loaded(recipe)[1], pipeline)) != []
