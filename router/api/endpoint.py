"""Every endpoint that asks for an answer: a dialect's body in, the straight line, the same dialect out."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Any, cast

import orjson

from router.api.admission import Admission, Visit, stopping
from router.api.dialect import Asked, Dialect, Events, Told
from router.api.explain import explanation
from router.api.headers import Headers, outcome_headers, outcome_object, pending_headers
from router.api.heartbeats import Heartbeats
from router.api.http import (
    CallerGone,
    DisconnectWatch,
    Receive,
    Scope,
    Send,
    discard_body,
    header,
    new_request_id,
    read_body,
    respond,
    respond_error,
)
from router.api.parse import parse_json_object
from router.api.rate_headers import openai_rate_headers
from router.errors import GatehouseError, InvalidRequest, MethodNotAllowed
from router.exchange import Exchange
from router.following import FollowedChunks
from router.gateway import Gateway
from router.identity import Identity, require
from router.notice import NoticedChunks
from router.rates.table import Kind, Level
from router.relay import Relay
from router.settings import Settings
from router.telemetry.telemetry import Telemetry
from router.types import ChatRequest, KeyScope, Outcome, Reply

log = logging.getLogger("gatehouse.api")

_AT_ONCE = 16  # chunks that are written before anybody else has a turn: what was written leaves at its end
_PARSED_INLINE = (
    256 * 1024
)  # bytes; a body of 4 MB takes the loop's time for five steps, between which others may go on
RateHeaders = Callable[[Mapping[Kind, Level]], Headers]
_STREAM_HEADERS: Headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]


class Endpoint:
    """The data path as a plain ASGI application, in one dialect.

    `explains` answers with the decision, and `counts` with the number of input tokens, instead of asking a model.
    """

    def __init__(
        self,
        gateway: Gateway,
        identity: Identity,
        settings: Settings,
        telemetry: Telemetry,
        admission: Admission,
        dialect: Dialect,
        *,
        explains: bool = False,
        counts: bool = False,
        limits: RateHeaders = openai_rate_headers,
    ) -> None:
        self._gateway = gateway
        self._identity = identity
        self._settings = settings
        self._telemetry = telemetry
        self._dialect = dialect
        self._serve = self._explain if explains else self._count_tokens if counts else self._answer
        self._scopes: tuple[KeyScope, ...] = ("read",) if explains else ("infer", "read") if counts else ("infer",)
        self._limits = limits
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        received = time.perf_counter()
        request_id = new_request_id()
        exchange: Exchange | None = None
        watch: DisconnectWatch | None = None
        started = Started(send, receive, self._dialect, self._limits)
        visit = self._admission.begin()
        try:
            request, asked = await self._read(scope, receive, request_id, received, visit)
            watch = DisconnectWatch(scope, receive)
            visit.exchange = exchange = self._gateway.begin(request)
            exchange.span = self._telemetry.span_request(
                scope["path"], request_id=request_id, traceparent=request.traceparent
            )
            await self._serve(exchange, asked, started)
        except GatehouseError as error:
            if exchange is None:  # refused before there was anything to decide
                refused = Outcome(error_code=error.code)
                seconds = time.perf_counter() - received
                self._telemetry.request_finished(refused, status=error.status, seconds=seconds)
            await started.fail(error, request_id, exchange)
        except CallerGone:
            return
        except asyncio.CancelledError:
            if not visit.is_ended and (watch is None or not watch.gone):
                raise
            cast("asyncio.Task[None]", asyncio.current_task()).uncancel()
            if visit.is_ended:
                await started.fail(stopping(), request_id, exchange)
        except Exception as error:  # noqa: BLE001 - the HTTP edge
            log.error("unforeseen %s while serving %s", type(error).__name__, request_id, extra=_where(error))
            await started.fail(GatehouseError("The gateway met an internal error."), request_id, exchange)
        finally:
            visit.leave()
            if watch is not None:
                await watch.stop()
            if exchange is not None:  # each does nothing once it has ended
                if watch is not None and watch.gone:
                    exchange.finish("client_closed", 499)
                exchange.finish("internal_error", 500)

    async def _read(
        self, scope: Scope, receive: Receive, request_id: str, received: float, visit: Visit
    ) -> tuple[ChatRequest, Asked]:
        if scope["method"] != "POST":
            raise MethodNotAllowed("POST")
        if self._admission.is_draining:  # the connection ends with the refusal, which what is unread would make a reset
            await discard_body(receive)
        self._admission.check()
        principal = self._identity.authenticate(scope["headers"])
        require(principal, *self._scopes)
        settings = self._settings
        raw = await read_body(scope, receive, settings.max_body_bytes, settings.body_timeout_s, visit.hold)
        visit.enter()
        if len(raw) > _PARSED_INLINE:
            body = await asyncio.to_thread(parse_json_object, raw, settings.max_json_depth)
        else:
            body = parse_json_object(raw, settings.max_json_depth)
        asked = await self._dialect.read(body, principal)
        request = ChatRequest(
            id=request_id,
            body=asked.body,
            model=asked.model,
            principal=principal,
            stream=asked.stream,
            include_usage=asked.include_usage,
            local_only=_local_only(scope),
            no_store=b"no-store" in (header(scope, b"cache-control") or b"").lower(),
            traceparent=(header(scope, b"traceparent") or b"").decode("latin-1") or None,
            received=received,
            task=asked.task,
            size=len(raw),
            release=_release(scope),
        )
        return request, asked

    async def _explain(self, exchange: Exchange, asked: Asked, started: Started) -> None:
        try:
            await self._gateway.plan(exchange, explains=True)
        finally:
            exchange.discard()
        assert exchange.plan is not None
        payload = orjson.dumps(explanation(exchange.plan, exchange.policy))
        await respond(started.send, 200, self._headers(exchange, asked), payload)

    async def _count_tokens(self, exchange: Exchange, asked: Asked, started: Started) -> None:
        """An estimate that errs high: the one that decides which model's window is wide enough."""
        try:
            await self._gateway.plan(exchange)
        finally:
            exchange.discard()
        payload = orjson.dumps({"input_tokens": exchange.known.input_tokens})
        await respond(started.send, 200, self._headers(exchange, asked), payload)

    async def _answer(self, exchange: Exchange, asked: Asked, started: Started) -> None:
        if asked.stream:
            await self._stream(exchange, asked, started)
            return
        reply = await self._gateway.answer(exchange)
        assert reply.body is not None
        answer = self._dialect.whole(asked, _told(exchange), reply.body)
        if not exchange.request.no_store:
            await self._dialect.keep(asked, exchange.request.principal, answer)
        if "gatehouse" in reply.body:  # a notice, which no dialect's own form has
            answer = {**answer, "gatehouse": reply.body["gatehouse"]}
        started.yes = True
        await respond(started.send, 200, self._headers(exchange, asked), orjson.dumps(answer))

    async def _stream(self, exchange: Exchange, asked: Asked, started: Started) -> None:
        """Headers wait for the route, at most `headers_after`; then its last chunk tells it. Silence is bridged."""
        answering = asyncio.ensure_future(self._gateway.answer(exchange))
        try:
            await asyncio.wait({answering}, timeout=exchange.policy.headers_after_seconds)
            pending = not answering.done()
            if pending:
                headers = [*pending_headers(exchange.request.id), *self._limits(exchange.levels)]
            else:
                answering.result()  # an error has its own status
                headers = self._headers(exchange, asked)
            await started.start(headers, self._dialect.events(asked, _told(exchange, pending=pending)))
            async with Heartbeats(started, self._settings.heartbeat_s):
                if pending:
                    await started.beat()
                    await asyncio.wait({answering})
                ending = await self._relay(exchange, asked, answering.result(), started, pending)
            await started.write(ending, more=False)
        finally:
            await _let_go(answering)

    async def _relay(self, exchange: Exchange, asked: Asked, reply: Reply, started: Started, pending: bool) -> bytes:
        """Hand the chunks on; what ends the stream."""
        events = started.events
        written = 0
        async with aclosing(cast(Any, aiter(cast(Any, reply.chunks)))) as chunks:
            async for chunk in chunks:
                data = events.chunk(chunk)
                if data:
                    await started.write(data)
                    written += 1
                    if written % _AT_ONCE == 1:
                        await asyncio.sleep(0)
        ending = events.end(outcome_object(exchange.request.id, _outcome(exchange, asked)) if pending else None)
        answer = events.answer()
        if answer is not None and not exchange.request.no_store:
            await self._dialect.keep(asked, exchange.request.principal, answer)
        return ending

    def _headers(self, exchange: Exchange, asked: Asked) -> Headers:
        return [*outcome_headers(exchange.request.id, _outcome(exchange, asked)), *self._limits(exchange.levels)]


class Started:
    """The response as far as it has gone: before it has begun an error has its status, afterwards it is an event."""

    def __init__(self, send: Send, receive: Receive, dialect: Dialect, limits: RateHeaders) -> None:
        self.send = send
        self._receive = receive
        self._dialect = dialect
        self._limits = limits
        self._events: Events | None = None
        self._writes = 0  # that have begun and not ended
        self._now = asyncio.get_running_loop().time
        self.last_write = 0.0
        self.yes = False

    @property
    def events(self) -> Events:
        """Those of the stream; there are some from `start` on."""
        assert self._events is not None
        return self._events

    async def start(self, headers: Headers, events: Events) -> None:
        self.yes = True
        self._events = events
        await self.send({"type": "http.response.start", "status": 200, "headers": [*_STREAM_HEADERS, *headers]})
        self.last_write = self._now()

    async def write(self, data: bytes, *, more: bool = True) -> None:
        self._writes += 1
        try:
            await self.send({"type": "http.response.body", "body": data, "more_body": more})
        finally:
            self._writes -= 1
        self.last_write = self._now()

    @property
    def is_writing(self) -> bool:
        """Whether a write waits for the caller to read."""
        return self._writes > 0

    async def beat(self) -> None:
        """Say that there is nothing to say yet."""
        await self.write(self.events.heartbeat)

    async def fail(self, error: GatehouseError, request_id: str, exchange: Exchange | None) -> None:
        """End with `error`, in the form that the caller can still be told it."""
        if self.yes:
            await self.write(b"" if self._events is None else self._events.error(error), more=False)
            return
        outcome = exchange.outcome if exchange is not None else Outcome()
        outcome.route = "refused"
        envelope = self._dialect.envelope(error, request_id)
        headers = outcome_headers(request_id, outcome)
        if exchange is not None:
            headers += self._limits(exchange.levels)
        await respond_error(self.send, error, headers, self._receive, envelope)


def _told(exchange: Exchange, *, pending: bool = False) -> Told:
    tokens = exchange.plan.facts.input_tokens if exchange.plan is not None else 0
    return Told(exchange.request.id, tokens, pending)


def _outcome(exchange: Exchange, asked: Asked) -> Outcome:
    """The outcome, with what the dialect itself has left out."""
    outcome = exchange.outcome
    if asked.ignored:
        outcome.ignored = tuple(sorted({*outcome.ignored, *asked.ignored}))
    return outcome


async def _let_go(answering: asyncio.Future[Reply]) -> None:
    """Stop an answer that is still being made; close the upstream of one that nobody reads."""
    answering.cancel()
    await asyncio.wait({answering})
    if not answering.cancelled() and answering.exception() is None:
        chunks = answering.result().chunks
        if isinstance(chunks, Relay | FollowedChunks | NoticedChunks):
            await chunks.close()


def _local_only(scope: Scope) -> bool:
    value = header(scope, b"x-gatehouse-privacy")
    if value is None:
        return False
    if value.strip().lower() != b"local-only":
        raise InvalidRequest("`x-gatehouse-privacy` takes one value: local-only.", param="x-gatehouse-privacy")
    return True


def _release(scope: Scope) -> str | None:
    """The token that a caller brings, as it stands; one that is no text is no token of ours."""
    value = header(scope, b"x-gatehouse-release")
    return value.decode("latin-1").strip() if value is not None else None


def _where(error: BaseException) -> dict[str, object]:
    """The file and line that raised: enough to find a fault, nothing of what was being served."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return {"where": f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"} if trace is not None else {}
