"""Who answers: the local model, judged, or a model outside, by permit. The only exit opened here is `router.egress`."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import orjson

from policies.types import Grant
from router import fields
from router.accounting import Accounts
from router.caching import ReplyCache
from router.calling import Calls
from router.chunks import replay
from router.confidence import AnswerTrace, Confidence
from router.egress import Egress
from router.errors import Denied, GatehouseError, Unavailable, UpstreamError
from router.exchange import Exchange
from router.partitions import Partitions
from router.relay import Relay
from router.restored import Restoring
from router.telemetry import Telemetry
from router.types import JsonObject, Outgoing, Reply

log = logging.getLogger("gatehouse.answering")


class IntentNotDurable(Unavailable):
    """`audit: required`, and the intent could not be made durable: nothing may leave."""

    code = "audit_unavailable"

    def __init__(self) -> None:
        super().__init__("The audit log cannot take this request, so it may not leave. Retry, or ask for `local`.")


class Answering:
    """Carries out a decision: at home, outside, or at home and then outside."""

    def __init__(
        self,
        *,
        egress: Egress,
        calls: Calls,
        cache: ReplyCache,
        confidence: Confidence,
        accounts: Accounts,
        telemetry: Telemetry,
        partitions: Partitions,
    ) -> None:
        self._egress = egress
        self._calls = calls
        self._cache = cache
        self._confidence = confidence
        self._accounts = accounts
        self._telemetry = telemetry
        self._partitions = partitions

    async def answer(self, exchange: Exchange) -> Reply:
        """The reply of the model that the decision names, or of what the policy puts in its place."""
        decision = exchange.planned
        if decision.route == "local":
            return await self._at_home(exchange, decision.model or exchange.running.policy.default_local)
        grant = next(grant for grant in decision.grants if grant.purpose != "escalation")
        try:
            return await self._outside(exchange, grant)
        except IntentNotDurable:
            if decision.reason == "pinned":
                raise
            exchange.outcome.reason = "audit"
        except Denied:
            if not _may_stay(exchange, grant):
                raise
            exchange.outcome.reason = "sensitivity"
            exchange.outcome.held = decision.rule or None
        return await self._at_home(exchange, exchange.running.policy.default_local)

    async def _at_home(self, exchange: Exchange, name: str) -> Reply:
        decision, request, outcome = exchange.planned, exchange.request, exchange.outcome
        model = exchange.running.policy.models[name]
        outcome.route, outcome.model = "local", name
        judged = decision.escalation is not None and (not request.stream or decision.stream == "hold")
        streamed = request.stream and not judged
        body, outcome.ignored = fields.local_body(
            request.body, model, stream=streamed, want_logprobs=fields.gives_logprobs(model)
        )
        body |= self._partitions.fields(model, request.principal.tenant, decision.sensitivity)
        outgoing = Outgoing(orjson.dumps(body), streamed, request_id=request.id)
        try:
            if streamed:
                return await self._stream_home(exchange, name, outgoing)
            completion = await self._calls.complete(exchange, name, outgoing)
        except Unavailable as error:
            return await self._local_down(exchange, error)
        except UpstreamError as error:
            raise _broken_off(error) from None
        self._judge(exchange, name, completion)
        if judged and outcome.confidence is not None and outcome.confidence < decision.threshold:
            escalated = await self._escalated(exchange, decision.escalation)
            if escalated is not None:
                return escalated
        self._cache.keep(exchange, completion)
        return whole(exchange, completion)

    async def _stream_home(self, exchange: Exchange, name: str, outgoing: Outgoing) -> Reply:
        decision = exchange.planned
        chunks = await self._calls.open_stream(exchange, name, outgoing)
        keeps = decision.cacheable and decision.escalation is None
        relay = Relay(
            exchange,
            chunks,
            keep=self._cache.keep if keeps else None,
            hide_logprobs=not exchange.request.body.get("logprobs"),
            confidence=self._confidence,
            model=exchange.running.policy.models[name].model,
        )
        return Reply(exchange.outcome, chunks=relay)

    def _judge(self, exchange: Exchange, name: str, completion: JsonObject) -> None:
        """Measure the answer, where the model gave log-probabilities; what was not measured stays None."""
        trace = AnswerTrace()
        for choice in completion.get("choices", []):
            trace.add_choice(choice)
        model = exchange.running.policy.models[name].model
        exchange.outcome.confidence = self._confidence.of_answer(trace, model)
        if not exchange.request.body.get("logprobs"):
            for choice in completion.get("choices", []):
                choice["logprobs"] = None

    async def _escalated(self, exchange: Exchange, grant: Grant | None) -> Reply | None:
        """The cloud's answer in place of a doubtful local one; None when it cannot be had, and the local one stands."""
        if grant is None:
            return None
        try:
            return await self._outside(exchange, grant, reason="escalation")
        except GatehouseError as error:
            log.info("an escalation to %s failed: %s", grant.model, error.code)
            return None

    async def _outside(self, exchange: Exchange, grant: Grant, reason: str | None = None) -> Reply:
        """The one way to a model that is not local: through egress, with a permit for these very bytes."""
        outgoing = await self._permitted(exchange, grant)
        outcome, decision = exchange.outcome, exchange.planned
        outcome.bytes_left += len(outgoing.body)
        self._telemetry.bytes_left(grant.model, len(outgoing.body))
        is_kept = decision.cacheable and grant.payload == "full"
        restoring = Restoring(exchange, outgoing, self._telemetry)
        if exchange.request.stream:
            chunks = restoring.stream(await self._calls.open_stream(exchange, grant.model, outgoing))
            reply = Reply(outcome, chunks=Relay(exchange, chunks, keep=self._cache.keep if is_kept else None))
        else:
            completion = restoring.whole(await self._calls.complete(exchange, grant.model, outgoing))
            reply = None
        exchange.pseudonyms = outgoing.pseudonyms  # from here on the answer is the one from outside
        outcome.route, outcome.model = exchange.running.policy.models[grant.model].locality, grant.model
        outcome.reason, outcome.ignored = reason or outcome.reason, restoring.ignored
        if reply is None:
            if is_kept:
                self._cache.keep(exchange, completion)
            reply = whole(exchange, completion)
        return reply

    async def _permitted(self, exchange: Exchange, grant: Grant) -> Outgoing:
        policy = exchange.running.policy
        try:
            outgoing = await self._egress.prepare(exchange.request, exchange.planned, policy, exchange.measured, grant)
        except Denied as error:
            self._telemetry.permit_refused(error.code)
            raise
        if outgoing.permit is None:
            raise Denied("No permit was given.", code="policy_denied")
        if policy.audit == "required" and not await self._accounts.intend(exchange, outgoing.permit):
            raise IntentNotDurable
        exchange.permits.append(outgoing.permit)
        return outgoing

    async def _local_down(self, exchange: Exchange, error: Unavailable) -> Reply:
        """The local model could not begin: the policy's fallback, with a permit of its own, or a 503 that says why."""
        decision = exchange.planned
        if error.code == "local_overloaded":
            self._telemetry.request_shed("tenant_queue" if error.status == 429 else "local_queue")
        if error.code != "local_unavailable":
            raise error
        models = exchange.running.policy.models
        if decision.fallback is not None:
            try:
                return await self._outside(exchange, decision.fallback, reason="fallback")
            except Denied:
                if decision.fallback.payload != "pseudonymized":
                    raise  # what could not be replaced after all stays, and home is down
        elif any(seen.lawful and models[seen.model].locality == "cloud" for seen in decision.candidates):
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
        return exchange.running.policy.on_pinned_denied == "local"
    return exchange.planned.reason != "capability"


def whole(exchange: Exchange, completion: JsonObject) -> Reply:
    """A whole answer as the caller asked for it: one object, or a stream made from it."""
    outcome = exchange.outcome
    choices = completion.get("choices") or [{}]
    outcome.finish_reason = choices[0].get("finish_reason")
    if len(outcome.usage) > 1:  # an escalation used two models
        completion["usage"] = exchange.total_usage()
    if not exchange.request.stream:
        return Reply(outcome, body=completion)
    return Reply(outcome, chunks=_replayed(exchange, completion))


async def _replayed(exchange: Exchange, completion: JsonObject) -> AsyncIterator[JsonObject]:
    failure: str | None = "client_closed"
    status = 499
    try:
        async for chunk in replay(completion, exchange.request.include_usage):
            yield chunk
        failure, status = None, 200
    finally:
        exchange.finish(failure, status)


def _broken_off(error: UpstreamError) -> GatehouseError:
    """A local model that broke off: a clear 503, never a second model. What is the caller's fault stays a 4xx."""
    if error.upstream_status is not None and 400 <= error.upstream_status < 500:
        return error
    return Unavailable("The local model broke off in the middle of the answer. Retry in a few seconds.")
