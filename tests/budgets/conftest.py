"""Worlds with budgets: a priced cloud that is recorded, and what it has billed by its own count."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from policies.allowances import PICO
from policies.types import Price
from router.budgets.ledger import LEDGER_FILE
from router.costs.cost import price_tokens
from router.types import Usage
from tests.support.gateway import POLICY, local_server

PRICE = Price(3.0, 15.0)
PRICED = POLICY.replace(", n]}}", ", n], price: {{input_per_1m: 3.0, output_per_1m: 15.0}}}}")


def policy(home: str, cloud: str, more: str) -> str:
    return PRICED.format(home=local_server(home), cloud=cloud) + more


def pico(prompt: int, answer: int) -> int:
    return int(price_tokens(Usage(prompt, answer), PRICE) * PICO)


def usd(amount: int) -> str:
    return format(Decimal(amount) / PICO, "f")


def ledger(state_dir: Path) -> dict[str, tuple[int, int]]:
    """Account to what is spent and what is held."""
    with sqlite3.connect(state_dir / LEDGER_FILE) as database:
        return {name: (spent, held) for name, spent, held in database.execute("SELECT * FROM accounts")}


def spent(state_dir: Path, scope: str = "all") -> int:
    """Of this month, when nothing is held any more."""
    found = [each for name, each in ledger(state_dir).items() if name.startswith(f"{scope}/") and name.count("-") == 1]
    return found[0][0] if found else 0


def held(state_dir: Path) -> int:
    return sum(each[1] for each in ledger(state_dir).values())


def body(number: int, *, model: str = "cloud", stream: bool = False) -> dict[str, Any]:
    asked = {"role": "user", "content": f"Say hello {number}."}
    return {"model": model, "messages": [asked], "max_tokens": 20, "stream": stream}


async def ask_all(urls: Iterable[str], bodies: Iterable[dict[str, Any]], leave_after: float = 0.0) -> list[int]:
    """The status of each, all at once; every third leaves in mid-stream where `leave_after` says so (status 0)."""
    targets = list(urls)
    limits = httpx.Limits(max_connections=400)
    async with httpx.AsyncClient(trust_env=False, timeout=60, limits=limits) as client:

        async def one(number: int, asked: dict[str, Any]) -> int:
            url = targets[number % len(targets)] + "/chat/completions"
            if leave_after and number % 3 == 0:
                return await leave(url, asked)
            try:
                return (await client.post(url, json=asked)).status_code
            except httpx.HTTPError:
                return -1

        async def leave(url: str, asked: dict[str, Any]) -> int:
            async with client.stream("POST", url, json=asked) as response:
                if response.status_code != 200:
                    return response.status_code
                seen = 0
                async for _ in response.aiter_lines():
                    seen += 1
                    if seen > 4:
                        return 0
            return response.status_code

        return list(await asyncio.gather(*(one(number, asked) for number, asked in enumerate(bodies))))
