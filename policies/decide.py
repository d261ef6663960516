"""The decision about one request, and the permit for one exit. Pure: no I/O, no clock, no state.

Sensitivity decides which models are lawful before anything is chosen; nothing here may make a barred model lawful.
"""

from __future__ import annotations

from classifiers.types import Scan, Signals
from policies import refusals, tools
from policies.candidates import AUTO, SENSITIVITY, Target, first_ready, resolve
from policies.choosing import (
    Case,
    Choice,
    Held,
    Purpose,
    go_home,
    keep,
    may_follow,
    note_specialist,
    pinned,
    second_home,
    serving_of,
    straight_out,
    terms_of,
)
from policies.conditions import Evaluator, unmatched
from policies.falling_back import fallbacks, stand_in
from policies.gate import Gate
from policies.hopping import hops
from policies.lawful import lawful_payload
from policies.levels import kept_level, request_level, scan_level
from policies.prepared import prepare
from policies.reading import limits
from policies.releasing import lifted, standing
from policies.staying import stay
from policies.types import (
    CachePolicy,
    Decision,
    EgressPermit,
    Facts,
    Grant,
    Level,
    Payload,
    Policy,
    Reason,
    Refusal,
    Release,
    Rule,
)

DIGEST_BYTES = 32  # BLAKE2b-256


def decide(policy: Policy, facts: Facts, signals: Signals) -> Decision:
    """The whole plan for a request: one route, the grants for every exit that may follow, and all reasons."""
    level, reasons = request_level(policy, signals, facts)
    ready = prepare(policy)
    evaluator = Evaluator(signals.values, level)
    forbidden = _forbidden(ready.forbids, evaluator, reasons)
    kept = _kept(policy, facts, level, signals, reasons)
    release = standing(policy, facts, level, signals, reasons)
    targets = ready.targets(facts, level, forbidden, kept, signals, release)
    case = Case(policy, facts, level, evaluator, reasons, targets, release)
    for reason, refused in ((limits.LIMITS, limits.refused), (tools.TOOLS, tools.refused)):
        refusal = refused(policy, facts)
        if refusal is not None:
            return _decision(case, Choice(reason=reason, refusal=refusal))
    asked = resolve(policy, facts.requested)
    if asked is None:
        return _decision(case, Choice(reason="pinned", refusal=refusals.model_not_found(policy)))
    if asked != AUTO:
        return _decision(case, pinned(case, asked))
    choice = _limited(case, straight_out(case, _routed(ready.routes, case)))
    return _decision(case, _shadowed(case, choice) if policy.mode == "shadow" else choice)


def permit(policy: Policy, decision: Decision, grant: Grant, digest: bytes, scan: Scan) -> EgressPermit | Refusal:
    """Leave to write the bytes with this digest (BLAKE2b-256) to the grant's model, or a refusal.

    `scan` is what the detectors said about those very bytes, but for placeholders that egress itself put there; their
    level is taken anew, and the graver of it and the decision's counts. What is found beside placeholders must be
    lawful as it is. A grant of another policy or another decision gives nothing. A permit that only a release makes
    lawful names it.
    """
    model = policy.models.get(grant.model)
    if not policy.digest == decision.policy_digest == grant.policy_digest or grant not in decision.grants:
        return _no_permit("the grant is not one of this decision under this policy")
    if policy.tenant != decision.tenant:
        return _no_permit("the decision was made under another tenant's view of the policy")
    if model is None or model.locality == "local":
        return _no_permit("the grant names no model outside")
    if len(digest) != DIGEST_BYTES:
        return _no_permit("the digest is not a BLAKE2b-256 digest")
    level = max(decision.sensitivity, scan_level(policy, scan))
    kept = kept_level(policy, level, scan)[0] if grant.payload == "pseudonymized" else Level.RESTRICTED
    payload, why = lawful_payload(policy, level, model, kept)
    release: Release | None = None
    if payload == "none" or payload != grant.payload:
        release = lifted(policy, decision, grant, level, scan)
        if release is None:
            return _no_permit(why or f"{level.word} may not leave as {grant.payload}")
    return EgressPermit(grant.model, grant.payload, digest, grant.rule, grant.policy_digest, grant.purpose, release)


def _no_permit(why: str) -> Refusal:
    return Refusal("policy_denied", 403, f"The policy gives no permit for what would leave: {why}.")


def _kept(policy: Policy, facts: Facts, level: Level, signals: Signals, reasons: list[Reason]) -> Level | None:
    """The level of what no placeholder can stand for, where the request's level may leave with placeholders at all."""
    rule = policy.egress.get(level)
    if rule is None or rule.payload != "pseudonymized":
        return Level.RESTRICTED
    measured = signals.values.get("sensitivity")
    if measured is not None and measured.error is not None:
        return Level.RESTRICTED
    kept, what = kept_level(policy, level, signals.scan, facts.replaceable, facts.taint_kept)
    if kept is not None:
        reasons.append(Reason(SENSITIVITY, True, f"no placeholder can stand for {what}"))
    return kept


def _forbidden(forbids: Gate, evaluator: Evaluator, reasons: list[Reason]) -> dict[str, str]:
    """What is forbidden, by which rule: all forbids are read, and an unknown one forbids."""
    forbidden: dict[str, str] = {}
    for rule in forbids.asked(evaluator.measured, reasons):
        holds = evaluator.holds(rule)
        if holds is False:
            reasons.append(unmatched(rule))
            continue
        unknown = "unknown, so it forbids: " if holds is None else ""
        reasons.append(
            Reason(rule.name, holds, f"{unknown}{evaluator.why(rule)}; forbids {', '.join(sorted(rule.forbid))}")
        )
        for entry in rule.forbid:
            forbidden.setdefault(entry, rule.name)
    return forbidden


def _routed(routes: Gate, case: Case) -> Choice:
    """The highest-priority lawful route, else home."""
    held: Held | None = None
    for rule in routes.asked(case.evaluator.measured, case.reasons):
        holds = case.evaluator.holds(rule)
        if holds is False:
            case.reasons.append(unmatched(rule))
            continue
        targets = case.targets.named(rule.route or "")
        target = _target(case, rule, holds, targets)
        if target is not None:
            choice = Choice(target, reason=rule.name, rule=rule.name, by=rule)
            return keep(choice, held) if target.is_home else choice
        standing_in = stand_in(case, rule, targets) if holds else None
        if standing_in is not None:
            return standing_in
        if holds and held is None and targets and not any(each.is_lawful for each in targets):
            held = Held(rule.name, targets[0].barred)
    staying, kept = stay(case)
    held = held or kept
    choice = staying or go_home(case, closed=_SHADOW if case.policy.mode == "shadow" else "")
    return keep(choice, held) if choice.target is not None and choice.target.is_home else choice


def _limited(case: Case, choice: Choice) -> Choice:
    """The choice, unless the request is too big for the limits of the rule that made it."""
    rule, facts = choice.by, case.facts
    if rule is None or rule.limits is None:
        return choice
    refusal = limits.beyond(rule.limits, facts, 0 if facts.bounded else facts.output_tokens, f"the rule '{rule.name}'")
    return choice if refusal is None else Choice(reason=limits.LIMITS, rule=rule.name, refusal=refusal)


_SHADOW = "mode shadow answers 'auto' at home"


def _target(case: Case, rule: Rule, holds: bool | None, targets: list[Target]) -> Target | None:
    """The model that a route leads to now, or None; leaves the reason. An unknown route leads home or nowhere."""
    why = case.evaluator.why(rule)
    if holds is None and not all(target.is_home for target in targets):
        case.note(rule.name, None, f"unknown, so it does not send out: {why}")
        return None
    target = first_ready(targets)
    if target is not None:
        case.note(rule.name, holds, f"{why}; routes to {target.model.name}")
        note_specialist(case, target, targets)
        return target
    candidates = [each.candidate() for each in targets]
    closed = "; ".join(f"not {each.model}: {', '.join(each.why)}" for each in candidates) or f"no model is {rule.route}"
    case.note(rule.name, holds, f"{why}; {closed}")
    return None


def _shadowed(case: Case, choice: Choice) -> Choice:
    """Mode shadow: `auto` is answered at home, and what would have been is noted."""
    would = choice.target.model.locality if choice.target is not None else "refused"
    if choice.target is not None and not choice.target.is_home:
        case.note("shadow", True, f"would have gone to {choice.target.model.name}: {choice.reason}")
        choice = go_home(case, closed=_SHADOW)
    elif choice.refusal is not None and choice.reason == limits.LIMITS:
        case.note("shadow", True, f"would have been refused by the limits of {choice.rule}")
        choice = go_home(case, closed=_SHADOW)
    choice.shadow_route = would
    return choice


def _decision(case: Case, choice: Choice) -> Decision:
    policy, target = case.policy, choice.target
    is_exit = target is not None and not target.is_home
    answer = _grant(policy, target, choice.rule or choice.reason, choice.purpose) if target and is_exit else None
    escalations, fallback = _later(case, choice)
    escalation = escalations[0] if escalations else None
    terms, second = terms_of(policy, choice.by), second_home(case, choice)
    is_judged = escalation is not None or second is not None
    after = fallbacks(case, choice)
    others = [_grant(policy, each, choice.rule or choice.reason, "fallback") for each in after if not each.is_home]
    payload: Payload = target.payload if target is not None and is_exit else "none"
    # Neither an answer with its values nor one with placeholders, which only its own request can read, is kept.
    cache = policy.cache if choice.by is None or choice.by.cache is None else choice.by.cache
    is_harmless = case.level <= Level.INTERNAL and not case.facts.no_store and payload != "pseudonymized"
    grants = tuple(grant for grant in (answer, *escalations, fallback, *others) if grant is not None)
    release = case.release if any(case.release and grant.model == case.release.model for grant in grants) else None
    is_kept = cache.mode != "off" and is_harmless and target is not None and release is None
    return Decision(
        route=target.model.locality if target is not None else "refused",
        model=target.model.name if target is not None else None,
        rule=choice.rule,
        reason=choice.reason,
        payload=payload,
        sensitivity=case.level,
        policy_digest=policy.digest,
        grants=grants,
        escalation=escalation,
        further=escalations[1:],
        threshold=terms.threshold if is_judged else 0.0,
        stream=terms.stream,
        terms=terms,
        via=second.model.name if second is not None else None,
        races=escalation is not None and _races(case),
        fallback=fallback,
        after=tuple(each.model.name for each in after),
        serving=serving_of(policy, choice.by),
        held=choice.held,
        cacheable=is_kept,
        cache_seconds=cache.ttl_seconds,
        cache_similarity=cache.similarity if is_kept and _is_plain_question(case, cache) else None,
        max_output_tokens=choice.by.limits.max_output_tokens if choice.by and choice.by.limits else None,
        refusal=choice.refusal,
        candidates=case.targets.candidates(),
        reasons=tuple(case.reasons),
        shadow_route=choice.shadow_route,
        tenant=policy.tenant,
        release=release,
    )


def _is_plain_question(case: Case, cache: CachePolicy) -> bool:
    """Whether what another question was answered may do for this one: a public one, in words alone, all of it read."""
    facts = case.facts
    has_more = facts.needs or facts.unknown_fields or facts.tools or facts.taint is not Level.PUBLIC
    return cache.mode == "semantic" and case.level is Level.PUBLIC and not has_more


def _later(case: Case, choice: Choice) -> tuple[tuple[Grant, ...], Grant | None]:
    """The grants for escalations and fallback of an `auto` request that begins at home."""
    if choice.target is None or not choice.target.is_home or not choice.may_escalate:
        return (), None
    policy = case.policy
    judged = hops(terms_of(policy, choice.by), case.targets) if may_follow(case, choice) else ()
    falls_back = choice.may_leave_later and policy.fallback_local_unavailable == "cloud"
    cloud = first_ready(case.targets.at("cloud")) if falls_back else None
    return (
        tuple(_grant(policy, each, "escalation", "escalation") for each in judged),
        _grant(policy, cloud, "fallback", "fallback") if cloud is not None else None,
    )


def _races(case: Case) -> bool:
    """Whether the escalation is asked for at once: a complexity that is not known sends nothing out."""
    bound = case.policy.escalation.race_from
    value = case.evaluator.number("complexity") if bound is not None else None
    if bound is None or value is None or value < bound:
        return False
    case.note("race", True, f"complexity {value:.2f} is at least {bound:g}: the cloud is asked beside home")
    return True


def _grant(policy: Policy, target: Target, rule: str, purpose: Purpose) -> Grant:
    return Grant(target.model.name, target.payload, rule, policy.digest, purpose)
