"""Conditions in CEL: three-valued over the signals, without loops, refused with their place, and without the extra."""

from __future__ import annotations

import importlib.util
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.cel import INSTALL, cel_test, problem_of
from policies.comparing.compare import compare
from policies.comparing.idle import idle
from policies.conditions import measure
from policies.decide import decide
from policies.errors import PolicyError
from policies.types import Facts, Level
from tests.policies.worlds import BASE, load, signals

needs_cel = pytest.mark.skipif(
    importlib.util.find_spec("cel") is None, reason=f"the optional extra is not installed: {INSTALL}"
)
HARD = "when: {all: [{complexity: {at_least: 0.7}}]}"


def with_cel(expression: str, rule: str = HARD) -> str:
    assert rule in BASE
    return BASE.replace(rule, f'{rule}, cel: "{expression}"', 1)


def holds(expression: str, level: Level = Level.PUBLIC, **values: object) -> bool | None:
    test, _ = cel_test(expression)
    return test(measure(signals(values).values, level))


@needs_cel
@pytest.mark.parametrize(
    ("expression", "values", "expected"),
    [
        ("complexity > 0.7", {"complexity": 0.9}, True),
        ("complexity > 0.7", {"complexity": 0.7}, False),
        ("complexity > 0", {"complexity": 0.9}, True),
        ("context_length * 2 >= 40 && language == 'en'", {}, True),
        ("size(modality) == 1 && 'text' in modality", {}, True),
        ("modality == ['image', 'text']", {"modality": frozenset({"text", "image"})}, True),
        ("sensitivity == 'public'", {}, True),
        ("has_tools || domain.startsWith('oth')", {}, True),
        ("complexity > 0.7", {"complexity": "error:timeout"}, None),
        ("complexity > 0.7", {"complexity": None}, None),
        ("!(complexity > 0.7)", {"complexity": "error:timeout"}, None),
        ("complexity == complexity", {"complexity": "error:timeout"}, None),
        ("complexity > 0.7 || injection < 0.5", {"complexity": "error:timeout"}, True),
        ("injection < 0.5 || complexity > 0.7", {"complexity": "error:timeout"}, True),
        ("complexity > 0.7 && injection > 0.5", {"complexity": "error:timeout"}, False),
        ("complexity > 0.7 && injection < 0.5", {"complexity": "error:timeout"}, None),
        ("complexity > 0.7 ? true : true", {"complexity": "error:timeout"}, None),
        ("complexity > 0.7", {"complexity": float("nan")}, None),
        ("complexity != 0.7", {"complexity": "high"}, None),
        ("language != 'en'", {"language": 3}, None),
        ("has_tools == false", {"has_tools": "no"}, None),
        ("1 / int(complexity) > 1", {"complexity": 0.5}, None),
        ("complexity", {"complexity": 0.9}, None),
        ("language > 3", {}, None),
    ],
)
def test_an_expression_is_true_false_or_unknown(
    expression: str, values: dict[str, object], expected: bool | None
) -> None:
    assert problem_of(expression) is None
    assert holds(expression, **values) is expected


@needs_cel
@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("complexity >", "not a CEL expression: Syntax error"),
        ("complexty > 0.5", "there is no signal 'complexty'; did you mean 'complexity'?"),
        ("[1, 2].all(x, x > 0)", "'all' may not be called"),
        ("[1, 2] . exists (x, x > 0)", "'exists' may not be called"),
        ("[1].map(x, [x].map(y, y)) == []", "'map' may not be called"),
        ("language.matches('(a+)+')", "'matches' may not be called"),
        ("timestamp('2020-01-01T00:00:00Z') > now", "'timestamp' may not be called"),
        ("''' x ''' == language", "without escapes and triple quotes"),
        ("local_wait_ms.foo() > 1", "'foo' may not be called"),
        ("(" * 240 + "true" + ")" * 240, "not a CEL expression"),
    ],
)
def test_what_is_no_condition_is_refused_at_its_place(expression: str, says: str) -> None:
    text = with_cel(expression)
    with pytest.raises(PolicyError) as caught:
        load(text)
    offset = text.index("cel: ") + 5
    line, column = text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)
    told = str(caught.value)
    assert any(row.startswith(f"policy.yaml:{line}:{column}: ") and says in row for row in told.splitlines()), told


@needs_cel
def test_a_rule_holds_where_both_its_conditions_do() -> None:
    policy = load(with_cel("language == 'en'"))
    hard = {"complexity": 0.9}
    assert decide(policy, Facts(), signals(hard)).rule == "hard"
    assert decide(policy, Facts(), signals({**hard, "language": "de"})).rule == "hard-eu"
    assert decide(policy, Facts(), signals({"complexity": 0.69})).rule == "hard-eu"
    assert "language" in policy.reads


@needs_cel
def test_an_unknown_one_sends_nothing_out_and_forbids() -> None:
    broken = {"complexity": 0.9, "language": "error:timeout"}
    assert decide(load(with_cel("language == 'en'")), Facts(), signals(broken)).rule == "hard-eu"
    forbid = "when: {any: [{injection: {at_least: 0.8}}]}"
    closed = load(BASE.replace(forbid, "cel: \"language == 'xx'\"", 1))
    decision = decide(closed, Facts(), signals(broken))
    assert (decision.route, decision.reason) == ("local", "no-injections-out")
    assert decide(closed, Facts(), signals({"complexity": 0.9})).route == "cloud"


@needs_cel
def test_what_cel_says_is_compared_as_doubtful_and_hides_no_rule() -> None:
    forbid = "when: {any: [{injection: {at_least: 0.8}}]}"
    with_own = load(with_cel("language == 'en'", forbid))
    assert [each.direction for each in compare(load(BASE), with_own)] == ["loosens"]
    assert [each.direction for each in compare(with_own, load(BASE))] == ["tightens"]
    above = BASE.replace(
        "decisions:\n", "decisions:\n  - {name: a, priority: 99, cel: \"language == 'de'\", route: cloud}\n"
    )
    assert not [each for each in idle(load(above)) if each.path == ("decisions", "hard")]


@needs_cel
@settings(max_examples=60, deadline=None)
@given(
    values=st.fixed_dictionaries(
        {name: st.sampled_from([0.0, 0.5, 1.0, "error:timeout", None]) for name in ("complexity", "injection")}
    ),
    expression=st.recursive(
        st.sampled_from(["complexity > 0.4", "injection > 0.4", "complexity == injection"]),
        lambda inner: st.one_of(
            inner.map(lambda one: f"!({one})"),
            st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(lambda all_: f"({' '.join(all_)})"),
        ),
        max_leaves=5,
    ),
)
def test_what_is_known_in_spite_of_a_fault_is_so_whatever_the_signal_had_been(
    values: dict[str, object], expression: str
) -> None:
    """Knowing a signal that was unavailable never turns true into false or false into true."""
    found = holds(expression, **values)
    if found is None:
        return
    for value in (0.0, 0.5, 1.0):
        known = {name: value if isinstance(given, str) or given is None else given for name, given in values.items()}
        assert holds(expression, **known) is found


def test_without_the_extra_the_file_is_refused_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cel", None)
    with pytest.raises(PolicyError, match="needs a library that is not installed: pip install"):
        load(with_cel("complexity > 0.5"))
