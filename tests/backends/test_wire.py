"""One exchange after another with a real upstream on loopback: what is written, what is read, and every way to fail."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

import orjson
import pytest

from router import __version__
from router.backends.cloud import CloudBackend
from router.backends.local import LocalBackend
from router.backends.scripted import Exchange, Script
from router.errors import GatehouseError, Unavailable, UpstreamError, UpstreamTimeout
from router.settings import Settings
from router.types import JsonObject
from tests.backends.conftest import MakeModel, eventually, outgoing
from tests.support.recorder import Recorder

SECRET = "zanzibar-canary-4711"


@pytest.fixture
async def home(local_model: MakeModel, settings: Settings) -> Any:
    backend = LocalBackend(local_model(), settings)
    yield backend
    await backend.close()


@pytest.fixture
async def cloud(cloud_model: MakeModel, settings: Settings) -> Any:
    backend = CloudBackend(cloud_model(), settings)
    yield backend
    await backend.close()


async def collect(backend: Any, request: Any) -> list[JsonObject]:
    return [chunk async for chunk in await backend.open_stream(request)]


def text_of(chunks: list[JsonObject]) -> str:
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


async def test_the_bytes_of_the_body_are_written_as_they_are(home: LocalBackend, upstream: Recorder) -> None:
    request = outgoing(note="naïve ☃")
    reply = await home.complete(request)
    assert reply["choices"][0]["message"]["content"] == "All good."
    assert upstream.exchanges[0].body == request.body
    assert upstream.exchanges[0].target == "/v1/chat/completions"


async def test_the_headers_are_a_fixed_list(
    cloud_model: MakeModel, settings: Settings, upstream: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-of-the-gateway")
    model = cloud_model(api_key_env="SOME_KEY")
    backend = CloudBackend(model, settings)
    await backend.complete(outgoing(permit_for=model))
    await collect(backend, outgoing(stream=True, permit_for=model))
    await backend.close()
    plain, stream = ({name.lower(): value for name, value in e.headers} for e in upstream.exchanges)
    expected = {
        "host": f"127.0.0.1:{upstream.port}",
        "content-type": "application/json",
        "accept": "application/json",
        "accept-encoding": "identity",
        "authorization": "Bearer sk-of-the-gateway",
        "user-agent": f"gatehouse/{__version__}",
        "content-length": str(len(upstream.exchanges[0].body)),
    }
    assert plain == expected
    assert stream == expected | {
        "accept": "text/event-stream",
        "content-length": str(len(upstream.exchanges[1].body)),
    }


async def test_a_key_is_read_again_for_every_request(
    cloud_model: MakeModel, settings: Settings, upstream: Recorder, tmp_path: Any
) -> None:
    file = tmp_path / "key"
    model = cloud_model(api_key_file=str(file))
    backend = CloudBackend(model, settings)
    for key in ("first", "second"):
        file.write_text(key + "\n")
        await backend.complete(outgoing(permit_for=model))
    await backend.close()
    assert [e.header("authorization") for e in upstream.exchanges] == ["Bearer first", "Bearer second"]


async def test_no_cookie_of_one_answer_goes_into_the_next_request(home: LocalBackend, upstream: Recorder) -> None:
    upstream.script = Script(headers=(("Set-Cookie", "tenant=a; Path=/"),))
    await home.complete(outgoing())
    await home.complete(outgoing())
    assert upstream.exchanges[1].header("cookie") is None


async def test_proxy_variables_are_ignored(
    cloud: CloudBackend, home: LocalBackend, upstream: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    await cloud.complete(outgoing(permit_for=cloud.model))
    await home.complete(outgoing())
    assert len(upstream.exchanges) == 2


async def test_a_proxy_that_the_policy_names_is_used(
    cloud_model: MakeModel, settings: Settings, upstream: Recorder
) -> None:
    model = cloud_model(base_url="http://upstream.invalid/v1", proxy=upstream.url.removesuffix("/v1"))
    backend = CloudBackend(model, settings)
    await backend.complete(outgoing(permit_for=model))
    await backend.close()
    assert upstream.exchanges[0].target == "http://upstream.invalid/v1/chat/completions"


async def test_connections_are_kept_for_plain_and_streamed_answers(home: LocalBackend, upstream: Recorder) -> None:
    for _ in range(3):
        await home.complete(outgoing())
        stream = await home.open_stream(outgoing(stream=True))
        assert text_of([chunk async for chunk in stream]) == "All good."
        await stream.aclose()
    assert upstream.connections == 1


async def test_a_stream_brings_chunks_logprobs_and_usage(home: LocalBackend, upstream: Recorder) -> None:
    upstream.script = Script(answer="one two three", confidence=0.5)
    request = outgoing(stream=True, logprobs=True, stream_options={"include_usage": True})
    chunks = await collect(home, request)
    assert text_of(chunks) == "one two three"
    assert chunks[1]["choices"][0]["logprobs"]["content"][0]["logprob"] == pytest.approx(-0.693, abs=1e-3)
    assert chunks[-1]["usage"]["completion_tokens"] == 3


EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"hi"}}]}'


@pytest.mark.parametrize(
    "events",
    [
        (EVENT + b"\r\n\r\ndata: [DONE]\r\n\r\n",),
        (EVENT.replace(b"data: ", b"data:") + b"\n\ndata:[DONE]\n\n",),
        (b": ping\n\n", EVENT[:20], EVENT[20:] + b"\n", b"\n: pong\n\ndata: [DO", b"NE]\n\n"),
        (b'data: {"choices":\ndata: [{"index":0,"delta":{"content":"hi"}}]}\n\n', b"data: [DONE]"),
        (EVENT + b"\n\ndata: [DONE]\n\ndata: after the end\n\n",),
    ],
)
async def test_events_are_read_in_every_form_of_the_standard(
    home: LocalBackend, upstream: Recorder, events: tuple[bytes, ...]
) -> None:
    upstream.script = Script(raw_events=events)
    assert text_of(await collect(home, outgoing(stream=True))) == "hi"


FAILURES = [  # script, where the error comes (before the first chunk or after), what it is
    (Script(fault="close_before"), "before", UpstreamError, 502),
    (Script(fault="not_http"), "before", UpstreamError, 502),
    (Script(fault="stall_before"), "before", UpstreamTimeout, 504),
    (Script(fault="redirect", location="/v1/other"), "before", UpstreamError, 502),
    (Script(fault="garbage", after=0), "before", UpstreamError, 502),
    (Script(fault="half_json", after=0), "before", UpstreamError, 502),
    (Script(fault="error_event", after=0), "before", UpstreamError, 502),
    (Script(raw_events=(b"data: [DONE]\n\n",)), "before", UpstreamError, 502),
    (Script(raw_events=(b'data: {"choices": 7}\n\n',)), "before", UpstreamError, 502),
    (Script(raw_events=(b'data: ["choices"]\n\n',)), "before", UpstreamError, 502),
    (Script(fault="stall_after"), "after", UpstreamTimeout, 504),
    (Script(fault="close_after"), "after", UpstreamError, 502),
    (Script(fault="no_done"), "after", UpstreamError, 502),
    (Script(fault="half_json"), "after", UpstreamError, 502),
    (Script(fault="garbage"), "after", UpstreamError, 502),
    (Script(fault="error_event"), "after", UpstreamError, 502),
    (Script(first_delay=0.1, chunk_delay=0.1, answer="w " * 100), "after", UpstreamTimeout, 504),  # in all
]


@pytest.mark.parametrize(("script", "where", "kind", "status"), FAILURES)
async def test_a_stream_that_fails_raises_the_right_error_and_never_ends_silently(
    local_model: MakeModel,
    settings: Settings,
    upstream: Recorder,
    script: Script,
    where: str,
    kind: type[GatehouseError],
    status: int,
) -> None:
    """The one deadline that a script is to overrun is short; it stalls for good, or for much longer than that."""
    short = {"stall_before": {"first_chunk_timeout_s": 0.5}, "stall_after": {"idle_chunk_timeout_s": 0.5}}
    limits = settings.model_copy(update=short.get(script.fault or "", {}))
    home = LocalBackend(local_model(timeout_seconds=3.0 if script.chunk_delay else 60.0), limits)
    upstream.script = script
    chunks: list[JsonObject] = []

    async def read() -> None:
        stream = await home.open_stream(outgoing(stream=True))
        chunks.append({})
        chunks.extend([chunk async for chunk in stream])

    with pytest.raises(kind) as caught:
        await read()
    assert type(caught.value) is kind
    assert caught.value.status == status
    assert bool(chunks) == (where == "after")
    await home.close()


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (Script(fault="close_before"), UpstreamError),
        (Script(fault="not_http"), UpstreamError),
        (Script(fault="stall_before"), UpstreamTimeout),
        (Script(fault="stall_after"), UpstreamTimeout),
        (Script(fault="close_after"), UpstreamError),
        (Script(fault="wrong_length"), UpstreamError),
        (Script(fault="half_json"), UpstreamError),
        (Script(fault="garbage"), UpstreamError),
        (Script(fault="redirect"), UpstreamError),
    ],
)
async def test_a_whole_answer_that_fails_raises_the_right_error(
    local_model: MakeModel, settings: Settings, upstream: Recorder, script: Script, kind: type[GatehouseError]
) -> None:
    home = LocalBackend(local_model(timeout_seconds=0.5 if kind is UpstreamTimeout else 60.0), settings)
    upstream.script = script
    with pytest.raises(kind) as caught:
        await home.complete(outgoing())
    await home.close()
    assert type(caught.value) is kind


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (400, {"code": "context_length_exceeded"}, (400, "context_length_exceeded")),
        (
            400,
            {"type": "exceed_context_size_error", "n_prompt_tokens": 9412, "n_ctx": 8192},
            (400, "context_length_exceeded"),
        ),
        (400, {"code": "unsupported_value"}, (400, "invalid_request")),
        (401, {"code": "invalid_api_key"}, (502, "upstream_error")),
        (403, {}, (502, "upstream_error")),
        (404, {}, (502, "upstream_error")),
        (429, {"type": "rate_limit"}, (429, "upstream_error")),
        (500, {}, (502, "upstream_error")),
        (503, {}, (503, "upstream_error")),
        (504, {}, (504, "upstream_timeout")),
    ],
)
async def test_a_cloud_status_becomes_ours_without_the_upstreams_message(
    cloud: CloudBackend, upstream: Recorder, status: int, error: JsonObject, expected: tuple[int, str], is_stream: bool
) -> None:
    said = {"message": f"cannot say {SECRET}", "param": SECRET, **error}
    upstream.script = Script(status=status, error=said, headers=(("Retry-After", "17"),))
    request = outgoing(is_stream, permit_for=cloud.model)
    with pytest.raises(UpstreamError) as caught:
        await (cloud.open_stream(request) if is_stream else cloud.complete(request))
    failure = caught.value
    assert (failure.status, failure.code) == expected
    assert failure.upstream_status == status
    assert failure.retry_after == (17 if status in (429, 503) else None)
    assert SECRET not in failure.message
    assert SECRET not in str(failure)


async def test_the_numbers_of_an_overflow_are_told(cloud: CloudBackend, upstream: Recorder) -> None:
    upstream.script = Script(
        status=400, error={"type": "exceed_context_size_error", "n_prompt_tokens": 9412, "n_ctx": 8192}
    )
    with pytest.raises(UpstreamError, match=r"9,412 > 8,192"):
        await cloud.complete(outgoing(permit_for=cloud.model))


@pytest.mark.parametrize("code", ["4111111111111111", SECRET, "a" * 60, "Has Space", {"deep": 1}, 7])
async def test_a_code_that_is_no_plain_word_is_not_passed_on(
    cloud: CloudBackend, upstream: Recorder, code: object
) -> None:
    upstream.script = Script(status=500, error={"code": code, "type": code})
    with pytest.raises(UpstreamError) as caught:
        await cloud.complete(outgoing(permit_for=cloud.model))
    assert str(code) not in caught.value.message.replace("(500)", "")


@pytest.mark.parametrize(("status", "code"), [(429, "local_overloaded"), (503, "local_unavailable")])
async def test_a_busy_local_server_is_unavailable_with_a_time_to_retry(
    home: LocalBackend, upstream: Recorder, status: int, code: str
) -> None:
    upstream.script = Script(status=status, headers=(("Retry-After", "3"),))
    with pytest.raises(Unavailable) as caught:
        await home.complete(outgoing())
    assert (caught.value.status, caught.value.code, caught.value.retry_after) == (status, code, 3)


@pytest.mark.parametrize(
    "value", ["-5", "soon", "nan", "1e999", "999999", "Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 99 Oct"]
)
async def test_a_strange_retry_after_is_bounded_or_dropped(cloud: CloudBackend, upstream: Recorder, value: str) -> None:
    upstream.script = Script(status=429, headers=(("Retry-After", value),))
    with pytest.raises(UpstreamError) as caught:
        await cloud.complete(outgoing(permit_for=cloud.model))
    assert caught.value.retry_after is None or 0 <= caught.value.retry_after <= 3600


async def test_a_redirect_is_not_followed(cloud: CloudBackend, upstream: Recorder) -> None:
    async with Recorder() as elsewhere:
        upstream.script = Script(fault="redirect", location=f"{elsewhere.url}/chat/completions")
        with pytest.raises(UpstreamError, match="redirect"):
            await cloud.complete(outgoing(permit_for=cloud.model))
        assert elsewhere.connections == 0


async def test_a_refused_connection_is_unavailable_at_home_and_an_upstream_error_outside(
    local_model: MakeModel, cloud_model: MakeModel, settings: Settings, upstream: Recorder
) -> None:
    home, cloud = LocalBackend(local_model(), settings), CloudBackend(cloud_model(), settings)
    await upstream.stop()
    with pytest.raises(Unavailable) as at_home:
        await home.complete(outgoing())
    assert at_home.value.code == "local_unavailable"
    assert at_home.value.retry_after is not None
    with pytest.raises(UpstreamError) as outside:
        await cloud.open_stream(outgoing(stream=True, permit_for=cloud.model))
    assert outside.value.status == 502
    await home.close()
    await cloud.close()


async def test_a_connection_that_is_never_accepted_is_unavailable_at_home_and_a_timeout_outside(
    local_model: MakeModel, cloud_model: MakeModel, settings: Settings
) -> None:
    with contextlib.ExitStack() as sockets:
        full = sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):  # beyond its backlog, connection attempts are left without an answer
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}/v1"
        hasty = settings.model_copy(update={"connect_timeout_s": 0.5})
        home, cloud = LocalBackend(local_model(base_url=url), hasty), CloudBackend(cloud_model(base_url=url), hasty)
        with pytest.raises(Unavailable):
            await home.complete(outgoing())
        with pytest.raises(UpstreamTimeout):
            await cloud.complete(outgoing(permit_for=cloud.model))
        await home.close()
        await cloud.close()


async def test_an_answer_that_is_too_large_is_cut_off(home: LocalBackend, upstream: Recorder) -> None:
    upstream.script = Script(answer="x" * (33 << 20))
    with pytest.raises(UpstreamError, match="32 MB"):
        await home.complete(outgoing())
    megabyte = b'data: {"choices":[],"padding":"' + b"x" * (1 << 20) + b'"}\n\n'
    upstream.script = Script(raw_events=(megabyte,) * 33)
    with pytest.raises(UpstreamError, match="32 MB"):
        await collect(home, outgoing(stream=True))


async def gone(upstream: Recorder) -> bool:
    return await eventually(lambda: upstream.open_connections == 0)


@pytest.mark.parametrize("is_stream", [False, True])
async def test_cancelling_before_the_first_byte_closes_the_connection(
    home: LocalBackend, upstream: Recorder, is_stream: bool
) -> None:
    upstream.script = Script(fault="stall_before")
    request = outgoing(is_stream)
    task = asyncio.ensure_future(home.open_stream(request) if is_stream else home.complete(request))
    assert await eventually(lambda: bool(upstream.exchanges))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await gone(upstream)


async def test_cancelling_or_closing_in_the_middle_closes_the_connection(
    home: LocalBackend, upstream: Recorder
) -> None:
    upstream.script = Script(fault="stall_after")
    stream = await home.open_stream(outgoing(stream=True))
    await anext(stream)
    reading = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0.02)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert await gone(upstream)
    stream = await home.open_stream(outgoing(stream=True))
    await stream.aclose()
    assert await gone(upstream)
    assert len([chunk async for chunk in stream]) <= 1, "only what was there already"


async def test_closing_a_backend_closes_its_connections_and_may_be_repeated(
    home: LocalBackend, upstream: Recorder
) -> None:
    await home.complete(outgoing())
    assert upstream.open_connections == 1
    await home.close()
    await home.close()
    assert await gone(upstream)


async def test_an_upstream_that_keeps_talking_after_the_end_loses_its_connection(
    home: LocalBackend, upstream: Recorder
) -> None:
    upstream.script = Script(raw_events=(EVENT + b"\n\ndata: [DONE]\n\n", b": ping\n\n"), fault="stall_after")
    assert text_of(await collect(home, outgoing(stream=True))) == "hi"
    assert upstream.open_connections == 1
    assert await gone(upstream)
    assert text_of(await collect(home, outgoing(stream=True))) == "hi"
    await home.close()
    assert await gone(upstream)


async def test_many_answers_at_once_do_not_mix(local_model: MakeModel, settings: Settings, upstream: Recorder) -> None:
    home = LocalBackend(local_model(), settings)

    def echo(exchange: Exchange) -> Script:
        return Script(answer=exchange.json["messages"][0]["content"], chunk_delay=0.001)

    upstream.script = echo

    async def ask(number: int) -> bool:
        content = f"number {number} of a hundred"
        request = outgoing(stream=bool(number % 2), messages=[{"role": "user", "content": content}])
        if number % 2:
            return text_of(await collect(home, request)) == content
        return bool((await home.complete(request))["choices"][0]["message"]["content"] == content)

    assert all(await asyncio.gather(*(ask(number) for number in range(100))))
    await home.close()


async def test_the_self_test_asks_for_one_token(home: LocalBackend, upstream: Recorder) -> None:
    await home.self_test()
    assert orjson.loads(upstream.exchanges[0].body)["max_tokens"] == 1
    upstream.script = Script(status=500)
    with pytest.raises(UpstreamError):
        await home.self_test()
