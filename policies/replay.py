"""A decision record read back: the facts and signals that `decide` saw, and what came of them. Pure, no content.

What a record does not say is taken as it may be at worst for leaving: nothing is made up that could keep a request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from classifiers.types import Finding, Scan, Signal, Signals, Unknown
from classifiers.vocabulary import MEANINGS
from policies.types import Facts, Level, Payload, Release, Route, TaintSource

_EXITS = ("lan", "cloud")
_NOTHING: frozenset[str] = frozenset()
_LEVELS = {level.word: level for level in Level}
_UNLISTED = "\x00unlisted"  # a tool that no pattern of the policy then in force named
_CLEAN = Scan()


class NotReplayable(Exception):
    """A record that holds no decision (a request refused before it was parsed), or one of another form."""


@dataclass(frozen=True, slots=True)
class Before:
    """What the record says came of the request. Costs in USD, times in milliseconds; None: not known."""

    route: Route
    model: str | None  # that the decision named
    rule: str
    payload: Payload
    granted: frozenset[str]  # models that a later exit (escalation, fallback) was granted for
    left: bool  # bytes did leave
    confidence: float | None
    answered_by: str | None
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    latency_ms: float | None

    @property
    def goes_out(self) -> bool:
        """Whether it left at once, or did so afterwards."""
        return self.route in _EXITS or self.left


@dataclass(frozen=True, slots=True)
class Replayed:
    """One request as `decide` can see it again."""

    id: str
    facts: Facts
    signals: Signals
    before: Before


def replay(record: Mapping[str, Any]) -> Replayed:
    """The request of one decision record. Raises `NotReplayable`."""
    try:
        facts, decision, outcome = record["facts"], record["decision"], record["outcome"]
        scan, replaceable = _scan(record)
        return Replayed(
            str(record["id"]),
            _facts(facts, record, replaceable),
            Signals({name: _signal(name, value) for name, value in record["signals"].items()}, scan),
            _before(decision, outcome, record),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise NotReplayable(type(error).__name__) from None


def _facts(facts: Mapping[str, Any], record: Mapping[str, Any], replaceable: frozenset[int]) -> Facts:
    unknown_fields, tools, answered_by = facts["unknown_fields"], facts.get("tools"), facts.get("answered_by")
    taint = facts["taint"]
    return Facts(
        tenant=str(record["principal"]["tenant"]),
        requested=_requested(facts["requested"]),
        local_only=bool(facts["local_only"]),
        locked=bool(facts.get("locked")),
        stream=bool(facts["stream"]),
        needs=frozenset(facts["needs"]) if facts["needs"] else _NOTHING,
        hints=frozenset(facts["hints"]) if facts["hints"] else _NOTHING,
        unknown_fields=_fields(int(unknown_fields)) if unknown_fields else _NOTHING,
        tools=tuple([_tool(name) for name in tools]) if tools else (),
        messages=int(facts.get("messages", 0)),
        input_tokens=int(facts["input_tokens"]),
        output_tokens=int(facts["output_tokens"]),
        bounded=facts.get("bounded") is not False,
        unavailable=dict(facts["unavailable"]),
        no_store=bool(facts["no_store"]),
        answered_by=tuple([str(name) for name in answered_by]) if answered_by else (),
        waits=dict(facts.get("waits", ())),
        release=_release(released) if (released := facts.get("release")) else None,
        replaceable=replaceable,
        taint=_LEVELS[taint],
        taint_kept=_LEVELS[facts.get("taint_kept", taint)],
        taint_source=cast(TaintSource, facts["taint_source"] or ""),
    )


def _fields(count: int) -> frozenset[str]:
    return frozenset([f"field {index}" for index in range(count)])


def _tool(name: object) -> str:
    return _UNLISTED if name is None else str(name).removesuffix("*")


def _release(told: Mapping[str, Any]) -> Release:
    """What the caller brought: a candidate that releases the same would have let it out too."""
    return Release(told["id"], told["model"], _LEVELS[told["level"]])


def _requested(name: object) -> str:
    """The name that was asked for; of an alias, one that it fits; a name that nobody knew stays unknown."""
    if type(name) is str:
        return name
    if isinstance(name, Mapping):
        return str(name.get("alias", "\x00unknown")).removesuffix("*")
    return str(name)


def _signal(name: str, recorded: Mapping[str, Any]) -> Signal:
    if "error" in recorded:
        return Signal(name, error=str(recorded["error"]))
    value = recorded["value"]
    if type(value) is float or type(value) is int:
        return Signal(name, value)
    return _word(name, tuple(value) if isinstance(value, list) else value)


@lru_cache(maxsize=1024, typed=True)
def _word(name: str, value: bool | str | tuple[str, ...] | None) -> Signal:
    """A signal that is a flag or labels: of these there are few, and records many."""
    return Signal(name, frozenset(value) if isinstance(value, tuple) else value)


def _scan(record: Mapping[str, Any]) -> tuple[Scan, frozenset[int]]:
    """One finding a type, with its highest score, and a second one where not all could be replaced.

    Where a record does not tell, because nothing could leave with placeholders then, all could be but a meaning.
    """
    findings: list[Finding] = []
    replaceable: set[int] = set()
    for entity, entry in record["findings"].items():
        kept = entry.get("kept", entry["score"] if entity in MEANINGS else None)
        if kept is None or kept < entry["score"]:
            replaceable.add(len(findings))
            findings.append(_finding(entity, entry["score"]))
        if kept is not None:
            findings.append(_finding(entity, kept))
    unknowns = tuple([Unknown(kind, "") for kind, count in record["unknowns"].items() if count])
    if not findings and not unknowns:
        return _CLEAN, frozenset()
    return Scan(tuple(findings), unknowns), frozenset(replaceable)


def _finding(entity: str, score: float) -> Finding:
    return Finding(entity, "", "value", 0, 0, float(score), "record", 0)


def _before(decision: Mapping[str, Any], outcome: Mapping[str, Any], record: Mapping[str, Any]) -> Before:
    tokens = outcome["tokens"]
    answered_by = outcome["model"]
    used = tokens.get(answered_by) or next(iter(tokens.values()), {"input": 0, "output": 0})
    target = decision["target"]
    return Before(
        route=decision["route"],
        model=target["model"] if target else None,
        rule=str(decision["rule"] or decision["reason"]),
        payload=decision["payload"],
        granted=frozenset([grant["model"] for grant in decision["grants"] if grant["purpose"] != "answer"]),
        left=outcome["bytes_left"] > 0,
        confidence=outcome["confidence"],
        answered_by=answered_by,
        input_tokens=int(used["input"]),
        output_tokens=int(used["output"]),
        cost_usd=outcome["cost_usd"],
        latency_ms=record.get("latency_ms"),
    )
