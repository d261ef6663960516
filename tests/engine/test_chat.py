"""What a chat completion looks like, plain and streamed, on the real model."""

from __future__ import annotations

import string

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.engine.driver import ALIAS, Client, EngineProcess, says

GREEDY = {"temperature": 0}


async def test_a_plain_answer_is_a_chat_completion_as_the_official_client_types_it(client: Client) -> None:
    reply = await client.answer(says("What is the capital of France?", max_tokens=24, **GREEDY))
    completion = ChatCompletion.model_validate(reply, strict=True)
    assert "Paris" in (completion.choices[0].message.content or "")
    assert completion.choices[0].finish_reason == "stop"
    assert completion.id.startswith("chatcmpl-")
    assert completion.model == ALIAS
    assert (completion.system_fingerprint or "").startswith("fp_")
    assert completion.created > 1_600_000_000


async def test_a_stream_says_the_same_as_a_plain_answer(client: Client) -> None:
    body = says("Name three colours.", max_tokens=20, **GREEDY)
    plain = await client.answer(body)
    chunks = [ChatCompletionChunk.model_validate(chunk) for chunk in await client.chunks(body)]
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == plain["choices"][0]["message"]["content"]
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == [
        plain["choices"][0]["finish_reason"]
    ]
    assert len({chunk.id for chunk in chunks}) == 1
    assert all(chunk.usage is None for chunk in chunks)


async def test_usage_of_a_stream_is_that_of_the_plain_answer_and_comes_in_a_chunk_without_choices(
    client: Client,
) -> None:
    body = says("Count to five.", max_tokens=12, **GREEDY)
    plain = await client.answer(body)
    chunks = await client.chunks({**body, "stream_options": {"include_usage": True}})
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == plain["usage"]
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    usage = plain["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
async def test_an_answer_cut_by_its_limit_has_exactly_that_many_tokens_and_says_length(
    client: Client, name: str
) -> None:
    reply = await client.answer(says("Tell me a long story.", **{name: 7}))
    assert reply["usage"]["completion_tokens"] == 7
    assert reply["choices"][0]["finish_reason"] == "length"


async def test_a_stop_string_that_spans_tokens_ends_the_answer_before_it(client: Client) -> None:
    body = says("What is the capital of France?", max_tokens=24, **GREEDY)
    full = await client.text(body)
    # From the middle of one word to the middle of the next: no token has this text.
    at = full.index("capital") + 4
    stop = full[at : at + 6]
    assert " " in stop
    for stops in (stop, [stop], ["never said", stop]):
        reply = await client.answer({**body, "stop": stops})
        assert reply["choices"][0]["message"]["content"] == full[:at]
        assert reply["choices"][0]["finish_reason"] == "stop"
        assert reply["choices"][0]["stop_reason"] == stop
        chunks = await client.chunks({**body, "stop": stops})
        ends = [choice for chunk in chunks for choice in chunk["choices"] if choice["finish_reason"]]
        assert [(end["finish_reason"], end["stop_reason"]) for end in ends] == [("stop", stop)]
        assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks) == full[:at]


async def test_a_stop_string_that_only_begins_is_sent_after_all(client: Client) -> None:
    body = says("What is the capital of France?", max_tokens=24, **GREEDY)
    full = await client.text(body)
    assert await client.text({**body, "stop": full[-4:] + " and more"}) == full


async def test_a_seed_repeats_an_answer_and_another_seed_gives_another(client: Client) -> None:
    body = says("Invent a name for a boat.", max_tokens=16, temperature=1.5, top_p=1)
    first = await client.text({**body, "seed": 11})
    assert await client.text({**body, "seed": 11}) == first
    assert {await client.text({**body, "seed": seed}) for seed in (12, 13, 14)} != {first}


async def test_temperature_zero_ignores_the_seed(client: Client) -> None:
    body = says("Say something about the sea.", max_tokens=16, **GREEDY)
    assert len({await client.text({**body, "seed": seed}) for seed in (1, 2, -3)}) == 1


async def test_top_p_zero_is_greedy_at_any_temperature(client: Client) -> None:
    body = says("Say something about the sea.", max_tokens=16)
    assert await client.text({**body, "top_p": 0, "temperature": 2}) == await client.text({**body, **GREEDY})


async def test_characters_made_of_several_tokens_arrive_whole(client: Client) -> None:
    """The emoji takes several tokens; no chunk may hold a piece of one."""
    body = says("Repeat this: 🎉🎉🎉🎉🎉🎉", max_tokens=40, **GREEDY)
    chunks = await client.chunks({**body, "logprobs": True})
    texts = [chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks]
    assert "\ufffd" not in "".join(texts)
    assert any(character not in string.printable for character in "".join(texts))
    shown = [entry for chunk in chunks for entry in ((chunk["choices"][0]["logprobs"] or {}).get("content") or [])]
    assert any("\\x" in entry["token"] for entry in shown), "no token was a part of a character: the test shows nothing"
    assert bytes(byte for entry in shown for byte in entry["bytes"]).decode("utf-8", "ignore") == "".join(texts)


async def test_parts_of_type_text_are_joined_and_a_developer_is_the_system(client: Client) -> None:
    parts = [{"type": "text", "text": "What is the capital "}, {"type": "text", "text": "of France?"}]
    whole = {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What is the capital of France?"},
        ],
        "max_tokens": 12,
        **GREEDY,
    }
    split = {**whole, "messages": [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": parts}]}
    first, second = await client.answer(whole), await client.answer(split)
    assert first["choices"] == second["choices"]
    assert first["usage"] == second["usage"]


async def test_an_answer_may_be_sent_back_as_the_official_client_dumps_it(client: Client) -> None:
    message = ChatCompletion.model_validate(await client.answer(says("Hi", max_tokens=4))).choices[0].message
    history = [
        {"role": "user", "content": "Hi"},
        {**message.model_dump(), "annotations": [], "audio": None},
        {"role": "user", "content": "Go on."},
    ]
    assert await client.text({"messages": history, "max_tokens": 4})


async def test_the_models_list_names_the_alias_and_health_says_what_runs(client: Client, engine: EngineProcess) -> None:
    async with client.session.get("http://engine/v1/models") as response:
        listed = await response.json()
    assert [model["id"] for model in listed["data"]] == [ALIAS]
    state = await client.health()
    assert (state["status"], state["context"], state["waiting"]) == ("ok", 8192, 0)
    assert state["threads"] >= 1
    assert engine.process.poll() is None


async def test_a_seeded_answer_does_not_depend_on_what_was_asked_before(client: Client) -> None:
    """The KV cache of one request is gone before the next."""
    body = says("Describe a tree.", max_tokens=16, seed=4, temperature=0.9)
    first = await client.text(body)
    await client.text(says("Talk about ships and storms. " * 30, max_tokens=8))
    assert await client.text(body) == first


async def test_choices_differ_by_their_seeds_and_each_is_the_answer_of_its_own(client: Client) -> None:
    body = says("Invent a name for a boat.", max_tokens=12, temperature=1.5, top_p=1, seed=40)
    reply = await client.answer({**body, "n": 4})
    ChatCompletion.model_validate(reply, strict=True)
    assert [choice["index"] for choice in reply["choices"]] == [0, 1, 2, 3]
    texts = [choice["message"]["content"] for choice in reply["choices"]]
    assert len(set(texts)) == 4
    alone = [await client.answer({**body, "seed": 40 + index}) for index in range(4)]
    # The first words: decoded together, numbers differ in their last digits, and in the end the words may too.
    assert [text.split()[0] for text in texts] == [one["choices"][0]["message"]["content"].split()[0] for one in alone]


async def test_usage_of_choices_counts_the_prompt_once_and_every_answer(client: Client) -> None:
    body = says("Tell me a story about a tree.", max_tokens=5, temperature=1)
    one, many = await client.answer(body), await client.answer({**body, "n": 8})
    assert many["usage"]["prompt_tokens"] == one["usage"]["prompt_tokens"]
    assert many["usage"]["completion_tokens"] == 8 * 5
    assert many["usage"]["total_tokens"] == one["usage"]["prompt_tokens"] + 40
    # The others take the prompt over from the first: that is not told as a prompt that was there before.
    assert many["usage"]["prompt_tokens_details"] == one["usage"]["prompt_tokens_details"]


async def test_a_stream_of_choices_says_for_each_what_the_plain_answer_says(client: Client) -> None:
    body = says("Name three colours.", max_tokens=10, n=3, logprobs=True, **GREEDY)
    plain = await client.answer(body)
    chunks = await client.chunks({**body, "stream_options": {"include_usage": True}})
    assert chunks[-1]["usage"]["completion_tokens"] == plain["usage"]["completion_tokens"]
    order = [chunk["choices"][0]["index"] for chunk in chunks[:-1]]
    assert order != sorted(order), "the choices came one after the other, not together"
    for choice in plain["choices"]:
        own = [chunk["choices"][0] for chunk in chunks[:-1] if chunk["choices"][0]["index"] == choice["index"]]
        assert own[0]["delta"]["role"] == "assistant"
        assert "".join(each["delta"].get("content") or "" for each in own) == choice["message"]["content"]
        assert [each["finish_reason"] for each in own if each["finish_reason"]] == [choice["finish_reason"]]
        entries = [entry for each in own if each["logprobs"] for entry in each["logprobs"]["content"]]
        assert [entry["token"] for entry in entries] == [entry["token"] for entry in choice["logprobs"]["content"]]


async def test_a_callers_going_cancels_every_choice(client: Client) -> None:
    async with client.post(says("Tell me a very long story.", max_tokens=2000, n=4, stream=True)) as response:
        await response.content.readany()
        await client.until(running=4)
        response.close()
    await client.until(running=0, waiting=0)


async def test_what_is_reused_of_a_prompt_is_told(client: Client) -> None:
    body = says("Talk about ships and storms. " * 10, max_tokens=1)
    cached = []
    for salt in ("one", "one", "two"):
        usage = (await client.answer({**body, "cache_salt": salt}))["usage"]
        cached.append(usage["prompt_tokens_details"]["cached_tokens"])
        assert cached[-1] < usage["prompt_tokens"]
    assert cached[1] > 50
    assert cached[0] == cached[2] < 50  # the template's own opening, which holds nothing of anybody's
