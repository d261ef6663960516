"""llama-cpp-python's own high-level API as the oracle: the same prompts, the same tokens, the same probabilities.

Both run flash attention, because it is worth a quarter of the throughput at batch 8 (measured: 210 against 168
tokens/s), and both keep keys as bfloat16: then llama.cpp adds up in one way, however many tokens of a sequence a step
has and however long the sequence is. With keys and values of one type it has three ways, whose sums differ in their
last digits. All else of the oracle is as it comes: the whole prompt in one piece, one sequence, one token a step.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from router.engine.process import spin_briefly
from router.engine.template import NEUTRAL_SYSTEM
from router.models.catalogue import embedded_model
from tests.engine.driver import BFLOAT16, ROOT, Body, Client, says

# Real prompts: facts, sums, edits, translations, code.
EVERYDAY = [
    json.loads(line)["prompt"]
    for line in (ROOT / "router" / "calibration" / "everyday.jsonl").read_text("utf-8").splitlines()
]
ANSWER = 24
# Pieces of the licence, of 85 to 358 tokens: they are read in several steps.
LICENCE = (ROOT / "LICENSE").read_text("utf-8").split("\n\n")
LONG = ["Summarise this: " + " ".join(LICENCE[at : at + 3]) for at in range(2, 22, 4)]
A_HUNDRED = [*EVERYDAY[:: len(EVERYDAY) // 95][:95], *LONG]
PROMPTS = A_HUNDRED if os.environ.get("GATEHOUSE_TEST_ORACLE") == "all" else A_HUNDRED[::-3]

# How far a token's log-probability in a batch of eight may be from what it is alone. Measured over 1,144 tokens of 64
# everyday prompts: 0 against alone, 3.7e-7 against the oracle. Here each row of a matrix product is worked out by
# itself, whatever else is in the batch, and what is left is the rounding of the last logarithm. Where the build has
# products of whole blocks (AMX, a GPU) the sums' order changes with the batch: half-precision models differ by up to
# 0.009 for that reason (test_architectures). A token of another sequence, a position beside the right one or a lost
# piece of the prompt moves it by tenths and more.
BOUND = 0.01


def served(**options: Any) -> Iterator[Any]:
    spin_briefly()
    from llama_cpp import Llama

    model = Llama(str(embedded_model()), n_threads=1, flash_attn=True, type_k=BFLOAT16, verbose=False, **options)
    yield model
    model.close()


@pytest.fixture(scope="module")
def writer() -> Iterator[Any]:
    """An oracle for texts."""
    yield from served(n_ctx=2048)


@pytest.fixture(scope="module")
def oracle() -> Iterator[Any]:
    """An oracle for probabilities: it keeps those of every token."""
    yield from served(n_ctx=512, logits_all=True)


def messages(prompt: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": NEUTRAL_SYSTEM}, {"role": "user", "content": prompt}]


async def test_greedy_answers_to_real_prompts_are_the_oracles_token_for_token(client: Client, writer: Any) -> None:
    """A hundred with `GATEHOUSE_TEST_ORACLE=all`, else every third.

    One after the other, so that each is alone, and guesses are made where it says what was said before.
    """
    before = await client.figures()
    differing = []
    for prompt in PROMPTS:
        ours = await client.answer(says(prompt, temperature=0, max_tokens=ANSWER))
        theirs = writer.create_chat_completion(
            messages(prompt), temperature=0, max_tokens=ANSWER, repeat_penalty=1.0, top_k=0, top_p=1.0, min_p=0.0
        )
        assert ours["usage"].items() >= theirs["usage"].items()
        for name in ("finish_reason", "message"):
            mine, other = ours["choices"][0][name], theirs["choices"][0][name]
            if mine != other and (name != "message" or mine["content"] != other["content"]):
                differing.append((prompt, mine, other))
    assert differing == []
    after = await client.figures()
    assert after["accepted_total"] > before["accepted_total"], "nothing was guessed"
    assert after["speculated_total"] - before["speculated_total"] > after["accepted_total"] - before["accepted_total"]


def entries_of(reply: Body) -> list[Body]:
    found: list[Body] = reply["choices"][0]["logprobs"]["content"]
    return found


async def test_log_probabilities_at_eight_at_once_are_those_given_alone(client: Client) -> None:
    prompts = EVERYDAY[1::16][:16]
    bodies = [says(prompt, temperature=0, max_tokens=ANSWER, logprobs=True, top_logprobs=2) for prompt in prompts]
    alone = [entries_of(await client.answer(body)) for body in bodies]
    before = await client.figures()
    together: list[list[Body]] = []
    for start in range(0, len(bodies), 8):
        replies = await asyncio.gather(*(client.answer(body) for body in bodies[start : start + 8]))
        together += [entries_of(reply) for reply in replies]
    after = await client.figures()
    steps = after["steps_total"] - before["steps_total"]
    assert after["batched_tokens_total"] - before["batched_tokens_total"] > 4 * steps, "they were not together"
    compared = 0
    for one, other in zip(alone, together, strict=True):
        for first, second in zip(one, other, strict=False):
            if first["bytes"] != second["bytes"]:
                # From here on they answer different texts: it must have been a draw.
                best, next_best = (top["logprob"] for top in first["top_logprobs"])
                assert best - next_best < 2 * BOUND
                break
            assert first["logprob"] == pytest.approx(second["logprob"], abs=BOUND)
            compared += 1
    assert compared > 100


@pytest.fixture(scope="module")
def tokens(oracle: Any) -> dict[bytes, int]:
    """By what they say."""
    return {oracle.detokenize([token]): token for token in range(oracle.n_vocab())}


def scored(oracle: Any, tokens: dict[bytes, int], prompt: str, entries: list[Body]) -> list[float]:
    """What the oracle's log-probabilities of these tokens are, one after the other."""
    text = "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages(prompt))
    oracle.reset()
    oracle.eval(oracle.tokenize((text + "<|im_start|>assistant\n").encode(), add_bos=False, special=True))
    found = []
    for entry in entries:
        scores = np.asarray(oracle.scores[oracle.n_tokens - 1], np.float64)
        token = tokens[bytes(entry["bytes"])]
        found.append(float(scores[token] - scores.max() - np.log(np.exp(scores - scores.max()).sum())))
        oracle.eval([token])
    return found


async def test_log_probabilities_are_those_that_the_oracle_computes_for_the_same_tokens(
    client: Client, oracle: Any, tokens: dict[bytes, int]
) -> None:
    """They are the model's own: at temperature 1.3 they are not those of the sampling."""
    reply = await client.answer(
        says("Tell me about Rome.", temperature=1.3, seed=9, max_tokens=16, logprobs=True, top_logprobs=5)
    )
    entries = entries_of(reply)
    assert len(entries) == reply["usage"]["completion_tokens"] == 16
    said = b"".join(bytes(entry["bytes"]) for entry in entries)
    assert said.decode() == reply["choices"][0]["message"]["content"]
    expected = scored(oracle, tokens, "Tell me about Rome.", entries)
    assert [entry["logprob"] for entry in entries] == pytest.approx(expected, abs=BOUND / 10)


async def test_long_prompts_read_in_pieces_and_together_give_the_oracles_probabilities(
    client: Client, oracle: Any, tokens: dict[bytes, int]
) -> None:
    bodies = [says(prompt, temperature=0, max_tokens=12, logprobs=True) for prompt in LONG]
    replies = await asyncio.gather(*(client.answer(body) for body in bodies))
    for prompt, reply in zip(LONG, replies, strict=True):
        assert 80 < reply["usage"]["prompt_tokens"] < 500
        entries = entries_of(reply)
        expected = scored(oracle, tokens, prompt, entries)
        assert [entry["logprob"] for entry in entries] == pytest.approx(expected, abs=BOUND / 10)


async def test_top_log_probabilities_are_ordered_and_sum_to_at_most_one(client: Client) -> None:
    reply = await client.answer(
        says("Tell me about Rome.", temperature=0, max_tokens=12, logprobs=True, top_logprobs=20)
    )
    for entry in reply["choices"][0]["logprobs"]["content"]:
        values = [top["logprob"] for top in entry["top_logprobs"]]
        assert len(values) == 20
        assert values == sorted(values, reverse=True)
        assert 0 < math.fsum(map(math.exp, values)) <= 1 + 1e-9
        # Greedy: the chosen token is the most probable one.
        assert (entry["token"], entry["logprob"]) == (entry["top_logprobs"][0]["token"], values[0])


async def test_a_streams_log_probabilities_are_those_of_the_plain_answer(client: Client) -> None:
    body = says("Name a river.", temperature=0, max_tokens=10, logprobs=True, top_logprobs=1)
    plain = (await client.answer(body))["choices"][0]["logprobs"]["content"]
    chunks = await client.chunks(body)
    streamed = [entry for chunk in chunks for entry in ((chunk["choices"][0]["logprobs"] or {}).get("content") or [])]
    assert streamed == plain
