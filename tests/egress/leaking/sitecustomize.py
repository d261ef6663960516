"""On the path of a gateway that is to leak: what it does wrong is named in a file, and read anew at every request.

Each leak is a mistake that somebody could make at one exit. The matrix must find every one of them.
"""

from __future__ import annotations

import base64
import logging
import os
import socket
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from tests.support.guard import sitecustomize  # noqa: F401 - this file stands in front of the guard's

LEAKS = ("header", "retry", "fallback", "log", "span", "metric", "redis", "disk")


def _leak() -> str:
    return Path(os.environ["GATEHOUSE_TEST_LEAK_FILE"]).read_text("utf-8")


def _post(url: str, body: bytes) -> None:
    """What a careless retry would do: the caller's own bytes, past egress."""
    request = urllib.request.Request(url + "/chat/completions", body, {"content-type": "application/json"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as response:
        response.read()


def _into_redis(body: bytes) -> None:
    address = urlsplit(os.environ["GATEHOUSE_REDIS_URL"])
    parts = (b"SET", b"leaked:" + base64.b16encode(os.urandom(6)), body)
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        connection.sendall(b"*3\r\n" + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
        connection.recv(100)


def _into_the_log(exchange: Any, body: bytes) -> None:
    logging.getLogger("gatehouse.answering").warning("could not answer %s", body.decode()[:1500])


def _into_the_span(exchange: Any, body: bytes) -> None:
    exchange.span.span.set_attribute("gen_ai.prompt", body.decode())


def _into_a_label(exchange: Any, body: bytes) -> None:
    from router.telemetry import metrics

    metrics.MetricStore._check = lambda self, attribute, value: value  # type: ignore[method-assign]
    exchange.outcome.reason = body.decode()[:1500]


def _onto_the_disk(exchange: Any, body: bytes) -> None:
    Path(os.environ["GATEHOUSE_STATE_DIR"], "last-request.json").write_bytes(body)


# What is done with a sensitive request when it has ended.
AFTERWARDS: dict[str, Callable[[Any, bytes], None]] = {
    "retry": lambda exchange, body: _post(str(exchange.running.policy.models["cloud"].base_url), body),
    "log": _into_the_log,
    "span": _into_the_span,
    "metric": _into_a_label,
    "redis": lambda exchange, body: _into_redis(body),
    "disk": _onto_the_disk,
}


def install() -> None:
    """Put the mistakes into the worker's classes."""
    import aiohttp
    import orjson

    from policies.types import Level
    from router import accounting, answering
    from router.backends import direct

    last: list[bytes] = [b""]
    settle, local_down = accounting.Accounts.settle, answering.Answering._local_down
    request, post = aiohttp.ClientSession._request, direct.DirectPost.ask

    def settled(self: Any, exchange: Any) -> None:
        if exchange.plan is not None and exchange.planned.sensitivity > Level.INTERNAL:
            last[0] = orjson.dumps(exchange.request.body)
            leak = AFTERWARDS.get(_leak())
            if leak is not None:
                leak(exchange, last[0])
        settle(self, exchange)

    async def fallen(self: Any, exchange: Any, error: Any) -> Any:
        if _leak() == "fallback":
            _post(str(exchange.running.policy.models["cloud"].base_url), orjson.dumps(exchange.request.body))
        return await local_down(self, exchange, error)

    def debugging() -> str:
        return quote(last[0].decode()[:3000]) if _leak() == "header" else ""

    async def asked(self: Any, method: str, url: Any, **options: Any) -> Any:
        if text := debugging():
            options["headers"] = {**dict(options.get("headers") or {}), "x-debug": text}
        return await request(self, method, url, **options)

    async def posted(self: Any, body: bytes, accept: str, key: str | None) -> Any:
        return await post(self, body, f"{accept}\r\nx-debug: {text}" if (text := debugging()) else accept, key)

    accounting.Accounts.settle = settled  # type: ignore[method-assign]
    answering.Answering._local_down = fallen  # type: ignore[method-assign]
    aiohttp.ClientSession._request = asked  # type: ignore[method-assign, assignment]
    direct.DirectPost.ask = posted  # type: ignore[method-assign]


if os.environ.get("GATEHOUSE_TEST_LEAK_FILE"):
    install()
