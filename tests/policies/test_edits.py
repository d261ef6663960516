"""A policy file is edited as a careful person would: one value and at most one line, everything else byte for byte."""

from __future__ import annotations

import difflib

import pytest

from policies.errors import PolicyError
from policies.schema import compile_policy
from policies.text.edits import add_approved_text, use_engine_model
from policies.text.sources import read_source, recipes

BLOCK = """\
# our policy
version: 1   # ours
models:
  # the small one
  home:
    locality: local      # this host
    backend: engine
    model: smollm2-135m-instruct   # weak
    capabilities:
      - json_mode
      - logprobs   # and that

  # nothing else yet
defaults:
  local: home    # answers first
egress:
  public: {payload: none}
"""
FLOW = 'version: 1\nmodels: {home: {locality: local, backend: engine, model: m}}\ndefaults: {"local": "home"}\n'


def changed(before: str, after: str) -> list[str]:
    return [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[0] in "+-"]


def test_one_value_changes_and_one_line_comes() -> None:
    edited = use_engine_model(BLOCK, "p", "qwen3-0.6b", context=8192)
    assert changed(BLOCK, edited.text) == [
        "+   qwen3-0.6b: {locality: local, backend: engine, model: qwen3-0.6b, context: 8192}",
        "-   local: home    # answers first",
        "+   local: qwen3-0.6b    # answers first",
    ]
    assert (edited.name, edited.was, edited.is_new) == ("qwen3-0.6b", "home", True)
    assert compile_policy(edited.text, "p").models["qwen3-0.6b"].context == 8192


def test_a_model_that_an_entry_names_already_gets_no_second_one() -> None:
    there = use_engine_model(BLOCK, "p", "qwen3-0.6b").text
    back = use_engine_model(there, "p", "smollm2-135m-instruct")
    assert (back.name, back.is_new) == ("home", False)
    assert changed(there, back.text) == [
        "-   local: qwen3-0.6b    # answers first",
        "+   local: home    # answers first",
    ]


def test_braces_stay_braces() -> None:
    edited = use_engine_model(FLOW, "p", "other")
    assert edited.text == (
        "version: 1\nmodels: {other: {locality: local, backend: engine, model: other}, "
        'home: {locality: local, backend: engine, model: m}}\ndefaults: {"local": other}\n'
    )


@pytest.mark.parametrize("recipe", recipes())
def test_every_recipe_can_be_edited(recipe: str) -> None:
    text = read_source(recipe)[0].decode()
    edited = use_engine_model(text, "p", "llama-3.2-1b-instruct", context=8192)
    assert len(changed(text, edited.text)) == 3
    assert compile_policy(edited.text, "p").default_local == "llama-3.2-1b-instruct"


@pytest.mark.parametrize(
    "text",
    [
        BLOCK.replace("\n", "\r\n"),
        "\ufeff" + BLOCK,
        "egress: {public: {payload: none}}\nversion: 1\ndefaults: {local: home}\nmodels:\n  home:\n"
        "    locality: local\n    backend: engine\n    model: m",
        "version: 1\ndefaults:\n  local:\n    home\nmodels:\n  home: {locality: local, backend: engine,\n"
        "         model: m}  # two lines\n# the end",
        'version: 1\ndefaults: {local: "home"}\nmodels: {\n  # first\n  home: {locality: local, backend: engine, '
        "model: m}\n}\n",
    ],
)
def test_other_layouts_of_files(text: str) -> None:
    """Carriage returns, a byte-order mark, no newline at the end, values on lines of their own, braces over lines."""
    edited = use_engine_model(text, "p", "other").text
    policy = compile_policy(edited, "p")
    assert policy.default_local == "other"
    assert policy.models["other"].model == "other"
    assert ("\r\n" in edited) == ("\r\n" in text)
    assert edited.count("\n") - edited.count("\r\n") == (0 if "\r\n" in text else edited.count("\n"))
    kept = [line for line in text.splitlines() if "#" in line and "home" not in line]
    assert all(line in edited.splitlines() for line in kept)


def test_names_that_are_taken_or_would_read_as_something_else() -> None:
    text = BLOCK.replace("home:", "m2:").replace("local: home", "local: m2")
    assert use_engine_model(text, "p", "m2").name == "m2-2"
    assert use_engine_model(text, "p", "auto").name == "auto-2"
    edited = use_engine_model(text, "p", "1.5")
    assert '  local: "1.5"' in edited.text
    assert compile_policy(edited.text, "p").models["1.5"].model == "1.5"
    assert compile_policy(use_engine_model(text, "p", "null").text, "p").default_local == "null"


def test_what_would_not_be_good_is_refused() -> None:
    with pytest.raises(PolicyError, match="a model is named 'local', so it must be the default"):
        use_engine_model(BLOCK.replace("home:", "local:").replace("local: home", "local: local"), "p", "other")
    with pytest.raises(PolicyError, match="'defaults' is missing"):
        use_engine_model("version: 1\nmodels: {home: {locality: local, backend: engine, model: m}}\n", "p", "other")


ENTRY = {
    "name": "prompt: one",
    "digest": "01234567:0123456789abcdef0123456789abcdef",
    "kind": "system",
    "reason": 'it says "ours"',
    "approved": "2026-11-27",
}
LINE = (
    '{name: "prompt: one", digest: "01234567:0123456789abcdef0123456789abcdef", kind: system, '
    'reason: "it says \\"ours\\"", approved: 2026-11-27}'
)


def test_an_approved_text_comes_at_the_end_of_its_list_which_comes_at_the_end_of_the_file() -> None:
    first = add_approved_text(BLOCK, "p", ENTRY)
    assert changed(BLOCK, first) == ["+ approved_texts:", f"+   - {LINE}"]
    second = add_approved_text(first, "p", {**ENTRY, "kind": "any"})
    assert changed(first, second) == [f"+   - {LINE.replace('system', 'any')}"]
    assert [each.kind for each in compile_policy(second, "p").scan_rules.approvals] == ["system", "any"]


@pytest.mark.parametrize(
    ("text", "added"),
    [
        (BLOCK + "approved_texts: []\n", f"approved_texts: [{LINE}]"),
        (BLOCK + f"approved_texts: [{LINE}]  # one\n", f"approved_texts: [{LINE}, {LINE}]  # one"),
        (BLOCK + f"approved_texts:\n- {LINE}\n# end\n", f"- {LINE}\n- {LINE}\n# end"),
        (BLOCK + f"approved_texts:\n  -   {LINE}   # last\nmode: enforce", f"   # last\n  - {LINE}\nmode: enforce"),
        (BLOCK + f"approved_texts:\n  - {LINE}", f"  - {LINE}\n  - {LINE}\n"),
        (BLOCK.rstrip(), f"payload: none}}\napproved_texts:\n  - {LINE}\n"),
        ("{" + FLOW.replace("\n", ", ").rstrip(", ") + "}", "{approved_texts: [{"),
        (BLOCK.replace("\n", "\r\n"), f"approved_texts:\r\n  - {LINE}\r\n"),
        ("\ufeff" + BLOCK, f"approved_texts:\n  - {LINE}\n"),
    ],
)
def test_an_approved_text_finds_its_place_in_every_layout(text: str, added: str) -> None:
    edited = add_approved_text(text, "p", ENTRY)
    assert added in edited
    before = len(compile_policy(text, "p").scan_rules.approvals)
    assert len(compile_policy(edited, "p").scan_rules.approvals) == before + 1


def test_a_policy_that_is_not_good_gets_no_approved_text() -> None:
    with pytest.raises(PolicyError, match="'digest' must be what"):
        add_approved_text(BLOCK, "p", {**ENTRY, "digest": "x"})
    with pytest.raises(PolicyError, match="invisible"):
        add_approved_text(BLOCK, "p", {**ENTRY, "reason": "it\u202e is"})
