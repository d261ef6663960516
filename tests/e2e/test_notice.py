"""`notice`: an answer that was kept at home says why, in types and rules; the value is not in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest

from router.backends.scripted_replies import Script
from tests.support.gateway import POLICY, Gateway, local_server
from tests.support.recorder import RecorderThread

ADDRESS = "bob@corp-mail.com"
HARD = (
    "Prove that there are infinitely many primes congruent to 3 modulo 4, then explain with full rigour why the same "
    "elementary argument fails for primes congruent to 1 modulo 4, and give a proof that works there."
)
HELD, EASY = f"{HARD} Send the proof to {ADDRESS}.", "Say hello."
LINE = "\n\n[Gatehouse: this was answered at home and did not leave: EMAIL_ADDRESS.]"
SAID = {
    "route": "local",
    "reason": "sensitivity",
    "held": "hard-questions",
    "sensitivity": "confidential",
    "because": ["EMAIL_ADDRESS"],
}


@pytest.fixture(scope="module", params=["field", "text"])
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Gateway]]:
    kind = request.param
    with RecorderThread(Script(answer="At home.")) as home, RecorderThread(Script(answer="Outside.")) as cloud:
        policy = POLICY.format(home=local_server(home.url), cloud=cloud.url) + f"notice: {kind}\n"
        patient = {"GATEHOUSE_SCAN_BUDGET_MS": "5000"}
        with Gateway(tmp_path_factory.mktemp(kind), policy, environment=patient) as gateway:
            yield kind, gateway


def ask(gateway: Gateway, text: str, path: str = "chat/completions", **more: Any) -> httpx.Response:
    body = {"model": "auto", "messages": [{"role": "user", "content": text}], **more}
    return httpx.post(f"{gateway.url}/{path}", json=body, timeout=60, trust_env=False)


def test_a_whole_answer_and_a_stream_say_why_they_stayed(house: tuple[str, Gateway]) -> None:
    kind, gateway = house
    whole = ask(gateway, HELD)
    assert whole.headers["x-gatehouse-held"] == "hard-questions"
    answer = whole.json()
    streamed = ask(gateway, HELD, stream=True)
    events = [line[6:] for line in streamed.text.splitlines() if line.startswith("data: ") and "[DONE]" not in line]
    chunks = [orjson.loads(event) for event in events]
    text = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
    if kind == "field":
        assert (answer["choices"][0]["message"]["content"], answer["gatehouse"]) == ("At home.", SAID)
        assert (text, [chunk["gatehouse"] for chunk in chunks if "gatehouse" in chunk]) == ("At home.", [SAID])
    else:
        assert answer["choices"][0]["message"]["content"] == text == "At home." + LINE
        assert "gatehouse" not in answer
    assert ADDRESS not in whole.text + streamed.text


def test_what_need_not_stay_says_nothing(house: tuple[str, Gateway]) -> None:
    _, gateway = house
    for text, expected in ((EASY, "At home."), (HARD, "Outside.")):
        answer = ask(gateway, text).json()
        assert (answer["choices"][0]["message"]["content"], "gatehouse" in answer) == (expected, False)


def test_a_line_reaches_other_dialects_and_never_an_answer_that_a_program_reads(house: tuple[str, Gateway]) -> None:
    kind, gateway = house
    told = ask(gateway, HELD, "messages", max_tokens=100).json()
    assert told["content"][0]["text"] == ("At home." + LINE if kind == "text" else "At home.")
    parsed = ask(gateway, HELD, response_format={"type": "json_object"}).json()
    assert (parsed["choices"][0]["message"]["content"], parsed["gatehouse"]) == ("At home.", SAID)
