"""Reloads of a real gateway's policy while it answers: files good and broken, and answers that show their version."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from router.backends.scripted import Exchange
from router.backends.scripted_replies import Script
from router.types import JsonObject
from tests.support.gateway import POLICY, Gateway

BREAKS = (  # ways in which a file is no policy; every third or so of all saves
    lambda text: text.replace("mode: enforce", "mode: enforced"),
    lambda text: text[: text.index("IBAN_CODE")],  # within a list: cut elsewhere it may be a shorter, good policy
    lambda text: text + "version: 7\n",
    lambda text: text.replace("defaults: {local: home", "defaults: {local: nowhere"),
)


def version_text(number: int, home: str, cloud: str) -> str:
    """A policy whose answers say its number four times over: version, model, rule, upstream."""
    text = POLICY.format(home=f'backend: openai, base_url: "{home}", model: scripted-{number}', cloud=cloud)
    text = text.replace("version: 1\n", f"version: {number}\nmode: enforce\n")
    text = text.replace("  home:", f"  home-{number}:").replace("local: home", f"local: home-{number}")
    when = "{all: [{context_length: {at_least: 0}}]}"
    rule = f"  - {{name: rule-{number}, priority: 60, when: {when}, route: local}}\n"
    return text.replace("decisions:\n", "decisions:\n" + rule)


def broken_text(number: int, text: str) -> str:
    """The same, broken in one of several ways, and never twice the same bytes."""
    return BREAKS[number % len(BREAKS)](text) + f"# {number}\n"


def named_model(exchange: Exchange) -> Script:
    """The upstream: it answers with the name of the model that it was asked for."""
    return Script(answer=str(exchange.json.get("model")))


@dataclass(slots=True)
class Seen:
    """What came of the requests."""

    milliseconds: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    mixed: list[JsonObject] = field(default_factory=list)
    versions: set[str] = field(default_factory=set)


async def ask_until(stop: asyncio.Event, gateway: Gateway, seen: Seen, pause: float = 0.0) -> None:
    """Ask, one request after the other, and keep what does not fit together."""
    async with aiohttp.ClientSession() as session:
        number = 0
        while not stop.is_set():
            number += 1
            body = {
                "model": "auto",
                "messages": [{"role": "user", "content": f"What is the capital of land {number}?"}],
            }
            began = time.perf_counter()
            async with session.post(f"{gateway.url}/chat/completions", json=body) as reply:
                told = await reply.json()
            seen.milliseconds.append((time.perf_counter() - began) * 1000)
            if reply.status != 200:
                seen.failed.append(f"{reply.status} {told}")
                continue
            headers = reply.headers
            version = headers["x-gatehouse-policy"].partition("-")[0]
            seen.versions.add(version)
            said = {
                "model": headers["x-gatehouse-model"].removeprefix("home-"),
                "rule": headers["x-gatehouse-reason"].removeprefix("rule-"),
                "upstream": told["choices"][0]["message"]["content"].removeprefix("scripted-"),
            }
            if set(said.values()) != {version}:
                seen.mixed.append({"policy": version, **said})
            if pause:
                await asyncio.sleep(pause)


async def save_and_wait(session: aiohttp.ClientSession, gateway: Gateway, text: str) -> JsonObject:
    """Save as editors do, signal, and wait until the gateway says that it has read these bytes."""
    file: Path = gateway.policy_file
    beside = file.with_name(".policy.yaml.swp")
    beside.write_text(text, "utf-8")
    os.replace(beside, file)
    gateway.process.send_signal(signal.SIGHUP)
    digest = hashlib.sha256(text.encode()).hexdigest()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        async with session.get(f"{gateway.root}/readyz") as reply:
            policy: JsonObject = (await reply.json())["policy"]
        if policy["file_digest"] == digest and (policy["is_current"] or policy["last_error"] is not None):
            return policy
        await asyncio.sleep(0.002)
    raise AssertionError(f"not read: {policy}")
