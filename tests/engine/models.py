"""Manifests of tiny models for the tests of several models, and figures of a running engine."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tests.engine.driver import Body, Client, EngineProcess, says
from tests.support.tiny_gguf import make_adapter, make_model

LLAMA = "llama-3.2"
QUESTION = "Tell me about the sea."


def entry(name: str, path: Path, **fields: Any) -> Body:
    return {"name": name, "path": str(path), **fields}


def write_manifest(path: Path, *entries: Body) -> Path:
    """As the parent does: the file is replaced, never rewritten in place."""
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps({"version": 1, "models": list(entries)}))
    os.replace(draft, path)
    return path


def tiny(folder: Path, seed: int) -> Path:
    return make_model(LLAMA, folder, seed=seed)


def tiny_adapter(folder: Path, seed: int) -> Path:
    return make_adapter(folder, seed=seed, scale=4.0, base=LLAMA)


async def say(client: Client, model: str, text: str = QUESTION, tokens: int = 12) -> str:
    """The greedy answer of one model."""
    return await client.text({**says(text, temperature=0, max_tokens=tokens), "model": model})


async def stats(client: Client) -> Body:
    async with client.session.get("http://engine/stats") as response:
        assert response.status == 200
        body: Body = await response.json()
        return body


async def loaded(client: Client) -> set[str]:
    return {model["name"] for model in (await stats(client))["loaded"]}


def resident_bytes(engine: EngineProcess) -> int:
    """Private memory: what a mapped model file takes is the kernel's to drop."""
    lines = Path(f"/proc/{engine.process.pid}/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))
