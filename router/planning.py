"""From a request to its decision: classify, gather facts, decide. Shared by gateway and `explain`; calls no model."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from classifiers.frozen import quickly_made
from classifiers.pipeline import INLINE_BYTES, Pipeline
from classifiers.types import Signal, Signals
from policies.candidates import AUTO, LOCALITIES
from policies.decide import decide
from policies.history import RULE, Blame, blame
from policies.types import Decision, Facts, Level, Policy, Reason, Release
from router import fields
from router.affinity import Affinity, Conversation
from router.calibration.standing import Promises, reason_for
from router.calibration.targets import Standard, threshold_of
from router.confidence.looks import LookKind
from router.embedding_fields import read_embedding_fields
from router.errors import NotFound
from router.history import earlier_turns, without_turns
from router.lockdown.exits import Exits
from router.offered import offered_tools
from router.pseudonyms.hiding import places_of
from router.records.record import Said
from router.remembered_plans import RememberedPlans
from router.taint.ledger import CLEAN, Taint, TaintLedger
from router.types import ChatRequest, Moment
from router.waiting.waits import Waits, ask_of

# Small requests that are classified together, stage by stage. A turn of the loop takes as long as all of them do, and
# whoever is refused meanwhile waits for it: of 64 together, at ten times the load, most refusals took over 50 ms.
_AT_ONCE = 8


@quickly_made
@dataclass(frozen=True, slots=True)
class Plan:
    """What was measured, what was known, what was decided, and about which request: turns may have been dropped."""

    request: ChatRequest
    signals: Signals
    facts: Facts
    decision: Decision
    taint: Taint = CLEAN
    dropped: int = 0  # messages of earlier turns that were taken out
    conversation: Conversation | None = None  # where the policy asks for affinity
    said: Said | None = field(default=None, compare=False, repr=False)  # what records say of it, if it was made before
    standard: Standard | None = None  # what the local answer is held against, where there is a target
    via_standard: Standard | None = None  # the same of the second local model's
    look: LookKind | None = (
        None  # the second look that a doubtful answer gets, where calibration has shown that it helps
    )

    def standard_of(self, model: str) -> Standard | None:
        """What an answer of this local model (the policy's name) is held against, where there is a target."""
        return self.via_standard if model == self.decision.via else self.standard

    def threshold_of(self, model: str) -> float:
        """The same as a number, which there always is."""
        standard = self.standard_of(model)
        return self.decision.terms.threshold if standard is None else threshold_of(standard.promise)


class Planner:
    """Plans requests. Without a ledger nothing is inherited, without waits none is known (`gatehouse explain`)."""

    def __init__(
        self,
        pipeline: Pipeline,
        ledger: TaintLedger | None = None,
        promises: Promises | None = None,
        affinity: Affinity | None = None,
        waits: Waits | None = None,
        exits: Exits | None = None,
    ) -> None:
        """Without `promises` the threshold that a target comes to is not told; without `affinity` nothing stays."""
        self._pipeline = pipeline
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._remembered = RememberedPlans()
        self._ledger = ledger
        self._promises = promises
        self._affinity = affinity
        self._waits = waits
        self._exits = exits

    async def plan(
        self,
        request: ChatRequest,
        policy: Policy,
        unavailable: Mapping[str, str],
        *,
        explains: bool = False,
        release: Release | None = None,
    ) -> Plan:
        """Decide about a request. Raises `InvalidRequest` for fields that no model could take.

        `explains`: also the signals that the policy does not read are measured, to be shown. `release`: what its token
        gives leave to; it counts for the whole request alone, never for one without some of its turns.
        """
        own = await self._affinity.look(request.principal, request.body, policy) if self._affinity is not None else None
        demanded = None if explains else policy.reads
        plan = await self._plan(request, policy, unavailable, own, demanded, release)
        if plan.decision.escalation is not None or plan.decision.via is not None:
            plan = self._held_against(plan, policy)
        if plan.decision.escalation is not None:
            return plan
        if plan.decision.sensitivity is Level.PUBLIC or plan.decision.grants:
            return plan
        earlier = earlier_turns(request.body)
        held = blame(policy, plan.facts, plan.signals, plan.decision, earlier=earlier, tainted=plan.taint.at)
        if held is None:
            return plan
        left = self._without(request, held) if policy.history == "drop_turns" else None
        if left is not None:
            cut = await self._plan(left[0], policy, unavailable, own, demanded)
            if cut.decision.route not in ("local", "refused"):
                reason = Reason(RULE, True, f"dropped {left[1]} messages of earlier turns: {held.reason.why}")
                return replace(_because(cut, reason), dropped=left[1])
        return _because(plan, held.reason)

    async def _plan(
        self,
        request: ChatRequest,
        policy: Policy,
        unavailable: Mapping[str, str],
        own: Conversation | None,
        demanded: frozenset[str] | None,
        release: Release | None = None,
    ) -> Plan:
        tenant = request.principal.tenant
        key = self._remembered.key(request, policy) if demanded is not None else None
        known = self._remembered.find(key, policy)
        needs, hints, unknown = known.read if known is not None else _read(request, policy)
        request, is_bounded = _bounded(request, policy.limits.max_output_tokens)
        if known is not None:
            measured = known.signals(request)
        else:
            measured = await self._measure(request, policy, demanded, is_new=self._remembered.is_new(key))
        taint = await self._ledger.look(tenant, request.body) if self._ledger is not None else CLEAN
        context_length = measured.values["context_length"].value
        embeds = request.task == "embeddings"  # each input has the window for itself, and only its model knows it
        input_tokens = context_length if isinstance(context_length, int) and not embeds else 0
        output_tokens = fields.max_output_tokens(request.body)
        waits = self._before(request, policy, input_tokens, output_tokens)
        signals = _with_wait(measured, waits.get(policy.default_local))
        facts = Facts(
            tenant=tenant,
            requested=request.model,
            local_only=request.local_only or (embeds and request.model == AUTO),
            stream=request.stream,
            needs=needs,
            hints=hints,
            unknown_fields=unknown,
            messages=len(request.body.get("messages") or ()),
            tools=offered_tools(request.body),
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            bounded=is_bounded,
            unavailable=unavailable,
            no_store=request.no_store or embeds,
            replaceable=frozenset() if embeds else await places_of(request.body, signals.scan, policy),
            taint=taint.level,
            taint_kept=taint.kept,
            taint_source=taint.source,
            taint_at=taint.pointers,
            answered_by=own.answered_by if own is not None else (),
            waits=waits,
            release=release,
            locked=self._exits is not None and self._exits.holds(tenant),
        )
        said = None
        if known is not None and known.facts == facts:
            decision, said = known.decision, known.said
        else:
            decision = decide(policy, facts, signals)
            self._remembered.put(key, policy, measured, facts, decision)
        if is_bounded or not output_tokens:
            request, is_bounded = _bounded(request, decision.max_output_tokens, again=is_bounded)
            output_tokens = fields.max_output_tokens(request.body)
            if (output_tokens, is_bounded) != (facts.output_tokens, facts.bounded):
                facts = replace(facts, output_tokens=output_tokens, bounded=is_bounded)
        return Plan(request, signals, facts, decision, taint, conversation=own, said=said)

    async def _measure(
        self, request: ChatRequest, policy: Policy, demanded: frozenset[str] | None, *, is_new: bool
    ) -> Signals:
        """The signals; so many small requests together that the loop still sees to everybody else in time."""
        tenant = request.principal.tenant
        if request.size > INLINE_BYTES:  # the scan process has a line of its own
            return await self._pipeline.run(request.body, policy.scan_rules, tenant, demanded)
        async with self._turns:
            return await self._pipeline.run(request.body, policy.scan_rules, tenant, demanded, is_new=is_new)

    def _before(self, request: ChatRequest, policy: Policy, prompt: int, answer: int) -> Mapping[str, float]:
        if self._waits is None or self._waits.knows_nothing:
            return {}
        return self._waits.before(policy, ask_of(request, prompt, answer))

    def _without(self, whole: ChatRequest, held: Blame) -> tuple[ChatRequest, int] | None:
        """The request without the turns that hold it back, and how many they are; None where that would not help."""
        left = without_turns(whole.body, held.messages) if held.leaves else None
        return (replace(whole, body=left[0]), left[1]) if left is not None else None

    def _held_against(self, plan: Plan, policy: Policy) -> Plan:
        """The plan with the threshold that the target comes to for these models and this task."""
        decision = plan.decision
        if self._promises is None or decision.model is None:
            return plan
        at: Moment = "commit" if decision.stream == "commit" and plan.facts.stream else "whole"
        plan = self._looked_at(plan, policy, decision.model)
        decision = plan.decision
        terms, signals, second = decision.terms, plan.signals.values, None
        if decision.via is not None:
            second = self._promises.standard(policy, decision.via, signals, at, terms)
        if plan.look is not None and at == "whole" and terms.target is not None:
            at = plan.look
        assert decision.model is not None
        standard = self._promises.standard(policy, decision.model, signals, at, terms)
        if standard is None:
            return plan
        reasons = (*decision.reasons, reason_for(standard), *([reason_for(second)] if second is not None else []))
        decision = replace(decision, threshold=threshold_of(standard.promise), reasons=reasons)
        return replace(plan, decision=decision, standard=standard, via_standard=second)

    def _looked_at(self, plan: Plan, policy: Policy, name: str) -> Plan:
        """The plan with the second look that the policy asks for; off where no calibration shows that it helps."""
        kind = policy.escalation.second_look
        if kind == "none" or self._promises is None:
            return plan
        if self._promises.has_shown(policy, name, kind):
            return replace(plan, look=kind)
        why = f"second_look {kind} is off: no calibration of {policy.models[name].model} shows that it helps"
        reasons = (*plan.decision.reasons, Reason("escalation", None, why))
        return replace(plan, decision=replace(plan.decision, reasons=reasons))


def _read(request: ChatRequest, policy: Policy) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    if request.task == "embeddings":
        if request.model not in (AUTO, *LOCALITIES, *policy.models):  # no alias: vectors of two models do not compare
            raise NotFound(
                "There is no embedding model of that name here, and no alias counts, for vectors of two models do not "
                "compare. GET /v1/models shows which have the capability `embeddings`.",
                param="model",
            )
        return read_embedding_fields(request.body), frozenset(), frozenset()
    return fields.read_fields(request.body)


def _bounded(request: ChatRequest, most: int | None, *, again: bool = False) -> tuple[ChatRequest, bool]:
    """The request with a bound of the policy's on its answer, where its caller names none, and whether it has one.

    `again`: a bound that it has is the policy's own.
    """
    is_said = not again and bool(fields.max_output_tokens(request.body))
    if most is None or request.task == "embeddings" or is_said:
        return request, again
    return replace(request, body={**request.body, "max_completion_tokens": most}), True


def _with_wait(signals: Signals, wait: float | None) -> Signals:
    """The signals with `local_wait_ms`: that of the default local model, `not_available` where it is not known."""
    if wait is None and "local_wait_ms" in signals.values:  # which is what it is where nobody has given one
        return signals
    values = {
        **signals.values,
        "local_wait_ms": Signal("local_wait_ms", wait, "not_available" if wait is None else None),
    }
    return Signals(values, signals.scan, signals.elapsed_ms)


def _because(plan: Plan, reason: Reason) -> Plan:
    return replace(plan, decision=replace(plan.decision, reasons=(reason, *plan.decision.reasons)))
