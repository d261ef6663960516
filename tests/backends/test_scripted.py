"""The shipped fake is a real server: clients cannot tell, and it holds every byte that it received."""

from __future__ import annotations

import asyncio
import base64
import signal
import subprocess
import sys
from pathlib import Path

import openai
import orjson
import pytest

from router.backends.scripted import ScriptedServer, read_record
from router.backends.scripted_replies import Script, pieces
from tests.support.recorder import Recorder, RecorderThread


def client(recorder: ScriptedServer) -> openai.OpenAI:
    return openai.OpenAI(base_url=recorder.url, api_key="k", max_retries=0)


def test_the_official_client_reads_its_answers() -> None:
    with RecorderThread(Script(answer="Two words.", confidence=0.9)) as recorder, client(recorder) as caller:
        messages = [{"role": "user", "content": "Hi"}]
        whole = caller.chat.completions.create(model="m", messages=messages, logprobs=True)  # type: ignore[arg-type]
        assert whole.choices[0].message.content == "Two words."
        assert whole.choices[0].logprobs is not None
        assert whole.model == "m"
        stream = caller.chat.completions.create(
            model="m",
            messages=messages,
            stream=True,
            stream_options={"include_usage": True},  # type: ignore[arg-type]
        )
        chunks = list(stream)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Two words."
        assert chunks[-1].usage is not None
        assert [model.id for model in caller.models.list()] == ["scripted"]


def test_the_official_client_raises_its_errors() -> None:
    script = Script(status=429, headers=(("Retry-After", "3"),))
    with RecorderThread(script) as recorder, client(recorder) as caller:
        with pytest.raises(openai.RateLimitError) as caught:
            caller.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}])
        assert caught.value.response.headers["retry-after"] == "3"


async def exchange(port: int, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), 60)
    writer.close()
    await writer.wait_closed()
    return answer


async def test_every_byte_is_held_also_of_a_request_that_never_became_whole() -> None:
    async with Recorder() as recorder:
        await exchange(recorder.port, b'POST /v1/x HTTP/1.1\r\nX-Odd:  a\tb\r\nContent-Length: 50\r\n\r\n{"half": ')
        assert recorder.exchanges == []
        assert recorder.received == b'POST /v1/x HTTP/1.1\r\nX-Odd:  a\tb\r\nContent-Length: 50\r\n\r\n{"half": '


async def test_requests_on_one_connection_are_answered_in_order() -> None:
    async with Recorder() as recorder:
        one = b'POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 13\r\n\r\n{"model":"a"}'
        answer = await exchange(recorder.port, one + one.replace(b'"a"', b'"b"'))
        assert answer.index(b'"model":"a"') < answer.index(b'"model":"b"')
        assert [request.raw for request in recorder.exchanges] == [one, one.replace(b'"a"', b'"b"')]


def test_pieces_join_to_the_answer() -> None:
    for answer in ("", "one", " two  words ", "line\nbreak\n", "ünï ☃"):
        assert "".join(pieces(answer)) == answer


@pytest.mark.parametrize(
    "written",
    [
        b"plain 4111-1111-1111-1111 text",
        b"4111 1111 1111 1111",
        base64.b64encode(b"the card is 4111111111111111."),
        base64.urlsafe_b64encode(b"??>4111111111111111"),
        b"4111111111111111".hex().encode(),
        b"card%3D4111%201111%201111%201111",
        b'{"a": "\\u0034111111111111111"}',
        orjson.dumps({"outer": orjson.dumps({"inner": "4111 1111 1111 1111"}).decode()}),
        base64.b64encode(base64.b64encode(b"4111111111111111 in two coats")),
    ],
)
async def test_a_value_is_seen_through_encodings(written: bytes) -> None:
    async with Recorder() as recorder:
        head = b"POST /v1/x HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(written)
        await exchange(recorder.port, head + written)
        assert recorder.saw("4111111111111111")
        assert not recorder.saw("4222222222222222")


def test_as_a_process_it_prints_its_address_records_and_ends_on_a_signal(tmp_path: Path) -> None:
    record = tmp_path / "record.jsonl"
    command = [sys.executable, "-m", "router.backends.scripted", "--record", str(record), "--answer", "From a process."]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        with openai.OpenAI(base_url=url, api_key="k", max_retries=0) as caller:
            reply = caller.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}])
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
    assert reply.choices[0].message.content == "From a process."
    (raw,) = read_record(record)
    assert raw.startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
    assert raw.endswith(b"}")
