"""The engine's wire: OpenAI chat completions, plain and as server-sent events. It never waits for the decode thread.

Errors are the OpenAI envelope and hold no content; a request whose caller has gone is cancelled.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import aclosing
from typing import Any, TypeVar

import orjson
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from router.engine import embeddings
from router.engine.process import say
from router.engine.protocol import parse
from router.engine.service import Answer, Engine
from router.engine.types import ChatCall, EngineError, Finished, Piece, TokenLogprob

MAX_BODY_BYTES = 8 * 1024 * 1024
_JSON = "application/json"
_TYPES = {
    400: "invalid_request_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "invalid_request_error",
}

JsonObject = dict[str, Any]
T = TypeVar("T")


class CallerGoneError(Exception):
    """Nobody reads the answer any more."""


def create_app(engine: Engine) -> Starlette:
    """The ASGI application over one engine."""

    async def health(_request: Request) -> Response:
        return _json(engine.health(), 200 if engine.is_ready else 503)

    async def stats(_request: Request) -> Response:
        return _json(engine.stats(), 200)

    async def models(_request: Request) -> Response:
        listed = [
            {"id": name, "object": "model", "created": engine.created, "owned_by": "local"} for name in engine.names()
        ]
        return _json({"object": "list", "data": listed}, 200)

    async def not_found(_request: Request, _error: Exception) -> Response:
        return _error_response(EngineError(404, "not_found", "There is no such path."))

    async def not_allowed(_request: Request, _error: Exception) -> Response:
        return _error_response(EngineError(405, "method_not_allowed", "This path does not take this method."))

    async def failed(_request: Request, error: Exception) -> Response:
        # The class is named; what it says could be content.
        say(f"{type(error).__name__} while answering a request")
        return _error_response(EngineError(500, "engine_error", "The local engine failed on this request."))

    routes = [
        Route("/health", health),
        Route("/stats", stats),
        Route("/v1/models", models),
        Route("/v1/embeddings", EmbeddingsEndpoint(engine), methods=["POST"]),
        Route("/v1/chat/completions", ChatEndpoint(engine), methods=["POST"]),
    ]
    return Starlette(routes=routes, exception_handlers={404: not_found, 405: not_allowed, 500: failed})


class ChatEndpoint:
    """`POST /v1/chat/completions`, as a plain ASGI application: it must see the caller go while it answers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            response = await self._respond(request, send)
        except (ClientDisconnect, CallerGoneError):
            return
        except EngineError as error:
            response = _error_response(error)
        if response is not None:
            await response(scope, receive, send)

    async def _respond(self, request: Request, send: Send) -> Response | None:
        """The response, or None when a stream has been sent."""
        call = parse(await _read(request))
        gone = asyncio.ensure_future(_until_gone(request.receive))
        answers: list[Answer] = []
        try:
            answers = await self._submit(call, gone)
            answer = answers[0]
            shape = _Shape(answer, call)
            if call.stream:
                await _stream(_events(answer, shape, gone), send)
                return None
            return _json(await _whole(answer, shape, gone), 200)
        finally:
            gone.cancel()
            for each in answers:
                each.close()

    async def _submit(self, call: ChatCall, gone: asyncio.Future[None]) -> list[Answer]:
        """A caller that goes while its model is being loaded waits no more. What was submitted is always returned."""
        task = asyncio.ensure_future(self._engine.submit(call))
        both: set[asyncio.Future[Any]] = {task, gone}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
        if task.cancelled():
            raise CallerGoneError
        return task.result()


class EmbeddingsEndpoint:
    """`POST /v1/embeddings`, as a plain ASGI application for the same reason."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            response = await self._respond(request)
        except (ClientDisconnect, CallerGoneError):
            return
        except EngineError as error:
            response = _error_response(error)
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        call = embeddings.parse(await _read(request))
        gone = asyncio.ensure_future(_until_gone(request.receive))
        try:
            reply = await _unless_gone(self._engine.embed(call.model, call.inputs, call.dimensions), gone)
            return _json(embeddings.render(call, reply), 200)
        finally:
            gone.cancel()


async def _read(request: Request) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise EngineError(413, "request_too_large", f"The body is larger than {MAX_BODY_BYTES} bytes.")
        parts.append(part)
    return b"".join(parts)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _unless_gone(work: Awaitable[T], gone: asyncio.Future[None]) -> T:
    """The result of `work`. Raises CallerGoneError as soon as the caller has closed the connection."""
    task = asyncio.ensure_future(work)
    both: set[asyncio.Future[Any]] = {task, gone}
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            raise CallerGoneError
        return task.result()
    finally:
        task.cancel()


class _Shape:
    """The objects of one answer: they share an id, a time and a model."""

    def __init__(self, answer: Answer, call: ChatCall) -> None:
        self.call = call
        self._common = {
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": answer.model,
            "system_fingerprint": answer.fingerprint,
        }

    def whole(self, text: str, logprobs: list[TokenLogprob], finished: Finished) -> JsonObject:
        """A `chat.completion`."""
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {
            "index": 0,
            "message": message,
            "logprobs": self._logprobs(logprobs),
            "finish_reason": finished.reason,
        }
        return {**self._common, "object": "chat.completion", "choices": [choice], "usage": _usage(finished)}

    def chunk(self, delta: JsonObject, logprobs: list[TokenLogprob], reason: str | None = None) -> JsonObject:
        """A `chat.completion.chunk` with one choice."""
        shown = self._logprobs(logprobs) if logprobs else None
        choice = {"index": 0, "delta": delta, "logprobs": shown, "finish_reason": reason}
        return self._chunk([choice], None)

    def usage_chunk(self, finished: Finished) -> JsonObject:
        """The chunk without choices that `stream_options.include_usage` asks for."""
        return self._chunk([], _usage(finished))

    def _chunk(self, choices: list[JsonObject], usage: JsonObject | None) -> JsonObject:
        chunk = {**self._common, "object": "chat.completion.chunk", "choices": choices}
        return {**chunk, "usage": usage} if self.call.include_usage else chunk

    def _logprobs(self, entries: list[TokenLogprob]) -> JsonObject | None:
        if self.call.top_logprobs is None:
            return None
        return {"content": [_entry(entry) for entry in entries], "refusal": None}


def _usage(finished: Finished) -> JsonObject:
    prompt, completion = finished.prompt_tokens, finished.completion_tokens
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _entry(entry: TokenLogprob) -> JsonObject:
    top = [{**_token(token), "logprob": value} for token, value in entry.top]
    return {**_token(entry.token), "logprob": entry.logprob, "top_logprobs": top}


def _token(raw: bytes) -> JsonObject:
    """A token that is a part of a character shows its bytes as `\\xNN`."""
    return {"token": raw.decode("utf-8", "backslashreplace"), "bytes": list(raw)}


async def _whole(answer: Answer, shape: _Shape, gone: asyncio.Future[None]) -> JsonObject:
    parts: list[str] = []
    logprobs: list[TokenLogprob] = []
    while True:
        event = await _unless_gone(answer.next(), gone)
        if isinstance(event, Finished):
            return shape.whole("".join(parts), logprobs, event)
        if isinstance(event, Piece):
            parts.append(event.text)
            logprobs += event.logprobs


async def _events(answer: Answer, shape: _Shape, gone: asyncio.Future[None]) -> AsyncIterator[bytes]:
    """The stream's events. The first comes when the model has spoken, so that errors before it keep their status."""
    event = await _unless_gone(answer.next(), gone)
    yield _sse(shape.chunk({"role": "assistant", "content": "", "refusal": None}, []))
    while isinstance(event, Piece):
        yield _sse(shape.chunk({"content": event.text}, list(event.logprobs)))
        event = await _unless_gone(answer.next(), gone)
    if isinstance(event, Finished):
        yield _sse(shape.chunk({}, [], event.reason))
        if shape.call.include_usage:
            yield _sse(shape.usage_chunk(event))
    yield b"data: [DONE]\n\n"


async def _stream(events: AsyncIterator[bytes], send: Send) -> None:
    async with aclosing(events):  # type: ignore[type-var]  # an async generator, typed by what it yields
        first = await anext(events)
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": first, "more_body": True})
        try:
            async for event in events:
                await send({"type": "http.response.body", "body": event, "more_body": True})
        except EngineError as error:
            # The status is out: the error is an event, and no [DONE] follows it.
            await send({"type": "http.response.body", "body": _sse(_envelope(error)), "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _sse(value: JsonObject) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


def _envelope(error: EngineError) -> JsonObject:
    kind = _TYPES.get(error.status, "server_error")
    return {"error": {"message": error.message, "type": kind, "param": error.param, "code": error.code}}


def _json(value: JsonObject, status: int) -> Response:
    return Response(orjson.dumps(value), status, media_type=_JSON)


def _error_response(error: EngineError) -> Response:
    response = _json(_envelope(error), error.status)
    if error.retry_after is not None:
        response.headers["retry-after"] = str(error.retry_after)
    if error.status == 413:
        response.headers["connection"] = "close"  # the rest of the body is not read
    return response
