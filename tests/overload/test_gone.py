"""A caller goes away: the call to the model is closed, its slot is free, and what was used is billed.

Asserted is that it happens; how long it took is printed (targets: 200 ms for an upstream call, 1 s for a slot).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from router.backends.scripted_replies import Script
from tests.budgets.conftest import held, spent
from tests.overload.conftest import PATIENCE, body, connect, last_record, read_until, request_bytes
from tests.support.gateway import ENGINE, POLICY, Gateway, local_server, until
from tests.support.recorder import Recorder, RecorderThread

PRICED = POLICY.replace(", n]}}", ", n], price: {{input_per_1m: 3.0, output_per_1m: 15.0}}}}")
CHAT = "/v1/chat/completions"
WHERE = ("queued", "before the first token", "in the middle")
# What the upstream does: it takes the request and says nothing; it begins its answer without a word; it stops halfway.
SCRIPTS = {
    "queued": Script(fault="stall_before"),
    "before the first token": Script(answer="one two three four", fault="stall_after", after=0),
    "in the middle": Script(answer="one two three four", fault="stall_after", after=3),
}


def wait(happens: Callable[[], bool], began: float) -> float:
    """Milliseconds since `began`."""
    until(happens, PATIENCE)
    return (time.monotonic() - began) * 1000


# -- a model outside ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def upstream() -> Iterator[Recorder]:
    with RecorderThread(Script()) as recorder:
        yield recorder


@pytest.fixture(scope="module")
def house(home: Recorder, upstream: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    policy = PRICED.format(home=local_server(home.url), cloud=upstream.url)
    with Gateway(tmp_path_factory.mktemp("house"), policy + "budgets: {all: {usd_per_month: 10}}\n") as gateway:
        first = httpx.post(f"{gateway.url}/chat/completions", json=body("Say hello.", "cloud"), trust_env=False)
        assert first.status_code == 200
        until(lambda: count_records(gateway) == 1, PATIENCE)  # the ledger is there too now
        yield gateway


def bodies(path: str, stream: bool, number: int) -> dict[str, Any]:
    text = f"Say hello {number}."
    if path == "/v1/responses":
        return {"model": "cloud", "input": text, "stream": stream}
    if path == "/v1/completions":
        return {"model": "cloud", "prompt": text, "max_tokens": 64, "stream": stream}
    return body(text, "cloud", stream=stream)


@pytest.mark.parametrize("path", [CHAT, "/v1/messages", "/v1/responses", "/v1/completions"])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("where", WHERE)
def test_the_call_outside_is_closed_and_billed(
    house: Gateway, upstream: Recorder, where: str, stream: bool, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    upstream.script = SCRIPTS[where]
    until(lambda: upstream.open_connections == 0 or upstream.in_flight == 0, PATIENCE)
    before, asked = spent(house.state_dir), len(upstream.exchanges)
    with connect(house) as caller:
        caller.sendall(request_bytes(bodies(path, stream, asked), path))
        until(lambda: upstream.in_flight == 1, PATIENCE)
        if stream and where == "in the middle":
            read_until(caller, b"one")
    took = wait(lambda: upstream.in_flight == 0, time.monotonic())
    assert len(upstream.exchanges) == asked + 1
    until(lambda: held(house.state_dir) == 0 and spent(house.state_dir) > before, PATIENCE)
    until(lambda: is_written(house, asked), PATIENCE)
    record = last_record(house)
    assert record["outcome"]["error"] == "client_closed"
    (call,) = record["costs"]["calls"]
    assert call["method"] == "at_least"
    assert call["input"] > 0
    assert call["usd"] > 0
    assert (call["output"] > 0) is (stream and where == "in the middle")
    in_flight = httpx.get(f"{house.root}/metrics", trust_env=False).text
    assert "gatehouse_requests_in_flight 0.0" in in_flight
    with capsys.disabled():
        print(f"\n  {where}, {'stream' if stream else 'plain'}, {path}: upstream closed after {took:.0f} ms")


def is_written(house: Gateway, number: int) -> bool:
    """Whether as many requests have been written down as there were."""
    return count_records(house) > number


def count_records(house: Gateway) -> int:
    from router.records.store import RECORDS_FILE, RecordReader

    with RecordReader(house.state_dir / RECORDS_FILE) as reader:
        return reader.count_decisions("")


# -- the embedded engine -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def engine_house(cloud: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One slot: whoever is second waits."""
    one = {"GATEHOUSE_ENGINE_SLOTS": "1", "GATEHOUSE_FIRST_CHUNK_TIMEOUT_S": "300"}
    with Gateway(tmp_path_factory.mktemp("engine"), POLICY.format(home=ENGINE, cloud=cloud.url), environment=one) as it:
        yield it


class Engine:
    """The engine's own word for who waits and who runs."""

    def __init__(self, house: Gateway) -> None:
        socket = next((house.folder / "run").rglob("engine.sock"))
        self._http = httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), timeout=PATIENCE)

    def has(self, waiting: int, running: int) -> bool:
        told = self._http.get("http://engine/health").json()
        return (told["waiting"], told["running"]) == (waiting, running)

    def decoded(self) -> int:
        """Tokens of answers, of all models."""
        return sum(_all(self._http.get("http://engine/stats").json(), "decoded_tokens_total"))

    def close(self) -> None:
        self._http.close()


def _all(value: Any, name: str) -> Iterator[int]:
    if isinstance(value, dict):
        if name in value:
            yield value[name]
        for each in value.values():
            yield from _all(each, name)
    elif isinstance(value, list):
        for each in value:
            yield from _all(each, name)


SCHEMA = {"type": "array", "items": {"type": "integer"}, "minItems": 500}
ENDLESS = {"response_format": {"type": "json_schema", "json_schema": {"name": "long", "schema": SCHEMA}}}


def endless(stream: bool, text: str = "Tell me a very long story.") -> dict[str, Any]:
    """An answer that is not done before anybody leaves."""
    return {**body(text, "local", stream=stream), "max_tokens": 4000, **ENDLESS}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("where", WHERE)
def test_the_slot_of_the_engine_is_free_and_whoever_has_one_keeps_it(
    engine_house: Gateway, where: str, stream: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    written = count_records(engine_house)
    engine = Engine(engine_house)
    with ExitStack() as stack:
        stack.callback(engine.close)
        until(lambda: engine.has(0, 0), PATIENCE)
        others = 0
        if where == "queued":
            other = stack.enter_context(connect(engine_house))
            other.sendall(request_bytes(endless(True)))
            until(lambda: engine.has(0, 1), PATIENCE)
            read_until(other, b"data: ")
            others = 1
        before = engine.decoded()
        long_prompt = "The river is wide. " * 500
        asked = endless(stream, long_prompt if where == "before the first token" else "Tell me of rivers.")
        with connect(engine_house) as caller:
            caller.sendall(request_bytes(asked))
            until(lambda: engine.has(others, 1), PATIENCE)
            if where == "in the middle":
                until(lambda: engine.decoded() > before + 2, PATIENCE)
            if where == "in the middle" and stream:
                read_until(caller, b'"content":"[')
            assert where != "before the first token" or engine.decoded() == before
        took = wait(lambda: engine.has(0, others), time.monotonic())
        if others:
            read_until(other, b"data: ")  # nobody else's answer has stopped
    until(lambda: engine_is_idle(engine_house), PATIENCE)
    until(lambda: count_records(engine_house) == written + 1 + others, PATIENCE)
    record = last_record(engine_house)
    assert record["outcome"]["error"] == "client_closed"
    assert [call["method"] for call in record["costs"]["calls"]] == ["at_least"]
    with capsys.disabled():
        print(f"\n  {where}, {'stream' if stream else 'plain'}, the engine: free after {took:.0f} ms")


def engine_is_idle(house: Gateway) -> bool:
    engine = Engine(house)
    try:
        return engine.has(0, 0)
    finally:
        engine.close()
