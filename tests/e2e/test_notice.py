"""`notice`: an answer that was kept at home says why, in types and rules; the value is not in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from typer.testing import CliRunner

from router.backends.scripted_replies import Script
from router.cli.keys import keys
from tests.support.gateway import POLICY, Gateway, local_server
from tests.support.recorder import RecorderThread

ADDRESS = "bob@corp-mail.com"
HARD = (
    "Prove that there are infinitely many primes congruent to 3 modulo 4, then explain with full rigour why the same "
    "elementary argument fails for primes congruent to 1 modulo 4, and give a proof that works there."
)
HELD, EASY = f"{HARD} Send the proof to {ADDRESS}.", "Say hello."
PATIENT = {"GATEHOUSE_SCAN_BUDGET_MS": "5000"}
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
        with Gateway(tmp_path_factory.mktemp(kind), policy, environment=PATIENT) as gateway:
            yield kind, gateway


def ask(gateway: Gateway, text: str, path: str = "chat/completions", key: str = "", **more: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    body = {"model": "auto", "messages": [{"role": "user", "content": text}], **more}
    return httpx.post(f"{gateway.url}/{path}", json=body, headers=headers, timeout=60, trust_env=False)


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


OTHERS: dict[str, dict[str, Any]] = {
    "messages": {"messages": [{"role": "user", "content": HELD}], "max_tokens": 100},
    "responses": {"input": HELD, "store": False},
    "completions": {"prompt": HELD, "max_tokens": 100},
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("path", OTHERS)
def test_every_dialect_says_why_once(house: tuple[str, Gateway], path: str, stream: bool) -> None:
    kind, gateway = house
    body = {"model": "auto", "stream": stream, **OTHERS[path]}
    said = httpx.post(f"{gateway.url}/{path}", json=body, timeout=60, trust_env=False)
    assert said.status_code == 200, said.text
    told = [line[6:] for line in said.text.splitlines() if line.startswith("data: ") and "[DONE]" not in line]
    objects = list(_objects([orjson.loads(event) for event in told] if stream else said.json()))
    assert objects == ([SAID] if kind == "field" else [])
    assert ("this was answered at home" in said.text) == (kind == "text")
    assert ADDRESS not in said.text


def _objects(value: Any) -> Iterator[Any]:
    """Every `gatehouse` object in an answer."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from [inner] if name == "gatehouse" else _objects(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _objects(inner)


def test_a_key_may_have_a_notice_of_its_own(tmp_path: Path) -> None:
    state = str(tmp_path / "gateway" / "state")
    chat, program = (
        CliRunner().invoke(keys, ["create", "--state-dir", state, name]).stdout.strip() for name in ("chat", "program")
    )
    with RecorderThread(Script(answer="At home.")) as home, RecorderThread() as cloud:
        own = f"notice: field\nnotice_by_key: {{{chat.split('-')[1]}: text}}\n"
        policy = POLICY.format(home=local_server(home.url), cloud=cloud.url) + own
        with Gateway(tmp_path / "gateway", policy, environment=PATIENT) as gateway:
            answers = [ask(gateway, HELD, key=key).json() for key in (chat, program)]
    said = [(answer["choices"][0]["message"]["content"], answer.get("gatehouse")) for answer in answers]
    assert said == [("At home." + LINE, None), ("At home.", SAID)]


def test_a_line_reaches_other_dialects_and_never_an_answer_that_a_program_reads(house: tuple[str, Gateway]) -> None:
    kind, gateway = house
    told = ask(gateway, HELD, "messages", max_tokens=100).json()
    assert told["content"][0]["text"] == ("At home." + LINE if kind == "text" else "At home.")
    parsed = ask(gateway, HELD, response_format={"type": "json_object"}).json()
    assert (parsed["choices"][0]["message"]["content"], parsed["gatehouse"]) == ("At home.", SAID)
