"""Whole answers and streams with their values back: texts, tool calls, several choices, and how late anything comes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from classifiers.pseudonyms import Pseudonyms
from router.pseudonyms.restored import RestoredStream, answers_in_json, restore_completion
from router.pseudonyms.restoring import Restorer
from router.types import JsonObject

ANNA, QUOTED = "<PERSON_1_KXQD>", "<PERSON_2_KXQD>"
NAME, QUOTE = "Anna Berg", 'Jo "J"\nNeil'
SLOWLY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # on a busy machine


def restorer() -> Restorer:
    made = Pseudonyms("KXQD")
    made.placeholder(NAME, "PERSON")
    made.placeholder(QUOTE, "PERSON")
    return Restorer(made)


async def listed(items: list[JsonObject]) -> AsyncIterator[JsonObject]:
    for item in items:
        yield item


def chunk(delta: JsonObject, finish: str | None = None, index: int = 0, **fields: Any) -> JsonObject:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice], **fields}


async def streamed(chunks: list[JsonObject], *, is_json: bool = False) -> list[JsonObject]:
    ended: list[int] = []
    stream = RestoredStream(listed(chunks), restorer(), is_json=is_json, on_end=lambda: ended.append(1))
    out = [each async for each in stream]
    await stream.aclose()
    assert ended == [1]
    return out


def together(chunks: list[JsonObject]) -> dict[int, dict[str, str]]:
    """The texts of each choice, put together as a client does."""
    texts: dict[int, dict[str, str]] = {}
    for each in chunks:
        for choice in each["choices"]:
            mine = texts.setdefault(choice["index"], {})
            for name, value in choice["delta"].items():
                if isinstance(value, str):
                    mine[name] = mine.get(name, "") + value
                for call in value if name == "tool_calls" else ():
                    key = f"call {call['index']}"
                    part = call.get("function", {}).get("arguments") or call.get("custom", {}).get("input") or ""
                    mine[key] = mine.get(key, "") + part
                if name == "function_call":
                    mine["call"] = mine.get("call", "") + value.get("arguments", "")
    return texts


def cut(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def test_every_text_of_every_choice_of_a_whole_answer_is_restored() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "send", "arguments": json.dumps({"to": QUOTED})}}
    custom = {"id": "c2", "type": "custom", "custom": {"name": "run", "input": f"for {QUOTED}"}}
    messages: list[JsonObject] = [
        {"role": "assistant", "content": f"Dear {ANNA},", "refusal": None},
        {"role": "assistant", "content": None, "refusal": f"Not {ANNA}.", "reasoning_content": f"{ANNA}?"},
        {"role": "assistant", "content": None, "tool_calls": [call, custom]},
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": f'["{QUOTED}"]'}},
        {"role": "assistant", "content": [{"type": "text", "text": ANNA}], "annotations": []},
    ]
    completion = {
        "choices": [{"index": i, "message": each, "logprobs": {"content": []}} for i, each in enumerate(messages)]
    }
    restore_completion(completion, restorer(), is_json=False)
    first, second, third, fourth, fifth = (choice["message"] for choice in completion["choices"])
    assert first == {"role": "assistant", "content": f"Dear {NAME},", "refusal": None}
    assert (second["refusal"], second["reasoning_content"]) == (f"Not {NAME}.", f"{NAME}?")
    assert json.loads(third["tool_calls"][0]["function"]["arguments"]) == {"to": QUOTE}
    assert third["tool_calls"][1]["custom"]["input"] == f"for {QUOTE}"
    assert json.loads(fourth["function_call"]["arguments"]) == [QUOTE]
    assert fifth["content"][0]["text"] == NAME
    assert all(choice["logprobs"] is None for choice in completion["choices"])


@pytest.mark.parametrize(
    ("form", "expected"),
    [(None, False), ({"type": "text"}, False), ({"type": "json_object"}, True), ({"type": "json_schema"}, True)],
)
async def test_an_answer_that_must_be_json_stays_json(form: Any, expected: bool) -> None:
    assert answers_in_json({"response_format": form}) is expected
    if expected:
        content = json.dumps({"name": QUOTED})
        completion = {"choices": [{"message": {"role": "assistant", "content": content}}]}
        restore_completion(completion, restorer(), is_json=True)
        assert json.loads(completion["choices"][0]["message"]["content"]) == {"name": QUOTE}
        for size in (1, 3, 50):
            pieces = [chunk({"content": piece}) for piece in cut(content, size)]
            texts = together(await streamed([*pieces, chunk({}, "stop")], is_json=True))
            assert json.loads(texts[0]["content"]) == {"name": QUOTE}


@pytest.mark.parametrize("size", [1, 2, 3, 7, 15, 100])
async def test_a_stream_of_several_choices_in_pieces_of_any_size_is_restored(size: int) -> None:
    texts = [f"Dear {ANNA}, {QUOTED} and {ANNA}", f"{ANNA}'s", "no names", "ends with PERSON_1_KXQD"]
    chunks = [chunk({"role": "assistant", "content": ""}, index=index) for index in range(4)]
    cuts = [cut(text, size) for text in texts]
    for number in range(max(map(len, cuts))):
        for index, pieces in enumerate(cuts):
            if number < len(pieces):
                chunks.append(chunk({"content": pieces[number]}, index=index))
    chunks += [chunk({}, "stop", index) for index in range(4)]
    chunks.append({"id": "c", "object": "chat.completion.chunk", "choices": [], "usage": {"prompt_tokens": 1}})
    out = await streamed(chunks)
    assert [together(out)[index]["content"] for index in range(4)] == [
        f"Dear {NAME}, {QUOTE} and {NAME}",
        f"{NAME}'s",
        "no names",
        f"ends with {NAME}",
    ]
    assert out[-1]["usage"] == {"prompt_tokens": 1}
    finishes = [choice["index"] for each in out for choice in each["choices"] if choice["finish_reason"]]
    assert finishes == [0, 1, 2, 3]


@pytest.mark.parametrize("size", [1, 2, 5, 40])
async def test_the_arguments_of_several_tool_calls_stay_json_in_a_stream(size: int) -> None:
    written = [json.dumps({"to": QUOTED, "n": 1}), json.dumps([f"{ANNA} & {QUOTED}"])]
    chunks = [chunk({"role": "assistant", "content": None})]
    for index, text in enumerate(written):
        first = {"index": index, "id": f"c{index}", "type": "function", "function": {"name": "f", "arguments": ""}}
        chunks.append(chunk({"tool_calls": [first]}))
        chunks += [
            chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}) for piece in cut(text, size)
        ]
    out = await streamed([*chunks, chunk({}, "tool_calls")])
    texts = together(out)[0]
    assert json.loads(texts["call 0"]) == {"to": QUOTE, "n": 1}
    assert json.loads(texts["call 1"]) == [f"{NAME} & {QUOTE}"]
    ids = [call["id"] for each in out for call in each["choices"][0]["delta"].get("tool_calls", ()) if "id" in call]
    assert ids == ["c0", "c1"]


async def test_what_one_text_still_holds_is_out_before_the_next_text_begins() -> None:
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": f'["{ANNA[:6]}'}}
    call_after = {"index": 1, "id": "d", "type": "custom", "custom": {"name": "f", "input": ANNA[:-1]}}
    out = await streamed(
        [
            chunk({"reasoning_content": "Think of PERSON_1_KXQD"}),
            chunk({"content": "Well, <PER"}),
            chunk({"tool_calls": [call]}),
            chunk({"tool_calls": [call_after]}),
            chunk({"function_call": {"name": "g", "arguments": f'["{ANNA[:-1]}'}}),
            chunk({}, "stop"),
        ]
    )
    order = [name for each in out for name, value in each["choices"][0]["delta"].items() if value]
    assert order == [
        *("reasoning_content", "reasoning_content", "content", "content"),
        *("tool_calls", "tool_calls", "tool_calls", "tool_calls", "function_call", "function_call"),
    ]
    assert together(out)[0] == {
        "reasoning_content": f"Think of {NAME}",
        "content": "Well, <PER",
        "call 0": '["<PERSO',
        "call 1": NAME,
        "call": f'["{NAME}',
    }
    assert out[-1]["choices"][0] == {"index": 0, "delta": {}, "finish_reason": "stop"}


@pytest.mark.parametrize("last", [chunk({"content": ANNA[:-1]}, "stop"), chunk({"content": ANNA[:-1]})])
async def test_the_end_gives_out_what_was_held_whether_it_is_said_or_not(last: JsonObject) -> None:
    out = await streamed([chunk({"content": "To "}), last])
    assert together(out)[0]["content"] == f"To {NAME}"


async def test_fields_that_are_no_text_of_the_answer_pass_and_logprobs_do_not() -> None:
    parts = [{"type": "reasoning.text", "text": f"of {ANNA}"}]
    sent = chunk({"role": "assistant", "content": "x", "reasoning_details": parts}, system_fingerprint="fp")
    sent["choices"][0]["logprobs"] = {"content": [{"token": "x"}]}
    (got,) = await streamed([sent])
    assert got["system_fingerprint"] == "fp"
    assert got["choices"][0]["logprobs"] is None
    assert got["choices"][0]["delta"]["reasoning_details"] == [{"type": "reasoning.text", "text": f"of {NAME}"}]


async def test_a_stream_that_is_closed_early_closes_its_source_and_says_what_it_saw() -> None:
    closed: list[str] = []

    async def source() -> AsyncIterator[JsonObject]:
        try:
            yield chunk({"content": f"{ANNA} {ANNA} "})
            yield chunk({"content": "more"})
        finally:
            closed.append("source")

    one = restorer()
    seen: list[int] = []
    stream = RestoredStream(source(), one, is_json=False, on_end=lambda: seen.append(one.restored))
    await anext(stream)
    await stream.aclose()
    assert closed == ["source"]
    assert seen == [2]


WORDS = st.sampled_from([ANNA, QUOTED, "PERSON_1_KXQD", "plain", "<", "<b>", "Person", "\n", "&", "x", "&lt;PERS"])
ENDINGS = [
    whole[at:]
    for whole in (ANNA, QUOTED, "&lt;PERSON_1_KXQD&gt;", "\\u003cPERSON_1_KXQD\\u003e")
    for at in range(len(whole))
]


@SLOWLY
@given(st.lists(WORDS, max_size=8).map(" ".join), st.integers(1, 9))
def test_nothing_waits_but_what_the_next_chunk_may_still_make_a_placeholder(text: str, size: int) -> None:
    """So a chunk comes at most one later than it could be known: there is no second one of delay."""
    channel, out = restorer().channel(), ""
    for number, piece in enumerate(cut(text, size), 1):
        out += channel.feed(piece)
        if channel.held:
            made = [restorer().text(channel.held + ending) for ending in ENDINGS]
            assert any(each.startswith((NAME, QUOTE)) for each in made), channel.held
        assert text[: number * size].endswith(channel.held)


@pytest.mark.parametrize("size", range(1, 17))
async def test_a_stream_with_placeholders_has_at_most_one_chunk_more_and_each_word_one_chunk_later(size: int) -> None:
    words = " ".join(["word", ANNA, "word", "PERSON_1_KXQD"] * 5)
    pieces = cut(words, size)
    out = await streamed([*(chunk({"content": piece}) for piece in pieces), chunk({}, "stop")])
    assert len(out) <= len(pieces) + 2  # the finish, and what was held before it
    texts = [each["choices"][0]["delta"].get("content", "") for each in out]
    ends = [at for at in range(len(words)) if words.startswith((" word", ANNA), at)]
    for end in ends:  # what ended before this place is out one chunk after the chunk that holds it
        before = restorer().text(words[:end])
        assert "".join(texts[: end // size + 2]).startswith(before)
