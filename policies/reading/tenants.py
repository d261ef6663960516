"""From `tenants` to a view of the policy for each: the same policy, tightened. What would loosen is an error.

The check is static: each word against the file's own, and then the whole view against the static proof.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from policies.comparing.proof import beyond
from policies.conditions import ready
from policies.errors import suggest
from policies.reading.cache import read_tenant_cache, tighter_rule_cache
from policies.reading.limits import read_tighter
from policies.reading.notes import Notes
from policies.reading.release import read_tenant_release
from policies.reading.retention import read_tenant_days
from policies.reading.rules import check_forbid, check_order
from policies.reading.sensitivity import Sensitivity, level_of, own_names, with_more_rules
from policies.reading.words import check_entity
from policies.shape.tenants import TenantEgressPart, TenantPart, TenantSensitivityPart
from policies.text.document import Path
from policies.types import EgressRule, Level, Limits, Measured, Model, Payload, Policy, Rule, Test

RULE = "tenant"  # the name of the rule that a tenant's own `forbid` is

_RANK: dict[Payload, int] = {"none": 0, "pseudonymized": 1, "full": 2}


def read_tenants(
    tenants: Mapping[str, TenantPart], policy: Policy, entities: Collection[str], notes: Notes
) -> dict[str, Policy]:
    """A view of `policy` for each tenant. `entities` are those that detectors can produce."""
    views = {}
    for name, part in tenants.items():
        reading = _Reading(("tenants", name), policy, notes)
        views[name] = view = reading.view(name, part, entities)
        for message in beyond(policy, view):
            notes.problem(("tenants", name), message, at_key=True)
    return views


@dataclass(frozen=True, slots=True)
class _Reading:
    path: Path
    base: Policy
    notes: Notes

    def view(self, name: str, part: TenantPart, entities: Collection[str]) -> Policy:
        base = self.base
        models, local, cloud = self.models(part)
        sensitivity = self.sensitivity(part.sensitivity, entities)
        return replace(
            base,
            tenant=name,
            models=models,
            default_local=local,
            default_cloud=cloud,
            egress=self.egress(part.egress),
            rules=self.rules(part, models),
            levels=sensitivity.levels,
            min_score=sensitivity.min_score,
            on_unknown=sensitivity.on_unknown,
            scan_rules=sensitivity.rules,
            release=read_tenant_release(self.path, part.release, base.release, self.notes),
            cache=read_tenant_cache(self.path, part.cache, part.retention, base.cache, self.notes),
            audit=part.audit or base.audit,
            limits=self.limits(part),
            retention_days=read_tenant_days(self.path, part.retention, base.retention_days, self.notes),
        )

    def limits(self, part: TenantPart) -> Limits:
        at = (*self.path, "limits")
        return self.base.limits if part.limits is None else read_tighter(at, part.limits, self.base.limits, self.notes)

    # -- models ----------------------------------------------------------------------------------------------------

    def models(self, part: TenantPart) -> tuple[Mapping[str, Model], str, str | None]:
        """Those that it may use, in the order of the file, and the defaults among them."""
        base = self.base
        if part.models is None:
            return base.models, base.default_local, base.default_cloud
        for index, name in enumerate(part.models):
            if name not in base.models:
                self.problem("models", index, why=f"there is no model '{name}'{suggest(name, base.models)}")
        models = {name: model for name, model in base.models.items() if name in part.models}
        local = _first(part.models, models, "local", base.default_local)
        if local is None:
            self.problem("models", why="one of them must be local: requests that may not leave need a home")
        return models, local or base.default_local, _first(part.models, models, "cloud", base.default_cloud)

    # -- egress ----------------------------------------------------------------------------------------------------

    def egress(self, part: TenantEgressPart) -> dict[Level, EgressRule]:
        rules = dict(self.base.egress)
        said = False
        for level in Level:
            entry = getattr(part, level.word)
            if entry is None:
                continue
            said = True
            at: Path = (*self.path, "egress", level.word)
            own = rules.get(level, EgressRule("none"))
            payload = entry.payload or own.payload
            if _RANK[payload] > _RANK[own.payload]:
                self.notes.problem((*at, "payload"), f"the file lets {level.word} leave as {own.payload} at most")
            localities = frozenset(entry.localities or own.localities)
            if own.payload != "none" and not localities <= own.localities:
                more = ", ".join(sorted(localities - own.localities))
                self.notes.problem((*at, "localities"), f"the file does not let {level.word} reach {more}")
            regions = own.regions if entry.regions is None else frozenset(entry.regions)
            if own.regions is not None and regions is not None and not regions <= own.regions:
                more = ", ".join(sorted(regions - own.regions))
                self.notes.problem((*at, "regions"), f"the file does not let {level.word} reach region {more}")
            required = own.require | frozenset(entry.require)
            rules[level] = replace(own, payload=payload, localities=localities, regions=regions, require=required)
        if said:
            check_order(rules, self.notes, (*self.path, "egress"))
        return rules

    # -- sensitivity -----------------------------------------------------------------------------------------------

    def sensitivity(self, part: TenantSensitivityPart, entities: Collection[str]) -> Sensitivity:
        """What is sensitive: all that the file says, and more."""
        base = self.base
        own = own_names(part, self.notes, (*self.path, "sensitivity"))
        known = {*entities, *base.levels, *own}
        for key in ("dictionaries", "patterns"):
            for index, each in enumerate(getattr(part, key)):
                if each.name in base.levels or each.name in entities:
                    self.problem(
                        "sensitivity", key, index, "name", why=f"'{each.name}' has a meaning in the file already"
                    )
        return Sensitivity(
            levels={**base.levels, **self.levels(part, own, known), **own},
            min_score={**base.min_score, **self.min_score(part, known)},
            on_unknown={**base.on_unknown, **self.on_unknown(part)},
            rules=with_more_rules(base.scan_rules, part, self.notes, (*self.path, "sensitivity")),
        )

    def levels(self, part: TenantSensitivityPart, own: Mapping[str, Level], known: Collection[str]) -> dict[str, Level]:
        levels: dict[str, Level] = {}
        for level in Level:
            for index, entity in enumerate(getattr(part.levels, level.word)):
                at: Path = (*self.path, "sensitivity", "levels", level.word, index)
                check_entity(at, entity, known, self.notes)
                before = self.base.levels.get(entity, Level.CONFIDENTIAL)
                if entity in own:
                    self.notes.problem(at, f"'{entity}' is a dictionary or pattern: its level stands there")
                elif entity in levels:
                    self.notes.problem(at, f"'{entity}' is listed twice (also as {levels[entity].word})")
                elif level < before:
                    self.notes.problem(
                        at, f"'{entity}' counts as {before.word} in the file: a tenant may only raise it"
                    )
                levels[entity] = level
        return levels

    def min_score(self, part: TenantSensitivityPart, known: Collection[str]) -> dict[str, float]:
        for entity, score in part.min_score.items():
            at: Path = (*self.path, "sensitivity", "min_score", entity)
            check_entity(at, entity, known, self.notes, at_key=True)
            before = self.base.min_score.get(entity, 0.0)
            if score > before:
                self.notes.problem(at, f"'{entity}' counts from {before:g} in the file: a tenant may only lower that")
        return {entity: float(score) for entity, score in part.min_score.items()}

    def on_unknown(self, part: TenantSensitivityPart) -> dict[str, Level]:
        levels = {str(kind): level_of(entry.counts_as) for kind, entry in part.on_unknown.items()}
        for kind, level in levels.items():
            before = self.base.on_unknown.get(kind, Level.RESTRICTED)
            if level < before:
                why = f"{kind} is {before.word} in the file: a tenant may only raise it"
                self.problem("sensitivity", "on_unknown", kind, "counts_as", why=why)
        return levels

    # -- rules -----------------------------------------------------------------------------------------------------

    def rules(self, part: TenantPart, models: Mapping[str, Model]) -> tuple[Rule, ...]:
        raises = part.sensitivity != TenantSensitivityPart()
        rules = [_kept(rule, self.base, models, raises=raises) for rule in self.base.rules]
        rules = [tighter_rule_cache(rule, part.cache, part.retention) for rule in rules]
        if part.forbid:
            check_forbid((*self.path, "forbid"), part.forbid, self.base.models, self.notes)
            rules.insert(0, ready(Rule(RULE, 0, None, None, frozenset(part.forbid))))
        return tuple(rules)

    def problem(self, *rest: str | int, why: str) -> None:
        self.notes.problem((*self.path, *rest), why)


def _first(listed: list[str], models: Mapping[str, Model], locality: str, usual: str | None) -> str | None:
    """The file's default where it is among them, else the first that the tenant lists."""
    own = [name for name in listed if name in models and models[name].locality == locality]
    return usual if usual in own else own[0] if own else None


def _kept(rule: Rule, base: Policy, models: Mapping[str, Model], *, raises: bool) -> Rule:
    """A rule of the file in a view: it must hold back whatever it held back before."""
    home = base.models.get(rule.route or "")
    if home is not None and home.locality == "local" and home.name not in models:
        return replace(rule, route="local")  # what it keeps at home stays there, with another model
    if raises and rule.forbid and rule.test is not None and "sensitivity" in rule.reads:
        demands = tuple(leaf for leaf in rule.demands if leaf.signal != "sensitivity")
        return replace(rule, test=_at_any_level_below(rule.test), demands=demands)
    return rule


def _at_any_level_below(test: Test) -> Test:
    """Holds if it would at this level or a lower one: what counts as more here must not slip out of a forbid."""

    def holds(measured: Measured) -> bool | None:
        found = [test(replace(measured, level=level)) for level in Level if level <= measured.level]
        return True if True in found else None if None in found else False

    return holds
