"""What of a policy can never do anything: rules that cannot match or never decide, models that nothing leads to. Pure.

Part of the static proof. It says nothing where it is not sure: what it names is idle whatever a request holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from policies.comparing.extents import Extent, covers, extents, has_any, levels_of
from policies.comparing.proof import reachable
from policies.text.document import Path
from policies.types import Level, Model, Policy, Rule

COMPARED = 300  # rules that are compared with one another: each with all that stand above it


@dataclass(frozen=True, slots=True)
class Idle:
    """One thing that does nothing. `path` names rules by their names: `("decisions", NAME)`."""

    path: Path
    why: str


@dataclass(frozen=True, slots=True)
class _Read:
    """A rule with the ways in which it holds, and the models outside and at home that it is about."""

    rule: Rule
    ways: tuple[Extent, ...] | None
    models: frozenset[str]
    acts_on_unknown: bool  # a forbid, and a route that leads home


def idle(policy: Policy) -> tuple[Idle, ...]:
    """All of it: rules by falling priority, then models in the order of the file."""
    reach = frozenset(
        (cell.level, cell.model) for cell in reachable(policy) if cell.payload != "none" or cell.released_by
    )
    read = [_read(policy, rule) for rule in policy.rules]
    found = []
    for index, each in enumerate(read):
        why = _never(each) or _bars_nothing(each, reach) or _reaches_nothing(each, reach)
        if not why and index < COMPARED:
            why = _forbidden(each, read[:COMPARED]) if each.rule.route else _forbidden_already(each, read[:index])
            why = why or (_decided_above(each, read[:index], policy) if each.rule.route else "")
        if why:
            found.append(Idle(("decisions", each.rule.name), why))
    return (*found, *_unused(policy, reach))


def _read(policy: Policy, rule: Rule) -> _Read:
    models = _models(policy, rule)
    leads_home = all(policy.models[name].locality == "local" for name in models)
    return _Read(rule, extents(rule.when), models, acts_on_unknown=bool(rule.forbid) or leads_home)


def _models(policy: Policy, rule: Rule) -> frozenset[str]:
    words = rule.forbid if rule.route is None else {rule.route}
    return frozenset(name for name, model in policy.models.items() if name in words or model.locality in words)


def _never(each: _Read) -> str:
    if each.ways != ():
        return ""
    why = "no request can match it: its bounds exclude one another"
    return f"{why}; it counts only while a signal that it names is unavailable" if each.acts_on_unknown else why


def _levels(each: _Read) -> frozenset[Level]:
    if each.ways is None:
        return frozenset(Level)
    return frozenset(level for way in each.ways for level in levels_of(way))


def _bars_nothing(each: _Read, reach: frozenset[tuple[Level, str]]) -> str:
    if not each.rule.forbid or any((level, name) in reach for level in _levels(each) for name in each.models):
        return ""
    return "it forbids what nothing could reach anyway"


def _reaches_nothing(each: _Read, reach: frozenset[tuple[Level, str]]) -> str:
    if each.rule.forbid or any((level, name) in reach for level in _levels(each) for name in each.models):
        return ""
    levels = ", ".join(level.word for level in sorted(_levels(each)))
    return f"it leads where nothing that it matches may go ({levels} to {', '.join(sorted(each.models))})"


def _forbidden(each: _Read, read: Sequence[_Read]) -> str:
    for other in read:
        is_met = not other.rule.cel and covers(other.ways, each.ways)
        if other.rule.forbid and each.models <= other.models and is_met:
            return f"'{other.rule.name}' forbids its target whenever it matches"
    return ""


def _forbidden_already(each: _Read, above: Sequence[_Read]) -> str:
    for other in above:
        if other.rule.forbid and each.models <= other.models and _holds_for_all(other, each):
            return f"'{other.rule.name}' forbids the same already whenever it matches"
    return ""


def _decided_above(each: _Read, above: Sequence[_Read], policy: Policy) -> str:
    """A route that holds whenever this one does, and is asked first."""
    for other in above:
        if not other.rule.route or not _holds_for_all(other, each):
            continue
        named = f"'{other.rule.name}' (priority {other.rule.priority}), which matches whenever it does"
        if each.models <= other.models and each.rule.fallback == other.rule.fallback:
            return f"{named}, leads to the same models first"
        if other.acts_on_unknown:
            return f"{named}, keeps the request at home first: it decides only where no such model can answer"
    return ""


def _holds_for_all(other: _Read, each: _Read) -> bool:
    """Whether `other` holds whenever `each` acts: for some rules that is also while a signal is unavailable.

    What excludes itself is no extent, yet unknown with its signal: an `any` could hide it, so it is not judged there.
    """
    if other.rule.cel or not covers(other.ways, each.ways):  # what CEL says nobody can compare
        return False
    return not each.acts_on_unknown or other.rule.when is None or not has_any(each.rule.when)


def _unused(policy: Policy, reach: frozenset[tuple[Level, str]]) -> list[Idle]:
    """Models outside that may be reached, and to which only a caller's own word leads."""
    words = {rule.route for rule in policy.rules} | {target for _, target in policy.aliases}
    words |= {word for rule in policy.rules for word in rule.fallback or ()} | set(policy.default_fallback)
    terms = (policy.escalation, *(rule.escalation for rule in policy.rules))
    words |= {word for each in terms if each is not None and each.may_escalate for word in each.to}
    words |= {"cloud"} if policy.fallback_local_unavailable == "cloud" else set()
    return [
        Idle(
            ("models", name), "no rule, alias, escalation or fallback leads to it: only callers who name it, or need it"
        )
        for name, model in policy.models.items()
        if _is_unused(model, words, reach)
    ]


def _is_unused(model: Model, words: set[str | None], reach: frozenset[tuple[Level, str]]) -> bool:
    if model.locality == "local" or not any((level, model.name) in reach for level in Level):
        return False  # home stands in for home; what nothing may reach is told at load
    return model.name not in words and model.locality not in words
