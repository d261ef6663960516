"""One gateway with everything switched on that could keep or send on what somebody wrote, and every place to look."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson

from router.backends.scripted import Exchange
from router.backends.scripted_replies import Script
from tests.egress.houses import BY_RULE, PATIENT, home_server, policy_text
from tests.support.gateway import Gateway
from tests.support.otlp_collector import OtlpCollector
from tests.support.recorder import Recorder, RecorderThread, views
from tests.support.redis_server import RedisServer

# One word that no library writes by chance. It is in what callers send and in what models answer.
CANARY = "Zwitschermaschine9Q4K"
_CALL = {"id": f"call_{CANARY}", "type": "function", "function": {"name": "fn", "arguments": f'{{"x": "{CANARY}"}}'}}
_SCRIPTS = {
    "answer": Script(answer=f"The bird is called {CANARY}.", confidence=0.9),
    "tool": Script(tool_calls=(_CALL,), finish_reason="tool_calls"),
    "error": Script(status=500, error={"message": f"broke at {CANARY}", "type": CANARY, "code": CANARY}),
    "refusal": Script(status=400, error={"message": f"no {CANARY}", "type": "invalid_request_error", "param": CANARY}),
    "limit": Script(status=429, error={"message": CANARY}, headers=(("Retry-After", "7"), ("X-Note", CANARY))),
    "garbage": Script(raw_body=f"<html>{CANARY}</html>".encode(), raw_events=(f"data: {CANARY}\n\n".encode(),)),
    "error event": Script(answer=f"one {CANARY} two", fault="error_event", error={"message": CANARY}),
    "odd finish": Script(answer="x", finish_reason=CANARY, model=CANARY),
    "broken": Script(answer=f"{CANARY} " * 5, fault="close_after", after=3),
}
WAYS = tuple(_SCRIPTS)


def script_for(exchange: Exchange) -> Script:
    """What a model answers: the way that the request's last message asks for."""
    messages = exchange.json.get("messages") or [{}]
    content = messages[-1].get("content") if isinstance(messages[-1], dict) else ""
    words = content if isinstance(content, str) else ""
    return next((script for way, script in _SCRIPTS.items() if f"[{way}]" in words), Script(confidence=0.9))


@dataclass(frozen=True, slots=True)
class Response:
    """A whole response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        """The envelope's inside."""
        error: dict[str, Any] = orjson.loads(self.body)["error"]
        return error


@dataclass(slots=True)
class Place:
    """The gateway and all that is around it."""

    gateway: Gateway
    home: Recorder
    cloud: Recorder
    redis: RedisServer
    collector: OtlpCollector

    def send(
        self,
        body: bytes | dict[str, Any] | Iterator[bytes],
        path: str = "/v1/chat/completions",
        method: str = "POST",
        headers: dict[str, str] | None = None,
    ) -> Response:
        """One request on a connection of its own, with no header but those given and what HTTP needs."""
        connection = http.client.HTTPConnection(urlsplit(self.gateway.root).netloc, timeout=30)
        try:
            connection.request(method, path, orjson.dumps(body) if isinstance(body, dict) else body, headers or {})
            response = connection.getresponse()
            named = {name.lower(): value for name, value in response.getheaders()}
            return Response(response.status, named, response.read())
        finally:
            connection.close()

    def kept(self) -> Iterator[tuple[str, bytes]]:
        """Everything that is neither a caller nor a model, by name, and what it holds now."""
        yield "the log", self.gateway.log_file.read_bytes()
        yield "what the command prints", self.gateway.announced.encode()
        yield "/metrics", httpx.get(f"{self.gateway.root}/metrics", trust_env=False, timeout=60).content
        yield "/readyz", httpx.get(f"{self.gateway.root}/readyz", trust_env=False, timeout=60).content
        for index, raw in enumerate(self.collector.raw):
            yield f"export {index} to the collector", raw
        yield "names in Redis", self.redis.command("KEYS", "*")
        for name in self.redis.command("KEYS", "*").split(b"\r\n")[2::2]:
            yield f"value of {name!r} in Redis", self.redis.command("GET", name.decode("latin-1"))
        for folder in (self.gateway.state_dir, self.gateway.folder / "run"):
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    yield f"file {path.relative_to(self.gateway.folder)}", str(path.name).encode() + path.read_bytes()

    def places_with(self, word: str) -> list[str]:
        """The places that hold the word, in any view of what they hold."""
        wanted = word.casefold()
        return [name for name, raw in self.kept() if any(wanted in view.casefold() for view in views(raw))]


@contextmanager
def place(folder: Path) -> Iterator[Place]:
    """The gateway, up: logs at debug, an exporter, a Redis, records, and every way out open for what is public."""
    with ExitStack() as stack:
        home = stack.enter_context(RecorderThread(script_for))
        cloud = stack.enter_context(RecorderThread(script_for))
        collector = stack.enter_context(OtlpCollector())
        folder.mkdir(parents=True, exist_ok=True)
        redis = RedisServer(folder)
        redis.start()
        stack.callback(redis.stop)
        environment = {
            **PATIENT,
            "GATEHOUSE_LOG_LEVEL": "debug",
            "GATEHOUSE_BODY_TIMEOUT_S": "3",
            "GATEHOUSE_REDIS_URL": redis.url,
            "GATEHOUSE_REDIS_TIMEOUT_MS": "2000",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "GATEHOUSE_OTLP_METRICS_INTERVAL_S": "1",
        }
        text = policy_text(home_server(home.url), cloud.url, BY_RULE)
        text = text.replace("public: [", "public: [PERSON, STREET_ADDRESS, ")  # which the canary may be taken for
        gateway = stack.enter_context(Gateway(folder / "gateway", text, environment=environment))
        yield Place(gateway, home, cloud, redis, collector)
