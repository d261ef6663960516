"""Probes: requests with the decision that a policy must come to, and the judgement whether it does. Pure.

A probe is judged on a decision that was made as for any other request. Its text never stands in a judgement.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from classifiers.types import Signals
from policies.decide import decide
from policies.types import Decision, Facts, Policy


@dataclass(frozen=True, slots=True)
class Expected:
    """What must come of a request; None and empty: anything may."""

    route: str | None = None
    model: str | None = None
    rule: str | None = None  # as `Decision.reason`
    sensitivity: str | None = None
    payload: str | None = None
    held: str | None = None
    may_escalate: bool | None = None
    finds: tuple[str, ...] = ()
    finds_not: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Probe:
    """A request with its expected decision. `body` is a chat-completions body."""

    name: str
    line: int
    body: Mapping[str, Any] = field(repr=False)
    expected: Expected = Expected()
    must_not_reach: tuple[str, ...] = ()  # lan, cloud, names of models outside
    local_only: bool = False
    tenant: str = "default"
    unavailable: tuple[str, ...] = ()
    local_wait_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Miss:
    """One expectation that is not met."""

    what: str
    expected: str
    got: str


def judge(probe: Probe, policy: Policy, facts: Facts, signals: Signals, decision: Decision) -> tuple[Miss, ...]:
    """What of the probe's expectations the decision does not meet; nothing: it passes.

    `facts` and `signals` are those that the decision was made of.
    """
    return (*_missed(probe.expected, signals, decision), *_reached(probe, policy, facts, signals, decision))


def _missed(expected: Expected, signals: Signals, decision: Decision) -> Iterator[Miss]:
    pairs = (
        ("route", expected.route, decision.route),
        ("model", expected.model, decision.model),
        ("rule", expected.rule, decision.reason),
        ("sensitivity", expected.sensitivity, decision.sensitivity.word),
        ("payload", expected.payload, decision.payload),
        ("held", expected.held, decision.held),
        ("may_escalate", expected.may_escalate, decision.escalation is not None),
    )
    for what, wanted, got in pairs:
        if wanted is not None and wanted != got:
            yield Miss(what, _word(wanted), _word(got))
    found = {finding.entity_type for finding in signals.scan.findings}
    for entity in expected.finds:
        if entity not in found:
            yield Miss("finds", entity, ", ".join(sorted(found)) or "nothing")
    for entity in expected.finds_not:
        if entity in found:
            yield Miss("finds_not", f"no {entity}", entity)


def _word(value: str | bool | None) -> str:
    return {True: "yes", False: "no", None: "none"}[value] if not isinstance(value, str) else value


def _reached(probe: Probe, policy: Policy, facts: Facts, signals: Signals, decision: Decision) -> Iterator[Miss]:
    for name in models_of(policy, probe.must_not_reach):
        how = _way(name, policy, facts, signals, decision)
        if how is not None:
            yield Miss("must_not_reach", f"no way to '{name}'", how)


def _way(name: str, policy: Policy, facts: Facts, signals: Signals, decision: Decision) -> str | None:
    """How a request can get to a model outside: as it is, later, or for a caller who asks for the model by name."""
    if decision.model == name:
        return "it goes there"
    for grant in decision.grants:
        if grant.model == name:
            return f"{grant.purpose} may send it there"
    named = decide(policy, replace(facts, requested=name), signals)
    return "it goes there when a caller asks for it by name" if named.model == name else None


def models_of(policy: Policy, names: Iterable[str]) -> tuple[str, ...]:
    """The models that names and localities mean, each once; nothing at home."""
    wanted = set(names)
    return tuple(
        model.name
        for model in policy.models.values()
        if model.locality != "local" and (model.name in wanted or model.locality in wanted)
    )
