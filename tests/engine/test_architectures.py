"""Every architecture of the catalogue, as a tiny model: loaded, templated, decoded, batched and cancelled.

The oracle is llama-cpp-python's own high-level API on the same file. The weights are random, so now and then two
tokens are nearly as probable as each other; answers are compared up to the first such place.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from router.engine.gguf import inspect
from router.engine.process import spin_briefly
from router.engine.sandbox import TemplateSandbox
from router.engine.template import FALLBACK
from tests.engine.driver import BFLOAT16, Body, Client, EngineProcess, end_engine, start_engine
from tests.support.tiny_gguf import CONTEXT, FAMILIES, make_model

# How far a token must lead, in natural log-probability. Measured over all families, batched against alone: the same
# token's log-probability differs by at most 0.015 (attention keeps its keys and values in half precision).
LEAD = 0.05
LENGTH = 32
PROMPTS = (
    "Tell me about the capital of the country.",
    "Wörter, 東京 and 🎉: what are they?",
    # Longer than the sliding window of the gemmas, and prefilled in several pieces.
    "Say it again: " + "the people of the country call the city their own, and the ships come and go. " * 5,
)
SYSTEM = "You answer in plain words."


@dataclass(frozen=True)
class Served:
    name: str
    path: Path
    engine: EngineProcess


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module", params=FAMILIES)
def served(request: pytest.FixtureRequest, models: Path) -> Iterator[Served]:
    name: str = request.param
    path = make_model(name, models)
    with tempfile.TemporaryDirectory(prefix="gh-") as folder:
        engine = start_engine(
            Path(folder), "--model", str(path), "--alias", name, "--threads", "1", "--slots", "4", "--context", "1024"
        )
        try:
            engine.wait()
            yield Served(name, path, engine)
        finally:
            end_engine(engine)


@pytest.fixture
async def client(served: Served) -> AsyncIterator[Client]:
    async with Client(served.engine.socket) as talker:
        yield talker


@pytest.fixture(scope="module")
def oracle(served: Served) -> Iterator[Any]:
    spin_briefly()
    from llama_cpp import Llama

    model = Llama(str(served.path), n_ctx=CONTEXT, n_threads=1, flash_attn=True, type_k=BFLOAT16, verbose=False)
    yield model
    model.close()


def messages(served: Served, prompt: str) -> list[dict[str, str]]:
    """With a system's turn where the template knows one."""
    asked = [{"role": "user", "content": prompt}]
    has_system = FAMILIES[served.name].template != "gemma"
    return [{"role": "system", "content": SYSTEM}, *asked] if has_system else asked


def body(served: Served, prompt: str, **fields: Any) -> Body:
    return {
        "model": served.name,
        "messages": messages(served, prompt),
        "temperature": 0,
        "max_tokens": LENGTH,
        "logprobs": True,
        "top_logprobs": 2,
        **fields,
    }


def tokens(reply: Body) -> list[bytes]:
    return [bytes(entry["bytes"]) for entry in reply["choices"][0]["logprobs"]["content"]]


def sure(reply: Body) -> list[bytes]:
    """The answer's tokens up to the first that leads by too little."""
    found: list[bytes] = []
    for entry in reply["choices"][0]["logprobs"]["content"]:
        best, second = entry["top_logprobs"]
        if best["logprob"] - second["logprob"] < LEAD:
            break
        found.append(bytes(entry["bytes"]))
    return found


def rendered(served: Served, oracle: Any, prompt: str) -> list[int]:
    """The prompt's tokens: the file's own template, or the base models'; exactly one BOS where the model wants one."""
    source = oracle.metadata.get("tokenizer.chat_template", FALLBACK)
    bos = oracle.detokenize([oracle.token_bos()], special=True).decode()
    eos = oracle.detokenize([oracle.token_eos()], special=True).decode()
    template = TemplateSandbox().compile_source(source)
    text = template.render(
        messages=messages(served, prompt), add_generation_prompt=True, bos_token=bos, eos_token=eos, tools=None
    )
    found: list[int] = oracle.tokenize(text.removeprefix(bos).encode(), add_bos=False, special=True)
    wants_bos = oracle.metadata["tokenizer.ggml.add_bos_token"] == "true" or text.startswith(bos)
    return [oracle.token_bos(), *found] if wants_bos else found


async def test_what_the_engine_loads_is_what_was_inspected(served: Served, client: Client) -> None:
    header = inspect(served.path)
    assert (header.architecture, header.kind) == (FAMILIES[served.name].architecture, "model")
    assert (await client.health())["context"] == header.context_length


async def test_greedy_answers_are_the_oracles_token_for_token(served: Served, client: Client, oracle: Any) -> None:
    compared = 0
    for prompt in PROMPTS:
        reply = await client.answer(body(served, prompt))
        asked = rendered(served, oracle, prompt)
        assert reply["usage"]["prompt_tokens"] == len(asked)
        said = sure(reply)
        generated = oracle.generate(asked, temp=0, top_k=0, top_p=1.0, min_p=0.0, repeat_penalty=1.0)
        assert [oracle.detokenize([token]) for _, token in zip(said, generated, strict=False)] == said
        compared += len(said)
    assert compared >= LENGTH


async def test_answers_given_together_are_those_given_alone(served: Served, client: Client) -> None:
    alone = [await client.answer(body(served, prompt)) for prompt in PROMPTS]
    together = await asyncio.gather(*(client.answer(body(served, prompt)) for prompt in PROMPTS))
    compared = 0
    for first, second in zip(alone, together, strict=True):
        said = sure(first)
        assert tokens(second)[: len(said)] == said
        assert first["usage"]["completion_tokens"] == second["usage"]["completion_tokens"] == LENGTH
        compared += len(said)
    assert compared >= LENGTH
    assert len({reply["choices"][0]["message"]["content"] for reply in alone}) == len(PROMPTS)


async def test_a_cancelled_answer_leaves_the_next_as_it_would_have_been(served: Served, client: Client) -> None:
    before = await client.answer(body(served, PROMPTS[1]))
    async with client.post(body(served, PROMPTS[0], max_tokens=CONTEXT // 2, stream=True)) as response:
        assert response.status == 200
        await response.content.readline()
        response.close()
    await client.until(running=0, waiting=0)
    after = await client.answer(body(served, PROMPTS[1]))
    said = sure(before)
    assert tokens(after)[: len(said)] == said
