"""`POST /v1/chat/completions` and `POST /v1/route`: OpenAI's chat dialect in, the same dialect out."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import aclosing
from typing import Any, cast

import orjson

from router.api import sse
from router.api.errors import openai_envelope
from router.api.explain import explanation
from router.api.headers import Headers, outcome_headers, outcome_object, pending_headers
from router.api.http import (
    CallerGone,
    DisconnectWatch,
    Receive,
    Scope,
    Send,
    header,
    new_request_id,
    read_body,
    respond,
    respond_error,
)
from router.api.parse import parse_json_object
from router.errors import GatehouseError, InvalidRequest, MethodNotAllowed, Unavailable
from router.exchange import Exchange
from router.following import FollowedChunks
from router.gateway import Gateway
from router.identity import Identity, require
from router.relay import Relay
from router.settings import Settings
from router.telemetry import Telemetry
from router.types import ChatRequest, KeyScope, Outcome, Reply

log = logging.getLogger("gatehouse.api")

_HEARTBEAT_SECONDS = 10.0
_STREAM_HEADERS: Headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]


class ChatEndpoint:
    """The data path as a plain ASGI application; `planning` answers with the decision instead of asking a model."""

    def __init__(
        self,
        gateway: Gateway,
        identity: Identity,
        settings: Settings,
        telemetry: Telemetry,
        *,
        planning: bool = False,
    ) -> None:
        self._gateway = gateway
        self._identity = identity
        self._settings = settings
        self._telemetry = telemetry
        self._serve = self._explain if planning else self._answer
        self._scope: KeyScope = "read" if planning else "infer"
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        received = time.perf_counter()
        request_id = new_request_id()
        exchange: Exchange | None = None
        watch: DisconnectWatch | None = None
        started = Started(send, receive)
        self._count(1)
        try:
            request = await self._read(scope, receive, request_id, received)
            watch = DisconnectWatch(receive)
            exchange = self._gateway.begin(request)
            exchange.span = self._telemetry.span_request(
                scope["path"], request_id=request_id, traceparent=request.traceparent
            )
            await self._serve(exchange, started)
        except GatehouseError as error:
            if exchange is None:  # refused before there was anything to decide
                refused = Outcome(error_code=error.code)
                seconds = time.perf_counter() - received
                self._telemetry.request_finished(refused, status=error.status, seconds=seconds)
            await started.fail(error, request_id, exchange)
        except CallerGone:
            return
        except asyncio.CancelledError:
            if watch is None or not watch.gone:
                raise
            cast("asyncio.Task[None]", asyncio.current_task()).uncancel()
        except Exception as error:  # noqa: BLE001 - the HTTP edge
            log.error("unforeseen %s while serving %s", type(error).__name__, request_id, extra=_where(error))
            await started.fail(GatehouseError("The gateway met an internal error."), request_id, exchange)
        finally:
            self._count(-1)
            if watch is not None:
                await watch.stop()
            if exchange is not None:  # each does nothing once it has ended
                if watch is not None and watch.gone:
                    exchange.finish("client_closed", 499)
                exchange.finish("internal_error", 500)

    def _count(self, change: int) -> None:
        self._in_flight += change
        self._telemetry.in_flight(self._in_flight)

    async def _read(self, scope: Scope, receive: Receive, request_id: str, received: float) -> ChatRequest:
        if scope["method"] != "POST":
            raise MethodNotAllowed("POST")
        principal = self._identity.authenticate(scope["headers"])
        require(principal, self._scope)
        if self._in_flight > self._settings.max_concurrent:
            self._telemetry.request_shed("concurrency")
            raise Unavailable("Too many requests are in flight. Retry shortly.", code="local_overloaded")
        raw = await read_body(scope, receive, self._settings.max_body_bytes, self._settings.body_timeout_s)
        body = parse_json_object(raw, self._settings.max_json_depth)
        model, stream = body.get("model", "auto"), body.get("stream") or False
        if not isinstance(model, str) or not model:
            raise InvalidRequest("`model` must be a non-empty string, such as `auto`.", param="model")
        if not isinstance(stream, bool):
            raise InvalidRequest("`stream` must be true or false.", param="stream")
        options = body.get("stream_options") or {}
        if not isinstance(options, dict):
            raise InvalidRequest("`stream_options` must be an object.", param="stream_options")
        return ChatRequest(
            id=request_id,
            body=body,
            model=model,
            principal=principal,
            stream=stream,
            include_usage=options.get("include_usage") is True,
            local_only=_local_only(scope),
            no_store=b"no-store" in (header(scope, b"cache-control") or b"").lower(),
            traceparent=(header(scope, b"traceparent") or b"").decode("latin-1") or None,
            received=received,
        )

    async def _explain(self, exchange: Exchange, started: Started) -> None:
        try:
            await self._gateway.plan(exchange, explains=True)
        finally:
            exchange.discard()
        assert exchange.plan is not None
        payload = orjson.dumps(explanation(exchange.plan, exchange.running.policy))
        await respond(started.send, 200, outcome_headers(exchange.request.id, exchange.outcome), payload)

    async def _answer(self, exchange: Exchange, started: Started) -> None:
        if exchange.request.stream:
            await self._stream(exchange, started)
            return
        reply = await self._gateway.answer(exchange)
        headers = outcome_headers(exchange.request.id, reply.outcome)
        started.yes = True
        await respond(started.send, 200, headers, orjson.dumps(reply.body))

    async def _stream(self, exchange: Exchange, started: Started) -> None:
        """Headers wait for the route, at most `headers_after`; then heartbeats, and the route in the last chunk."""
        answering = asyncio.ensure_future(self._gateway.answer(exchange))
        try:
            await asyncio.wait({answering}, timeout=exchange.running.policy.headers_after_seconds)
            pending = not answering.done()
            if pending:
                await started.start(pending_headers(exchange.request.id))
            while not answering.done():
                await started.write(sse.HEARTBEAT)
                await asyncio.wait({answering}, timeout=_HEARTBEAT_SECONDS)
            reply = answering.result()
            if not pending:
                await started.start(outcome_headers(exchange.request.id, reply.outcome))
            await self._relay(exchange, reply, started, pending)
        finally:
            await _let_go(answering)

    async def _relay(self, exchange: Exchange, reply: Reply, started: Started, pending: bool) -> None:
        last: dict[str, Any] | None = None
        async with aclosing(cast(Any, aiter(cast(Any, reply.chunks)))) as chunks:
            async for chunk in chunks:
                if last is not None:
                    await started.write(sse.event(last))
                if pending:
                    last = chunk  # held back by one, for the final route stands in the last
                else:
                    await started.write(sse.event(chunk))
        if last is not None:
            last["gatehouse"] = outcome_object(exchange.request.id, reply.outcome)
            await started.write(sse.event(last))
        await started.write(sse.DONE, more=False)


class Started:
    """The response as far as it has gone: before it has begun an error has its status, afterwards it is an event."""

    def __init__(self, send: Send, receive: Receive) -> None:
        self.send = send
        self._receive = receive
        self.yes = False

    async def start(self, headers: Headers) -> None:
        self.yes = True
        await self.send({"type": "http.response.start", "status": 200, "headers": [*_STREAM_HEADERS, *headers]})

    async def write(self, data: bytes, *, more: bool = True) -> None:
        await self.send({"type": "http.response.body", "body": data, "more_body": more})

    async def fail(self, error: GatehouseError, request_id: str, exchange: Exchange | None) -> None:
        """End with `error`, in the form that the caller can still be told it."""
        if self.yes:
            await self.write(sse.error_event(openai_envelope(error)), more=False)
            return
        outcome = exchange.outcome if exchange is not None else Outcome()
        outcome.route = "refused"
        await respond_error(self.send, error, outcome_headers(request_id, outcome), self._receive)


async def _let_go(answering: asyncio.Future[Reply]) -> None:
    """Stop an answer that is still being made; close the upstream of one that nobody reads."""
    answering.cancel()
    await asyncio.wait({answering})
    if not answering.cancelled() and answering.exception() is None:
        chunks = answering.result().chunks
        if isinstance(chunks, Relay | FollowedChunks):
            await chunks.close()


def _local_only(scope: Scope) -> bool:
    value = header(scope, b"x-gatehouse-privacy")
    if value is None:
        return False
    if value.strip().lower() != b"local-only":
        raise InvalidRequest("`x-gatehouse-privacy` takes one value: local-only.", param="x-gatehouse-privacy")
    return True


def _where(error: BaseException) -> dict[str, object]:
    """The file and line that raised: enough to find a fault, nothing of what was being served."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return {"where": f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"} if trace is not None else {}
