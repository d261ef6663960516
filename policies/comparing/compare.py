"""What one policy allows, holds or sends otherwise than another, in words, from the files alone. Pure.

Whether a difference loosens is judged by what it may do at worst: a doubtful one counts as loosening.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from policies.comparing.allowances import allowed
from policies.comparing.narrowing import is_narrower
from policies.comparing.proof import reachable
from policies.comparing.release import release_differences
from policies.comparing.serving import is_sooner, served
from policies.comparing.tools import tools_differences
from policies.conditions import needs
from policies.tenants import view_of
from policies.types import CachePolicy, Level, Model, Payload, Policy, Rule

Direction = Literal["loosens", "sends out", "tightens", "changes"]
_RANK: dict[Payload, int] = {"none": 0, "pseudonymized": 1, "full": 2}
_DESTINATION = ("locality", "backend", "base_url", "proxy", "region", "attributes", "model")
_SETTINGS = (
    "version",
    "default_local",
    "default_cloud",
    "aliases",
    "limits",
    "retention_days",
    "headers_after_seconds",
    "notice",
    "notice_by_key",
)


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs. `loosens`: something may leave, or passes unchecked, that did not; `sends out`: more of
    what may leave is sent; `tightens`: the opposite of either; `changes`: none of it."""

    path: str
    direction: Direction
    what: str


def compare(old: Policy, new: Policy) -> tuple[Difference, ...]:
    """Every difference from `old` to `new`, what loosens first."""
    found = _found(old, new)
    for tenant in sorted(old.tenants.keys() | new.tenants.keys()):
        for each in _found(view_of(old, tenant), view_of(new, tenant)):
            if each not in found:  # what differs for everybody is said once
                found.append(replace(each, path=f"tenants.{tenant}.{each.path}"))
    order = {"loosens": 0, "sends out": 1, "tightens": 2, "changes": 3}
    return tuple(sorted(found, key=lambda each: order[each.direction]))


def _found(old: Policy, new: Policy) -> list[Difference]:
    return [
        *_reach(old, new),
        *_levels(old, new),
        *_loosened(old, new),
        *_scanned(old, new),
        *_models(old, new),
        *_rules(old, new),
        *_ways_out(old, new),
        *(Difference(path, _toward(is_looser), what) for path, is_looser, what in tools_differences(old, new)),
        *(Difference(path, _toward(is_looser), what) for path, is_looser, what in release_differences(old, new)),
        *_settings(old, new),
        *(Difference(path, _toward(is_looser), what) for path, is_looser, what in allowed(old, new)),
    ]


def _toward(is_looser: bool) -> Direction:
    return "loosens" if is_looser else "tightens"


def _reach(old: Policy, new: Policy) -> Iterable[Difference]:
    """The static proof's table, cell by cell; a model that is gone reaches nothing."""
    before = {(cell.level, cell.model): cell for cell in reachable(old) if cell.locality != "local"}
    after = {(cell.level, cell.model): cell for cell in reachable(new) if cell.locality != "local"}
    for level, model in sorted(before.keys() | after.keys()):
        was = before[level, model].payload if (level, model) in before else "none"
        now = after[level, model].payload if (level, model) in after else "none"
        if was != now:
            path = f"egress.{level.word}"
            what = f"{level.word} to '{model}': {was} -> {now}"
            yield Difference(path, _toward(_RANK[now] > _RANK[was]), what)
        released_was = before[level, model].released_by if (level, model) in before else ""
        released_now = after[level, model].released_by if (level, model) in after else ""
        if bool(released_was) != bool(released_now) and "full" not in (was, now):
            may = "may be" if released_now else "may no longer be"
            yield Difference("release", _toward(bool(released_now)), f"{level.word} {may} released to '{model}'")


def _levels(old: Policy, new: Policy) -> Iterable[Difference]:
    for entity in sorted(old.levels.keys() | new.levels.keys()):
        was = old.levels.get(entity, Level.CONFIDENTIAL)
        now = new.levels.get(entity, Level.CONFIDENTIAL)
        if was != now:
            yield Difference("sensitivity.levels", _toward(now < was), f"{entity}: {was.word} -> {now.word}")
    for entity in sorted(old.min_score.keys() | new.min_score.keys()):
        score_was, score_now = old.min_score.get(entity, 0.0), new.min_score.get(entity, 0.0)
        if score_was != score_now:
            what = f"{entity} counts from a score of {score_was:g} -> {score_now:g}"
            yield Difference("sensitivity.min_score", _toward(score_now > score_was), what)
    for kind in sorted(old.on_unknown.keys() | new.on_unknown.keys()):
        was, now = old.on_unknown.get(kind, Level.RESTRICTED), new.on_unknown.get(kind, Level.RESTRICTED)
        if was != now:
            yield Difference("sensitivity.on_unknown", _toward(now < was), f"{kind}: {was.word} -> {now.word}")


def _loosened(old: Policy, new: Policy) -> Iterable[Difference]:
    """Exceptions and approved texts by what they do: their values are compared, and never shown."""
    for name, was, now in (
        ("sensitivity.exceptions", old.scan_rules.exemptions, new.scan_rules.exemptions),
        ("approved_texts", old.scan_rules.approvals, new.scan_rules.approvals),
    ):
        added, gone = set(now) - set(was), set(was) - set(now)
        if added:
            yield Difference(name, "loosens", f"{len(added)} new or changed: {_named(added)}")
        if gone:
            yield Difference(name, "tightens", f"{len(gone)} gone or changed: {_named(gone)}")
    for level in Level:
        before = old.egress[level].meaning_may_leave if level in old.egress else frozenset()
        after = new.egress[level].meaning_may_leave if level in new.egress else frozenset()
        for entity in sorted(before ^ after):
            what = f"{entity} may {'' if entity in after else 'no longer '}leave pseudonymized"
            yield Difference(f"egress.{level.word}.meaning_may_leave", _toward(entity in after), what)


def _named(entries: Iterable[Any]) -> str:
    return ", ".join(sorted({str(getattr(entry, "entity", None) or getattr(entry, "kind", "")) for entry in entries}))


def _scanned(old: Policy, new: Policy) -> Iterable[Difference]:
    """Dictionaries and patterns: fewer find less. What differs in one may lose something."""
    for name, was, now in (
        ("sensitivity.dictionaries", old.scan_rules.dictionaries, new.scan_rules.dictionaries),
        ("sensitivity.patterns", old.scan_rules.patterns, new.scan_rules.patterns),
    ):
        before: Mapping[str, Any] = {each.name: each for each in was}
        after: Mapping[str, Any] = {each.name: each for each in now}
        for gone in sorted(before.keys() - after.keys()):
            yield Difference(name, "loosens", f"'{gone}' is gone")
        for added in sorted(after.keys() - before.keys()):
            yield Difference(name, "tightens", f"'{added}' is new")
        for kept in sorted(before.keys() & after.keys()):
            if before[kept] != after[kept]:
                grows = _holds_all_of(after[kept], before[kept])
                what = f"'{kept}' has more terms" if grows else f"'{kept}' differs: it may find less"
                yield Difference(name, _toward(not grows), what)
    if old.scan_rules.countries != new.scan_rules.countries:
        fewer = bool(set(old.scan_rules.countries) - set(new.scan_rules.countries)) or not old.scan_rules.countries
        yield Difference("sensitivity.countries", _toward(fewer), "ids of other countries are looked for")


def _holds_all_of(after: Any, before: Any) -> bool:
    terms = getattr(before, "terms", None)
    if terms is None or before.salt != after.salt or before.words > after.words:
        return False
    return set(terms) <= set(after.terms) and set(before.hashes) <= set(after.hashes)


def _models(old: Policy, new: Policy) -> Iterable[Difference]:
    for name in sorted(old.models.keys() | new.models.keys()):
        was, now = old.models.get(name), new.models.get(name)
        if was == now:
            continue
        if was is None or now is None:
            is_exit = (was or now or new.models[name]).locality != "local"
            direction: Direction = "changes" if not is_exit else _toward(was is None)
            yield Difference(f"models.{name}", direction, f"'{name}' is {'new' if was is None else 'gone'}")
        else:
            yield from _model(name, was, now)


def _model(name: str, was: Model, now: Model) -> Iterable[Difference]:
    keys = [key for key in Model.__dataclass_fields__ if getattr(was, key) != getattr(now, key)]
    moved = [key for key in keys if key in _DESTINATION]
    is_exit = was.locality != "local" or now.locality != "local"
    if moved and is_exit:
        yield Difference(f"models.{name}", "loosens", f"what leaves goes elsewhere: {', '.join(moved)}")
        keys = [key for key in keys if key not in moved]
    if keys:
        yield Difference(f"models.{name}", "changes", f"other {', '.join(keys)}")


def _rules(old: Policy, new: Policy) -> Iterable[Difference]:
    before, after = {rule.name: rule for rule in old.rules}, {rule.name: rule for rule in new.rules}
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name), after.get(name)
        if was != now:
            yield Difference(f"decisions.{name}", _rule_direction(was, now, old, new), f"{_said(was)} -> {_said(now)}")


def _rule_direction(was: Rule | None, now: Rule | None, old: Policy, new: Policy) -> Direction:
    if was is not None and was.forbid:
        if all(cell.payload == "none" for cell in reachable(new) if cell.locality != "local"):
            return "changes"  # nothing can leave at all
        may_hold_less = now is None or now.when not in (was.when, None) or now.cel not in (was.cel, None)
        if now is None or may_hold_less or not now.forbid >= was.forbid:
            return "loosens"  # another condition may hold less often
        is_same = (now.forbid, now.when, now.cel) == (was.forbid, was.when, was.cel)
        return "changes" if is_same else "tightens"
    if now is not None and now.forbid:
        return "tightens"
    if was is not None and now is not None and _with_care_of(was, now) == now:
        return "changes"
    if was is not None and now is not None and replace(was, escalation=now.escalation) == now:
        return "sends out" if now.escalation is not None and now.escalation.may_escalate else "tightens"
    if was is None or now is None:
        leads_out = _leads_out(was, old) if was is not None else now is not None and _leads_out(now, new)
        return "sends out" if leads_out is (was is None) else "tightens"
    is_out = _leads_out(now, new)
    if is_out and now.escalation is None and is_narrower(_with_care_of(was, now), now):
        return "tightens"
    return "sends out" if is_out or not _leads_out(was, old) else "tightens"


def _with_care_of(was: Rule, now: Rule) -> Rule:
    """A rule with what changes nothing about where requests go."""
    return replace(was, cache=now.cache, serving=now.serving, limits=now.limits, retention_days=now.retention_days)


def _leads_out(rule: Rule, policy: Policy) -> bool:
    if rule.escalation is not None and rule.escalation.may_escalate:
        return True
    model = policy.models.get(rule.route or "")
    return rule.route != "local" if model is None else model.locality != "local"


def _said(rule: Rule | None) -> str:
    if rule is None:
        return "nothing"
    does = f"route {rule.route}" if rule.route is not None else f"forbid {', '.join(sorted(rule.forbid))}"
    if rule.fallback is not None:
        does += f" with fallback [{', '.join(rule.fallback)}]"
    if rule.cache is not None:
        does += f" {_cached(rule.cache)}"
    if rule.serving is not None:
        does += f" {served(rule.serving)}"
    if rule.limits is not None:
        numbers = ((each.name, getattr(rule.limits, each.name)) for each in fields(rule.limits))
        does += f" with {', '.join(f'{name} {value:,}' for name, value in numbers if value is not None)}"
    if rule.escalation is not None:
        terms = rule.escalation
        does += f" escalating by {f'{terms.target.kind} {terms.target.value:g}' if terms.target else terms.threshold}"
    if rule.retention_days is not None:
        does += f" recorded for {rule.retention_days:,} days"
    when = f" when {needs(rule)}" if needs(rule) else ""
    return f"{does}{when} (priority {rule.priority})"


def _cached(cache: CachePolicy) -> str:
    if cache.mode == "off":
        return "without cache"
    by_meaning = f" by meaning from {cache.similarity:g} on" if cache.mode == "semantic" else ""
    return f"cached{by_meaning} for {cache.ttl_seconds:,} s"


def _ways_out(old: Policy, new: Policy) -> Iterable[Difference]:
    """What else lets more, or less, be sent, or be sent with less care."""
    if old.mode != new.mode:
        direction: Direction = "sends out" if new.mode == "enforce" else "tightens"
        yield Difference("mode", direction, f"{old.mode} -> {new.mode}")
    if old.escalation != new.escalation:
        yield Difference(
            "escalation", "sends out" if _escalates_more(old, new) else "tightens", "other terms of escalation"
        )
    if old.fallback_local_unavailable != new.fallback_local_unavailable:
        is_out = new.fallback_local_unavailable == "cloud"
        what = f"{old.fallback_local_unavailable} -> {new.fallback_local_unavailable}"
        yield Difference("fallback.local_unavailable", "sends out" if is_out else "tightens", what)
    if old.default_fallback != new.default_fallback:
        is_more = not set(new.default_fallback) <= set(old.default_fallback)
        what = f"[{', '.join(old.default_fallback)}] -> [{', '.join(new.default_fallback)}]"
        yield Difference("defaults.fallback", "sends out" if is_more else "tightens", what)
    if old.default_serving != new.default_serving:
        was, now = old.default_serving, new.default_serving
        # Home that would not be done in time to be judged is passed over (`choosing.straight_out`).
        is_out = new.escalation.may_escalate and is_sooner(now, was)
        yield Difference("defaults.deadline", "sends out" if is_out else "changes", f"{served(was)} -> {served(now)}")
    if old.history != new.history:
        yield Difference("history", _toward(new.history == "drop_turns"), f"{old.history} -> {new.history}")
    if old.audit != new.audit:
        yield Difference("audit", _toward(new.audit == "best_effort"), f"{old.audit} -> {new.audit}")
    if old.kept_in != new.kept_in:
        yield Difference("policy.source", _toward(new.kept_in == "file"), f"{old.kept_in} -> {new.kept_in}")
    if old.approvals_loosening != new.approvals_loosening:
        fewer = new.approvals_loosening < old.approvals_loosening
        what = f"a loosening needs {old.approvals_loosening} -> {new.approvals_loosening} approvals"
        yield Difference("approvals.loosening", _toward(fewer), what)
    if old.lan_networks != new.lan_networks:
        added = sorted(set(new.lan_networks) - set(old.lan_networks))
        what = f"counts as lan now: {', '.join(added)}" if added else "fewer addresses count as lan"
        yield Difference("networks.lan", _toward(bool(added)), what)
    if old.on_pinned_denied != new.on_pinned_denied:
        yield Difference("on_pinned_denied", "changes", f"{old.on_pinned_denied} -> {new.on_pinned_denied}")


def _escalates_more(old: Policy, new: Policy) -> bool:
    """What is doubtful counts as more: only fewer hops, or a lower bar, to the same models is not."""
    was, now = old.escalation, new.escalation
    if not now.may_escalate:
        return False
    is_same_way = was.may_escalate and was.to == now.to and now.max_hops <= was.max_hops
    return not (is_same_way and (now.threshold < was.threshold or replace(now, max_hops=was.max_hops) == was))


def _settings(old: Policy, new: Policy) -> Iterable[Difference]:
    if old.cache != new.cache:  # nothing leaves by it: an answer that was given before is given again
        yield Difference("cache", "changes", f"{_cached(old.cache)} -> {_cached(new.cache)}")
    for name in _SETTINGS:
        if getattr(old, name) != getattr(new, name):
            yield Difference(name, "changes", f"{name} differs")
