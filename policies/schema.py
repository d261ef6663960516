"""From the text of a policy to a checked, frozen `Policy`; and, run as a module, the JSON Schema for editors.

Nothing is ever ignored: what is unknown, doubtful or not available yet refuses the file, with its place.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from pydantic import ValidationError

from classifiers.registry import producible_entities
from policies.calendar import Calendar
from policies.comparing.extending import check_tightens
from policies.comparing.loosenings import loosenings
from policies.comparing.proof import reachable, violations
from policies.errors import PolicyError
from policies.escalation import EscalationPolicy
from policies.lawful import lawful_payload
from policies.reading.allowances import read_budgets, read_rates
from policies.reading.cache import read_cache
from policies.reading.complaints import complaints
from policies.reading.escalation import read_escalation
from policies.reading.fallback import read_fallback
from policies.reading.limits import read_limits
from policies.reading.models import read_aliases, read_defaults, read_models, read_networks
from policies.reading.notes import Notes
from policies.reading.probes import check_probes
from policies.reading.release import read_release
from policies.reading.rules import read_egress, read_rules
from policies.reading.sensitivity import read_sensitivity
from policies.reading.serving import read_default_serving
from policies.reading.tenants import read_tenants
from policies.reading.tools import read_tools
from policies.shape.file import PolicyFile
from policies.text.chain import Written, parents_of, read_chain
from policies.text.document import Document, parse
from policies.text.editors import json_schema
from policies.text.merging import merge
from policies.text.sources import recipes
from policies.types import Level, Model, Policy, Rule

__all__ = ["PolicyError", "compile_policy", "load_policy", "read_policy"]


def load_policy(name: str) -> Policy:
    """The policy of a recipe's name or a file, as it is today. Raises `PolicyError`."""
    return read_policy(name)[0]


def read_policy(name: str) -> tuple[Policy, Document]:
    """The same, with the places of what it was read from. Raises `PolicyError`."""
    return _compile(read_chain(name), producible_entities(), datetime.now(UTC).date())


def compile_policy(
    text: str,
    source: str,
    entities: Collection[str] | None = None,
    *,
    today: date | None = None,
    parents: Sequence[Written] = (),
) -> Policy:
    """The policy that `text` is. `source` names it in messages; `entities` are those that detectors can produce.
    What expires by `today` is void and a warning; without a day, whatever expires at all is. `parents` are the texts
    of what it extends, the nearest first; recipes may be left out.

    Raises `PolicyError` with every problem, each as `file:line:column: what is wrong`.
    """
    known = producible_entities() if entities is None else entities
    return _compile((Written(source, text), *parents), known, today)[0]


def compile_parsed(parsed: str, source: str, *, today: date | None = None) -> Policy:
    """The policy that another process has compiled already, from its `Policy.parsed`: a tenth of the work, for the YAML
    is most of it. It is checked again, but for what it may not loosen of what it extends.

    Raises `PolicyError`, whose places mean nothing.
    """
    document = Document(json.loads(parsed))
    policy, notes = _checked(document, source, producible_entities(), today)
    return replace(policy, warnings=notes.warnings)


def _compile(chain: Sequence[Written], entities: Collection[str], today: date | None) -> tuple[Policy, Document]:
    """The first of the chain over what it extends, which must be a policy by itself."""
    source = chain[0].source
    document = parse(chain[0].text, source)
    above = parents_of(document, chain)
    parent: Policy | None = None
    if above:
        parent, extended = _compile(above, entities, today)
        document = merge(document, extended, above[0].source)
    policy, notes = _checked(document, source, entities, today)
    if parent is not None:
        check_tightens(parent, policy, document, notes, is_recipe=above[0].source in recipes())
        notes.raise_problems()
    _warn(policy, notes)
    return replace(policy, warnings=notes.warnings), document


def _checked(document: Document, source: str, entities: Collection[str], today: date | None) -> tuple[Policy, Notes]:
    """What one document says by itself, with the warnings so far."""
    try:
        file = PolicyFile.model_validate(document.value)
    except ValidationError as error:
        raise PolicyError(source, complaints(error, document)) from None
    notes, parsed = Notes(document, source), _canonical(document.value)
    digest = hashlib.sha256(parsed.encode()).hexdigest()
    policy = _assemble(file, source, digest, entities, notes, Calendar(today))
    policy = replace(policy, tenants=read_tenants(file.tenants, policy, entities, notes), parsed=parsed)
    notes.raise_problems()
    return policy, notes


def _assemble(
    file: PolicyFile, source: str, digest: str, entities: Collection[str], notes: Notes, calendar: Calendar
) -> Policy:
    networks = read_networks(file, notes)
    models = read_models(file, networks, notes)
    default_local, default_cloud = read_defaults(file, models, notes)
    fallback = read_fallback(("defaults", "fallback"), file.defaults.fallback, None, models, notes)
    aliases = read_aliases(file, models, notes)
    sensitivity = read_sensitivity(file, entities, notes, calendar)
    egress = read_egress(file.egress, models, notes)
    serving = read_default_serving(file, notes)
    escalation = read_escalation(file.escalation, models, notes)
    rules = read_rules(file, models, serving, escalation, notes)
    cache = read_cache(file, notes)
    if file.approvals.loosening and file.policy.source == "file":
        notes.problem(
            ("approvals",), "approvals need `policy: {source: store}`: a file can be changed by one", at_key=True
        )
    rates, budgets = read_rates(file.rates, notes), read_budgets(file.budgets, models, notes)
    release = read_release(file.release, notes)
    check_probes(file.probes, models, [rule.name for rule in rules], notes)
    notes.raise_problems()
    policy = Policy(
        version=file.version,
        digest=digest,
        source=source,
        mode=file.mode,
        models=models,
        default_local=default_local,
        default_cloud=default_cloud,
        default_fallback=fallback or (),
        aliases=aliases,
        lan_networks=tuple(str(network) for network in networks),
        levels=sensitivity.levels,
        min_score=sensitivity.min_score,
        on_unknown=sensitivity.on_unknown,
        scan_rules=sensitivity.rules,
        egress=egress,
        rules=rules,
        escalation=escalation,
        cache=cache,
        tools=read_tools(file.tools),
        limits=read_limits(file.limits),
        audit=file.audit,
        on_pinned_denied=file.on_pinned_denied,
        fallback_local_unavailable=file.fallback.local_unavailable,
        headers_after_seconds=float(file.headers_after),
        default_serving=serving,
        price_per_kwh=file.energy.price_per_kwh if file.energy is not None else None,
        retention_days=file.retention.records_days,
        notice=file.notice,
        notice_by_key=file.notice_by_key,
        history=file.history,
        kept_in=file.policy.source,
        approvals_loosening=file.approvals.loosening,
        rates=rates,
        budgets=budgets,
        release=release,
        reads=_reads(models, rules, escalation),
        loosenings=loosenings(file, calendar),
        next_expiry=calendar.next_expiry,
    )
    check_proof(policy, notes)
    return policy


def _reads(models: Mapping[str, Model], rules: Sequence[Rule], escalation: EscalationPolicy) -> frozenset[str]:
    read = {name for rule in rules for name in rule.reads}
    read |= {signal for model in models.values() for signal, _ in model.good_at}
    terms = (escalation, *(rule.escalation for rule in rules))
    has_target = any(each is not None and each.target is not None for each in terms)
    return frozenset(read | {"task"}) if has_target else frozenset(read)  # promises are made by task


def check_proof(policy: Policy, notes: Notes) -> None:
    """The last check: raises `PolicyError` for what must never be, should an earlier one have let it pass."""
    for message in violations(policy):
        notes.problem(("egress",), message, at_key=True)
    notes.raise_problems()


def _canonical(value: Any) -> str:
    """What the file says: comments, spacing, quoting and the order of the top-level keys do not count, the order of
    entries does. The SHA-256 of it is the policy's digest."""
    ordered = {key: value[key] for key in PolicyFile.model_fields if key in value}
    return json.dumps(ordered, separators=(",", ":"), ensure_ascii=False)


def _warn(policy: Policy, notes: Notes) -> None:
    """What is lawful to write and most likely not meant: models and features that nothing can ever reach."""
    cells = reachable(policy)
    reached = {cell.model for cell in cells if cell.payload != "none" or cell.released_by}
    for name, model in policy.models.items():
        if name not in reached:
            why = lawful_payload(policy, Level.PUBLIC, model, None)[1]
            notes.warn(("models", name), f"nothing may ever reach '{name}': {why}", at_key=True)
    for level in sorted(policy.release.levels if policy.release is not None else ()):
        if not any(cell.released_by for cell in cells if cell.level is level):
            why = "a lower level may not reach its models whole, or nothing of it needs a release"
            notes.warn(("release", "levels"), f"no model can be reached by releasing {level.word}: {why}", at_key=True)
    words = {word for name in reached for word in (name, policy.models[name].locality)}
    escalation = policy.escalation
    if escalation.may_escalate and escalation.via is None and words.isdisjoint(escalation.to):
        said = " or ".join(escalation.to)
        notes.warn(("escalation",), f"no {said} model can be reached, so nothing will escalate", at_key=True)
    if "cloud" in words:
        return
    if policy.fallback_local_unavailable == "cloud":
        notes.warn(("fallback",), "no cloud model can be reached, so nothing will fall back", at_key=True)


if __name__ == "__main__":
    sys.stdout.write(json_schema())
