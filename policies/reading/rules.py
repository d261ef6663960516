"""From `egress` and `decisions` to compiled rules, with the checks that compare them with the models and each other.

The one that matters most: a higher level may never reach what a lower one may not, and restricted never a cloud.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from classifiers.vocabulary import MEANINGS
from policies.cel import problem_of
from policies.conditions import ready
from policies.errors import nearest, suggest
from policies.escalation import EscalationPolicy
from policies.reading.cache import read_rule_cache
from policies.reading.escalation import read_rule_escalation
from policies.reading.fallback import check_place, read_fallback
from policies.reading.limits import read_limits, read_tighter
from policies.reading.notes import Notes
from policies.reading.retention import read_rule_retention
from policies.reading.serving import read_rule_serving
from policies.reading.when import read_when
from policies.serving import Serving
from policies.shape.escalation import EscalationPart
from policies.shape.file import PolicyFile
from policies.shape.rules import DecisionPart, EgressPart, EgressRulePart
from policies.text.document import Path
from policies.types import EgressRule, Level, Limits, Model, Payload, Rule

_PAYLOADS: tuple[Payload, ...] = ("none", "pseudonymized", "full")
_LOCALITIES = ("local", "lan", "cloud")
# What `x-gatehouse-reason` says when no rule decided.
RESERVED = (
    *("default", "pinned", "sensitivity", "capability", "escalation", "fallback", "shadow", "local-only"),
    *("race", "affinity", "specialist", "tenant", "tools", "limits"),
)


def read_egress(part: EgressPart, models: Mapping[str, Model], notes: Notes) -> dict[Level, EgressRule]:
    """The egress rules by level."""
    rules = {}
    for level in Level:
        entry: EgressRulePart | None = getattr(part, level.word)
        if entry is None:
            continue
        rules[level] = EgressRule(
            payload=entry.payload,
            localities=frozenset(entry.localities),
            regions=None if entry.regions is None else frozenset(entry.regions),
            require=frozenset(entry.require),
            meaning_may_leave=frozenset(each.entity for each in entry.meaning_may_leave),
        )
        _check_meanings(("egress", level.word, "meaning_may_leave"), entry, notes)
        _check_words(("egress", level.word), entry, models, notes)
    _check_restricted(rules.get(Level.RESTRICTED), notes)
    check_order(rules, notes)
    return rules


def _check_restricted(rule: EgressRule | None, notes: Notes) -> None:
    if rule is not None and rule.payload != "none" and "cloud" in rule.localities:
        notes.problem(
            ("egress", "restricted"),
            "restricted may never reach a cloud: payload none, or localities [lan]",
            at_key=True,
        )


def check_order(rules: Mapping[Level, EgressRule], notes: Notes, at: Path = ("egress",)) -> None:
    """A problem where a higher level may do what a lower one may not; `at` is where the rules stand."""
    for lower, higher in zip(list(Level), list(Level)[1:], strict=False):
        above, below = rules.get(higher), rules.get(lower, EgressRule("none"))
        if above is None or above.payload == "none":
            continue
        problem = _exceeds(above, below)
        if problem:
            message = f"{higher.word} may {problem} although {lower.word}, which is less sensitive, may not"
            notes.problem((*at, higher.word), message, at_key=True)


def _exceeds(above: EgressRule, below: EgressRule) -> str | None:
    """What the rule of a higher level allows beyond that of a lower one."""
    if _PAYLOADS.index(above.payload) > _PAYLOADS.index(below.payload):
        return f"leave {above.payload}"
    if not above.localities <= below.localities:
        return f"reach {', '.join(sorted(above.localities - below.localities))}"
    if below.regions is not None:
        if above.regions is None:
            return "reach any region"
        if not above.regions <= below.regions:
            return f"reach region {', '.join(sorted(above.regions - below.regions))}"
    if below.payload == "pseudonymized" and not above.meaning_may_leave <= below.meaning_may_leave:
        return f"leave with {', '.join(sorted(above.meaning_may_leave - below.meaning_may_leave))}"
    missing = below.require - above.require
    return f"leave without {', '.join(sorted(missing))}" if missing else None


def _check_meanings(path: Path, entry: EgressRulePart, notes: Notes) -> None:
    for index, each in enumerate(entry.meaning_may_leave):
        if each.entity not in MEANINGS:
            hint = suggest(each.entity, MEANINGS)
            notes.problem((*path, index, "entity"), f"'{each.entity}' is not the meaning of a segment{hint}")
    if entry.meaning_may_leave and entry.payload != "pseudonymized":
        notes.warn(path, f"with payload {entry.payload} these meanings change nothing", at_key=True)


def _check_words(path: Path, entry: EgressRulePart, models: Mapping[str, Model], notes: Notes) -> None:
    """A region or attribute that no model has never matches; a near miss is probably a slip."""
    regions = {model.region for model in models.values() if model.region}
    attributes = {word for model in models.values() for word in model.attributes}
    for key, words, known in (("regions", entry.regions or [], regions), ("require", entry.require, attributes)):
        for index, word in enumerate(words):
            if word not in known and nearest(word, known):
                notes.warn((*path, key, index), f"no model has '{word}'{suggest(word, known)}")


def read_rules(
    file: PolicyFile, models: Mapping[str, Model], usual: Serving, escalation: EscalationPolicy, notes: Notes
) -> tuple[Rule, ...]:
    """The rules by falling priority."""
    if "escalation" not in file.model_fields_set:
        escalation = replace(escalation, max_hops=EscalationPart.model_fields["max_hops"].default)
    rules = []
    names: set[str] = set()
    priorities: dict[int, str] = {}
    for index, part in enumerate(file.decisions):
        path: Path = ("decisions", index)
        if part.name in names:
            notes.problem((*path, "name"), f"'{part.name}' is the name of another rule already")
        names.add(part.name)
        if part.name in RESERVED:
            notes.problem((*path, "name"), f"'{part.name}' may not be a rule's name: it is a reason of its own")
        if (part.route is None) == (part.forbid is None):
            notes.problem(path, f"'{part.name}' must have exactly one of 'route' and 'forbid'")
        _check_priority(path, part, priorities, notes)
        _check_route(path, part, models, notes)
        check_forbid((*path, "forbid"), part.forbid or (), models, notes)
        when = read_when(part.when, (*path, "when"), notes) if "when" in part.model_fields_set else None
        forbid = frozenset(part.forbid or ())
        check_place((*path, "fallback"), part.fallback, part.route, models, notes)
        fallback = read_fallback((*path, "fallback"), part.fallback, part.route, models, notes)
        cache = read_rule_cache(path, part, file, notes)
        cel = _read_cel((*path, "cel"), part.cel, notes)
        serving = read_rule_serving(path, part, usual, models, notes)
        limits, days = _read_limits(path, part, file, notes), read_rule_retention(path, part, file, notes)
        rule = Rule(
            part.name, part.priority or 0, when, part.route, forbid, fallback, cache, cel, serving, limits, days
        )
        terms = read_rule_escalation(path, part, escalation, models, notes)
        rules.append(ready(replace(rule, escalation=terms)))
    # The name settles ties among forbids, so that the order in the file never matters.
    return tuple(sorted(rules, key=lambda rule: (-rule.priority, rule.name)))


def _read_limits(path: Path, part: DecisionPart, file: PolicyFile, notes: Notes) -> Limits | None:
    if part.limits is None:
        return None
    here = (*path, "limits")
    if part.route is None:
        notes.problem(here, "only a route has limits: a forbid answers nothing", at_key=True)
    return read_tighter(here, part.limits, read_limits(file.limits), notes)


def _read_cel(path: Path, expression: str | None, notes: Notes) -> str | None:
    problem = problem_of(expression) if expression is not None else None
    if problem is not None:
        notes.problem(path, problem)
        return None
    return expression


def _check_priority(path: Path, part: DecisionPart, priorities: dict[int, str], notes: Notes) -> None:
    if part.route is None:
        return
    if part.priority is None:
        notes.problem(path, f"'priority' is missing in the route '{part.name}'")
        return
    if part.priority in priorities:
        other = priorities[part.priority]
        notes.problem((*path, "priority"), f"the route '{other}' has the priority {part.priority} already")
    priorities[part.priority] = part.name


def _check_route(path: Path, part: DecisionPart, models: Mapping[str, Model], notes: Notes) -> None:
    if part.route is None or part.route in models:
        return
    if part.route in _LOCALITIES:
        if not any(model.locality == part.route for model in models.values()):
            notes.problem((*path, "route"), f"no model has the locality {part.route}")
        return
    words = (*_LOCALITIES, *models)
    notes.problem((*path, "route"), f"'{part.route}' is no locality and no model{suggest(part.route, words)}")


def check_forbid(path: Path, forbid: Sequence[str], models: Mapping[str, Model], notes: Notes) -> None:
    """Problems of a list of what is forbidden, which stands at `path`."""
    for index, entry in enumerate(forbid):
        here = (*path, index)
        model = models.get(entry)
        if entry == "local" or (model is not None and model.locality == "local"):
            notes.problem(here, "home is never forbidden, or a fault would drive requests out: route elsewhere instead")
        elif model is None and entry not in _LOCALITIES:
            words = ("lan", "cloud", *(name for name, each in models.items() if each.locality != "local"))
            notes.problem(here, f"'{entry}' is no locality and no model{suggest(entry, words)}")
