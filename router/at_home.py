"""The answer at home: unjudged where nothing could follow it, else judged, and given by a second local model or by the
cloud where it is not good enough. What leaves is `router.outside`'s alone.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial

import orjson

from router import fields
from router.caching import ReplyCache
from router.calling import Calls
from router.confidence.ahead import Ahead
from router.confidence.confidence import AnswerTrace
from router.confidence.holding import hold
from router.confidence.judging import Judging
from router.confidence.second_look import SecondLook
from router.deadlines import engine_fields
from router.elsewhere import is_over
from router.embedding_fields import embedding_body
from router.errors import GatehouseError, Unavailable, UpstreamError
from router.exchange import Exchange
from router.outside import Outside
from router.partitions import Partitions
from router.racing import Race
from router.relay import Relay
from router.replies import whole
from router.types import JsonObject, Judgement, Outgoing, Reply

log = logging.getLogger("gatehouse.answering")


class BrokenOff(Unavailable):
    """The local model had begun and broke off: never a second model, whatever the caller has seen of the first."""

    def __init__(self) -> None:
        super().__init__("The local model broke off in the middle of the answer. Retry in a few seconds.")


def broken_off(error: UpstreamError | Unavailable) -> GatehouseError:
    """What the caller is told of a local model that broke off. What is the caller's fault stays a 4xx."""
    status = getattr(error, "upstream_status", None)
    return error if status is not None and 400 <= status < 500 else BrokenOff()


@dataclass(slots=True)
class Given:
    """One judged local answer that nobody has seen yet: whole, or a stream that is held back."""

    name: str  # the policy's name of the model
    judgement: Judgement
    features: tuple[float, ...] = field(repr=False)
    completion: JsonObject | None = field(default=None, repr=False)
    chunks: Ahead | None = field(default=None, repr=False)

    @property
    def is_doubtful(self) -> bool:
        return self.judgement.verdict == "escalate"

    def is_surer_than(self, other: Given) -> bool:
        mine, others = self.judgement.confidence, other.judgement.confidence
        return mine is not None and others is not None and mine > others

    async def drop(self) -> None:
        """Nobody gets it: the model stops at once."""
        if self.chunks is not None:
            await self.chunks.aclose()


class AtHome:
    """Answers by the local models of the decision, and hands a doubtful answer on."""

    def __init__(
        self, *, outside: Outside, calls: Calls, cache: ReplyCache, judging: Judging, partitions: Partitions
    ) -> None:
        self._outside = outside
        self._calls = calls
        self._cache = cache
        self._judging = judging
        self._partitions = partitions
        self._second_look = SecondLook(calls, partitions)

    async def answer(self, exchange: Exchange, name: str, race: Race | None) -> Reply:
        """The reply of the local model of that name, or what takes its place. Raises what that model's backend raises.

        A dropped stream is kept until what follows it has begun: until then it is the only answer there is.
        """
        decision = exchange.planned
        if decision.escalation is None and decision.via is None:
            return await self._unjudged(exchange, name)
        given = [await self._given(exchange, name)]
        taken: Given | None = None
        try:
            if given[0].is_doubtful and decision.via not in (None, name):
                await self._ask_second(exchange, given)
            best = _best(given)
            if best.is_doubtful:
                escalated = await self._escalated(exchange, given, race)
                if escalated is not None:
                    return escalated
            taken = best
            return self._reply(exchange, taken, given)
        finally:
            for each in given:
                if each is not taken:
                    await each.drop()

    async def _unjudged(self, exchange: Exchange, name: str) -> Reply:
        """An answer that nothing could follow: measured for the record, and given whatever that says."""
        outgoing = self._outgoing(exchange, name, stream=exchange.request.stream)
        if exchange.request.stream:
            return self._streamed(exchange, name, await self._calls.open_stream(exchange, name, outgoing))
        completion = await self._calls.complete(exchange, name, outgoing)
        trace = _trace(completion)
        _hide_logprobs(exchange, completion)
        exchange.outcome.confidence = self._judging.measure(exchange, name, trace)
        self._cache.keep(exchange, completion)
        return whole(exchange, completion)

    async def _given(self, exchange: Exchange, name: str) -> Given:
        """An answer, judged whole or, of a stream that commits, by its beginning."""
        if exchange.request.stream and exchange.planned.stream == "commit":
            return await self._held(exchange, name)
        completion = await self._calls.complete(exchange, name, self._outgoing(exchange, name, stream=False))
        trace = _trace(completion)
        _hide_logprobs(exchange, completion)
        judged = self._judging.of_answer(exchange, name, trace)
        look = exchange.plan.look if exchange.plan is not None and name == exchange.planned.model else None
        if look is not None and self._judging.wants_look(exchange):
            value = await self._second_look.look(exchange, name, look, completion)
            judged = self._judging.after_look(exchange, name, trace, value)
        return Given(name, judged, exchange.outcome.answer_features, completion)

    async def _held(self, exchange: Exchange, name: str) -> Given:
        """A stream that is held back until its beginning is judged."""
        terms = exchange.planned.terms
        outgoing = self._outgoing(exchange, name, stream=True)
        chunks = Ahead(await self._calls.open_stream(exchange, name, outgoing))
        try:
            choices = exchange.request.body.get("n") or 1
            try:
                held = await hold(chunks, choices=choices, tokens=terms.hold_tokens, seconds=terms.hold_ms / 1000)
            except (UpstreamError, Unavailable) as error:
                raise broken_off(error) from None
            judge = self._judging.of_answer if held.is_whole else self._judging.at_commit
            return Given(name, judge(exchange, name, held.trace), exchange.outcome.answer_features, chunks=chunks)
        except BaseException:
            await chunks.aclose()
            raise

    async def _ask_second(self, exchange: Exchange, given: list[Given]) -> None:
        """Add the answer of the second local model; where it cannot be had, the first is all there is."""
        second = exchange.planned.via
        assert second is not None
        try:
            given.append(await self._given(exchange, second))
        except GatehouseError as error:
            log.info("%s could not be asked after %s: %s", second, given[0].name, error.code)
            exchange.outcome.escalation_error = error.code

    def _reply(self, exchange: Exchange, taken: Given, given: list[Given]) -> Reply:
        """The answer that was chosen, and in the outcome what was found of it and of the other."""
        outcome = exchange.outcome
        self._note(exchange, taken, given)
        outcome.route, outcome.model = "local", taken.name
        if taken is not given[0]:
            outcome.reason = "escalation"
        for each in given:
            if each is not taken:
                exchange.wasted(each.name)
        if taken.chunks is not None:
            return self._streamed(exchange, taken.name, taken.chunks)
        assert taken.completion is not None
        self._cache.keep(exchange, taken.completion)
        return whole(exchange, taken.completion)

    def _note(self, exchange: Exchange, taken: Given, given: list[Given]) -> None:
        outcome, judged = exchange.outcome, taken.judgement
        outcome.judgement, outcome.confidence, outcome.answer_features = judged, judged.confidence, taken.features
        outcome.passed_over = tuple((each.name, each.judgement) for each in given if each is not taken)

    async def _escalated(self, exchange: Exchange, given: list[Given], race: Race | None) -> Reply | None:
        """An answer from outside in place of doubtful local ones: of the first hop that begins to answer, each with a
        permit of its own. None when there is none to be had, and the surest one stands."""
        outcome, before = exchange.outcome, exchange.outcome.escalation_error  # of a second model at home
        for grant in exchange.planned.hops:
            try:
                begun = await (self._outside.begin(exchange, grant) if race is None else race.result())
            except GatehouseError as error:
                log.info("an escalation to %s failed: %s", grant.model, error.code)
                outcome.hops = (*outcome.hops, (grant.model, error.code))
                outcome.escalation_error = error.code
                if is_over(error):
                    return None
                race = None  # it was the first hop
                continue
            self._note(exchange, given[-1], given)
            for each in given:
                exchange.wasted(each.name)
            outcome.hops = (*outcome.hops, (grant.model, None))
            outcome.escalation_error = before
            return self._outside.take(exchange, begun, reason="escalation")
        return None

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


def _best(given: list[Given]) -> Given:
    """The last answer that is good enough; of doubtful ones the surer."""
    if len(given) == 1 or not given[1].is_doubtful:
        return given[-1]
    return given[0] if given[0].is_surer_than(given[1]) else given[1]


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
