"""What a caller is told of an upstream that fails, in each dialect; what is billed for it; retries and the breaker.

Which error each failure is stands in the table of `tests/backends/test_upstream_failures.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from router.backends.scripted import Exchange
from router.backends.scripted_replies import Script
from router.records.store import RECORDS_FILE, RecordReader
from tests.e2e.conftest import HARD
from tests.support.gateway import POLICY, Gateway, local_server, until
from tests.support.recorder import Recorder, RecorderThread

STREAM = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
PATHS = {
    "chat": ("/chat/completions", lambda text: {"messages": [{"role": "user", "content": text}]}),
    "messages": ("/messages", lambda text: {"max_tokens": 50, "messages": [{"role": "user", "content": text}]}),
    "responses": ("/responses", lambda text: {"input": text}),
    "completions": ("/completions", lambda text: {"prompt": text}),
}
DIALECTS = pytest.mark.parametrize("dialect", PATHS)


@dataclass
class House:
    gateway: Gateway
    home: Recorder
    cloud: Recorder
    told: list[Script]  # what the cloud answers, one after another; the last one from then on

    def ask(self, text: str = "Say hello.", *, stream: bool = False, **options: Any) -> httpx.Response:
        path, body = PATHS[options.pop("dialect", "chat")]
        asked = {"model": "cloud", "stream": stream, **body(text), **options}
        return httpx.post(f"{self.gateway.url}{path}", json=asked, trust_env=False, timeout=60)

    def record(self, answer: httpx.Response) -> dict[str, Any]:
        found: list[dict[str, Any]] = []

        def is_written() -> bool:
            with RecordReader(self.gateway.state_dir / RECORDS_FILE) as reader:
                record = reader.get_record(answer.headers["x-gatehouse-request-id"])
            found.extend([record] if record is not None and record["kind"] == "decision" else [])
            return bool(found)

        until(is_written)
        return found[0]

    def save_up(self) -> None:
        """So many answers that one call may be made once more."""
        for _ in range(5):
            assert self.ask().status_code == 200
        self.cloud.forget()

    def ready(self) -> dict[str, Any]:
        body: dict[str, Any] = httpx.get(f"{self.gateway.root}/readyz", trust_env=False).json()
        return body

    def metric(self, line: str) -> float:
        text = httpx.get(f"{self.gateway.root}/metrics", trust_env=False).text
        return sum(float(each.split()[-1]) for each in text.splitlines() if each.startswith(line))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    told = [Script()]

    def choose(_: Exchange) -> Script:
        return told.pop(0) if len(told) > 1 else told[0]

    with RecorderThread(Script(answer="Home answers.")) as home, RecorderThread(choose) as cloud:
        policy = POLICY.format(home=local_server(home.url), cloud=cloud.url)
        policy = policy.replace("region: us", "region: us, timeout_seconds: 20, first_token_seconds: 1")
        limits = {"GATEHOUSE_IDLE_CHUNK_TIMEOUT_S": "1"}
        with Gateway(tmp_path_factory.mktemp("house"), policy, environment=limits) as gateway:
            yield House(gateway, home, cloud, told)


@pytest.fixture(autouse=True)
def _fresh(house: House) -> None:
    """An answer between failures: no breaker opens over those of all tests together."""
    house.told[:] = [Script()]
    assert house.ask().status_code == 200
    house.cloud.forget()
    house.home.forget()


BEFORE = {  # before the first byte: a status of its own
    "500": (Script(status=500), 502, "upstream_error", "api_error"),
    "401": (Script(status=401), 502, "upstream_error", "api_error"),
    "400": (Script(status=400), 400, "invalid_request", "invalid_request_error"),
    "429": (Script(status=429, headers=(("Retry-After", "9"),)), 429, "upstream_error", "rate_limit_error"),
    "503": (Script(status=503, headers=(("Retry-After", "9"),)), 503, "upstream_error", "overloaded_error"),
    "redirect": (Script(fault="redirect"), 502, "upstream_error", "api_error"),
    "closed": (Script(fault="close_before"), 502, "upstream_error", "api_error"),
    "no HTTP": (Script(fault="not_http"), 502, "upstream_error", "api_error"),
    "garbage": (Script(fault="garbage", after=0), 502, "upstream_error", "api_error"),
}


@STREAM
@DIALECTS
@pytest.mark.parametrize("failing", BEFORE)
def test_a_failure_before_the_first_byte_is_an_error_of_the_dialect(
    house: House, failing: str, dialect: str, stream: bool
) -> None:
    script, status, code, kind = BEFORE[failing]
    house.told[:] = [script]
    answer = house.ask(dialect=dialect, stream=stream)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    if dialect == "messages":
        assert (answer.json()["type"], error["type"]) == ("error", kind)
    else:
        assert error["code"] == code
    assert ("retry-after" in answer.headers) is (status in (429, 503))
    assert answer.headers.get("retry-after", "9") == "9"
    assert len(house.cloud.exchanges) == 1  # nine seconds are too long to wait unasked; the others are no refusals
    assert not house.home.exchanges


AFTER = ("close_after", "half_json", "error_event", "no_done", "stall_after")
ENDS = {"chat": '"error":', "messages": "event: error", "responses": "event: error", "completions": '"error":'}
WHOLE = {"chat": "[DONE]", "messages": "message_stop", "responses": "response.completed", "completions": "[DONE]"}


@DIALECTS
@pytest.mark.parametrize("fault", AFTER)
def test_a_stream_that_breaks_ends_with_an_error_event_and_is_billed_for_what_came(
    house: House, fault: str, dialect: str
) -> None:
    house.told[:] = [Script(answer="one two three four", fault=fault, after=3)]  # type: ignore[arg-type]
    answer = house.ask(dialect=dialect, stream=True)
    assert answer.status_code == 200
    assert "one" in answer.text
    assert ENDS[dialect] in answer.text or "response.failed" in answer.text
    assert WHOLE[dialect] not in answer.text
    assert len(house.cloud.exchanges) == 1
    if dialect == "chat":
        (call,) = house.record(answer)["costs"]["calls"]
        assert call["output"] > 0
        assert call["use"] == "failed"


@pytest.mark.parametrize(
    ("script", "use", "is_billed"),
    [
        (Script(status=500), "refused", False),
        (Script(status=401), "refused", False),
        (Script(fault="close_before"), "failed", True),  # it may have been worked on
        (Script(fault="half_json"), "failed", True),
        (Script(), "answer", True),
    ],
)
def test_what_is_billed_is_what_an_upstream_may_have_worked_on(
    house: House, script: Script, use: str, is_billed: bool
) -> None:
    house.told[:] = [script]
    (call,) = house.record(house.ask())["costs"]["calls"]
    assert call["use"] == use
    assert (call["input"] > 0) is is_billed


@STREAM
def test_what_is_refused_for_a_moment_is_asked_once_more_with_a_permit_of_its_own(house: House, stream: bool) -> None:
    house.save_up()
    house.told[:] = [Script(status=429, headers=(("Retry-After", "1"),)), Script(answer="Well then.")]
    before = house.metric('gatehouse_upstream_retries_total{model="cloud"}')
    answer = house.ask(stream=stream)
    assert answer.status_code == 200, answer.text
    assert "then." in answer.text
    first, second = house.cloud.exchanges
    assert second.received - first.received >= 1.0  # the upstream's own word
    record = house.record(answer)
    assert record["outcome"]["retries"] == 1
    assert [permit["model"] for permit in record["permits"]] == ["cloud", "cloud"]
    assert [call["use"] for call in record["costs"]["calls"]] == ["refused", "answer"]
    until(lambda: house.metric('gatehouse_upstream_retries_total{model="cloud"}') == before + 1)


def test_who_has_waited_for_our_retries_is_told_not_to_retry_as_well(house: House) -> None:
    house.save_up()
    house.told[:] = [Script(status=503)]
    answer = house.ask()
    assert answer.status_code == 503
    assert len(house.cloud.exchanges) > 1
    assert answer.headers["x-should-retry"] == "false"


def test_an_upstream_that_refuses_everybody_is_asked_a_fifth_more_often_at_most(house: House) -> None:
    house.told[:] = [Script(status=429)]
    spared = 10  # saved up by the answers before
    for _ in range(40):
        assert house.ask().status_code == 429
    assert len(house.cloud.exchanges) <= 40 + 40 / 5 + spared


@DIALECTS
@pytest.mark.parametrize("field", ["api_base", "base_url", "api_key", "extra_headers"])
def test_a_body_names_no_address_no_key_and_no_header(house: House, dialect: str, field: str) -> None:
    with RecorderThread(Script()) as elsewhere:
        value: Any = {"authorization": "Bearer mine"} if field == "extra_headers" else elsewhere.url
        answer = house.ask(dialect=dialect, **{field: value})
        assert answer.status_code == 400, answer.text
        error = answer.json()["error"]
        assert error.get("code", "forbidden_field") == "forbidden_field"
        assert field in error["message"]
        assert elsewhere.connections == 0
    assert not house.cloud.exchanges


def test_an_address_in_a_request_is_never_fetched(house: House) -> None:
    with RecorderThread(Script()) as elsewhere:
        image = {"type": "image_url", "image_url": {"url": f"{elsewhere.url}/cat.png"}}
        parts = [{"type": "text", "text": f"What is at {elsewhere.url}/page.html?"}, image]
        for model in ("cloud", "auto"):
            asked = {"model": model, "messages": [{"role": "user", "content": parts}]}
            answer = httpx.post(f"{house.gateway.url}/chat/completions", json=asked, trust_env=False, timeout=60)
            assert answer.status_code >= 400
        assert house.ask(f"Summarise {elsewhere.url}/page.html for me.").status_code in (200, 403)
        assert elsewhere.connections == 0


def test_an_upstream_that_fails_again_and_again_is_not_asked_until_it_has_answered_once(house: House) -> None:
    house.told[:] = [Script(status=500)]
    for _ in range(5):
        assert house.ask().status_code == 502
    assert len(house.cloud.exchanges) == 5
    # Open: who names it is told at once, and `auto` is answered at home; nothing is sent.
    answer = house.ask()
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "upstream_error")
    home = house.ask(HARD, model="auto")
    assert (home.status_code, home.headers["x-gatehouse-route"]) == (200, "local")
    if len(house.cloud.exchanges) == 5:  # unless its pause was over meanwhile, on a busy machine
        assert "breaker_cloud_open" in house.ready()["degraded"]
        assert house.record(answer)["facts"]["unavailable"] == {"cloud": "breaker_open"}
    assert house.metric('gatehouse_breaker_transitions_total{model="cloud",state="open"}') >= 1
    # Half open: one is let through; its answer closes it.
    house.told[:] = [Script()]
    until(lambda: house.ask().status_code == 200, 60)
    assert house.ready()["degraded"] == []
    until(lambda: house.metric('gatehouse_breaker_state{model="cloud"') == 0)


def test_a_local_model_that_fails_again_and_again_never_sends_out_what_must_stay(house: House) -> None:
    """Last: its breaker is left open."""
    sensitive = "Write to bob@corp-mail.com about the meeting."
    assert house.ask(sensitive, model="auto").status_code == 200
    policy = house.gateway.policy_file.read_text() + "fallback: {local_unavailable: cloud}\n"
    with RecorderThread(Script(fault="close_before")) as broken:
        house.gateway.policy_file.write_text(policy.replace(house.home.url, broken.url))
        until(lambda: "breaker_home_open" in str(house.ask(sensitive, model="auto") and house.ready()["degraded"]), 60)
        for text in (sensitive, "My card is 4556 7375 8689 9855."):
            held = house.ask(text, model="auto")
            assert held.status_code == 503, held.text
        assert not house.cloud.exchanges
