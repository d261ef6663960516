"""Whether only earlier turns keep a request at home, and which of them would have to go. Pure; never widens a decision.

What is not placed in an earlier turn counts as if it stood in the last one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from classifiers.types import Finding, Scan, Signals, Unknown
from policies.decide import decide
from policies.levels import request_level, scan_level
from policies.types import Decision, Facts, Inherited, Level, Policy, Reason, TaintSource

RULE = "history"
_MESSAGE = re.compile(r"/messages/([0-9]{1,9})(?:/|$)")


def message_of(pointer: str) -> int:
    """The index of the message that a pointer stands in; -1 for another part of the body."""
    match = _MESSAGE.match(pointer)
    return int(match[1]) if match else -1


@dataclass(frozen=True, slots=True)
class Blame:
    """Earlier turns alone keep a request at home: these messages, for this reason."""

    messages: frozenset[int]
    reason: Reason
    leaves: bool  # without them it would go out at once, and not only later


def blame(
    policy: Policy,
    facts: Facts,
    signals: Signals,
    decision: Decision,
    *,
    earlier: Collection[int],
    tainted: Sequence[Inherited],
) -> Blame | None:
    """The fewest messages among `earlier` without which this request could leave; None when it can, or never could.

    `tainted` is what they bring in beside what was found.
    """
    facts = replace(facts, release=None)  # what was agreed to is the whole request
    if decision.grants or not earlier or facts.taint_source in ("unavailable", "forgotten"):
        return None
    told_apart = _Messages(policy, signals.scan, frozenset(earlier), tainted)
    for bearable in (Level.CONFIDENTIAL, Level.INTERNAL, Level.PUBLIC):
        messages = frozenset(index for index, level in told_apart.levels.items() if level > bearable)
        if not messages:
            continue
        rest = decide(policy, *told_apart.part(facts, signals, messages, is_kept=False))
        if rest.grants:
            facts, signals = told_apart.part(facts, signals, messages, is_kept=True)
            _, reasons = request_level(policy, replace(signals, values={}), facts)
            why = "; ".join(reason.why for reason in reasons if reason.matched is not False)
            return Blame(messages, Reason(RULE, True, why), rest.route != "local")
    return None


class _Messages:
    """What was found, unknown and inherited, by message; only earlier ones are told apart."""

    def __init__(self, policy: Policy, scan: Scan, earlier: frozenset[int], tainted: Sequence[Inherited]) -> None:
        self._earlier = earlier
        self._tainted = tainted
        self.levels: dict[int, Level] = {each.message: each.level for each in tainted if each.message in earlier}
        found: dict[int, tuple[list[Finding], list[Unknown]]] = {}
        for finding in scan.findings:
            found.setdefault(self._message(finding.pointer), ([], []))[0].append(finding)
        for unknown in scan.unknowns:
            found.setdefault(self._message(unknown.pointer), ([], []))[1].append(unknown)
        for index, (findings, unknowns) in found.items():
            if index >= 0:
                level = scan_level(policy, Scan(tuple(findings), tuple(unknowns)))
                self.levels[index] = max(level, self.levels.get(index, Level.PUBLIC))

    def part(self, facts: Facts, signals: Signals, messages: frozenset[int], *, is_kept: bool) -> tuple[Facts, Signals]:
        """Facts and signals as if there were only these earlier messages, or everything but them."""

        def keeps(index: int) -> bool:
            return (index in messages) is is_kept

        scan = signals.scan
        held = [index for index, each in enumerate(scan.findings) if keeps(self._message(each.pointer))]
        kept = replace(
            scan,
            findings=tuple(scan.findings[index] for index in held),
            unknowns=tuple(each for each in scan.unknowns if keeps(self._message(each.pointer))),
        )
        inherited = [each for each in self._tainted if keeps(each.message if each.message in self._earlier else -1)]
        level = max((each.level for each in inherited), default=Level.PUBLIC)
        kept_level = max((each.kept for each in inherited), default=Level.PUBLIC)
        places = tuple(f"/messages/{each.message}" for each in inherited if each.message >= 0)
        source: TaintSource = "answer" if level else ""
        replaceable = frozenset(at for at, index in enumerate(held) if index in facts.replaceable)
        facts = replace(
            facts, taint=level, taint_kept=kept_level, taint_source=source, taint_at=places, replaceable=replaceable
        )
        return facts, replace(signals, scan=kept)

    def _message(self, pointer: str) -> int:
        """The earlier message that a pointer stands in, else -1."""
        index = message_of(pointer)
        return index if index in self._earlier else -1
