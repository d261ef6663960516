"""litellm translates, behind a guard: what it writes comes from the permitted arguments or from a listed word."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
import pytest

from policies.types import Model
from router import __version__
from router.backends.guard import GuardedTransport
from router.backends.scripted import Exchange, Script
from router.backends.translated import LitellmBackend
from router.backends.translator_words import HEADERS, PROVIDERS
from router.errors import Denied, GatehouseError, InvalidRequest, UpstreamError, UpstreamTimeout
from router.settings import Settings
from router.types import JsonObject, Outgoing
from tests.backends.conftest import eventually, permit
from tests.support.recorder import Recorder

# litellm silences these for itself at its import; pytest puts its own filters back for each test.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier.*:UserWarning"),
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning"),
]
CANARY = "zanzibar-canary"


@dataclass(frozen=True)
class Wire:
    """How a provider's upstream looks: the model, the base URL below the recorder's, its answers."""

    model: str
    path: str
    whole: JsonObject
    events: tuple[bytes, ...]


def _sse(*events: JsonObject) -> tuple[bytes, ...]:
    return tuple(
        (f"event: {event['type']}\n" if "type" in event else "").encode() + b"data: " + orjson.dumps(event) + b"\n\n"
        for event in events
    )


_CLAUDE = {"id": "m", "type": "message", "role": "assistant", "model": "claude", "stop_sequence": None}
_CLAUDE_USE = {"input_tokens": 5, "output_tokens": 3}
_GEMINI = {"candidates": [{"content": {"role": "model", "parts": [{"text": "Hello there."}]}, "finishReason": "STOP"}]}
_GEMINI_USE = {"usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 3, "totalTokenCount": 8}}
_MISTRAL: JsonObject = {"id": "m", "object": "chat.completion", "created": 1, "model": "mistral-small-latest"}
_MISTRAL_USE = {"usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}}

WIRES = {
    "anthropic": Wire(
        "anthropic/claude-3-5-haiku-20241022",
        "",
        {
            **_CLAUDE,
            "content": [{"type": "text", "text": "Hello there."}],
            "stop_reason": "end_turn",
            "usage": _CLAUDE_USE,
        },
        _sse(
            {"type": "message_start", "message": {**_CLAUDE, "content": [], "stop_reason": None, "usage": _CLAUDE_USE}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello "}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "there."}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
            {"type": "message_stop"},
        ),
    ),
    "gemini": Wire("gemini/gemini-2.0-flash", "", {**_GEMINI, **_GEMINI_USE}, _sse({**_GEMINI, **_GEMINI_USE})),
    "mistral": Wire(
        "mistral/mistral-small-latest",
        "/v1",
        {
            **_MISTRAL,
            **_MISTRAL_USE,
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": "Hello there."}, "finish_reason": "stop"}
            ],
        },
        (
            *_sse(
                {**_MISTRAL, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hello "}}]},
                {
                    **_MISTRAL,
                    **_MISTRAL_USE,
                    "choices": [{"index": 0, "delta": {"content": "there."}, "finish_reason": "stop"}],
                },
            ),
            b"data: [DONE]\n\n",
        ),
    ),
}
ASKS: JsonObject = {
    "messages": [
        {"role": "system", "content": "You are terse."},
        {"role": "user", "content": "What is the weather in Oslo?"},
        {
            "role": "assistant",
            "content": "I shall look.",
            "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "12 degrees, rain"},
        {"role": "user", "content": [{"type": "text", "text": "And now in one word?"}]},
    ],
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "weather",
                "description": "Looks out of the window.",
                "parameters": {
                    "type": "object",
                    "properties": {"city": {"type": "string", "description": "A town."}},
                    "required": ["city"],
                },
            },
        }
    ],
    "temperature": 0.5,
    "max_tokens": 40,
    "stop": ["THE END"],
}


@pytest.fixture(params=list(WIRES))
def wire(request: pytest.FixtureRequest) -> Wire:
    return WIRES[request.param]


@pytest.fixture
async def upstream() -> AsyncIterator[Recorder]:
    async with Recorder(Upstream()) as recorder:
        yield recorder


class Upstream:
    """Answers each provider's requests in its own format."""

    def __init__(self) -> None:
        self.script: Script | None = None

    def __call__(self, exchange: Exchange) -> Script:
        if self.script is not None:
            return self.script
        chosen = next(wire for name, wire in WIRES.items() if _is_of(name, exchange))
        return Script(raw_body=orjson.dumps(chosen.whole), raw_events=chosen.events)


def _is_of(provider: str, exchange: Exchange) -> bool:
    marks = {"anthropic": "/messages", "gemini": "enerateContent", "mistral": "/chat/completions"}
    return marks[provider] in exchange.target


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"first_chunk_timeout_s": 30.0})


@pytest.fixture
async def backend(
    wire: Wire, upstream: Recorder, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[LitellmBackend]:
    monkeypatch.setenv("PROVIDER_KEY", "key-of-the-gateway")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    made = LitellmBackend(_model(wire, upstream), settings)
    yield made
    await made.close()


def _model(wire: Wire, upstream: Recorder, **changes: Any) -> Model:
    base = upstream.url.removesuffix("/v1") + wire.path
    given: dict[str, Any] = {"name": "cloud", "locality": "cloud", "backend": "litellm", "model": wire.model}
    return Model(**{**given, "base_url": base, "api_key_env": "PROVIDER_KEY", "timeout_seconds": 30.0, **changes})


def request_for(model: Model, **changes: Any) -> Outgoing:
    body = {**ASKS, "model": model.model, **changes}
    written = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    return Outgoing(written, bool(changes.get("stream")), permit(model, written))


def strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, dict):
        yield from value
        for item in value.values():
            yield from strings(item)


async def text_of(stream: Any) -> str:
    parts = [choice["delta"].get("content") or "" async for chunk in stream for choice in chunk["choices"]]
    return "".join(parts)


@pytest.mark.parametrize("is_stream", [False, True])
async def test_every_string_on_the_wire_is_in_the_arguments_or_listed(
    backend: LitellmBackend, upstream: Recorder, wire: Wire, is_stream: bool
) -> None:
    request = request_for(backend.model, stream=is_stream)
    if is_stream:
        assert await text_of(await backend.open_stream(request)) == "Hello there."
    else:
        reply = await backend.complete(request)
        assert reply["choices"][0]["message"]["content"] == "Hello there."
        assert reply["usage"] == {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
    (exchange,) = upstream.exchanges
    provider = PROVIDERS[wire.model.partition("/")[0]]
    arguments = orjson.loads(request.body)
    nested = {"city", "Oslo"}  # in the JSON of the tool call's arguments
    sources = {*strings(arguments), *nested, *provider.words, *wire.model.split("/")}
    assert set(strings(exchange.json)) <= sources
    assert {text for text in strings(ASKS["messages"]) if " " in text and "{" not in text} <= set(
        strings(exchange.json)
    )
    sent = {name.lower(): value for name, value in exchange.headers}
    assert sent.keys() <= HEADERS | {"accept-encoding"}
    assert sent["user-agent"] == f"gatehouse/{__version__}"
    assert "key-of-the-gateway" in " ".join(sent.values())


async def test_nothing_but_the_policys_address_is_contacted(backend: LitellmBackend, upstream: Recorder) -> None:
    """A process-wide audit hook sees every connection and every name that is looked up."""
    seen: list[object] = []

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.connect":
            seen.append(arguments[1])
        elif event == "socket.getaddrinfo":
            seen.append(arguments[0])

    sys.addaudithook(watch)
    await backend.complete(request_for(backend.model))
    seen = [address for address in seen if address not in (None, "127.0.0.1", b"127.0.0.1")]
    assert seen == [("127.0.0.1", upstream.port)]


@pytest.mark.parametrize("is_stream", [False, True])
async def test_without_a_permit_for_these_bytes_nothing_is_written(
    backend: LitellmBackend, upstream: Recorder, is_stream: bool
) -> None:
    good = request_for(backend.model, stream=is_stream)
    for bad in (Outgoing(good.body, is_stream), Outgoing(good.body + b" ", is_stream, good.permit)):
        with pytest.raises(Denied):
            await (backend.open_stream(bad) if is_stream else backend.complete(bad))
    assert upstream.connections == 0


@pytest.mark.parametrize(
    "field", ["api_base", "api_key", "extra_headers", "mock_response", "metadata", "callbacks", "fallbacks", "client"]
)
async def test_an_argument_that_is_not_listed_is_refused(
    backend: LitellmBackend, upstream: Recorder, field: str
) -> None:
    with pytest.raises(InvalidRequest):
        await backend.complete(request_for(backend.model, **{field: "x"}))
    assert upstream.connections == 0


async def test_an_address_in_a_request_is_not_fetched(backend: LitellmBackend, upstream: Recorder) -> None:
    async with Recorder() as elsewhere:
        image = {"type": "image_url", "image_url": {"url": f"{elsewhere.url}/cat.png"}}
        with pytest.raises(InvalidRequest, match="never fetched"):
            await backend.complete(request_for(backend.model, messages=[{"role": "user", "content": [image]}]))
        assert elsewhere.connections == upstream.connections == 0


@pytest.mark.parametrize(
    ("script", "status"),
    [
        (Script(status=400, error={"message": CANARY, "type": "invalid_request_error"}), 400),
        (Script(status=401, error={"message": CANARY}), 502),
        (Script(status=429, error={"message": CANARY}, headers=(("Retry-After", "9"),)), 429),
        (Script(status=500, error={"message": CANARY}), 502),
        (Script(fault="close_before"), 502),
        (Script(fault="redirect", location="http://127.0.0.1:1/elsewhere"), 502),
        (Script(fault="not_http"), 502),
        (Script(raw_body=b"<html>" + CANARY.encode(), raw_events=(b"data: {" + CANARY.encode() + b"\n\n",)), 502),
    ],
)
@pytest.mark.parametrize("is_stream", [False, True])
async def test_an_upstream_failure_becomes_ours_is_tried_once_and_says_nothing_of_the_content(
    backend: LitellmBackend, upstream: Recorder, script: Script, status: int, is_stream: bool, caplog: Any, capfd: Any
) -> None:
    upstream.script.script = script  # type: ignore[union-attr]  # the Upstream of the fixture
    request = request_for(backend.model, stream=is_stream)
    with pytest.raises(GatehouseError) as caught:
        await (text_of(await backend.open_stream(request)) if is_stream else backend.complete(request))
    assert caught.value.status == status
    assert caught.value.retry_after == (9 if status == 429 else None)
    assert len(upstream.exchanges) == 1
    printed = capfd.readouterr()
    for place in (caught.value.message, caplog.text, printed.out, printed.err):
        assert CANARY not in place
        assert "Oslo" not in place


async def test_a_stream_that_is_cut_never_ends_silently(
    backend: LitellmBackend, upstream: Recorder, wire: Wire
) -> None:
    events = [event for event in wire.events if b"message_delta" not in event and b"message_stop" not in event]
    cut = b"".join(events).replace(b"finishReason", b"other").replace(b"data: [DONE]\n\n", b"")
    upstream.script.script = Script(raw_events=(cut,))  # type: ignore[union-attr]
    with pytest.raises(GatehouseError):
        await text_of(await backend.open_stream(request_for(backend.model, stream=True)))


async def test_an_upstream_that_says_nothing_is_a_timeout(
    wire: Wire, upstream: Recorder, backend: LitellmBackend
) -> None:
    upstream.script.script = Script(fault="stall_before")  # type: ignore[union-attr]
    settings = Settings(first_chunk_timeout_s=1.0)
    hasty = LitellmBackend(_model(wire, upstream, timeout_seconds=1.0), settings)
    for is_stream in (False, True):
        request = request_for(hasty.model, stream=is_stream)
        with pytest.raises(UpstreamTimeout):
            await (hasty.open_stream(request) if is_stream else hasty.complete(request))
    await hasty.close()


async def test_cancelling_closes_the_connection(backend: LitellmBackend, upstream: Recorder) -> None:
    upstream.script.script = Script(fault="stall_before")  # type: ignore[union-attr]
    task = asyncio.ensure_future(backend.complete(request_for(backend.model)))
    assert await eventually(lambda: bool(upstream.exchanges))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await eventually(lambda: upstream.open_connections == 0)


async def test_closing_a_stream_closes_the_connection(backend: LitellmBackend, upstream: Recorder, wire: Wire) -> None:
    upstream.script.script = Script(raw_events=wire.events, fault="stall_after", after=max(1, len(wire.events) - 1))  # type: ignore[union-attr]
    stream = await backend.open_stream(request_for(backend.model, stream=True))
    await stream.aclose()
    assert await eventually(lambda: upstream.open_connections == 0)


@pytest.mark.parametrize("model", ["openai/gpt-4o", "cohere_chat/command-r", "bedrock/x", "gpt-4o", "litellm_proxy/x"])
async def test_a_provider_that_is_not_proven_is_refused(upstream: Recorder, settings: Settings, model: str) -> None:
    made = Model(name="cloud", locality="cloud", backend="litellm", model=model, base_url=upstream.url)
    backend = LitellmBackend(made, settings)
    with pytest.raises(UpstreamError, match="backend: openai"):
        await backend.complete(request_for(made))
    await backend.close()
    assert upstream.connections == 0


class Nowhere(httpx.AsyncBaseTransport):
    """Fails the test when anything gets as far as the connection."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise AssertionError("a request passed the guard")


@pytest.mark.parametrize(
    ("url", "body"),
    [
        ("http://127.0.0.1:9/v1/messages", {"messages": [{"content": "not in the request"}]}),
        ("http://127.0.0.1:9/v1/messages", {"hidden key": "hello"}),
        ("http://127.0.0.1:8/v1/messages", {"model": "m"}),
        ("http://elsewhere.example:9/v1/messages", {"model": "m"}),
        ("https://127.0.0.1:9/v1/messages", {"model": "m"}),
        ("http://127.0.0.1:9/v1/messages?q=leak", {"model": "m"}),
        ("http://127.0.0.1:9/v1/leak", {"model": "m"}),
    ],
)
async def test_the_guard_refuses_what_is_not_the_requests(url: str, body: JsonObject) -> None:
    arguments = {"model": "anthropic/m", "messages": [{"role": "user", "content": "hello"}]}
    guard = GuardedTransport(Nowhere(), "http://127.0.0.1:9", PROVIDERS["anthropic"], arguments)
    with pytest.raises(httpx.ReadError):
        await guard.handle_async_request(httpx.Request("POST", url, json=body))
    assert guard.refusal is not None
    assert "leak" not in guard.refusal.message


def test_importing_the_gateway_does_not_import_litellm() -> None:
    code = "import sys, router.backends.table, router.backends.local; sys.exit('litellm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
