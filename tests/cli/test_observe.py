"""`gatehouse observe` says of exported requests, in every form of export, what would have been held; never content."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from router.cli.exported import NotARequest, request_of
from tests.cli.test_commands import gatehouse

MAIL = [{"role": "user", "content": "Write to bob.miller@corp-mail.com that the parcel is late."}]
EASY = [{"role": "user", "content": "Name three fruits that are red."}]
CARD = [{"role": "user", "content": "Is the card 4556 7375 8689 9855 valid?"}]
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}

FORMS: list[tuple[str, dict[str, Any]]] = [
    ("a chat body", {"model": "gpt-4o", "messages": MAIL}),
    ("under request", {"id": "r1", "request": {"model": "gpt-4o", "messages": MAIL}, "response": {"id": "x"}}),
    (
        "a line of a batch",
        {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": MAIL}},
    ),
    ("a body as text", {"request": json.dumps({"messages": MAIL})}),
    (
        "LiteLLM's spend log",
        {"request_id": "c", "spend": 0.1, "proxy_server_request": json.dumps({"body": {"messages": MAIL}})},
    ),
    (
        "LiteLLM's standard payload",
        {
            "id": "chatcmpl-1",
            "call_type": "acompletion",
            "model": "gpt-4o",
            "messages": MAIL,
            "metadata": {"user_api_key_hash": "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b"},
            "response": {"choices": [{"message": {"role": "assistant", "content": "sk-answer"}}]},
            "model_parameters": {"tools": [TOOL], "temperature": 0.2},
        },
    ),
    ("LiteLLM's callback", {"kwargs": {"messages": MAIL, "optional_params": {"n": 1}, "start_time": 1.0}}),
    (
        "OpenAI's stored completion",
        {
            "object": "chat.completion",
            "messages": MAIL,
            "metadata": {"team": "a"},
            "choices": [],
            "usage": {"total_tokens": 3},
        },
    ),
    ("a Responses body", {"model": "gpt-4o", "input": MAIL[0]["content"]}),
    ("a Responses body with a list", {"model": "gpt-4o", "input": MAIL}),
    ("an old completion", {"model": "davinci", "prompt": MAIL[0]["content"]}),
    ("messages as text", {"messages": json.dumps(MAIL), "call_type": "acompletion"}),
]


@pytest.mark.parametrize(("name", "line"), FORMS, ids=[name for name, _ in FORMS])
def test_every_form_of_export_gives_the_request(name: str, line: dict[str, Any]) -> None:
    body = request_of(json.dumps(line).encode(), 64)
    assert body["messages"] == MAIL
    assert body["model"] == "auto"
    assert not {"response", "choices", "usage", "request_id", "custom_id", "prompt", "input"} & body.keys()
    assert body.get("tools", [TOOL]) == [TOOL]


def test_what_was_part_of_a_bare_body_stays_part_of_it() -> None:
    """Only what is known not to have been sent is left out: an unknown field of a body would have left, too."""
    body = request_of(
        json.dumps({"messages": EASY, "tools": [TOOL], "extra": "x", "metadata": {"a": "b"}}).encode(), 64
    )
    assert body == {"model": "auto", "messages": EASY, "tools": [TOOL], "extra": "x", "metadata": {"a": "b"}}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"not json secret", "not valid JSON"),
        (b"[1]", "must be a JSON object"),
        (b'{"a": 1}', "no messages in it"),
        (b'{"messages": []}', "no list of messages"),
        (b'{"messages": ["secret"]}', "no list of messages"),
        (b'{"messages": [], "messages": []}', "duplicate key"),
        (b'{"request": {"request": {"request": {"a": 1}}}}', "no messages in it"),
    ],
)
def test_a_line_that_holds_no_request_says_why_without_its_words(line: bytes, why: str) -> None:
    with pytest.raises(NotARequest) as caught:
        request_of(line, 64)
    assert why in str(caught.value)
    assert "secret" not in str(caught.value)


def test_observe_counts_what_would_have_been_held_and_shows_no_content(tmp_path: Path) -> None:
    lines = [
        json.dumps({"messages": EASY}),
        "",
        *(json.dumps(line) for _, line in FORMS),
        json.dumps({"messages": CARD}),
    ]
    file = tmp_path / "export.jsonl"
    file.write_text("\n".join([*lines, "broken sk-secret", ""]))
    shown = gatehouse("observe", str(file), folder=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert f"{len(FORMS) + 2} requests under default" in shown.stdout
    assert f"{len(FORMS) + 1} would have been held" in shown.stdout
    assert "1 lines could not be read" in shown.stdout
    for content in ("bob", "4556", "fruits", "sk-", "weather"):
        assert content not in shown.stdout + shown.stderr

    told = json.loads(gatehouse("observe", str(file), "--json", folder=tmp_path).stdout)
    assert told["levels"]["restricted"] == {"requests": 1, "held": 1, "with_placeholders": 0, "lines": [15]}
    assert told["levels"]["confidential"]["lines"] == list(range(3, 15))
    assert told["levels"]["public"]["held"] == 0
    assert told["unreadable"]["lines"] == [16]
    by = {each["name"]: each for each in told["held_by"]}
    assert by["CREDIT_CARD"]["lines"] == [15]
    assert by["EMAIL_ADDRESS"]["requests"] == len(FORMS)
    assert by["CREDIT_CARD"]["alone"] == 1


def test_the_exit_code_is_a_gate(tmp_path: Path) -> None:
    file = tmp_path / "export.jsonl"
    file.write_text(json.dumps({"messages": EASY}) + "\n")
    assert gatehouse("observe", str(file), "--fail-on", "held", folder=tmp_path).returncode == 0
    file.write_text(json.dumps({"messages": EASY}) + "\nnonsense\n")
    assert gatehouse("observe", str(file), "--fail-on", "held", folder=tmp_path).returncode == 1
    assert gatehouse("observe", str(file), "--policy", "offline", folder=tmp_path).returncode == 0
    file.write_text("nonsense\n")
    assert gatehouse("observe", str(file), folder=tmp_path).returncode == 2
    assert gatehouse("observe", str(tmp_path / "nowhere"), folder=tmp_path).returncode == 2
