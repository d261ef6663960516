"""The second look over real HTTP: asked of the local model alone, and only where a card shows that it helps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from router.backends.scripted import Exchange
from router.backends.scripted_replies import Script
from router.calibration.standing import FOLDER, card_name
from router.calibration.targets import write_graded
from router.calibration.thresholds import Graded
from router.keys import ensure_private_folder
from router.records.store import RECORDS_FILE, RecordReader
from tests.support.gateway import ENGINE, POLICY, Gateway, local_server, until
from tests.support.recorder import Recorder, RecorderThread

MODEL, SLM = "scripted-local", "smollm2-135m-instruct"
ANSWER, QUESTION = "Paris is the capital.", "What is the capital of France?"
PRICED = POLICY.replace(", n]}}", ", n], price: {{input_per_1m: 1.0, output_per_1m: 2.0}}}}")


def is_look(body: dict[str, Any]) -> bool:
    return "yes or no" in str(body.get("messages", [{}])[-1].get("content")) or "seed" in body


class Home:
    """A local model that is not sure of its answer, and says the same thing whenever it is asked again."""

    def __init__(self) -> None:
        self.again = Script(answer="yes", confidence=0.9)

    def __call__(self, exchange: Exchange) -> Script:
        return self.again if is_look(exchange.json) else Script(answer=ANSWER, confidence=0.6)


@pytest.fixture
def home() -> Iterator[tuple[Recorder, Home]]:
    script = Home()
    with RecorderThread(script) as recorder:
        yield recorder, script


def write_card(folder: Path, model: str, kind: str, *, helps: bool) -> None:
    """Confidence is about 0.2 for what the scripted model says; a look moves it by twice its number."""
    graded = write_graded([("", Graded(0.9, True))] * 150 + [("", Graded(0.1, False))] * 150)
    look = {"helps": helps, "samples": 3, "bias": 0.0, "first": 1.0, "second": 3.0, "graded": graded}
    card = {
        "model": model,
        "features": ["log_of_sum"],
        "weights": [-1.0],
        "bias": 0.0,
        "graded": graded,
        "looks": {kind: look},
    }
    ensure_private_folder(folder / "state")
    (ensure_private_folder(folder / "state" / FOLDER) / card_name(model)).write_text(json.dumps(card))


def gateway(folder: Path, home: str, cloud: str, rule: str) -> Gateway:
    return Gateway(folder, PRICED.format(home=home, cloud=cloud) + f"escalation: {{{rule}, stream: hold}}\n")


def ask(house: Gateway, text: str = QUESTION, **more: Any) -> httpx.Response:
    body = {"messages": [{"role": "user", "content": text}], **more}
    answer = httpx.post(f"{house.url}/chat/completions", json=body, trust_env=False, timeout=120)
    assert answer.status_code == 200, answer.text
    return answer


def record(house: Gateway, answer: httpx.Response) -> dict[str, Any]:
    found: list[dict[str, Any]] = []

    def is_there() -> bool:
        with RecordReader(house.state_dir / RECORDS_FILE) as reader:
            one = reader.get_record(answer.headers["x-gatehouse-request-id"])
        found.extend([one] if one is not None and one["kind"] == "decision" else [])
        return bool(found)

    until(is_there)
    return found[0]


@pytest.mark.parametrize(
    ("kind", "sure", "unsure"),
    [
        ("verify", Script(answer="yes", confidence=0.9), Script(answer="no", confidence=0.9)),
        ("agreement", Script(answer=ANSWER), Script(answer="London, I think.")),
    ],
)
def test_a_doubtful_answer_is_looked_at_again_and_kept_or_escalated_by_both(
    tmp_path: Path, home: tuple[Recorder, Home], cloud: Recorder, kind: str, sure: Script, unsure: Script
) -> None:
    recorder, script = home
    write_card(tmp_path, MODEL, kind, helps=True)
    rule = f"threshold: 0.5, second_look: {kind}, samples: 3"
    with gateway(tmp_path, local_server(recorder.url), cloud.url, rule) as house:
        recorder.forget()
        script.again = sure
        kept = ask(house)
        assert kept.headers["x-gatehouse-route"] == "local"
        assert kept.json()["choices"][0]["message"]["content"] == ANSWER
        assert float(kept.headers["x-gatehouse-confidence"]) > 0.5
        looks = [body for body in recorder.bodies if is_look(body)]
        assert len(looks) == (1 if kind == "verify" else 3)
        script.again = unsure
        gone = ask(house, f"{QUESTION} Now.")
        assert (gone.headers["x-gatehouse-route"], gone.headers["x-gatehouse-reason"]) == ("cloud", "escalation")
        assert not any(is_look(body) for body in cloud.bodies)
        judged = record(house, gone)
        assert judged["outcome"]["judgement"]["at"] == kind
        assert all(call["use"] == "wasted" for call in judged["costs"]["calls"] if call["model"] == "home")
        uses = [call["use"] for call in record(house, kept)["costs"]["calls"]]
        assert uses == ["answer"] + ["wasted"] * len(looks)
        recorder.forget()
        assert ask(house, "Write to bob@corp-mail.com about Paris.").headers["x-gatehouse-route"] == "local"
        assert not any(is_look(body) for body in recorder.bodies), "nothing could follow from it"


def test_a_look_that_was_not_shown_to_help_is_off_and_is_said_to_be(
    tmp_path: Path, home: tuple[Recorder, Home], cloud: Recorder
) -> None:
    recorder, _ = home
    write_card(tmp_path, MODEL, "verify", helps=False)
    with gateway(tmp_path, local_server(recorder.url), cloud.url, "threshold: 0.5, second_look: verify") as house:
        assert ask(house).headers["x-gatehouse-route"] == "cloud"
        assert not any(is_look(body) for body in recorder.bodies)
        body = {"messages": [{"role": "user", "content": QUESTION}]}
        told = httpx.post(f"{house.url}/route", json=body, trust_env=False, timeout=60).json()["reasons"]
        assert any("second_look verify is off: no calibration" in each["why"] for each in told)


def test_a_look_that_fails_leaves_the_first_judgement(
    tmp_path: Path, home: tuple[Recorder, Home], cloud: Recorder
) -> None:
    recorder, script = home
    write_card(tmp_path, MODEL, "verify", helps=True)
    with gateway(tmp_path, local_server(recorder.url), cloud.url, "threshold: 0.5, second_look: verify") as house:
        for again in (Script(status=500), Script(answer="perhaps", confidence=0.9)):
            script.again = again
            answer = ask(house, f"{QUESTION} {again.answer}")
            found = record(house, answer)
            assert found["outcome"]["judgement"]["at"] == "whole"
            assert answer.headers["x-gatehouse-route"] == "cloud", found["outcome"]


def test_a_promise_is_of_the_second_score_so_every_answer_is_looked_at(
    tmp_path: Path, home: tuple[Recorder, Home], cloud: Recorder
) -> None:
    recorder, script = home
    write_card(tmp_path, MODEL, "verify", helps=True)
    rule = "target: {max_bad_local: 0.1}, second_look: verify"
    with gateway(tmp_path, local_server(recorder.url), cloud.url, rule) as house:
        assert ask(house).headers["x-gatehouse-route"] == "local"
        script.again = Script(answer="perhaps", confidence=0.9)  # does not tell: not sure is not good enough
        assert ask(house, f"{QUESTION} Now.").headers["x-gatehouse-route"] == "cloud"


@pytest.mark.parametrize("kind", ["verify", "agreement"])
def test_the_real_model_is_asked_again_and_answers(tmp_path: Path, cloud: Recorder, kind: str) -> None:
    write_card(tmp_path, SLM, kind, helps=True)
    rule = f"threshold: 1.0, second_look: {kind}, samples: 3"
    house = Gateway(
        tmp_path,
        PRICED.format(home=ENGINE, cloud=cloud.url) + f"escalation: {{{rule}, stream: hold}}\n",
        start_seconds=240.0,
    )
    with house:
        found = record(house, ask(house, max_tokens=12, temperature=0))
        assert found["outcome"]["judgement"]["at"] == kind
        assert found["outcome"]["judgement"]["confidence"] is not None
        assert sum(call["model"] == "home" for call in found["costs"]["calls"]) == (2 if kind == "verify" else 4)
