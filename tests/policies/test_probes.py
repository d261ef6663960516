"""A probe passes exactly when the decision is what it expects, and nothing leads to what it must not reach."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from classifiers.pipeline import Pipeline
from policies.decide import decide
from policies.errors import PolicyError
from policies.probes import Expected, Probe, judge
from policies.reading.probes import load_probes, probes_of
from policies.schema import compile_policy, load_policy
from policies.types import Facts
from router.cli.policy_probe import run_probes
from tests.policies.test_problems import MARK, problems
from tests.policies.worlds import BASE, base, scan, signals

HARD = {"complexity": 0.8}
PLAIN = Probe("p", 1, {})


def misses(probe: Probe, seen: tuple[str, ...] = (), variant: str = "base", **values: object) -> dict[str, str]:
    policy, facts, found = base(variant), Facts(local_only=probe.local_only), signals(values, scan(seen))
    decision = decide(policy, facts, found)
    told: dict[str, str] = {}
    for miss in judge(probe, policy, facts, found, decision):
        told.setdefault(miss.what, miss.got)
    return told


@pytest.mark.parametrize(
    ("met", "missed", "got"),
    [
        (Expected(route="cloud"), Expected(route="local"), {"route": "cloud"}),
        (Expected(model="cloud"), Expected(model="eu"), {"model": "cloud"}),
        (Expected(rule="hard"), Expected(rule="default"), {"rule": "hard"}),
        (Expected(sensitivity="internal"), Expected(sensitivity="public"), {"sensitivity": "internal"}),
        (Expected(payload="full"), Expected(payload="none"), {"payload": "full"}),
        (Expected(may_escalate=False), Expected(may_escalate=True), {"may_escalate": "no"}),
        (Expected(), Expected(held="hard"), {"held": "none"}),
        (Expected(finds=("ORGANIZATION",)), Expected(finds=("PERSON",)), {"finds": "ORGANIZATION"}),
        (Expected(finds_not=("PERSON",)), Expected(finds_not=("ORGANIZATION",)), {"finds_not": "ORGANIZATION"}),
    ],
)
def test_each_expectation_is_met_or_told(met: Expected, missed: Expected, got: dict[str, str]) -> None:
    assert misses(replace(PLAIN, expected=met), ("ORGANIZATION",), **HARD) == {}
    assert misses(replace(PLAIN, expected=missed), ("ORGANIZATION",), **HARD) == got


def test_what_is_held_is_told_with_its_rule_and_reason() -> None:
    held = replace(PLAIN, expected=Expected(route="local", rule="sensitivity", held="hard"))
    assert misses(held, ("CREDIT_CARD",), **HARD) == {}


@pytest.mark.parametrize(
    ("names", "seen", "values", "variant", "how"),
    [
        (("cloud",), (), HARD, "base", "it goes there"),
        (("cloud",), (), {}, "base", "escalation may send it there"),
        (("cloud",), (), {"has_tools": True}, "fallback", None),
        (("cloud",), (), {}, "no-escalation", "it goes there when a caller asks for it by name"),
        (("eu",), (), HARD, "base", "it goes there when a caller asks for it by name"),
        (("lan",), ("CREDIT_CARD",), {}, "base", "it goes there when a caller asks for it by name"),
        (("cloud",), ("CREDIT_CARD",), HARD, "base", None),
        (("cloud",), ("EMAIL_ADDRESS",), HARD, "base", "it goes there"),
        (("eu",), ("EMAIL_ADDRESS",), {"injection": 0.9}, "base", None),
    ],
)
def test_what_must_not_be_reached_is_looked_for_on_every_way(
    names: tuple[str, ...], seen: tuple[str, ...], values: dict[str, object], variant: str, how: str | None
) -> None:
    """`cloud` is a model and a locality here: both cloud models count, also the one that may have e-mail."""
    told = misses(replace(PLAIN, must_not_reach=names), seen, variant, **values)
    assert told == ({} if how is None else {"must_not_reach": how})


def test_a_caller_who_keeps_it_at_home_reaches_nothing() -> None:
    probe = replace(PLAIN, must_not_reach=("lan", "cloud"), local_only=True)
    assert misses(probe, **HARD) == {}


PROBES = """\
probes:
  - {name: one, text: hello, expect: {route: local}}
  - name: two
    body: {model: gpt-x, messages: [{role: user, content: hi}]}
    headers: {x-gatehouse-privacy: local-only}
    tenant: ward
    unavailable: [cloud]
    local_wait_ms: 9000
    must_not_reach: [cloud, eu]
"""


def test_probes_come_from_the_policy_and_from_the_file_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "ours.yaml"
    file.write_text(BASE + PROBES)
    (tmp_path / "ours.probes.yaml").write_text(
        "probes:\n  - {name: three, text: x, model: lan, must_not_reach: [lan]}\n"
    )
    one, two, three = load_probes(str(file), load_policy(str(file)))
    assert (one.body["model"], one.body["messages"][0]["content"], one.expected.route) == ("auto", "hello", "local")
    assert two.body == {"model": "gpt-x", "messages": [{"role": "user", "content": "hi"}]}
    assert (two.local_only, two.tenant, two.unavailable, two.local_wait_ms) == (True, "ward", ("cloud",), 9000)
    assert two.must_not_reach == ("cloud", "eu")
    assert (three.body["model"], three.must_not_reach, three.line) == ("lan", ("lan",), 2)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("{name: one, text: hello, ", "‸{name: one, ", "'one' must have exactly one of 'text' and 'body'"),
        ("{name: one, text: hello, expect: {route: local}", "‸{name: one, text: hello", "'one' expects nothing: write"),
        ("route: local", "route: ‸locl", "did you mean 'local'?"),
        ("route: local", "rule: ‸hrad", "there is no rule 'hrad'; did you mean 'hard'?"),
        ("route: local", "held: ‸default", "there is no rule 'default'"),
        ("route: local", "model: ‸hom", "there is no model 'hom'; did you mean 'home'?"),
        ("route: local", "‸rout: local", "unknown key 'rout' in 'probes.expect'; did you mean 'route'?"),
        ("name: two", "name: ‸one", "'one' is the name of another probe already"),
        ("name: two", "name: ‸a b", "'name' must be up to 80 letters"),
        ("tenant: ward", "‸model: lan", "a body names its model itself"),
        ("x-gatehouse-privacy: local", "‸x-gatehouse-privcy: local", "did you mean 'x-gatehouse-privacy'?"),
        ("[cloud, eu]", "[cloud, ‸home]", "what is at home may always be reached"),
        ("[cloud, eu]", "[‸clod]", "'clod' is no locality and no model; did you mean 'cloud'?"),
        ("unavailable: [cloud]", "unavailable: [‸lam]", "there is no model 'lam'; did you mean 'lan'?"),
        ("must_not_reach: [", "‸must_not_raech: [", "did you mean 'must_not_reach'?"),
    ],
)
def test_a_probe_that_cannot_be_meant_is_told_at_its_place(before: str, after: str, message: str) -> None:
    assert before in PROBES
    marked = BASE + PROBES.replace(before, after, 1)
    lines = marked[: marked.index(MARK)].split("\n")
    told = problems(marked.replace(MARK, ""))
    place = f"p.yaml:{len(lines)}:{len(lines[-1]) + 1}: "
    assert any(each.startswith(place) and message in each for each in told), (place, told)


def test_the_file_beside_holds_probes_and_nothing_else(tmp_path: Path) -> None:
    file, beside = tmp_path / "ours.yaml", tmp_path / "ours.probes.yaml"
    file.write_text(BASE)
    policy = load_policy(str(file))
    assert load_probes(str(file), policy) == ()
    for text, message in (
        ("probe: []\n", "unknown key 'probe'; did you mean 'probes'?"),
        ("probes: []\n", "'probes' may not be empty"),
        ("probes: [{name: a, text: b, expect: {rule: hrd}}]\n", "ours.probes.yaml:1:44: there is no rule 'hrd'"),
        ("- a\n", "the file must be a mapping"),
    ):
        beside.write_text(text)
        with pytest.raises(PolicyError) as caught:
            load_probes(str(file), policy)
        assert message in str(caught.value), str(caught.value)


async def test_a_probe_of_a_tenant_is_judged_under_its_own_view(pipeline: Pipeline) -> None:
    """What the policy lets everybody reach, a tenant's view may not: the same request passes under one alone."""
    tenants = "tenants: {lab: {forbid: [cloud], models: [home, lan, eu]}}\n"
    both = "".join(
        f"  - {{name: {tenant}, text: Name three fruits that are red., tenant: {tenant}, must_not_reach: [cloud]}}\n"
        for tenant in ("lab", "default")
    )
    text = BASE + tenants + "probes:\n" + both
    policy = compile_policy(text, "p")
    lab, default = await run_probes(policy, probes_of(text, "p", policy), pipeline)
    assert lab.passed
    assert next(miss.got for miss in default.misses) == "escalation may send it there"
