"""The sensitivity of a request: the maximum over findings, unknowns and what was inherited. Pure.

Only here do entity types become levels. What is not listed counts as confidential, what could not be checked as
restricted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from classifiers.types import Finding, Scan, Signals
from classifiers.vocabulary import MEANINGS
from policies.types import Facts, Level, Policy, Reason

_DIGITS = 5  # of an index in a list; longer digits could be a value that stands as a key
_SHOWN = 3  # places named for one entity type
# A key of the caller's own (in `metadata`, in a schema) is content: only these words of the API are repeated.
_API_TEXT = """arguments audio content default description enum examples file function function_call functions image_url
    input_audio items json_schema messages metadata model name parameters prediction properties refusal response_format
    role schema stop system text title tool_call_id tool_calls tool_choice tools type url user"""
_API_WORDS = frozenset(_API_TEXT.split())


def scan_level(policy: Policy, scan: Scan) -> Level:
    """The level of one scanned body: unlisted entities are confidential, unlisted unknowns restricted."""
    level = Level.PUBLIC
    for finding in scan.findings:
        counted = policy.levels.get(finding.entity_type, Level.CONFIDENTIAL)
        # `not <`: a score that is not a number counts.
        if counted > level and not finding.score < policy.min_score.get(finding.entity_type, 0.0):
            level = counted
    for unknown in scan.unknowns:
        level = max(level, policy.on_unknown.get(unknown.kind, Level.RESTRICTED))
    return level


def counted_level(policy: Policy, level: Level, finding: Finding) -> Level | None:
    """The level of one finding in a request at `level` whose values get placeholders; None for one that is no matter.

    That is one below its `min_score`, and a meaning that the egress rule of `level` lets out.
    """
    if finding.score < policy.min_score.get(finding.entity_type, 0.0):
        return None
    rule = policy.egress.get(level)
    if rule is not None and finding.entity_type in MEANINGS and finding.entity_type in rule.meaning_may_leave:
        return None
    return policy.levels.get(finding.entity_type, Level.CONFIDENTIAL)


def kept_level(
    policy: Policy, level: Level, scan: Scan, replaceable: Collection[int] = (), taint: Level = Level.PUBLIC
) -> tuple[Level | None, str]:
    """The level of what no placeholder can stand for in a request at `level`, and what that is; None: nothing.

    That is every finding whose index is not in `replaceable`, every unknown, and what was inherited.
    """
    kept: list[tuple[Level, str]] = [(taint, "what earlier turns brought in")] if taint > Level.PUBLIC else []
    for index, finding in enumerate(scan.findings):
        if index not in replaceable:
            counted = counted_level(policy, level, finding)
            if counted is not None:
                kept.append((counted, f"{finding.entity_type} at {place(finding.pointer) or '/'}"))
    for unknown in scan.unknowns:
        counted = policy.on_unknown.get(unknown.kind, Level.RESTRICTED)
        kept.append((counted, f"{unknown.kind} at {place(unknown.pointer) or '/'}"))
    return max(kept, key=lambda pair: pair[0], default=(None, ""))


def request_level(policy: Policy, signals: Signals, facts: Facts) -> tuple[Level, list[Reason]]:
    """The level of a request and the reasons for it, the gravest first."""
    level = max(scan_level(policy, signals.scan), facts.taint)
    measured = signals.values.get("sensitivity")
    reasons = _explain(policy, signals.scan) if signals.scan.findings or signals.scan.unknowns else []
    if facts.taint > Level.PUBLIC:
        reasons.append((facts.taint, _inherited(facts)))
    if measured is not None and measured.error is not None:
        level = Level.RESTRICTED
        reasons.append((level, Reason("sensitivity", None, f"restricted: the scan failed ({measured.error})")))
    if len(reasons) > 1:
        reasons.sort(key=lambda pair: -pair[0])
    return level, [reason for _, reason in reasons]


def _inherited(facts: Facts) -> Reason:
    if facts.taint_source == "unavailable":
        why = "taint_unavailable: what earlier answers were made from cannot be looked up now"
        return Reason("sensitivity", None, f"{facts.taint.word}: {why}")
    if facts.taint_source == "forgotten":
        why = "taint_forgotten: too many answers were marked, so earlier turns count as what was forgotten"
        return Reason("sensitivity", None, f"{facts.taint.word}: {why}")
    held = f" at {_places(facts.taint_at)}" if facts.taint_at else ""
    return Reason("sensitivity", True, f"{facts.taint.word}: inherited from an earlier answer{held}")


def place(pointer: str) -> str:
    """A JSON pointer without the caller's own keys: fit for messages, which hold no content."""
    return "/".join([part if part in _API_WORDS or _is_index(part) else "*" for part in pointer.split("/")])


def _is_index(part: str) -> bool:
    return not part or (len(part) <= _DIGITS and part.isascii() and part.isdecimal())


def _explain(policy: Policy, scan: Scan) -> list[tuple[Level, Reason]]:
    found: dict[str, list[str]] = {}
    ignored: dict[str, list[str]] = {}
    for finding in scan.findings:
        counts = not finding.score < policy.min_score.get(finding.entity_type, 0.0)
        (found if counts else ignored).setdefault(finding.entity_type, []).append(finding.pointer)
    reasons = []
    for entity, pointers in found.items():
        level = policy.levels.get(entity, Level.CONFIDENTIAL)
        reasons.append((level, Reason("sensitivity", True, f"{level.word}: {entity} at {_places(pointers)}")))
    for entity in ignored:
        why = f"{entity} stays below its min_score {policy.min_score[entity]:g}"
        reasons.append((Level.PUBLIC, Reason("sensitivity", False, why)))
    unread: dict[str, list[str]] = {}
    for unknown in scan.unknowns:
        unread.setdefault(unknown.kind, []).append(unknown.pointer)
    for kind, pointers in unread.items():
        level = policy.on_unknown.get(kind, Level.RESTRICTED)
        why = f"{level.word}: {kind} at {_places(pointers)} could not be checked"
        reasons.append((level, Reason("sensitivity", None, why)))
    return reasons


def _places(pointers: Iterable[str]) -> str:
    names = list(dict.fromkeys([place(pointer) or "/" for pointer in pointers]))
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
