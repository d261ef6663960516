"""SIGTERM and SIGINT on a real gateway: refuse, finish, say so to those who are left, write everything down, end."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import openai
import psutil
import pytest
from openai import OpenAI

from tests.overload.conftest import PATIENCE, body, connect, read_until, record_of, request_bytes, script_for
from tests.support.gateway import ENGINE, POLICY, Gateway, local_server, until
from tests.support.recorder import Recorder, RecorderThread

PATHS = ("/v1/chat/completions", "/v1/completions", "/v1/messages", "/v1/responses")
DIALECTS: dict[str, dict[str, Any]] = {
    "/v1/completions": {"model": "auto", "prompt": "Say hello. [long]", "max_tokens": 64},
    "/v1/responses": {"model": "auto", "input": "Say hello. [long]"},
}
PRICED = POLICY.replace(", n]}}", ", n], price: {{input_per_1m: 3.0, output_per_1m: 15.0}}}}")


@contextmanager
def house_of(folder: Path, home: Recorder, cloud: Recorder, *arguments: str, grace: str = "60") -> Iterator[Gateway]:
    policy = PRICED.format(home=local_server(home.url), cloud=cloud.url) + "budgets: {all: {usd_per_month: 10}}\n"
    with Gateway(folder, policy, *arguments, environment={"GATEHOUSE_GRACE_S": grace}) as house:
        yield house


def stream_of(house: Gateway, path: str) -> Any:
    asked = {**DIALECTS.get(path, body("Say hello. [long]")), "stream": True}
    return httpx.stream("POST", house.root + path, json=asked, trust_env=False, timeout=PATIENCE)


def drains(house: Gateway) -> bool:
    """Whether every worker says that it is not ready any more: any of them may be the one that answers."""
    answers = [httpx.get(f"{house.root}/readyz", trust_env=False) for _ in range(6)]
    return all((answer.status_code, answer.json()["status"]) == (503, "draining") for answer in answers)


def test_what_is_in_flight_finishes_while_whoever_comes_is_told_to_go_elsewhere(
    cloud: Recorder, tmp_path: Path
) -> None:
    own = RecorderThread(script_for)
    with (
        own as home,
        house_of(tmp_path, home, cloud, "--workers", "2") as house,
        ThreadPoolExecutor() as threads,
        connect(house) as kept,  # has asked before, and will ask again on the same connection
    ):
        kept.sendall(request_bytes(body("Say hello.")))
        read_until(kept, b'"usage"')
        slow = threads.submit(
            httpx.post, f"{house.url}/chat/completions", json=body("[silent]"), trust_env=False, timeout=PATIENCE
        )
        until(lambda: home.in_flight == 1, PATIENCE)
        house.process.send_signal(signal.SIGTERM)
        until(lambda: drains(house), PATIENCE)
        for path in PATHS:
            asked = DIALECTS.get(path, body("Say hello."))
            answer = httpx.post(house.root + path, json=asked, trust_env=False)
            assert answer.status_code == 503, answer.text
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.headers["connection"] == "close"
            assert answer.headers["x-gatehouse-request-id"].startswith("gh-")
            assert answer.json()["error"]["code"] == "shutting_down"
        with suppress(ConnectionError):  # the other worker has nothing left to do, and may have closed it
            kept.sendall(request_bytes(body("Say hello again.")))
            assert read_until(kept)[:13] in (b"HTTP/1.1 503 ", b"")
        assert httpx.get(f"{house.root}/healthz", trust_env=False).status_code == 200
        assert house.process.poll() is None
        assert not slow.done()
        own.down()  # the home that said nothing ends: whoever waited for it is told so
        assert slow.result(PATIENCE).json()["error"]["code"] == "local_unavailable"
        assert house.process.wait(PATIENCE) == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_who_is_connected_when_the_last_worker_ends_is_told_so(
    home: Recorder, cloud: Recorder, tmp_path: Path, workers: str
) -> None:
    """Its request was on the way when the worker, with nothing left to do, stopped listening."""
    with house_of(tmp_path, home, cloud, "--workers", workers) as house, ExitStack() as stack:
        callers = [stack.enter_context(connect(house)) for _ in range(8)]
        house.process.send_signal(signal.SIGTERM)
        until(lambda: not is_listened_to(house), PATIENCE)
        for number, caller in enumerate(callers):
            asked = request_bytes(body("Say hello."))
            if number % 2:  # head and body apart, as many clients write them
                head, middle, rest = asked.partition(b"\r\n\r\n")
                caller.sendall(head + middle)
                caller.sendall(rest)
            else:
                caller.sendall(asked)
        answers = [read_until(caller) for caller in callers]
        assert house.process.wait(PATIENCE) == 0
        for answer in answers:
            head, _, told = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 503 "), answer
            assert b"retry-after: " in head
            assert b"connection: close" in head
            assert json.loads(told)["error"]["code"] == "shutting_down"


def is_listened_to(house: Gateway) -> bool:
    address = urlsplit(house.root)
    try:
        socket.create_connection((address.hostname, address.port)).close()
    except ConnectionError:
        return False
    return True


def test_when_the_grace_is_over_every_stream_ends_with_an_error_in_its_dialect_and_all_is_written_down(
    home: Recorder, cloud: Recorder, tmp_path: Path
) -> None:
    with house_of(tmp_path, home, cloud, grace="0.5") as house, ThreadPoolExecutor() as threads:
        plain = threads.submit(
            httpx.post, f"{house.url}/chat/completions", json=body("[silent]"), trust_env=False, timeout=PATIENCE
        )
        asked = body("[middle]", "cloud", stream=True)
        outside = httpx.Client(trust_env=False, timeout=PATIENCE)
        streams = {path: stream_of(house, path) for path in PATHS}
        opened = {path: stream.__enter__() for path, stream in streams.items()}
        lines = {path: answer.iter_lines() for path, answer in opened.items()}
        for path, of in lines.items():
            assert "hello" not in next(of), path  # it has begun
        with outside.stream("POST", f"{house.url}/chat/completions", json=asked) as paid:
            told = paid.iter_lines()
            next(told)
            until(lambda: home.in_flight == 5, PATIENCE)
            house.process.send_signal(signal.SIGTERM)
            last = {path: [line for line in of if line] for path, of in lines.items()}
            paid_last = [line for line in told if line]
        for path in ("/v1/chat/completions", "/v1/completions"):
            error = json.loads(last[path][-1].removeprefix("data: "))["error"]
            assert (error["code"], error["type"]) == ("shutting_down", "server_error")
        event, data = last["/v1/messages"][-2:]
        assert event == "event: error"
        assert json.loads(data.removeprefix("data: "))["error"]["type"] == "overloaded_error"
        kinds = [line.removeprefix("event: ") for line in last["/v1/responses"] if line.startswith("event: ")]
        assert kinds[-2:] == ["response.failed", "error"]
        assert '"shutting_down"' in paid_last[-1]
        answer = plain.result(PATIENCE)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "shutting_down")
        assert int(answer.headers["retry-after"]) >= 1
        assert house.process.wait(PATIENCE) == 0
        for stream in streams.values():
            stream.__exit__(None, None, None)
        outside.close()
        for seen in (*opened.values(), answer, paid):
            record = record_of(house, seen.headers["x-gatehouse-request-id"])
            assert record["outcome"]["error"] == "shutting_down"
        billed = record_of(house, paid.headers["x-gatehouse-request-id"])["costs"]["calls"][0]
        assert billed["method"] == "at_least"
        assert billed["output"] >= 1
        assert home.in_flight == cloud.in_flight == 0


def test_a_second_signal_ends_the_grace_and_still_cuts_nobody_without_a_word(
    home: Recorder, cloud: Recorder, tmp_path: Path
) -> None:
    with house_of(tmp_path, home, cloud, grace="600") as house:
        children = [psutil.Process(pid) for pid in house.children().values()]
        with stream_of(house, "/v1/chat/completions") as answer:
            lines = answer.iter_lines()
            next(lines)
            house.process.send_signal(signal.SIGINT)
            until(lambda: drains(house), PATIENCE)
            assert house.process.poll() is None
            house.process.send_signal(signal.SIGINT)
            assert '"shutting_down"' in [line for line in lines if line][-1]
        assert house.process.wait(PATIENCE) == 0
        _, alive = psutil.wait_procs(children, timeout=PATIENCE)
        assert not alive
        assert record_of(house, answer.headers["x-gatehouse-request-id"])["outcome"]["error"] == "shutting_down"


def test_the_last_answer_before_the_end_is_in_the_records_and_the_budget_is_settled(
    home: Recorder, cloud: Recorder, tmp_path: Path
) -> None:
    from tests.budgets.conftest import held, spent

    with house_of(tmp_path, home, cloud) as house:
        answer = httpx.post(f"{house.url}/chat/completions", json=body("Say hello.", "cloud"), trust_env=False)
        house.process.send_signal(signal.SIGTERM)  # within the 20 ms in which a record may wait to be made
        assert house.process.wait(PATIENCE) == 0
        assert record_of(house, answer.headers["x-gatehouse-request-id"])["outcome"]["error"] is None
        assert held(house.state_dir) == 0
        assert spent(house.state_dir) > 0


def test_the_embedded_engine_goes_on_talking_while_the_gateway_drains_until_a_second_signal(
    cloud: Recorder, tmp_path: Path
) -> None:
    policy = POLICY.format(home=ENGINE, cloud=cloud.url)
    with (
        Gateway(tmp_path, policy, environment={"GATEHOUSE_GRACE_S": "600"}) as house,
        OpenAI(base_url=house.url, api_key="x", max_retries=0, timeout=120) as client,
    ):
        asked: Any = {"model": "local", "messages": [{"role": "user", "content": "Tell me a long story."}]}
        schema = {"type": "array", "items": {"type": "integer"}, "minItems": 500}  # it is not done by itself
        endless = {"type": "json_schema", "json_schema": {"name": "long", "schema": schema}}
        chunks = client.chat.completions.create(**asked, max_tokens=24, stream=True)
        first = next(chunks)
        others = client.chat.completions.create(**asked, max_tokens=4000, stream=True, response_format=endless)
        next(others)
        house.process.send_signal(signal.SIGTERM)
        until(lambda: drains(house), PATIENCE)
        with pytest.raises(openai.InternalServerError) as refused:
            client.chat.completions.create(**asked)
        assert refused.value.code == "shutting_down"
        reasons = [chunk.choices[0].finish_reason for chunk in [first, *chunks]]
        assert reasons[-1] in ("stop", "length")
        house.process.send_signal(signal.SIGTERM)
        with pytest.raises(openai.APIError) as ended:
            list(others)
        assert ended.value.code == "shutting_down"
        began = time.monotonic()
        assert house.process.wait(PATIENCE) == 0
        print(f"\n  the gateway ended {time.monotonic() - began:.2f} s after its last stream")
