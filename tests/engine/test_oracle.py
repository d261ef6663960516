"""llama-cpp-python's own high-level API as the oracle: the same prompts, the same tokens, the same probabilities."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from router.engine.process import spin_briefly
from router.engine.template import NEUTRAL_SYSTEM
from router.models.catalogue import embedded_model
from tests.engine.driver import Client, says

PROMPTS = [
    "What is the capital of France?",
    "List three colours.",
    "Translate 'good morning' into German.",
    "Write a Python function that adds two numbers.",
    "Why is the sky blue?",
    "Summarise: " + "The quick brown fox jumps over the lazy dog. " * 20,  # prefilled in several pieces
]


@pytest.fixture(scope="module")
def oracle() -> Iterator[Any]:
    spin_briefly()
    from llama_cpp import Llama

    model = Llama(str(embedded_model()), n_ctx=1024, n_threads=1, logits_all=True, flash_attn=True, verbose=False)
    yield model
    model.close()


def messages(prompt: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": NEUTRAL_SYSTEM}, {"role": "user", "content": prompt}]


@pytest.mark.parametrize("prompt", PROMPTS)
async def test_greedy_answers_are_the_oracles_token_for_token(client: Client, oracle: Any, prompt: str) -> None:
    ours = await client.answer(says(prompt, temperature=0, max_tokens=32))
    theirs = oracle.create_chat_completion(
        messages(prompt), temperature=0, max_tokens=32, repeat_penalty=1.0, top_k=0, top_p=1.0, min_p=0.0
    )
    assert ours["choices"][0]["message"]["content"] == theirs["choices"][0]["message"]["content"]
    assert ours["choices"][0]["finish_reason"] == theirs["choices"][0]["finish_reason"]
    assert ours["usage"].items() >= theirs["usage"].items()


async def test_log_probabilities_are_those_that_the_oracle_computes_for_the_same_tokens(
    client: Client, oracle: Any
) -> None:
    """They are the model's own: at temperature 1.3 they are not those of the sampling."""
    reply = await client.answer(
        says("Tell me about Rome.", temperature=1.3, seed=9, max_tokens=16, logprobs=True, top_logprobs=5)
    )
    entries = reply["choices"][0]["logprobs"]["content"]
    assert len(entries) == reply["usage"]["completion_tokens"] == 16
    prompt = "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages("Tell me about Rome."))
    tokens = oracle.tokenize((prompt + "<|im_start|>assistant\n").encode(), add_bos=False, special=True)
    said = b"".join(bytes(entry["bytes"]) for entry in entries)
    pieces = {oracle.detokenize([token]): token for token in range(oracle.n_vocab())}
    answer = [pieces[bytes(entry["bytes"])] for entry in entries]
    assert said.decode() == reply["choices"][0]["message"]["content"]
    oracle.reset()
    oracle.eval(tokens)
    for entry, token in zip(entries, answer, strict=True):
        scores = np.asarray(oracle.scores[oracle.n_tokens - 1], np.float64)
        expected = scores[token] - scores.max() - np.log(np.exp(scores - scores.max()).sum())
        assert entry["logprob"] == pytest.approx(expected, abs=1e-3)
        oracle.eval([token])


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
