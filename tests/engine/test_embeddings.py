"""`POST /v1/embeddings`: the vectors are the oracle's, talkers do not stall, and what is refused has its numbers."""

from __future__ import annotations

import asyncio
import base64
import struct
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from router.engine.gguf import inspect
from router.engine.sizing import Limits, plan_embedder
from router.models.catalogue import embedded_model
from tests.engine.conftest import Launch
from tests.engine.driver import ALIAS, Body, Client, says
from tests.engine.models import entry, say, stats, tiny, tiny_adapter, write_manifest
from tests.support.tiny_gguf import make_model

TEXTS = [
    "The cat sat on the mat.",
    "A cat is sitting on a rug.",
    "Interest rates were raised by a quarter of a point.",
    "München liegt an der Isar – 東京は日本の首都です。",
    "x",
    "def add(a, b):\n    return a + b\n" * 12,
    "The quick brown fox jumps over the lazy dog. " * 24,  # read in several pieces where that can be done
]
SHORT = TEXTS[:6]


async def post(client: Client, body: Body | bytes) -> tuple[int, Body]:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    async with client.session.post("http://engine/v1/embeddings", data=raw) as response:
        return response.status, orjson.loads(await response.read())


async def embed(client: Client, model: str, value: Any, **fields: Any) -> tuple[np.ndarray[Any, Any], Body]:
    status, reply = await post(client, {"model": model, "input": value, **fields})
    assert status == 200, reply
    assert [item["index"] for item in reply["data"]] == list(range(len(reply["data"])))
    return np.array([item["embedding"] for item in reply["data"]]), reply


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


def oracle(path: Path, texts: list[str], pooling: int) -> tuple[np.ndarray[Any, Any], int]:
    """Vectors of llama-cpp-python's high-level API, made one by one, and how many tokens they were."""
    from llama_cpp import Llama

    model = Llama(
        str(path), n_ctx=1024, n_batch=1024, n_ubatch=1024, n_threads=1, embedding=True, pooling_type=pooling,
        verbose=False,
    )  # fmt: skip
    try:
        tokens = sum(len(model.tokenize(text.encode(), special=False)) for text in texts)
        return np.array([model.embed(text, normalize=True) for text in texts]), tokens
    finally:
        model.close()


MEAN, CLS, LAST = 1, 2, 3


@pytest.mark.parametrize(
    ("family", "pooling", "texts"),
    [("bert", MEAN, SHORT), ("nomic-bert", MEAN, SHORT), ("qwen3-embedding", LAST, TEXTS)],
)
async def test_an_embedding_models_vectors_are_the_oracles(
    launch: Launch, folder: Path, tmp_path: Path, family: str, pooling: int, texts: list[str]
) -> None:
    path = make_model(family, folder)
    expected, tokens = oracle(path, texts, pooling)
    manifest = write_manifest(tmp_path / "m.json", entry("e", path, embedding=True))
    async with Client(launch("--manifest", str(manifest)).socket) as client:
        together, reply = await embed(client, "e", texts)
        assert reply["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}
        alone = np.concatenate([(await embed(client, "e", text))[0] for text in texts])
        for found in (together, alone):
            assert np.allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-5)
            assert ((found * expected).sum(axis=1) > 0.999).all()
        status, refusal = await client.ask({**says("Hi"), "model": "e"})
        assert (status, refusal["error"]["code"]) == (400, "unsupported_model")


@pytest.mark.parametrize(("word", "pooling"), [("mean", MEAN), ("cls", CLS), ("last", LAST)])
@pytest.mark.parametrize("family", ["bert", "qwen3-embedding"])
def test_every_pooling_is_the_oracles(folder: Path, family: str, word: str, pooling: int) -> None:
    from router.engine.adapters import Adapters
    from router.engine.native import NativeModel
    from router.engine.vectors import Embedder, Reading

    path = make_model(family, folder)
    expected, _ = oracle(path, SHORT, pooling)
    model = NativeModel(str(path))
    plan = plan_embedder(inspect(path), 0, Limits(1 << 30, 1 << 30, 1024, 0))
    embedder = Embedder(model, Adapters(model), plan, word, threads=2)
    reading = Reading(embedder, [embedder.tokenize(text) for text in SHORT[:3]], None)
    while not reading.advance():
        pass
    assert ((np.array(reading.vectors) * expected[:3]).sum(axis=1) > 0.999).all()
    embedder.close()
    model.close()


async def test_the_chat_model_itself_makes_the_vectors_that_the_oracle_makes_by_mean_pooling(client: Client) -> None:
    expected, tokens = oracle(embedded_model(), TEXTS, MEAN)
    found, reply = await embed(client, ALIAS, TEXTS)
    assert ((found * expected).sum(axis=1) > 0.999).all()
    assert (reply["model"], reply["usage"]["prompt_tokens"]) == (ALIAS, tokens)
    assert found[0] @ found[1] > found[0] @ found[2]  # two cats are nearer than a cat and a rate


async def test_an_adapters_name_gives_other_vectors_than_its_base(launch: Launch, tmp_path: Path) -> None:
    manifest = write_manifest(
        tmp_path / "m.json",
        entry("base", tiny(tmp_path, 0)),
        entry("lora", tiny_adapter(tmp_path, 1), adapter_of="base"),
    )
    async with Client(launch("--manifest", str(manifest)).socket) as client:
        plain, _ = await embed(client, "base", "The cat sat on the mat.")
        changed, _ = await embed(client, "lora", "The cat sat on the mat.")
        again, _ = await embed(client, "base", "The cat sat on the mat.")
        assert (plain @ changed.T).item() < 0.99
        assert (plain == again).all()


async def test_base64_holds_the_same_numbers_as_floats(client: Client) -> None:
    plain, _ = await embed(client, ALIAS, "Name a river.")
    status, reply = await post(client, {"model": ALIAS, "input": "Name a river.", "encoding_format": "base64"})
    assert status == 200
    raw = base64.b64decode(reply["data"][0]["embedding"])
    assert np.allclose(struct.unpack(f"<{len(raw) // 4}f", raw), plain[0], atol=1e-7)


async def test_token_lists_are_read_as_they_are(client: Client) -> None:
    one, reply = await embed(client, ALIAS, [504, 2365, 314])
    assert reply["usage"]["prompt_tokens"] == 3
    many, _ = await embed(client, ALIAS, [[504, 2365, 314], [504]])
    assert np.allclose(one[0], many[0], atol=1e-3)
    assert len(many) == 2


async def test_the_dimensions_that_the_model_makes_may_be_asked_for_and_no_others(client: Client) -> None:
    found, _ = await embed(client, ALIAS, "Hi", dimensions=576)
    assert found.shape == (1, 576)
    status, reply = await post(client, {"model": ALIAS, "input": "Hi", "dimensions": 256})
    assert (status, reply["error"]["param"]) == (400, "dimensions")
    assert "576" in reply["error"]["message"]


async def test_an_input_longer_than_the_context_is_refused_with_the_numbers(client: Client) -> None:
    status, reply = await post(client, {"model": ALIAS, "input": ["Hi", "sea " * 9000]})
    assert (status, reply["error"]["code"]) == (400, "context_length_exceeded")
    assert "8192" in reply["error"]["message"]
    assert "input 1" in reply["error"]["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        {"input": "x"},
        {"model": ALIAS},
        {"model": ALIAS, "input": ""},
        {"model": ALIAS, "input": []},
        {"model": ALIAS, "input": [""]},
        {"model": ALIAS, "input": [[]]},
        {"model": ALIAS, "input": [1, "a"]},
        {"model": ALIAS, "input": [True]},
        {"model": ALIAS, "input": [49152]},
        {"model": ALIAS, "input": [[-1]]},
        {"model": ALIAS, "input": ["x"] * 2049},
        {"model": ALIAS, "input": "x", "encoding_format": "int8"},
        {"model": ALIAS, "input": "x", "dimensions": 0},
        {"model": ALIAS, "input": "x", "canary-zanzibar": 1},
    ],
)
async def test_what_is_not_a_request_for_embeddings_is_a_400_that_repeats_nothing(
    client: Client, body: Body | bytes
) -> None:
    status, reply = await post(client, body)
    assert status == 400
    assert "zanzibar" not in reply["error"]["message"]


async def test_an_unknown_model_is_a_404(client: Client) -> None:
    status, reply = await post(client, {"model": "other", "input": "x"})
    assert (status, reply["error"]["code"]) == (404, "model_not_found")


async def test_talkers_go_on_while_a_long_text_is_read(client: Client) -> None:
    """A talker's tokens keep coming between the pieces of some 800 tokens, and a request that goes is forgotten."""
    arrivals: list[float] = []
    took: list[float] = []
    async with client.post(says("Write a long story.", max_tokens=150, temperature=0, stream=True)) as response:
        await response.content.readuntil(b"\n\n")
        began = time.monotonic()
        reading = asyncio.create_task(post(client, {"model": ALIAS, "input": "The sea is wide and blue. " * 120}))
        reading.add_done_callback(lambda _: took.append(time.monotonic() - began))
        async for line in response.content:
            if not reading.done():
                arrivals += [time.monotonic()] * line.startswith(b"data: {")
    assert (await reading)[0] == 200
    assert len(arrivals) > 8
    gaps = sorted(later - earlier for earlier, later in pairwise(arrivals))
    assert gaps[len(gaps) // 2] < took[0] / 3  # a step and a piece
    gone = asyncio.create_task(post(client, {"model": ALIAS, "input": ["The sea is wide and blue. " * 120] * 20}))
    await asyncio.sleep(0.3)
    gone.cancel()
    await asyncio.wait({gone})
    started = time.monotonic()
    assert (await post(client, {"model": ALIAS, "input": "Hi"}))[0] == 200
    assert time.monotonic() - started < 10 * took[0]  # the rest of what is forgotten would be twenty such readings


async def test_requests_at_once_each_get_their_own_vectors_and_hold_nothing_afterwards(client: Client) -> None:
    alone = [(await embed(client, ALIAS, [text, text[:5]]))[0] for text in SHORT]
    together = await asyncio.gather(*(embed(client, ALIAS, [text, text[:5]]) for text in SHORT))
    for one, (other, _) in zip(alone, together, strict=True):
        assert np.allclose(one, other, atol=1e-3)
    assert all(model["claims"] == 0 for model in (await stats(client))["loaded"])


async def test_a_chat_model_answers_the_same_beside_embeddings(launch: Launch, tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path / "m.json", entry("base", tiny(tmp_path, 0)))
    async with Client(launch("--manifest", str(manifest)).socket) as client:
        before = await say(client, "base", tokens=200)
        texts = [[text] * 4 for text in SHORT]
        replies = await asyncio.gather(
            say(client, "base", tokens=200), *(embed(client, "base", group) for group in texts)
        )
        assert replies[0] == before
