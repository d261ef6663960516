"""What answers in place of a model outside that fails: the fallback list of its rule, or of `defaults`. Pure.

Each model of a list is judged like any other for this very request: only lawful, able ones that are there come after.
"""

from __future__ import annotations

from collections.abc import Iterator

from policies.candidates import Target, first_ready
from policies.choosing import Case, Choice
from policies.types import Rule

FALLBACK = "fallback"  # the header's word, where the list was followed


def fallbacks(case: Case, choice: Choice) -> tuple[Target, ...]:
    """The models that are tried, in this order, when the chosen one outside fails before its first byte."""
    if choice.target is None or choice.target.is_home or choice.reason == "pinned":
        return ()
    ready = {each.model.name: each for each in _listed(case, choice.by) if each.is_ready}
    ready.pop(choice.target.model.name, None)
    return tuple(ready.values())


def stand_in(case: Case, rule: Rule, targets: list[Target]) -> Choice | None:
    """Where a route goes whose model could have the request and is not there now; None where nothing stands in."""
    if not any(each.is_lawful and each.is_able and not each.is_home for each in targets):
        return None
    target = first_ready(_listed(case, rule))
    if target is None:
        return None
    case.note(rule.name, True, f"{rule.route} is not there; falls back to {target.model.name}")
    return Choice(target, reason=FALLBACK, rule=rule.name, by=rule)


def _listed(case: Case, rule: Rule | None) -> Iterator[Target]:
    own = rule.fallback if rule is not None else None
    words = case.policy.default_fallback if own is None else own
    for word in words:
        yield from case.targets.named(word)
