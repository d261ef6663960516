"""The whole way of a value: it leaves the real gateway as a placeholder, the cloud repeats it, the caller reads it."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from router.backends.scripted import Exchange
from router.backends.scripted_replies import Script, last_user_text
from router.pseudonyms.hiding import LINE
from router.records.store import RECORDS_FILE
from tests.support.gateway import Gateway, local_server
from tests.support.recorder import Recorder, RecorderThread

PLACEHOLDER = re.compile(r"<([A-Z_]+_\d+)_([A-Z]{4})>")
POLICY = """\
version: 1
models:
  home: {{locality: local, {home}}}
  cloud: {{locality: cloud, backend: openai, base_url: "{cloud}", model: scripted-cloud, region: us,
          capabilities: [tools, json_schema, json_mode, logprobs, n]}}
defaults: {{local: home, cloud: cloud}}
sensitivity:
  levels:
    restricted: [CREDIT_CARD, IBAN_CODE, US_SSN, SECRET]
    internal: [EMAIL_ADDRESS]
    confidential: [PHONE_NUMBER]
    public: [LOCATION, ORGANIZATION, PERSON, DATE_TIME, NRP, URL, MEDICAL, INTERNAL_DOCUMENT, CUSTOMER_DATA,
      CREDENTIALS]
egress:
  public: {{payload: full}}
  internal: {{payload: pseudonymized}}
  confidential: {{payload: pseudonymized}}
decisions:
  - {{name: tools-out, priority: 50, when: {{all: [{{has_tools: {{is: true}}}}]}}, route: cloud}}
escalation: {{threshold: 1.0, max_hops: 1, stream: hold}}
fallback: {{local_unavailable: cloud}}
cache: {{mode: exact, ttl_seconds: 600}}
audit: required
"""
TOOLS: Any = [{"type": "function", "function": {"name": "send", "parameters": {"type": "object", "properties": {}}}}]


def echo(exchange: Exchange) -> Script:
    """Repeats the question, in pieces of three characters; asked for a call, calls with what it was asked."""
    request = exchange.json
    text = last_user_text(request)
    if request.get("tools"):
        arguments = json.dumps({"to": text, "again": [text]})
        call = {"id": "c1", "type": "function", "function": {"name": "send", "arguments": arguments}}
        other = {"id": "c2", "type": "function", "function": {"name": "send", "arguments": '{"n": 1}'}}
        return Script(tool_calls=(call, other), finish_reason="tool_calls", chunk_size=3)
    return Script(answer=f"You said: {text}", chunk_size=3, confidence=0.5)


@pytest.fixture(scope="module")
def upstream() -> Iterator[Recorder]:
    with RecorderThread(echo) as recorder:
        yield recorder


@pytest.fixture(scope="module")
def at_home() -> Iterator[RecorderThread]:
    thread = RecorderThread(Script(answer="At home.", confidence=0.2))
    with thread:
        yield thread


@pytest.fixture(scope="module")
def hiding(upstream: Recorder, at_home: RecorderThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    home = local_server(at_home.recorder.url)
    policy = POLICY.format(home=home, cloud=upstream.url)
    environment = {"GATEHOUSE_SCAN_BUDGET_MS": "5000"}  # on a busy machine
    with Gateway(tmp_path_factory.mktemp("hiding"), policy, environment=environment) as gateway:
        yield gateway


@pytest.fixture
def asking(hiding: Gateway, upstream: Recorder) -> Iterator[OpenAI]:
    upstream.forget()
    with OpenAI(base_url=hiding.url, api_key="none", max_retries=0) as client:
        yield client


def ask(client: OpenAI, text: str, **options: Any) -> Any:
    return client.chat.completions.with_raw_response.create(
        **{"model": "cloud", "messages": [{"role": "user", "content": text}], **options}
    )


def arrived(upstream: Recorder, *values: str) -> dict[str, Any]:
    """The one body that came, in which no view of any value stands."""
    assert upstream.saw_which(values) == []
    (body,) = upstream.bodies
    return body


def test_an_answer_has_the_values_that_left_as_placeholders(asking: OpenAI, upstream: Recorder) -> None:
    mail, phone = "ida.plain@corp-mail.com", "+49 30 901820"
    raw = ask(asking, f"Call {phone}, then write to {mail} and {mail.upper()}.")
    assert raw.parse().choices[0].message.content == f"You said: Call {phone}, then write to {mail} and {mail}."
    assert raw.headers["x-gatehouse-route"] == "cloud"
    body = arrived(upstream, mail, phone)
    assert body["messages"][0] == {"role": "system", "content": LINE}
    found = PLACEHOLDER.findall(body["messages"][1]["content"])
    assert [label for label, _ in found] == ["PHONE_NUMBER_1", "EMAIL_ADDRESS_1", "EMAIL_ADDRESS_1"]
    assert len({tag for _, tag in found}) == 1


def test_a_stream_has_them_too(asking: OpenAI, upstream: Recorder) -> None:
    mail = "ida.stream@corp-mail.com"
    stream = asking.chat.completions.create(
        model="cloud",
        messages=[{"role": "user", "content": f"Write to {mail}, now."}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == f"You said: Write to {mail}, now."
    assert chunks[-1].usage is not None
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    arrived(upstream, mail)


@pytest.mark.parametrize("stream", [False, True])
def test_the_arguments_of_tool_calls_are_json_with_the_values(asking: OpenAI, upstream: Recorder, stream: bool) -> None:
    mail = f"ida.tool.{stream}@corp-mail.com".lower()
    question = f'Send "it"\nto {mail}'
    if stream:
        calls: dict[int, str] = {}
        for chunk in ask_stream(asking, question):
            for call in (chunk.choices[0].delta.tool_calls or ()) if chunk.choices else ():
                calls[call.index] = calls.get(call.index, "") + (call.function.arguments or "")
        arguments = list(calls.values())
    else:
        message = ask(asking, question, model="auto", tools=TOOLS).parse().choices[0].message
        arguments = [call.function.arguments for call in message.tool_calls]
    assert json.loads(arguments[0]) == {"to": question, "again": [question]}
    assert json.loads(arguments[1]) == {"n": 1}
    arrived(upstream, mail)


def ask_stream(client: OpenAI, text: str) -> Any:
    return client.chat.completions.create(
        model="auto", messages=[{"role": "user", "content": text}], tools=TOOLS, stream=True
    )


def test_the_turn_after_a_tool_call_leaves_with_placeholders_as_well(asking: OpenAI, upstream: Recorder) -> None:
    mail, phone = "ida.turn@corp-mail.com", "+49 30 901821"
    call = {"id": "c1", "type": "function", "function": {"name": "send", "arguments": json.dumps({"to": mail})}}
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": f"Send it to {mail}."},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": json.dumps({"sent": mail, "phone": phone})},
        {"role": "user", "content": f"Was it {mail}?"},
    ]
    answer = ask(asking, "", messages=messages).parse().choices[0].message
    assert answer.content == f"You said: Was it {mail}?"
    body = arrived(upstream, mail, phone)
    assert body["messages"][0]["content"] == f"Be brief.\n\n{LINE}"
    sent = json.loads(body["messages"][2]["tool_calls"][0]["function"]["arguments"])["to"]
    assert body["messages"][4]["content"] == f"Was it {sent}?"
    assert json.loads(body["messages"][3]["content"])["sent"] == sent


def test_a_conversation_goes_on_with_the_answers_that_were_restored(asking: OpenAI, upstream: Recorder) -> None:
    mail = "ida.turns@corp-mail.com"
    messages = [{"role": "user", "content": f"Write to {mail} today."}]
    for question in (f"Was it {mail}?", "Is that all?"):
        answer = ask(asking, "", messages=messages).parse().choices[0].message.content
        assert answer == f"You said: {messages[-1]['content']}"
        messages += [{"role": "assistant", "content": answer}, {"role": "user", "content": question}]
    assert ask(asking, "", messages=messages).parse().choices[0].message.content == "You said: Is that all?"
    assert upstream.saw_which([mail]) == []
    assert len({PLACEHOLDER.search(json.dumps(body))[2] for body in upstream.bodies}) == 3  # type: ignore[index]


def test_a_doubtful_answer_escalates_with_placeholders(asking: OpenAI, upstream: Recorder) -> None:
    mail = "ida.doubt@corp-mail.com"
    raw = ask(asking, f"Who is {mail}?", model="auto")
    assert raw.headers["x-gatehouse-reason"] == "escalation"
    assert raw.parse().choices[0].message.content == f"You said: Who is {mail}?"
    arrived(upstream, mail)


def test_a_fallback_leaves_with_placeholders(asking: OpenAI, upstream: Recorder, at_home: RecorderThread) -> None:
    mail = "ida.fallback@corp-mail.com"
    at_home.down()
    try:
        raw = ask(asking, f"Where is {mail}?", model="auto")
    finally:
        at_home.up()
    assert raw.headers["x-gatehouse-reason"] == "fallback"
    assert raw.parse().choices[0].message.content == f"You said: Where is {mail}?"
    arrived(upstream, mail)


def test_what_could_not_be_replaced_after_all_does_not_fall_back(
    asking: OpenAI, upstream: Recorder, at_home: RecorderThread
) -> None:
    system = {"role": "system", "content": "Be brief.", "name": "call-4930-901820"}
    messages = [system, {"role": "user", "content": "Call +49 30 901820 please."}]
    at_home.down()
    try:
        with pytest.raises(openai.InternalServerError) as refused:
            ask(asking, "", model="auto", messages=messages)
    finally:
        at_home.up()
    assert (refused.value.status_code, refused.value.code) == (503, "sensitive_data_local_unavailable")
    assert not upstream.exchanges


def test_what_was_restored_is_never_served_from_the_cache(asking: OpenAI, upstream: Recorder) -> None:
    mail = "ida.cache@corp-mail.com"
    for model in ("cloud", "cloud", "auto", "auto"):
        raw = ask(asking, f"Where does {mail} live?", model=model)
        assert raw.headers["x-gatehouse-route"] == "cloud"
    tags = {PLACEHOLDER.search(json.dumps(body))[2] for body in upstream.bodies}  # type: ignore[index]
    assert len(upstream.bodies) == len(tags) == 4


def test_what_cannot_be_replaced_stays(asking: OpenAI, upstream: Recorder) -> None:
    mail = "ida.stays@corp-mail.com"
    with pytest.raises(openai.PermissionDeniedError) as refused:
        ask(asking, "Hello.", metadata={"for": mail})
    assert "EMAIL_ADDRESS at /metadata" in str(refused.value)
    assert mail not in str(refused.value)
    raw = ask(asking, f"My card is 4111 1111 1111 1111, {mail}.", model="auto")
    assert raw.headers["x-gatehouse-route"] == "local"
    assert not upstream.exchanges


def test_a_value_that_nobody_may_replace_elsewhere_is_answered_at_home(asking: OpenAI, upstream: Recorder) -> None:
    """A tool's name holds the number of the text: no detector knows it there, the last look at the body does."""
    tool = {"type": "function", "function": {"name": "call-4930-901820", "parameters": {"type": "object"}}}
    plan = {"model": "auto", "messages": [{"role": "user", "content": "Call +49 30 901820 please."}], "tools": [tool]}
    raw = ask(asking, "", **plan)
    assert (raw.headers["x-gatehouse-route"], raw.headers["x-gatehouse-reason"]) == ("local", "sensitivity")
    assert raw.headers["x-gatehouse-held"] == "tools-out"
    with pytest.raises(openai.PermissionDeniedError):
        ask(asking, "", **{**plan, "model": "cloud"})
    assert not upstream.exchanges


def test_logprobs_of_placeholders_are_left_out_and_named(asking: OpenAI, upstream: Recorder) -> None:
    mail = "ida.logprobs@corp-mail.com"
    raw = ask(asking, f"Write to {mail}.", logprobs=True)
    assert raw.parse().choices[0].logprobs is None
    assert raw.headers["x-gatehouse-ignored"] == "logprobs"
    assert ask(asking, "Write to nobody.", logprobs=True).parse().choices[0].logprobs is not None


def test_the_explanation_says_how_it_would_leave(hiding: Gateway, upstream: Recorder) -> None:
    body = {"model": "auto", "messages": [{"role": "user", "content": "Ask ida.route@corp-mail.com"}], "tools": TOOLS}
    plan = httpx.post(f"{hiding.root}/v1/route", json=body, trust_env=False, timeout=60).json()
    assert (plan["route"], plan["payload"], plan["rule"]) == ("cloud", "pseudonymized", "tools-out")


def test_records_and_metrics_count_and_hold_no_value(asking: OpenAI, hiding: Gateway, upstream: Recorder) -> None:
    mail = "ida.record@corp-mail.com"
    raw = ask(asking, f"To {mail} and {mail}, not <PERSON_7_ZZZZ>.")
    request_id = raw.headers["x-gatehouse-request-id"]
    from router.records.store import RecordReader

    for _ in range(100):
        with RecordReader(hiding.state_dir / RECORDS_FILE) as reader:
            record = reader.get_record(request_id)
        if record is not None and record["kind"] == "decision":
            break
        hiding.wait_for("/healthz", "ok")
    assert record is not None
    assert record["decision"]["payload"] == "pseudonymized"
    assert [permit["payload"] for permit in record["permits"]] == ["pseudonymized"]
    assert record["outcome"]["pseudonyms"] == {"hidden": 1, "restored": 2, "strange": 1}
    metrics = hiding.wait_for("/metrics", 'gatehouse_placeholders_total{result="strange"}')
    assert 'gatehouse_placeholders_total{result="restored"}' in metrics
    for path in hiding.folder.rglob("*"):
        if path.is_file():
            assert b"corp-mail" not in path.read_bytes(), path
    with sqlite3.connect(hiding.state_dir / RECORDS_FILE) as store:
        assert "corp-mail" not in "".join(store.iterdump())
