"""Only plain YAML is read, within bounds, and everything has its place."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.errors import PolicyError, Problem, nearest, suggest
from policies.text.document import MAX_BYTES, decode, parse


def refusal(text: str) -> str:
    with pytest.raises(PolicyError) as caught:
        parse(text, "f.yaml")
    return str(caught.value)


def test_scalars_are_those_of_yaml_1_2() -> None:
    text = "{a: yes, b: true, c: 1, d: 1.5, e: 1e3, f: ~, g: '1', h: 0x10, i: null, j: -.5, k: 'true', l: 010, m: }"
    assert parse(text, "f").value == {
        "a": "yes", "b": True, "c": 1, "d": 1.5, "e": 1000.0, "f": None, "g": "1", "h": "0x10", "i": None, "j": -0.5,
        "k": "true", "l": 10, "m": None,
    }  # fmt: skip


def test_a_number_too_long_for_a_machine_is_a_float() -> None:
    assert parse("a: " + "9" * 400, "f").value == {"a": float("inf")}


def test_every_key_and_value_has_its_line_and_column() -> None:
    document = parse("a:\n  - b: 1\n    c: [2, 3]\n", "f")
    assert document.key_at(("a", 0, "c")) == (3, 5)
    assert document.value_at(("a", 0, "c", 1)) == (3, 12)
    assert document.value_at(("a", 0, "absent")) == (2, 5)
    assert document.key_at(("absent",)) == (1, 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3:1: duplicate key 'a': it stands in line 1 already"),
        ("a: &x 1\n", "f.yaml:1:4: anchor '&x': anchors are not allowed"),
        ("a: &x [1]\n", "f.yaml:1:4: anchor '&x': anchors are not allowed"),
        ("a: *x\n", "f.yaml:1:4: alias '*x': aliases are not allowed, write the value out"),
        ("<<: {a: 1}\n", "f.yaml:1:1: merge keys (<<) are not allowed, write the values out"),
        ("a: !!int '1'\n", "f.yaml:1:4: tags (!) are not allowed"),
        ("a: !thing {b: 1}\n", "f.yaml:1:4: tags (!) are not allowed"),
        ("&x a: 1\n", "f.yaml:1:1: anchors and tags are not allowed"),
        ("!!str a: 1\n", "f.yaml:1:1: anchors and tags are not allowed"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document (---): a policy is one document"),
        ("%YAML 1.1\n---\na: yes\n", "f.yaml:2:1: directives (%) are not allowed"),
        ("%TAG ! tag:x,2000:\n---\na: 1\n", "f.yaml:2:1: directives (%) are not allowed"),
        ("? [a, b]\n: 1\n", "f.yaml:1:3: a key must be plain text"),
        ("[" * 40, "f.yaml:1:33: nested deeper than 32 levels"),
        ("a: \x07\n", "f.yaml:1:4: a control character may not stand in a policy"),
        ("a: b\u202ec\n", "f.yaml:1:5: the invisible character U+202E: write it as an escape in double quotes"),
        ("a: [1,\n", "f.yaml:2:1: not YAML: while parsing a flow node expected the node content, but found"),
        ("a: b: c\n", "f.yaml:1:5: not YAML: mapping values are not allowed here"),
    ],
)
def test_what_is_refused_is_refused_with_its_place(text: str, expected: str) -> None:
    assert refusal(text).startswith(expected)


def test_all_problems_are_told_at_once() -> None:
    assert refusal("a: &x 1\nb: *x\na: 2\n").count("\n") == 2


def test_a_byte_order_mark_is_nothing() -> None:
    assert parse("\ufeffa: 1", "f").value == {"a": 1}


def test_escapes_may_hold_what_may_not_stand_plainly() -> None:
    assert parse('a: "b\\u200dc"', "f").value == {"a": "b\u200dc"}


@pytest.mark.parametrize(
    ("data", "place"), [(b"a: \xff", "f:1:4: "), ("ä: ".encode() + b"\xe4b", "f:1:4: "), (b"a: 1\nb: \x80", "f:2:4: ")]
)
def test_bytes_that_are_not_utf_8_are_refused_at_their_place(data: bytes, place: str) -> None:
    with pytest.raises(PolicyError) as caught:
        decode(data, "f")
    assert str(caught.value).startswith(place + "not UTF-8")


def test_a_file_of_any_size_is_refused_above_the_bound() -> None:
    for refuse in (lambda: decode(b"#" * (MAX_BYTES + 1), "f"), lambda: parse("#" * (MAX_BYTES + 1), "f")):
        with pytest.raises(PolicyError, match="262,145 bytes: a policy may have 262,144"):
            refuse()


@pytest.mark.parametrize(
    "text",
    [
        "[" * MAX_BYTES,
        "{" * MAX_BYTES,
        "- " * (MAX_BYTES // 2),
        "[" + "a," * 100_000,
        "a: &a [x]\n" + "b: [*a,*a]\n" * 10_000,
        "".join(f"key{index}: 1\n" for index in range(20_000)),
        '"' + "a" * (MAX_BYTES - 1),
        "? " * (MAX_BYTES // 2),
        "---\n" * 60_000,
    ],
    ids=["brackets", "braces", "dashes", "entries", "aliases", "keys", "quote", "questions", "documents"],
)
def test_hostile_files_are_done_with_in_time(text: str) -> None:
    """Processor time: one second is the aim; the bound leaves room for a slow machine, and is for what never ends."""
    begun = time.process_time()
    with suppress(PolicyError):
        parse(text, "f")
    assert time.process_time() - begun < 20


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="ab:-[]{}&*!%?|>'\"#,\n \t<~1.\\", max_size=60))
def test_any_text_is_a_value_or_a_policy_error(text: str) -> None:
    try:
        places = parse(text, "f").values.values()
    except PolicyError as error:
        places = [(problem.line, problem.column) for problem in error.problems]
    assert all(line >= 1 and column >= 1 for line, column in places)


def test_a_problem_of_the_whole_file_has_no_line() -> None:
    assert Problem(0, 0, "gone").render("f") == "f: gone"


def test_the_nearest_word_is_found_in_any_case_and_never_the_word_itself() -> None:
    assert nearest("RESTRICTD", ["restricted", "public"]) == "restricted"
    assert nearest("zebra", ["restricted", "public"]) is None
    assert suggest("public", ["public"]) == ""
