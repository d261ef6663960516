"""The engine's wire: OpenAI chat completions, plain and as server-sent events, and embeddings.

It never waits for the decode thread. Errors are the OpenAI envelope and hold no content; a request whose caller has
gone is cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager

import orjson
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from router.engine import embeddings
from router.engine.answer import Answer
from router.engine.process import say
from router.engine.protocol import parse
from router.engine.service import Engine
from router.engine.shapes import Choice, JsonObject, Shape, envelope
from router.engine.types import ChatCall, EngineError, Finished, Piece

MAX_BODY_BYTES = 8 * 1024 * 1024
_JSON = "application/json"


class CallerGoneError(Exception):
    """Nobody reads the answer any more."""


def create_app(engine: Engine) -> Starlette:
    """The ASGI application over one engine."""

    async def health(_request: Request) -> Response:
        return _json(engine.health(), 200 if engine.is_ready else 503)

    async def stats(_request: Request) -> Response:
        return _json(engine.stats(), 200)

    async def models(_request: Request) -> Response:
        shared = {"object": "model", "created": engine.created, "owned_by": "local"}
        return _json({"object": "list", "data": [{"id": name, **shared} for name in engine.names()]}, 200)

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
        Route("/v1/chat/completions", Endpoint(engine, _chat), methods=["POST"]),
        Route("/v1/embeddings", Endpoint(engine, _embed), methods=["POST"]),
    ]
    return Starlette(routes=routes, exception_handlers={404: not_found, 405: not_allowed, 500: failed})


Work = Callable[[Engine, bytes, Send], Awaitable[Response | None]]


class Endpoint:
    """A path that makes the model work, as a plain ASGI application: it must see the caller go while it answers."""

    def __init__(self, engine: Engine, work: Work) -> None:
        """`work` gives the response, or None when it has sent one itself."""
        self._engine = engine
        self._work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            raw = await _read(request)
            async with _while_read(request.receive):
                response = await self._work(self._engine, raw, send)
        except (ClientDisconnect, CallerGoneError):
            return
        except EngineError as error:
            response = _error_response(error)
        if response is not None:
            await response(scope, receive, send)


async def _chat(engine: Engine, raw: bytes, send: Send) -> Response | None:
    call = parse(raw)
    answers = await engine.submit(call)
    try:
        shape = Shape(call, answers[0].fingerprint)
        if not call.stream:
            return _json(await _whole(answers, call, shape), 200)
        await _stream(_events(answers, call, shape), send)
        return None
    finally:
        for answer in answers:
            answer.close()


async def _embed(engine: Engine, raw: bytes, _send: Send) -> Response:
    call = embeddings.parse(raw)
    reply = await engine.embed(call.model, call.inputs, call.dimensions)
    return _json(embeddings.render(call, reply), 200)


async def _read(request: Request) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise EngineError(413, "request_too_large", f"The body is larger than {MAX_BODY_BYTES} bytes.")
        parts.append(part)
    return b"".join(parts)


@asynccontextmanager
async def _while_read(receive: Receive) -> AsyncIterator[None]:
    """Cancels the block as soon as the caller has closed the connection, and raises CallerGoneError then."""
    task = asyncio.current_task()
    assert task is not None
    gone = asyncio.ensure_future(_until_gone(receive))
    gone.add_done_callback(lambda done: None if done.cancelled() else task.cancel())
    try:
        yield
    except asyncio.CancelledError:
        if not gone.done():
            raise
        task.uncancel()
        raise CallerGoneError from None
    finally:
        gone.cancel()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _merged(answers: Sequence[Answer]) -> AsyncIterator[tuple[int, Piece | Finished]]:
    """The events of all choices as they come, each with its choice's index. Raises EngineError."""
    if len(answers) == 1:
        while True:
            only = await answers[0].next()
            yield 0, only
            if isinstance(only, Finished):
                return
    arrived: asyncio.Queue[tuple[int, Piece | Finished | EngineError]] = asyncio.Queue()
    pumps = [asyncio.ensure_future(_pump(index, answer, arrived)) for index, answer in enumerate(answers)]
    try:
        open_ones = len(answers)
        while open_ones:
            index, event = await arrived.get()
            if isinstance(event, EngineError):
                raise event
            open_ones -= isinstance(event, Finished)
            yield index, event
    finally:
        for pump in pumps:
            pump.cancel()


async def _pump(index: int, answer: Answer, arrived: asyncio.Queue[tuple[int, Piece | Finished | EngineError]]) -> None:
    try:
        while True:
            event = await answer.next()
            arrived.put_nowait((index, event))
            if isinstance(event, Finished):
                return
    except EngineError as error:
        arrived.put_nowait((index, error))


def _choices(answers: Sequence[Answer], call: ChatCall) -> list[Choice]:
    return [Choice(index, call, answer.form) for index, answer in enumerate(answers)]


async def _whole(answers: Sequence[Answer], call: ChatCall, shape: Shape) -> JsonObject:
    choices = _choices(answers, call)
    async with aclosing(_merged(answers)) as events:  # type: ignore[type-var]  # see `_stream`
        async for index, event in events:
            if isinstance(event, Finished):
                choices[index].end(event)
            else:
                choices[index].add(event)
    return shape.whole(choices)


async def _events(answers: Sequence[Answer], call: ChatCall, shape: Shape) -> AsyncIterator[bytes]:
    """The stream's events. The first comes when the model has spoken, so that errors before it keep their status."""
    choices = _choices(answers, call)
    begun: set[int] = set()
    async with aclosing(_merged(answers)) as events:  # type: ignore[type-var]  # see `_stream`
        async for index, event in events:
            choice = choices[index]
            if index not in begun:
                begun.add(index)
                yield _sse(shape.chunk(index, {"role": "assistant", "content": "", "refusal": None}))
            deltas = choice.end(event) if isinstance(event, Finished) else choice.add(event)
            for delta in deltas:
                yield _sse(shape.chunk(index, delta, choice.take_logprobs()))
            if isinstance(event, Finished):
                yield _sse(shape.last_chunk(choice))
    if call.include_usage:
        yield _sse(shape.usage_chunk(choices))
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
            await send({"type": "http.response.body", "body": _sse(envelope(error)), "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _sse(value: JsonObject) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


def _json(value: JsonObject, status: int) -> Response:
    return Response(orjson.dumps(value), status, media_type=_JSON)


def _error_response(error: EngineError) -> Response:
    response = _json(envelope(error), error.status)
    if error.retry_after is not None:
        response.headers["retry-after"] = str(error.retry_after)
    if error.status == 413:
        response.headers["connection"] = "close"  # the rest of the body is not read
    return response
