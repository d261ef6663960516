"""What holds a request back, as data for records: types, rules and kinds of places; never a value. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from classifiers.types import Scan
from policies.candidates import SENSITIVITY
from policies.levels import place, scan_level
from policies.tools import TOOLS
from policies.types import Decision, Level, Policy

_SHOWN = 4  # kinds of places of one cause

CauseKind = Literal["finding", "unknown", "rule", "earlier_turns", "tools"]


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing without which the request might have gone out: an entity type, a kind of unknown, a rule, a tool."""

    kind: CauseKind
    name: str
    count: int = 1
    places: tuple[str, ...] = ()  # the most frequent first; indices are `*`, but that of the first message


def causes(policy: Policy, decision: Decision, scan: Scan) -> tuple[Cause, ...]:
    """What holds back a request of this decision, which was held or refused."""
    found: list[Cause] = []
    if decision.held is None or decision.reason == SENSITIVITY:
        found += _of_level(policy, decision.sensitivity, scan)
    if decision.held is None or decision.reason != SENSITIVITY:
        forbids = {rule.name for rule in policy.rules if rule.forbid}
        names = (reason.rule for reason in decision.reasons if reason.matched is not False and reason.rule in forbids)
        found += [Cause("rule", name) for name in dict.fromkeys(names)]
        found += [Cause("tools", TOOLS)] if decision.reason == TOOLS else []
    return tuple(found)


def _of_level(policy: Policy, level: Level, scan: Scan) -> list[Cause]:
    """What gave the request its level."""
    if level is Level.PUBLIC:
        return []
    findings: dict[str, list[str]] = {}
    for finding in scan.findings:
        counts = not finding.score < policy.min_score.get(finding.entity_type, 0.0)
        if counts and policy.levels.get(finding.entity_type, Level.CONFIDENTIAL) is level:
            findings.setdefault(finding.entity_type, []).append(finding.pointer)
    unknowns: dict[str, list[str]] = {}
    for unknown in scan.unknowns:
        if policy.on_unknown.get(unknown.kind, Level.RESTRICTED) is level:
            unknowns.setdefault(unknown.kind, []).append(unknown.pointer)
    found = [_cause("finding", name, pointers) for name, pointers in findings.items()]
    found += [_cause("unknown", name, pointers) for name, pointers in unknowns.items()]
    if scan_level(policy, scan) < level:
        found.append(Cause("earlier_turns", "earlier turns"))
    return found


def _cause(kind: CauseKind, name: str, pointers: list[str]) -> Cause:
    return Cause(kind, name, len(pointers), _kinds_of_places(pointers))


def _kinds_of_places(pointers: Iterable[str]) -> tuple[str, ...]:
    counted = Counter(_general(place(pointer)) or "/" for pointer in pointers)
    return tuple(name for name, _ in counted.most_common(_SHOWN))


def _general(pointer: str) -> str:
    """A pointer without its indices, but for the first message's: what stands there comes with every request."""
    parts = pointer.split("/")
    return "/".join(
        "*" if part.isdigit() and not (part == "0" and index == 2 and parts[1] == "messages") else part
        for index, part in enumerate(parts)
    )
