"""The field table: what a body asks of a model, what no body may hold, and what a model gets of it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.types import Model
from router.errors import InvalidRequest
from router.fields import FIELDS, exit_body, gives_logprobs, local_body, max_output_tokens, read_fields
from router.types import JsonObject

CANARY = "canary-zanzibar"
ENGINE = Model("home", "local", "engine", "smollm2", capabilities=frozenset({"json_mode", "json_schema", "logprobs"}))
TOOLS = replace(ENGINE, capabilities=ENGINE.capabilities | {"tools", "n"})
SERVER = Model("home", "local", "openai", "llama", "http://127.0.0.1:1/v1", capabilities=frozenset({"tools", "n"}))
CLOUD = Model("cloud", "cloud", "openai", "gpt-4o-mini", "https://api.example.com/v1")
CLAUDE = Model("cloud", "cloud", "litellm", "anthropic/claude-x")
USER = {"role": "user", "content": "Hello"}


def body(**fields: Any) -> JsonObject:
    return {"model": "auto", "messages": [USER], **fields}


CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TOOL = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize(
    ("fields", "needs"),
    [
        ({}, set()),
        ({"temperature": 0, "top_p": 1.0, "max_tokens": 1, "stop": ["a"], "seed": -1, "stream": True}, set()),
        ({"tools": [TOOL]}, {"tools"}),
        ({"tools": [], "tool_choice": "auto", "n": 1, "logprobs": False, "logit_bias": {}}, set()),
        ({"tools": None, "n": None, "temperature": None, "stop": None, "response_format": None}, set()),
        ({"tool_choice": {"type": "function"}}, {"tools"}),
        ({"functions": [{"name": "f"}]}, {"tools"}),
        ({"n": 2}, {"n"}),
        ({"logprobs": True, "top_logprobs": 3}, {"logprobs"}),
        ({"response_format": {"type": "text"}}, set()),
        ({"response_format": {"type": "json_object"}}, {"json_mode"}),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}}, {"json_schema"}),
        ({"logit_bias": {"5": 1}}, {"logit_bias"}),
        ({"modalities": ["text"]}, set()),
        ({"modalities": ["text", "audio"], "audio": {"voice": "x"}}, {"audio"}),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}, set()),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, {"vision"}),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]}, {"audio"}),
        ({"messages": [{"role": "user", "content": [{"type": "file", "file": {}}]}]}, {"file"}),
        ({"messages": [USER, {"role": "assistant", "content": None, "tool_calls": [CALL]}]}, {"tools"}),
        ({"messages": [USER, {"role": "tool", "content": "r", "tool_call_id": "c"}]}, {"tools"}),
        ({"messages": [USER, {"role": "assistant", "content": "x", "tool_calls": [], "refusal": None}]}, set()),
    ],
)
def test_a_body_says_what_it_needs(fields: JsonObject, needs: set[str]) -> None:
    found, _, unknown = read_fields(body(**fields))
    assert (found, unknown) == (needs, frozenset())


def test_hints_and_defaults_need_nothing() -> None:
    fields = {"user": "u", "metadata": {"a": "b"}, "store": True, "service_tier": "auto", "reasoning_effort": "low"}
    more = {"parallel_tool_calls": True, "prompt_cache_key": "k", "safety_identifier": "s", "presence_penalty": 0.5}
    needs, hints, unknown = read_fields(body(**fields, **more, tools=[], n=1))
    assert (needs, unknown) == (frozenset(), frozenset())
    assert hints == {*fields, *more, "tools", "n"}


@pytest.mark.parametrize(
    ("fields", "unknown"),
    [
        ({"mirostat": 2}, {"mirostat"}),
        ({"top_k": 5, "min_p": 0.1, "repetition_penalty": 1.1, "repeat_penalty": 1.1}, set()),
        ({CANARY: 1}, {"other"}),
        ({"messages": [{"role": "user", "content": [{"type": CANARY}]}]}, {"content_part"}),
        ({"messages": [{"role": "user", "content": "x", CANARY: 1}]}, {"message_field"}),
        ({"messages": [{"role": "user", "content": "x", CANARY: None}]}, set()),
    ],
)
def test_what_is_unknown_is_reported_without_the_callers_words(fields: JsonObject, unknown: set[str]) -> None:
    assert read_fields(body(**fields))[2] == unknown


BAD = [
    ("messages", []),
    ("messages", None),
    ("messages", "hello"),
    ("messages", {"role": "user"}),
    ("messages", [1]),
    ("messages", [{"content": "x"}]),
    ("messages", [{"role": CANARY, "content": "x"}]),
    ("messages", [{"role": ["user"], "content": "x"}]),
    ("messages", [{"role": "user"}]),
    ("messages", [{"role": "user", "content": None}]),
    ("messages", [{"role": "user", "content": []}]),
    ("messages", [{"role": "user", "content": 7}]),
    ("messages", [{"role": "user", "content": ["x"]}]),
    ("messages", [{"role": "user", "content": [{"text": "x"}]}]),
    ("messages", [{"role": "user", "content": [{"type": "text"}]}]),
    ("messages", [{"role": "user", "content": [{"type": "text", "text": 1}]}]),
    ("messages", [{"role": "tool", "content": "x"}]),
    ("messages", [{"role": "user", "content": "x", "name": 1}]),
    ("messages", [{"role": "assistant", "content": None, "tool_calls": "x"}]),
    ("messages", [{"role": "assistant", "content": None, "tool_calls": [1]}]),
    ("messages", [{"role": "assistant", "content": None, "tool_calls": [{"function": {"name": 1}}]}]),
    (
        "messages",
        [{"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": {}}}]}],
    ),
    ("model", 7),
    ("temperature", -0.1),
    ("temperature", 2.1),
    ("temperature", "1"),
    ("temperature", True),
    ("top_p", 1.5),
    ("n", 0),
    ("n", 1.0),
    ("n", 129),
    ("max_tokens", 0),
    ("max_tokens", "9"),
    ("max_completion_tokens", -1),
    ("stop", 5),
    ("stop", ["a", "b", "c", "d", "e"]),
    ("stop", [1]),
    ("seed", 1.5),
    ("seed", 1 << 70),
    ("logprobs", "yes"),
    ("top_logprobs", 21),
    ("stream", "true"),
    ("stream_options", []),
    ("response_format", "json"),
    ("response_format", {"type": CANARY}),
    ("response_format", {"type": "json_schema"}),
    ("response_format", {"type": "json_schema", "json_schema": {"schema": []}}),
    ("tools", {}),
    ("tools", [{}]),
    ("tool_choice", 1),
    ("logit_bias", []),
    ("user", 1),
    ("metadata", "x"),
    ("presence_penalty", 3),
    ("top_k", -2),
    ("top_k", 1.5),
    ("min_p", 1.1),
    ("repetition_penalty", 0),
    ("repeat_penalty", "1"),
    ("modalities", "text"),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_value_that_may_not_be_is_a_400_that_names_the_field(name: str, value: object) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_fields({**body(), name: value})
    assert caught.value.status == 400
    assert (caught.value.param or "").startswith(name)
    assert CANARY not in caught.value.message


@pytest.mark.parametrize(
    "fields", [{"top_logprobs": 2}, {"stream_options": {}}, {"stream_options": {"include_usage": 1}}]
)
def test_fields_that_need_another_are_a_400_without_it(fields: JsonObject) -> None:
    with pytest.raises(InvalidRequest):
        read_fields(body(**fields))
    if "include_usage" in str(fields):
        with pytest.raises(InvalidRequest):
            read_fields(body(stream=True, **fields))


@pytest.mark.parametrize(
    "name",
    [
        *("api_base", "base_url", "api_key", "extra_headers", "custom_llm_provider", "extra_body", "proxy"),
        *("fallbacks", "cache_salt", "tenant"),
    ],
)
@pytest.mark.parametrize("value", ["http://x", None, {}])
def test_a_field_that_would_steer_our_connections_or_partitions_is_refused(name: str, value: object) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_fields(body(**{name: value}))
    assert caught.value.param == name


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool", "system"]) | JSON},
    optional={"content": JSON, "tool_calls": JSON, "name": JSON, "tool_call_id": JSON},
)


@given(
    st.dictionaries(st.sampled_from(sorted(FIELDS)) | st.text(max_size=4), JSON, max_size=5), st.lists(MESSAGE) | JSON
)
def test_any_json_is_read_or_refused_and_what_is_read_can_be_mapped(fields: JsonObject, messages: object) -> None:
    request = {**fields, "messages": messages}
    try:
        read_fields(request)
        for model in (ENGINE, TOOLS, SERVER):
            local_body(request, model, stream=False, want_logprobs=True)
    except InvalidRequest:
        return
    exit_body(request, CLOUD, stream=False)


def test_the_engine_gets_the_fields_it_knows_and_the_rest_is_named() -> None:
    request = body(
        temperature=0.3,
        max_completion_tokens=9,
        stop="x",
        user=CANARY,
        metadata={"a": CANARY},
        presence_penalty=0.5,
        n=1,
        tools=[],
        stream=True,
        response_format={"type": "json_object"},
    )
    home, ignored = local_body(request, ENGINE, stream=True, want_logprobs=True)
    assert home == {
        "model": "smollm2",
        "messages": [USER],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.3,
        "max_tokens": 9,
        "stop": "x",
        "presence_penalty": 0.5,
        "response_format": {"type": "json_object"},
        "logprobs": True,
    }
    assert ignored == ("metadata", "n", "tools", "user")


def test_another_local_server_gets_tools_and_penalties() -> None:
    sampling = {"presence_penalty": 0.5, "top_k": -1, "min_p": 0.05, "repeat_penalty": 1.1}
    home, ignored = local_body(
        body(tools=[TOOL], n=2, store=True, **sampling), SERVER, stream=False, want_logprobs=False
    )
    assert (home["tools"], home["n"]) == ([TOOL], 2)
    assert {name: home[name] for name in sampling} == sampling
    assert ignored == ("store",)


def test_the_engine_gets_every_sampling_field_under_its_own_name() -> None:
    sampling = {"top_k": 40, "min_p": 0.05, "presence_penalty": -1, "frequency_penalty": 0.5}
    home, ignored = local_body(body(**sampling, repeat_penalty=1.1), ENGINE, stream=False, want_logprobs=False)
    assert {name: home[name] for name in sampling} == sampling
    assert home["repetition_penalty"] == 1.1
    assert "repeat_penalty" not in home
    assert ignored == ()


def test_of_two_names_for_one_penalty_the_engine_gets_one() -> None:
    given = body(repeat_penalty=1.3, repetition_penalty=1.1)
    home, ignored = local_body(given, ENGINE, stream=False, want_logprobs=False)
    assert home["repetition_penalty"] == 1.1
    assert ignored == ("repeat_penalty",)


def test_sampling_fields_that_ask_for_nothing_are_not_sent_to_the_engine() -> None:
    idle = {"top_k": -1, "min_p": 0, "repetition_penalty": 1.0, "presence_penalty": None, "frequency_penalty": 0.0}
    home, ignored = local_body(body(**idle), ENGINE, stream=False, want_logprobs=False)
    assert not set(idle) & set(home)
    assert ignored == tuple(sorted(idle))


@pytest.mark.parametrize("model", [TOOLS, SERVER])
@pytest.mark.parametrize("choice", ["none", "auto", "required", {"type": "function", "function": {"name": "f"}}])
def test_tools_go_to_a_model_that_has_them_with_all_that_is_said_about_them(model: Model, choice: object) -> None:
    fields = {"tools": [TOOL], "tool_choice": choice, "parallel_tool_calls": False}
    messages = [
        USER,
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "content": [{"type": "text", "text": "r"}], "tool_call_id": "c", "name": "f"},
    ]
    home, ignored = local_body(body(**fields, messages=messages), model, stream=False, want_logprobs=False)
    assert {name: home[name] for name in fields} == fields
    assert home["messages"][1:] == [messages[1], {**messages[2], "content": "r"}]
    assert ignored == ()


def test_what_is_said_about_tools_without_any_is_ignored() -> None:
    fields = {"tools": [], "tool_choice": "none", "parallel_tool_calls": True}
    home, ignored = local_body(body(**fields), TOOLS, stream=False, want_logprobs=False)
    assert not set(fields) & set(home)
    assert ignored == ("parallel_tool_calls", "tool_choice", "tools")


def test_the_engine_gives_at_most_eight_choices_and_takes_tools_under_their_present_name_only() -> None:
    assert local_body(body(n=8), TOOLS, stream=False, want_logprobs=False)[0]["n"] == 8
    with pytest.raises(InvalidRequest, match="at most 8") as caught:
        local_body(body(n=9), TOOLS, stream=False, want_logprobs=False)
    assert caught.value.param == "n"
    with pytest.raises(InvalidRequest, match="functions"):
        local_body(body(functions=[{"name": "f"}]), TOOLS, stream=False, want_logprobs=False)


@pytest.mark.parametrize("fields", [{"tools": [TOOL]}, {"n": 2}, {"mirostat": 1}, {CANARY: 1}])
def test_what_the_local_model_cannot_take_is_a_400(fields: JsonObject) -> None:
    with pytest.raises(InvalidRequest) as caught:
        local_body(body(**fields), ENGINE, stream=False, want_logprobs=False)
    assert caught.value.code == "unsupported_field"
    assert CANARY not in caught.value.message


def test_messages_take_the_form_that_chat_templates_know() -> None:
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": "ok", "refusal": None, "annotations": [], "tool_calls": None, "audio": None},
    ]
    home, _ = local_body(body(messages=messages), ENGINE, stream=False, want_logprobs=False)
    assert home["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "a\nb"},
        {"role": "assistant", "content": "ok"},
    ]


def test_outside_a_body_is_equal_but_for_model_and_stream_options() -> None:
    request = body(user="u", top_k=3, tools=[], metadata=None, stream=True, temperature=1.0)
    before = dict(request)
    out, ignored = exit_body(request, CLOUD, stream=True)
    assert out == {**request, "model": "gpt-4o-mini", "stream_options": {"include_usage": True}}
    assert list(out)[: len(request)] == list(request)
    assert request == before
    assert ignored == ()


def test_the_callers_stream_options_stay() -> None:
    out, _ = exit_body(body(stream=True, stream_options={"include_obfuscation": False}), CLOUD, stream=True)
    assert out["stream_options"] == {"include_obfuscation": False, "include_usage": True}


def test_a_translated_target_gets_its_arguments_and_the_rest_is_named() -> None:
    out, ignored = exit_body(body(user="u", store=True, seed=1, tools=None), CLAUDE, stream=False)
    assert out == {"model": "anthropic/claude-x", "messages": [USER], "seed": 1}
    assert ignored == ("store", "tools", "user")
    with pytest.raises(InvalidRequest):
        exit_body(body(top_k=3), CLAUDE, stream=False)


def test_log_probabilities_are_asked_of_models_that_give_them() -> None:
    assert gives_logprobs(ENGINE)
    assert not gives_logprobs(SERVER)


def test_the_most_output_tokens_are_what_the_caller_says() -> None:
    assert max_output_tokens(body()) == 0
    assert max_output_tokens(body(max_tokens=5, max_completion_tokens=None)) == 5
    assert max_output_tokens(body(max_tokens=5, max_completion_tokens=7)) == 7


def test_reading_a_small_body_takes_microseconds() -> None:
    request = body(temperature=0.5, max_tokens=10, stream=True)
    best = min(_timed(request) for _ in range(20))
    assert best < 40e-6, "measured 3 µs on an idle machine"


def _timed(request: JsonObject) -> float:
    began = time.perf_counter()
    for _ in range(100):
        read_fields(request)
    return (time.perf_counter() - began) / 100
