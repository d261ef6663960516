"""Random schedules over several models, adapters and embeddings: nobody gets another's answer, and nothing is left."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from tests.engine.conftest import Launch
from tests.engine.driver import Client, says
from tests.engine.models import QUESTION, entry, say, stats, tiny, tiny_adapter, write_manifest

BASES = ("one", "two", "three")
SECONDS = 6.0


class Crowd:
    """Callers that ask, read, and leave in the middle, while the manifest changes under them."""

    def __init__(self, client: Client, truth: dict[str, str], seed: int) -> None:
        self.client = client
        self.truth = truth
        self.random = random.Random(seed)
        self.statuses: dict[int, int] = {}
        self.wrong = 0
        self.is_over = False

    async def call(self) -> None:
        while not self.is_over:
            name = self.random.choice(list(self.truth))
            await self.random.choice([self.ask, self.ask, self.leave, self.embed, self.leave_embedding])(name)

    async def ask(self, name: str) -> None:
        status, reply = await self.client.ask({**says(QUESTION, temperature=0, max_tokens=8), "model": name})
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if status == 200:
            self.wrong += reply["choices"][0]["message"]["content"] != self.truth[name]

    async def embed(self, name: str) -> None:
        texts = ["hello there " * self.random.randint(1, 20)] * self.random.randint(1, 5)
        async with self._embeddings(name, texts) as response:
            self.statuses[response.status] = self.statuses.get(response.status, 0) + 1

    async def leave(self, name: str) -> None:
        await self._cut(self.client.ask({**says(QUESTION, max_tokens=300), "model": name}))

    async def leave_embedding(self, name: str) -> None:
        await self._cut(self._embeddings(name, ["hello there " * 20] * 20))

    def _embeddings(self, name: str, texts: list[str]) -> Any:
        return self.client.session.post("http://engine/v1/embeddings", json={"model": name, "input": texts})

    async def _cut(self, call: Any) -> None:
        task = asyncio.ensure_future(call)
        await asyncio.sleep(self.random.random() * 0.05)
        task.cancel()
        await asyncio.wait({task})


@pytest.mark.parametrize("seed", [1, 2])
async def test_models_come_and_go_under_a_crowd_and_nothing_is_left(launch: Launch, tmp_path: Path, seed: int) -> None:
    models = [entry(name, tiny(tmp_path, number)) for number, name in enumerate(BASES)]
    adapters = [
        entry(f"{base}-{number}", tiny_adapter(tmp_path, number), adapter_of=base)
        for base in BASES[:2]
        for number in (1, 2)
    ]
    manifest = write_manifest(tmp_path / "m.json", *models, *adapters)
    # Some three of the models fit, and embeddings take a part of that.
    engine = launch("--manifest", str(manifest), "--memory", "64", "--slots", "2", "--context", "512")
    async with Client(engine.socket) as client:
        truth = {named["name"]: await say(client, named["name"], tokens=8) for named in (*models, *adapters)}
        crowd = Crowd(client, truth, seed)
        callers = [asyncio.create_task(crowd.call()) for _ in range(8)]
        for _ in range(int(SECONDS / 0.4)):
            await asyncio.sleep(0.4)
            kept = crowd.random.sample(models[1:], crowd.random.randint(1, 2))
            bases = {"one", *(model["name"] for model in kept)}
            write_manifest(manifest, models[0], *kept, *(each for each in adapters if each["adapter_of"] in bases))
        crowd.is_over = True
        await asyncio.gather(*callers)
        assert engine.process.poll() is None, engine.log.read_text()
        assert crowd.wrong == 0
        assert crowd.statuses[200] > 20
        assert set(crowd.statuses) <= {200, 404, 503}
        write_manifest(manifest, *models, *adapters)
        await asyncio.sleep(0.25)  # the manifest is looked at five times a second
        await client.until(running=0, waiting=0)
        for _ in range(250):  # a caller's going is seen within a step
            figures = await stats(client)
            if not any(model["claims"] for model in figures["loaded"]):
                break
            await asyncio.sleep(0.02)
        assert all(model["claims"] == 0 for model in figures["loaded"])
        assert all(each["running"] == each["waiting"] == 0 for each in figures["models"].values())
        assert figures["loading"] == 0
        assert figures["memory_mb"] <= figures["budget_mb"]
        for name, text in truth.items():
            assert await say(client, name, tokens=8) == text
    assert engine.log.read_text() == ""
