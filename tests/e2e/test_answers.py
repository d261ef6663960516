"""The official client against the real gateway and the real model: the story that the README's first screen tells."""

from __future__ import annotations

import json

import httpx
import openai
import pytest
from openai import OpenAI

from tests.e2e.conftest import HARD
from tests.support.gateway import Gateway
from tests.support.recorder import Recorder


def ask(client: OpenAI, text: str, model: str = "auto", **options: object) -> tuple[str, dict[str, str]]:
    """The answer's text, and the x-gatehouse headers without their prefix."""
    settings = {"max_tokens": 24, "temperature": 0, **options}
    raw = client.chat.completions.with_raw_response.create(
        model=model,
        messages=[{"role": "user", "content": text}],
        **settings,  # type: ignore[arg-type]
    )
    headers = {k.removeprefix("x-gatehouse-"): v for k, v in raw.headers.items() if k.startswith("x-gatehouse-")}
    return str(raw.parse().choices[0].message.content), headers


def test_an_easy_question_is_answered_at_home_by_a_real_model(client: OpenAI, cloud: Recorder) -> None:
    text, headers = ask(client, "What is the capital of France?")
    assert "Paris" in text
    assert (headers["route"], headers["model"], headers["reason"]) == ("local", "home", "default")
    assert headers["sensitivity"] == "public"
    assert 0 <= float(headers["complexity"]) < 0.7
    assert 0 < float(headers["confidence"]) <= 1
    assert not cloud.exchanges


def test_a_hard_public_question_goes_to_the_cloud_unchanged(client: OpenAI, cloud: Recorder) -> None:
    text, headers = ask(client, HARD, user="someone", metadata={"team": "maths"})
    assert text == "The cloud answers."
    assert (headers["route"], headers["model"], headers["reason"]) == ("cloud", "cloud", "hard-questions")
    assert cloud.bodies == [
        {
            "model": "scripted-cloud",
            "messages": [{"role": "user", "content": HARD}],
            "max_tokens": 24,
            "temperature": 0,
            "user": "someone",
            "metadata": {"team": "maths"},
        }
    ]


def test_a_card_number_keeps_the_same_question_at_home_and_the_headers_say_so(client: OpenAI, cloud: Recorder) -> None:
    _, headers = ask(client, f"My card is 4111 1111 1111 1111. {HARD}")
    assert headers["route"] == "local"
    assert headers["reason"] == "sensitivity"
    assert headers["sensitivity"] == "restricted"
    assert headers["held"] == "hard-questions"
    assert not cloud.exchanges


def test_a_secret_with_the_cloud_pinned_is_refused_never_answered_by_another(client: OpenAI, cloud: Recorder) -> None:
    with pytest.raises(openai.PermissionDeniedError) as refused:
        ask(client, "Rotate 4111 1111 1111 1111 for me", model="cloud")
    assert refused.value.code == "policy_denied"
    assert "4111" not in str(refused.value)
    assert not cloud.exchanges


def test_the_names_local_and_cloud_choose_and_aliases_do_not_widen(client: OpenAI, cloud: Recorder) -> None:
    assert ask(client, HARD, model="local")[1]["route"] == "local"
    assert ask(client, "Say hello.", model="cloud")[1]["reason"] == "pinned"
    assert ask(client, "Say hi.", model="gpt-4o-mini")[1]["route"] == "local"
    with pytest.raises(openai.NotFoundError) as unknown:
        ask(client, "Say hello.", model="no-such-model")
    assert unknown.value.code == "model_not_found"


def test_a_streamed_answer_has_usage_only_when_asked_for_it(client: OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="local", messages=[{"role": "user", "content": "Count to five."}], stream=True, max_tokens=16
        )
    )
    assert all(chunk.choices for chunk in chunks)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason in ("stop", "length")
    assert all(choice.logprobs is None for chunk in chunks for choice in chunk.choices)
    counted = list(
        client.chat.completions.create(
            model="local",
            messages=[{"role": "user", "content": "Count to six."}],
            stream=True,
            max_tokens=16,
            stream_options={"include_usage": True},
        )
    )
    assert counted[-1].choices == []
    assert counted[-1].usage is not None
    assert counted[-1].usage.completion_tokens > 0


def test_sampling_options_reach_the_local_model(client: OpenAI) -> None:
    question = "Tell me a very short story about a cat."
    seeded = {"temperature": 0.9, "seed": 7, "model": "local"}
    assert ask(client, question, **seeded)[0] == ask(client, question, **seeded)[0]  # type: ignore[arg-type]
    stopped = client.chat.completions.create(
        model="local", messages=[{"role": "user", "content": "Count: one, two,"}], stop=[" "], temperature=0
    )
    assert " " not in str(stopped.choices[0].message.content)
    measured = client.chat.completions.create(
        model="local",
        messages=[{"role": "user", "content": "Say yes."}],
        logprobs=True,
        top_logprobs=2,
        max_completion_tokens=3,
    )
    logprobs = measured.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    assert len(logprobs.content[0].top_logprobs) == 2


def test_json_mode_gives_json(client: OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"colour": {"type": "string", "maxLength": 12}},
        "required": ["colour"],
        "additionalProperties": False,
    }
    answer = client.chat.completions.create(
        model="local",
        messages=[{"role": "user", "content": "Name a colour, as JSON."}],
        response_format={"type": "json_schema", "json_schema": {"name": "c", "schema": schema}},
        max_tokens=60,
    )
    assert set(json.loads(str(answer.choices[0].message.content))) == {"colour"}


def test_the_same_question_again_comes_from_the_cache_in_either_mode(client: OpenAI, cloud: Recorder) -> None:
    question = f"{HARD} Answer for a chemist."
    first, _ = ask(client, question)
    again, headers = ask(client, question)
    assert (again, headers["route"], headers["model"]) == (first, "cache", "cloud")
    streamed = client.chat.completions.create(
        model="auto",
        messages=[{"role": "user", "content": question}],
        stream=True,
        max_tokens=24,
        temperature=0,
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in streamed) == first
    assert len(cloud.exchanges) == 1


def test_no_store_and_sensitive_requests_stay_out_of_the_cache(client: OpenAI, cloud: Recorder) -> None:
    question = f"{HARD} Answer for a baker."
    for _ in range(2):
        _, headers = ask(client, question, extra_headers={"cache-control": "no-store"})
        assert headers["route"] == "cloud"
    assert len(cloud.exchanges) == 2
    for _ in range(2):
        assert ask(client, "Write to bob@corp-mail.com, please.")[1]["route"] == "local"


def test_the_request_header_tightens_and_takes_no_other_value(client: OpenAI, cloud: Recorder) -> None:
    _, headers = ask(client, HARD, extra_headers={"x-gatehouse-privacy": "local-only"})
    assert headers["route"] == "local"
    assert not cloud.exchanges
    with pytest.raises(openai.BadRequestError):
        ask(client, HARD, extra_headers={"x-gatehouse-privacy": "anything-goes"})


def test_a_request_that_only_the_cloud_can_do_goes_there_if_that_is_lawful(client: OpenAI, cloud: Recorder) -> None:
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    _, headers = ask(client, "Look it up.", tools=tools)
    assert (headers["route"], headers["reason"]) == ("cloud", "capability")
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, "Look up bob@corp-mail.com.", tools=tools)
    assert refused.value.code == "no_able_lawful_model"
    assert refused.value.response.headers["x-should-retry"] == "false"
    assert len(cloud.exchanges) == 1


def test_hints_that_the_local_model_lacks_are_named(client: OpenAI) -> None:
    _, headers = ask(client, "Say good day.", model="local", user="someone", parallel_tool_calls=True)
    assert headers["ignored"] == "parallel_tool_calls,user"


def test_route_explains_without_calling_a_model(house: Gateway, cloud: Recorder) -> None:
    body = {"model": "auto", "messages": [{"role": "user", "content": f"{HARD} Ask bob@corp-mail.com."}]}
    answer = httpx.post(f"{house.root}/v1/route", json=body, trust_env=False, timeout=60)
    plan = answer.json()
    assert (plan["route"], plan["reason"], plan["sensitivity"]) == ("local", "sensitivity", "confidential")
    (found,) = plan["findings"]
    assert found["entity_type"] == "EMAIL_ADDRESS"
    assert (found["pointer"], found["in"]) == ("/messages/0/content", "value")
    text = body["messages"][0]["content"]  # type: ignore[index]
    assert text[found["start"] : found["end"]] == "bob@corp-mail.com"
    assert plan["signals"]["complexity"]["band"] == "hard"
    assert any(reason["rule"] == "hard-questions" for reason in plan["reasons"])
    assert "bob@" not in answer.text
    assert not cloud.exchanges


def test_models_are_listed_with_their_locality(client: OpenAI, house: Gateway) -> None:
    assert {model.id for model in client.models.list()} == {"auto", "local", "cloud", "home"}
    assert client.models.retrieve("home").id == "home"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nothing")
    listed = {
        entry["id"]: entry for entry in httpx.get(f"{house.url}/models", trust_env=False, timeout=60).json()["data"]
    }
    assert listed["home"]["gatehouse"]["locality"] == "local"


def test_every_request_has_a_record_without_its_content(client: OpenAI, house: Gateway) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="local", messages=[{"role": "user", "content": "canary-94a1 speaks"}], max_tokens=4
    )
    request_id = raw.headers["x-gatehouse-request-id"]
    from router.records.store import RECORDS_FILE, RecordReader

    for _ in range(100):
        with RecordReader(house.state_dir / RECORDS_FILE) as reader:
            record = reader.get_record(request_id)
            if record is not None:
                assert reader.verify().intact
                break
        house.wait_for("/healthz", "ok")
    assert record is not None
    assert record["outcome"]["route"] == "local"
    assert "canary" not in json.dumps(record)


@pytest.mark.parametrize("stream", [False, True])
def test_a_title_that_a_chat_program_asks_for_is_answered_by_the_engine_with_low_urgency(
    house: Gateway, cloud: Recorder, stream: bool
) -> None:
    text = f"Generate a concise title for the conversation.\nUSER: What is a stack, {stream}?\nASSISTANT: A pile."
    body = {"messages": [{"role": "user", "content": text}], "max_tokens": 8, "stream": stream}
    answer = httpx.post(f"{house.url}/chat/completions", json=body, trust_env=False, timeout=120)
    assert answer.status_code == 200, answer.text
    assert (answer.headers["x-gatehouse-route"], answer.headers["x-gatehouse-reason"]) == ("local", "titles")
    assert not cloud.exchanges
