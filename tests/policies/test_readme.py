"""The language's page is true: its examples load, each on top of what stands before it, and name every key there is."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Any

import pytest

from classifiers.pipeline import Pipeline
from policies.reading.probes import probes_of
from policies.schema import compile_policy
from policies.shape.file import PolicyFile
from policies.text.document import parse
from policies.text.editors import json_schema
from policies.vocabulary import SIGNAL_KINDS
from router.cli.policy_probe import run_probes

PAGE = files("policies").joinpath("README.md").read_text("utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def policies() -> list[str]:
    """The policy after each example: one with a version begins anew, any other adds to the one before it."""
    state: dict[str, Any] = {}
    made = []
    for example in EXAMPLES:
        value: Any = parse(example, "README.md").value
        state = (
            value
            if "version" in value
            else {**state, **{key: _added(key, state.get(key), value[key]) for key in value}}
        )
        made.append(json.dumps(state))
    return made


GROWS = ("models", "defaults", "aliases", "sensitivity", "egress", "tenants")  # by members; any other key is replaced


def _added(key: str, before: Any, after: Any) -> Any:
    return {**before, **after} if key in GROWS and isinstance(before, dict) else after


POLICIES = policies()


def test_there_are_the_eight_steps_and_the_page_goes_on() -> None:
    assert re.findall(r"^### ([0-9])\.", PAGE, re.MULTILINE) == list("12345678")
    assert len(EXAMPLES) >= 10


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_each_example_loads(number: int) -> None:
    compile_policy(POLICIES[number], "README.md")


PROBED = [n for n, example in enumerate(EXAMPLES) if re.search(r"^probes:", example, re.MULTILINE)]


@pytest.mark.parametrize("number", PROBED)
async def test_the_probes_of_the_page_pass(number: int, pipeline: Pipeline) -> None:
    policy = compile_policy(POLICIES[number], "README.md")
    done = await run_probes(policy, probes_of(POLICIES[number], "README.md", policy), pipeline)
    assert done
    assert [(each.probe.name, each.misses, each.error) for each in done if not each.passed] == []


def keys_of(part: Any) -> set[str]:
    keys: set[str] = set()
    if isinstance(part, dict):
        keys |= set(part.get("properties", {}))
        for value in part.values():
            keys |= keys_of(value)
    elif isinstance(part, list):
        for value in part:
            keys |= keys_of(value)
    return keys


def test_every_key_stands_in_an_example() -> None:
    schema = PolicyFile.model_json_schema()
    missing = {key for key in keys_of(schema) if not any(re.search(rf"\b{key}\b", each) for each in EXAMPLES)}
    assert missing == set()
    assert {"at_least", "any", "complexity"} <= keys_of(json.loads(json_schema()))


def test_every_signal_is_named() -> None:
    assert [name for name in SIGNAL_KINDS if f"`{name}`" not in PAGE] == []
