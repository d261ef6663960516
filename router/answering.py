"""Who answers: the local model, judged, or a model outside. Exits are `router.outside`'s alone."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import orjson

from policies.types import Grant
from router import fields
from router.ahead import Ahead
from router.caching import ReplyCache
from router.calling import Calls
from router.confidence import AnswerTrace
from router.deadlines import engine_fields
from router.elsewhere import Elsewhere, may_be_tried_elsewhere
from router.embedding_fields import embedding_body
from router.errors import BudgetExhausted, Denied, GatehouseError, Locked, Unavailable, UpstreamError
from router.exchange import Exchange
from router.holding import hold
from router.judging import Judging
from router.outside import IntentNotDurable, Outside
from router.partitions import Partitions
from router.racing import Race
from router.relay import Relay
from router.replies import whole
from router.second_look import SecondLook
from router.telemetry import Telemetry
from router.types import JsonObject, Judgement, Outgoing, Reply

log = logging.getLogger("gatehouse.answering")


class BrokenOff(Unavailable):
    """The local model had begun and broke off: never a second model, whatever the caller has seen of the first."""

    def __init__(self) -> None:
        super().__init__("The local model broke off in the middle of the answer. Retry in a few seconds.")


class Answering:
    """Carries out a decision: at home, outside, or at home and then outside."""

    def __init__(
        self,
        *,
        outside: Outside,
        calls: Calls,
        cache: ReplyCache,
        judging: Judging,
        telemetry: Telemetry,
        partitions: Partitions,
    ) -> None:
        self._outside = outside
        self._calls = calls
        self._cache = cache
        self._judging = judging
        self._telemetry = telemetry
        self._partitions = partitions
        self._second_look = SecondLook(calls, partitions)
        self._elsewhere = Elsewhere(outside, self._at_home)

    async def answer(self, exchange: Exchange) -> Reply:
        """The reply of the model that the decision names, or of what the policy puts in its place."""
        decision = exchange.planned
        if decision.route == "local":
            return await self._at_home(exchange, decision.model or exchange.policy.default_local)
        grant = next(grant for grant in decision.grants if grant.purpose != "escalation")
        try:
            return await self._outside.answer(exchange, grant)
        except IntentNotDurable:
            if decision.reason == "pinned":
                raise
            exchange.outcome.reason = "audit"
        except Locked as error:
            if not error.unsent or decision.reason in ("pinned", "capability") or grant.purpose == "fallback":
                raise
            exchange.outcome.reason = error.code
            exchange.outcome.held = decision.rule or None
        except BudgetExhausted as error:
            budgets = exchange.policy.budgets
            is_bound = decision.reason in ("pinned", "capability") or grant.purpose == "fallback"
            if is_bound or budgets is None or budgets.when_exhausted == "refuse":
                raise
            exchange.outcome.reason = error.code
            exchange.outcome.held = decision.rule or None
        except Denied:
            if not _may_stay(exchange, grant):
                raise
            exchange.outcome.reason = "sensitivity"
            exchange.outcome.held = decision.rule or None
        except UpstreamError as error:
            if not may_be_tried_elsewhere(exchange, error):
                raise
            return await self._elsewhere.answer(exchange, grant.model, error)
        return await self._at_home(exchange, exchange.policy.default_local)

    async def _at_home(self, exchange: Exchange, name: str) -> Reply:
        outcome = exchange.outcome
        outcome.route, outcome.model = "local", name
        async with self._racing(exchange) as race:
            try:
                return await self._local(exchange, name, race)
            except BrokenOff:
                raise
            except Unavailable as error:
                if race is not None:
                    await race.cancel()
                return await self._local_down(exchange, error)
            except UpstreamError as error:
                raise _broken_off(error) from None

    @asynccontextmanager
    async def _racing(self, exchange: Exchange) -> AsyncIterator[Race | None]:
        """The cloud asked beside home, where the decision says so; whatever happens, it is over afterwards."""
        grant = exchange.planned.escalation
        if grant is None or not exchange.planned.races:
            yield None
            return
        exchange.outcome.raced = True
        race = Race(self._outside, exchange, grant)
        try:
            yield race
        finally:
            await race.cancel()

    async def _local(self, exchange: Exchange, name: str, race: Race | None) -> Reply:
        """The local answer, or the one from outside that takes its place."""
        decision, request = exchange.planned, exchange.request
        grant = decision.escalation
        if request.stream and grant is not None and decision.stream == "commit":
            return await self._committed(exchange, name, grant, race)
        if request.stream and grant is None:
            chunks = await self._calls.open_stream(exchange, name, self._outgoing(exchange, name, stream=True))
            return self._streamed(exchange, name, chunks)
        completion = await self._calls.complete(exchange, name, self._outgoing(exchange, name, stream=False))
        trace = _trace(completion)
        _hide_logprobs(exchange, completion)
        if grant is None:
            exchange.outcome.confidence = self._judging.measure(exchange, name, trace)
        elif (await self._judged(exchange, name, trace, completion)).verdict == "escalate":
            escalated = await self._escalated(exchange, name, grant, race)
            if escalated is not None:
                return escalated
        self._cache.keep(exchange, completion)
        return whole(exchange, completion)

    async def _judged(self, exchange: Exchange, name: str, trace: AnswerTrace, completion: JsonObject) -> Judgement:
        """The judgement of a whole answer, after a second look where it gets one."""
        judged = self._judging.of_answer(exchange, name, trace)
        look = exchange.plan.look if exchange.plan is not None else None
        if look is None or not self._judging.wants_look(exchange):
            return judged
        value = await self._second_look.look(exchange, name, look, completion)
        return self._judging.after_look(exchange, name, trace, value)

    async def _committed(self, exchange: Exchange, name: str, grant: Grant, race: Race | None) -> Reply:
        """A local stream that is judged by its beginning, and then is final or is dropped.

        It is dropped once the answer from outside has begun: until then what is held is the only answer there is.
        """
        rule = exchange.policy.escalation
        outgoing = self._outgoing(exchange, name, stream=True)
        chunks = Ahead(await self._calls.open_stream(exchange, name, outgoing))
        try:
            choices = exchange.request.body.get("n") or 1
            try:
                held = await hold(chunks, choices=choices, tokens=rule.hold_tokens, seconds=rule.hold_ms / 1000)
            except (UpstreamError, Unavailable) as error:
                raise _broken_off(error) from None
            judge = self._judging.of_answer if held.is_whole else self._judging.at_commit
            if judge(exchange, name, held.trace).verdict == "escalate":
                escalated = await self._escalated(exchange, name, grant, race)
                if escalated is not None:
                    await chunks.aclose()
                    return escalated
        except BaseException:
            await chunks.aclose()
            raise
        return self._streamed(exchange, name, chunks)

    def _outgoing(self, exchange: Exchange, name: str, *, stream: bool) -> Outgoing:
        """The bytes for a local model."""
        model, request = exchange.policy.models[name], exchange.request
        if request.task == "embeddings":
            body = embedding_body(request.body, model)
        else:
            body, exchange.outcome.ignored = fields.local_body(
                request.body, model, stream=stream, want_logprobs=fields.gives_logprobs(model)
            )
            body |= engine_fields(model, exchange.planned.serving, exchange.due())
        body |= self._partitions.fields(model, request.principal.tenant, exchange.planned.sensitivity)
        return Outgoing(orjson.dumps(body), stream, request_id=request.id, task=request.task)

    def _streamed(self, exchange: Exchange, name: str, chunks: AsyncIterator[JsonObject]) -> Reply:
        """A local stream that is final."""
        relay = Relay(
            exchange,
            chunks,
            keep=self._cache.keep if exchange.planned.cacheable else None,
            hide_logprobs=not exchange.request.body.get("logprobs"),
            measure=partial(self._judging.measure, exchange, name),
        )
        return Reply(exchange.outcome, chunks=relay)

    async def _escalated(self, exchange: Exchange, name: str, grant: Grant, race: Race | None) -> Reply | None:
        """The cloud's answer in place of a doubtful local one; None when it cannot be had, and the local one stands."""
        try:
            begun = await (self._outside.begin(exchange, grant) if race is None else race.result())
        except GatehouseError as error:
            log.info("an escalation to %s failed: %s", grant.model, error.code)
            exchange.outcome.escalation_error = error.code
            return None
        exchange.wasted(name)
        return self._outside.take(exchange, begun, reason="escalation")

    async def _local_down(self, exchange: Exchange, error: Unavailable) -> Reply:
        """The local model could not begin: the policy's fallback, with a permit of its own, or a 503 that says why."""
        decision = exchange.planned
        if error.code == "local_overloaded":
            self._telemetry.request_shed("tenant_queue" if error.status == 429 else "local_queue")
        if error.code != "local_unavailable":
            raise error
        models = exchange.policy.models
        if decision.fallback is not None:
            try:
                return await self._outside.answer(exchange, decision.fallback, reason="fallback")
            except Denied:
                if decision.fallback.payload != "pseudonymized":
                    raise  # what could not be replaced after all stays, and home is down
        elif exchange.known.locked or any(
            seen.lawful and models[seen.model].locality == "cloud" for seen in decision.candidates
        ):
            raise error
        raise Unavailable(
            "The local model is not available, and the policy keeps this request at home. Retry in a few seconds.",
            code="sensitive_data_local_unavailable",
            retry_after=error.retry_after,
        ) from None


def _may_stay(exchange: Exchange, grant: Grant) -> bool:
    """Whether a request that could not be pseudonymized after all may be answered at home instead."""
    if grant.payload != "pseudonymized" or grant.purpose == "fallback":
        return False
    if exchange.planned.reason == "pinned":
        return exchange.policy.on_pinned_denied == "local"
    return exchange.planned.reason != "capability"


def _trace(completion: JsonObject) -> AnswerTrace:
    trace = AnswerTrace()
    for choice in completion.get("choices", []):
        trace.add_choice(choice)
    return trace


def _hide_logprobs(exchange: Exchange, completion: JsonObject) -> None:
    """Take out what only the gateway asked for."""
    if not exchange.request.body.get("logprobs"):
        for choice in completion.get("choices", []):
            choice["logprobs"] = None


def _broken_off(error: UpstreamError | Unavailable) -> GatehouseError:
    """What the caller is told of a local model that broke off. What is the caller's fault stays a 4xx."""
    status = getattr(error, "upstream_status", None)
    return error if status is not None and 400 <= status < 500 else BrokenOff()
