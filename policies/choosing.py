"""Where a request goes once no rule has sent it anywhere: home, or the model that its caller names. Pure.

A named model is answered by itself or refused, never replaced in silence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from policies import refusals
from policies.candidates import LOCAL_ONLY, LOCKDOWN, Target, Targets, first_ready
from policies.conditions import Evaluator
from policies.escalation import EscalationPolicy
from policies.hopping import hops
from policies.serving import Serving
from policies.types import Facts, Level, Policy, Reason, Refusal, Release, Rule

SPECIALIST = "specialist"  # what the explanation says of a local model that was preferred

Purpose = Literal["answer", "escalation", "fallback"]


@dataclass(slots=True)
class Case:
    """One request while it is decided; `reasons` grows as it goes."""

    policy: Policy
    facts: Facts
    level: Level
    evaluator: Evaluator
    reasons: list[Reason]
    targets: Targets
    release: Release | None = None

    def note(self, rule: str, matched: bool | None, why: str) -> None:
        """Add one line to the explanation."""
        self.reasons.append(Reason(rule, matched, why))


@dataclass(slots=True)
class Choice:
    """Where a request goes, or why nowhere."""

    target: Target | None = None
    reason: str = "default"
    rule: str = ""
    held: str | None = None
    purpose: Purpose = "answer"
    by: Rule | None = None  # the route that decided; what it does not say, the policy's defaults do
    may_leave_later: bool = False  # `auto`, and no rule sent it home: escalation and fallback may follow
    refusal: Refusal | None = None
    shadow_route: str | None = None

    @property
    def may_escalate(self) -> bool:
        """Whether a doubtful answer may be handed on; where a rule sent it home, only if the rule says so."""
        return self.may_leave_later or (self.by is not None and self.by.escalation is not None)


@dataclass(frozen=True, slots=True)
class Held:
    """A route out that was matched and is barred: the rule, and what bars it."""

    rule: str
    barred: str


def serving_of(policy: Policy, by: Rule | None) -> Serving:
    """How long a request may take and in whose turn it is served: as its rule says, else as the defaults say."""
    return by.serving if by is not None and by.serving is not None else policy.default_serving


def keep(choice: Choice, held: Held | None) -> Choice:
    """Say on a choice that stays at home what held it there. A caller's own local-only holds nothing: it is a wish."""
    if held is None:
        return choice
    if held.barred == LOCAL_ONLY:
        choice.reason = "pinned"
    else:
        choice.reason, choice.held = held.barred, held.rule
    return choice


def go_home(case: Case, *, closed: str = "") -> Choice:
    """The default: a local model; where none is able, an exit that is lawful; else what is missing.

    `closed` says why nothing but home may be chosen, where that is so.
    """
    homes = case.targets.at("local")
    target = first_ready(homes)
    if target is not None:
        note_specialist(case, target, homes)
        return Choice(target, may_leave_later=not closed)
    if any(home.is_able for home in homes):
        return _without_home(case, homes, closed)
    exits = case.targets.at("lan", "cloud")
    target = None if closed else first_ready(exits)
    if target is not None:
        lacking = "; ".join(f"{home.model.name}: {', '.join(home.lacks)}" for home in homes)
        case.note("capability", True, f"no local model is able ({lacking})")
        return Choice(target, reason="capability")
    lawful = homes if closed else [*homes, *(each for each in exits if each.is_lawful)]
    barred = [each for each in exits if not each.is_lawful]
    refusal = refusals.none_able(case.level, case.reasons, lawful, barred, closed)
    return Choice(reason="capability", refusal=refusal)


def terms_of(policy: Policy, by: Rule | None) -> EscalationPolicy:
    """By which terms an answer at home is judged: those of its rule, else the policy's."""
    return by.escalation if by is not None and by.escalation is not None else policy.escalation


def is_judged(case: Case, choice: Choice) -> bool:
    """Whether an answer at home is judged at all. With `before` a stream is decided from the signals alone."""
    terms = terms_of(case.policy, choice.by)
    return terms.judges and not (case.facts.stream and terms.stream == "before")


def second_home(case: Case, choice: Choice) -> Target | None:
    """The local model that is asked where the answer of the chosen one is not good enough; lawful for anything.

    Not for what its caller or a rule sent to one model by its name, nor where both answers would come too late.
    """
    home, terms = choice.target, terms_of(case.policy, choice.by)
    is_open = choice.may_escalate or (choice.by is not None and choice.by.route == "local")
    if terms.via is None or home is None or not home.is_home or not is_open or case.policy.mode == "shadow":
        return None
    second = first_ready(case.targets.named(terms.via))
    if second is None or second is home or not is_judged(case, choice):
        return None
    waits = case.facts.waits or {}
    together = waits.get(home.model.name, 0.0) + waits.get(second.model.name, 0.0)
    limit = _deadline_ms(case, second)
    if together > limit:
        why = f"{second.model.name} after {home.model.name} would take {together:.0f} ms, more than {limit:.0f} ms"
        case.note("escalation", False, why)
        return None
    case.note("escalation", True, f"where {home.model.name} is not good enough, {second.model.name} is asked first")
    return second


def straight_out(case: Case, choice: Choice) -> Choice:
    """Out at once, where home could not give its answer in time to be judged, and the cloud may have the request."""
    home, waits = choice.target, case.facts.waits or {}
    if home is None or not home.is_home or not may_follow(case, choice) or home.model.name not in waits:
        return choice
    wait, limit = waits[home.model.name], _deadline_ms(case, home)
    outside = hops(terms_of(case.policy, choice.by), case.targets)
    if not outside or wait <= limit:
        return choice
    case.note("escalation", True, f"{home.model.name} would take {wait:.0f} ms, more than {limit:.0f} ms to be judged")
    return Choice(outside[0], reason="escalation")


def may_follow(case: Case, choice: Choice) -> bool:
    """Whether an answer at home may be followed by one from outside, where that is lawful."""
    terms = terms_of(case.policy, choice.by)
    return choice.may_escalate and case.policy.mode != "shadow" and terms.may_escalate and is_judged(case, choice)


def _deadline_ms(case: Case, home: Target) -> float:
    """How long the answer of a local model may take whose caller may be answered from outside instead."""
    limits, escalation = [home.model.timeout_seconds], case.policy.escalation
    is_by_first_tokens = case.facts.stream and escalation.stream == "commit"
    if escalation.deadline_seconds is not None and not is_by_first_tokens:
        limits.append(escalation.deadline_seconds)
    if case.facts.stream and escalation.stream == "hold":
        limits.append(case.policy.headers_after_seconds)
    due = case.policy.default_serving.seconds_until_answer(stream=case.facts.stream and not is_by_first_tokens)
    if due is not None:
        limits.append(due)
    return min(limits) * 1000


def note_specialist(case: Case, target: Target, among: list[Target]) -> None:
    """Say why this local model, where others would have done."""
    if target.fits and len(among) > 1:
        case.note(SPECIALIST, True, f"{target.model.name} is good at {', '.join(target.fits)}")


def _without_home(case: Case, homes: list[Target], closed: str) -> Choice:
    """A local model is able but not there: the cloud where the policy says so, else a refusal."""
    if case.policy.fallback_local_unavailable == "cloud" and not closed:
        target = first_ready(case.targets.at("cloud"))
        if target is not None:
            case.note("fallback", True, "the local model is not available")
            return Choice(target, reason="fallback", purpose="fallback")
    return _missing_home(case, [home for home in homes if home.is_able])


def _missing_home(case: Case, able: list[Target]) -> Choice:
    if all(home.down == refusals.MISSING_KEY for home in able):
        return Choice(refusal=refusals.missing_key(able[0]))
    stays = _stays(case)
    return Choice(reason="sensitivity" if stays else "default", refusal=refusals.local_down(is_sensitive=stays))


def _stays(case: Case) -> bool:
    """Whether the policy, and neither the caller nor a lock, keeps the request from the cloud."""
    clouds = case.targets.at("cloud")
    if not clouds:
        return case.level > Level.INTERNAL
    return all(target.barred not in ("", LOCAL_ONLY, LOCKDOWN) for target in clouds)


def pinned(case: Case, asked: str) -> Choice:
    """The model or the locality that the caller names, or a refusal."""
    targets = case.targets.named(asked)
    lawful = [target for target in targets if target.is_lawful]
    if not lawful:
        return _denied(case, targets)
    target = first_ready(lawful)
    if target is not None:
        case.note("pinned", True, f"the caller asked for {target.model.name}")
        note_specialist(case, target, lawful)
        return Choice(target, reason="pinned")
    able = [target for target in lawful if target.is_able]
    if not able:
        barred = [target for target in targets if not target.is_lawful]
        return Choice(reason="capability", refusal=refusals.none_able(case.level, case.reasons, lawful, barred))
    if able[0].is_home:
        return _missing_home(case, able)
    curable = [target for target in able if target.down != refusals.MISSING_KEY]
    refusal = refusals.outside_down(case.policy, curable[0]) if curable else refusals.missing_key(able[0])
    return Choice(reason="pinned", refusal=refusal)


def _denied(case: Case, targets: list[Target]) -> Choice:
    held = Held("", targets[0].barred)
    if case.policy.on_pinned_denied == "refuse":
        return keep_reason(Choice(refusal=refusals.denied(case.policy, case.level, case.reasons, targets)), held)
    case.note("pinned", False, f"{targets[0].why}; on_pinned_denied: local answers at home")
    choice = go_home(case, closed="a model that was asked for by name is not replaced by another one outside")
    return keep_reason(choice, held) if choice.target is not None else choice


def keep_reason(choice: Choice, held: Held) -> Choice:
    """What bars the model that was asked for is the reason; nothing of `auto` was held."""
    keep(choice, held)
    choice.held = None
    return choice
