"""The language's page is true: its examples load, and it names every key that there is."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Any

import pytest

from policies.editors import json_schema
from policies.schema import compile_policy
from policies.shape import PolicyFile
from policies.vocabulary import LATER_SIGNALS, SIGNAL_KINDS

PAGE = files("policies").joinpath("README.md").read_text("utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("text", EXAMPLES, ids=["smallest", "every-key"])
def test_each_example_loads(text: str) -> None:
    compile_policy(text, "README.md")


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


def test_the_example_of_every_key_has_every_key() -> None:
    schema = PolicyFile.model_json_schema()
    missing = {key for key in keys_of(schema) if not re.search(rf"\b{key}\b", EXAMPLES[1])}
    assert missing == set()
    assert {"at_least", "any", "complexity"} <= keys_of(json.loads(json_schema()))


def test_every_signal_is_named() -> None:
    assert [name for name in {*SIGNAL_KINDS, *LATER_SIGNALS} if f"`{name}`" not in PAGE] == []
