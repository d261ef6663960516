"""A formatted file says the same, keeps every comment, has one order and one indentation, and is formatted already."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.errors import PolicyError
from policies.schema import compile_policy
from policies.shape.file import PolicyFile
from policies.text.document import parse
from policies.text.layout import formatted
from policies.text.sources import read_beside, read_source, recipes
from tests.policies.test_readme import EXAMPLES
from tests.policies.worlds import BASE

TEXTS = [read_source(name)[0].decode() for name in recipes()] + [each for each in EXAMPLES if "version:" in each]
TEXTS += [BASE, Path(__file__).with_name("example.yaml").read_text("utf-8")]
MESSY = """\
# our policy


decisions:
- name: hard     # the only one
  # from here on
  priority: 1
  when: {all: [{complexity: {at_least: 0.7}}]}
  route: cloud

# who answers
models:
      home: {locality: local, backend: engine,
             model: m}     # over two lines
      # outside
      cloud:
          locality: cloud
          backend: openai
          base_url: https://api.example.com/v1
          model: x
          capabilities:
          - tools
          -   json_mode
# the end of models

defaults: {local: home, cloud: cloud}
probes:
  - name: long
    text: |
      def f():

          return 1   # no comment of ours


      f()
    must_not_reach: [cloud]
version: 1
"""
NEAT = """\
# our policy

version: 1
# who answers
models:
  home: {locality: local, backend: engine,
         model: m}     # over two lines
  # outside
  cloud:
    locality: cloud
    backend: openai
    base_url: https://api.example.com/v1
    model: x
    capabilities:
      - tools
      - json_mode
# the end of models

defaults: {local: home, cloud: cloud}
decisions:
  - name: hard     # the only one
    # from here on
    priority: 1
    when: {all: [{complexity: {at_least: 0.7}}]}
    route: cloud

probes:
  - name: long
    text: |
      def f():

          return 1   # no comment of ours


      f()
    must_not_reach: [cloud]
"""


def test_an_untidy_file_becomes_a_tidy_one() -> None:
    assert formatted(MESSY, "p") == NEAT
    assert formatted(NEAT, "p") == NEAT
    assert compile_policy(MESSY, "p").digest == compile_policy(NEAT, "p").digest


@pytest.mark.parametrize("recipe", recipes())
def test_recipes_and_their_probes_are_formatted(recipe: str) -> None:
    for data, source in filter(None, (read_source(recipe), read_beside(recipe))):
        assert formatted(data.decode(), source) == data.decode()


def untidied(text: str, seed: int) -> str:
    """The same policy in another layout: other order of top-level blocks, wider, with more blanks, other newlines."""
    chance = random.Random(seed)
    blocks = re.split(r"\n(?=[a-z_]+:)", "\n" + text.strip("\n"))
    head, rest = blocks[0], blocks[1:]
    chance.shuffle(rest)
    factor = chance.choice([1, 2, 3])
    lines = [line for block in rest for line in block.split("\n")]
    wide = []
    for line in lines:
        blanks = len(line) - len(line.lstrip(" "))
        wide.append(" " * (blanks * factor) + line.strip() + " " * chance.choice([0, 0, 2]))
        if chance.random() < 0.1 and (not line.strip() or line.rstrip().endswith("}")):
            wide += [""] * chance.randint(1, 3)
    return (head.lstrip("\n") + "\n" + "\n".join(wide) + "\n" * chance.randint(0, 3)).replace(
        "\n", chance.choice(["\n", "\n", "\r\n"])
    )


@settings(max_examples=40, deadline=None)
@given(number=st.integers(0, len(TEXTS) - 1), seed=st.integers(0, 10**6))
def test_whatever_the_layout_formatting_keeps_the_policy(number: int, seed: int) -> None:
    text = untidied(TEXTS[number], seed)
    try:
        before = compile_policy(text, "p").digest
    except PolicyError:  # the untidying went too far: braces over lines, for instance
        return
    tidy = formatted(text, "p")
    assert compile_policy(tidy, "p").digest == before == compile_policy(TEXTS[number], "p").digest
    assert formatted(tidy, "p") == tidy
    order = [key for key in PolicyFile.model_fields if key in (value := dict_of(tidy))]
    assert list(value) == order


def dict_of(text: str) -> dict[str, Any]:
    value = parse(text, "p").value
    assert isinstance(value, dict)
    return value


def test_the_order_of_top_level_keys_is_no_part_of_the_digest_and_that_of_models_is() -> None:
    value = dict_of(BASE)
    turned = dict(reversed(value.items()))
    assert compile_policy(json.dumps(turned), "p").digest == compile_policy(BASE, "p").digest
    turned = {**value, "models": dict(reversed(value["models"].items()))}
    assert compile_policy(json.dumps(turned), "p").digest != compile_policy(BASE, "p").digest


@pytest.mark.parametrize(
    "text",
    [
        "{version: 1, defaults: {local: home}, models: {home: {locality: local, backend: engine, model: m}}}\n",
        "models:\n  -\n    a: 1\n",
        "models: {a:\n  1}\nx: >-\n  folded\n  text\n",
        "",
        "# only a comment\n",
        "- 1\n-   2\n",
        "a: 'two\n  lines'\nb: 1\n",
    ],
)
def test_odd_layouts_are_formatted_or_left_alone(text: str) -> None:
    try:
        tidy = formatted(text, "p")
    except PolicyError as error:
        assert "nothing is changed" in str(error)  # noqa: PT017 - either is right
        return
    assert parse(tidy, "p").value == parse(text, "p").value
    assert formatted(tidy, "p") == tidy


def test_what_is_no_yaml_of_ours_is_told() -> None:
    with pytest.raises(PolicyError, match="p:1:4: anchor"):
        formatted("a: &x 1\n", "p")
