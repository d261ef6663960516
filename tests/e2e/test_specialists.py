"""Several local models behind one gateway: the one that is good at a request answers it, and a rule may name one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from router.backends.scripted_replies import Script
from tests.support.gateway import POLICY, Gateway, local_server
from tests.support.recorder import Recorder, RecorderThread

CODE = "Write a Python function that reverses a string."
MEDICINE = "What are the symptoms of high blood pressure?"
LAW = "What is the statute of limitations in contract law?"
SMALL_TALK = "Hello, how are you today?"


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Recorder]]:
    """Three local servers that say who they are."""
    with (
        RecorderThread(Script(answer="home")) as home,
        RecorderThread(Script(answer="ward")) as ward,
        RecorderThread(Script(answer="coder")) as coder,
    ):
        yield {"home": home, "ward": ward, "coder": coder}


@pytest.fixture(scope="module")
def house(servers: dict[str, Recorder], cloud: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    policy = POLICY.format(home=local_server(servers["home"].url), cloud=cloud.url)
    ward, coder = (local_server(servers[name].url, f"scripted-{name}") for name in ("ward", "coder"))
    specialists = (
        f"  ward: {{locality: local, {ward}, good_at: {{domain: [medicine]}}}}\n"
        f"  coder: {{locality: local, {coder}, good_at: {{task: [code]}}}}\n"
    )
    rule = "  - {name: law-to-ward, priority: 60, when: {all: [{domain: {in: [law]}}]}, route: ward}\n"
    policy = policy.replace("defaults:", specialists + "defaults:").replace("decisions:\n", "decisions:\n" + rule)
    with Gateway(Path(tmp_path_factory.mktemp("specialists")), policy) as gateway:
        yield gateway


def ask(house: Gateway, text: str, path: str = "chat/completions", **more: Any) -> httpx.Response:
    body = {"model": "auto", "messages": [{"role": "user", "content": text}], **more}
    answer = httpx.post(f"{house.url}/{path}", json=body, trust_env=False, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer


@pytest.mark.parametrize(
    ("text", "model", "reason"),
    [
        (SMALL_TALK, "home", "default"),
        (CODE, "coder", "default"),
        (MEDICINE, "ward", "default"),
        (LAW, "ward", "law-to-ward"),
    ],
)
def test_the_local_model_that_fits_answers(house: Gateway, text: str, model: str, reason: str) -> None:
    answer = ask(house, text)
    assert answer.json()["choices"][0]["message"]["content"] == model
    headers = answer.headers
    assert (headers["x-gatehouse-route"], headers["x-gatehouse-model"]) == ("local", model)
    assert headers["x-gatehouse-reason"] == reason


def test_the_explanation_says_why_this_local_model(house: Gateway) -> None:
    plan = ask(house, MEDICINE, "route").json()
    assert plan["signals"]["domain"] == {"value": "medicine"}
    assert plan["signals"]["task"] == {"value": "question"}
    assert {"rule": "specialist", "matched": True, "why": "ward is good at domain medicine"} in plan["reasons"]
    assert (plan["model"], plan["rule"], plan["reason"]) == ("ward", "", "default")


def test_what_is_sensitive_goes_to_the_specialist_and_nowhere_else(house: Gateway, cloud: Recorder) -> None:
    answer = ask(house, MEDICINE + " My card is 4111 1111 1111 1111.")
    assert answer.headers["x-gatehouse-model"] == "ward"
    assert not cloud.exchanges
