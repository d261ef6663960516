"""A small gateway for the SDK tests: a real loopback HTTP server that records requests and answers by the contract."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ROUTE_HEADERS = {
    "x-request-id": "req-7",
    "x-gatehouse-request-id": "req-7",
    "x-gatehouse-route": "local",
    "x-gatehouse-model": "home",
    "x-gatehouse-reason": "sensitivity",
    "x-gatehouse-sensitivity": "restricted",
    "x-gatehouse-policy": "1",
    "x-gatehouse-held": "hard-questions",
    "x-gatehouse-complexity": "0.83",
    "x-gatehouse-confidence": "0.41",
    "x-gatehouse-ignored": "user, metadata",
}
EXPLANATION = {
    "route": "local",
    "model": "home",
    "rule": "sensitivity",
    "payload": "none",
    "sensitivity": "restricted",
    "findings": [
        {
            "entity_type": "CREDIT_CARD",
            "pointer": "/messages/0/content",
            "in": "value",
            "start": 8,
            "end": 27,
            "score": 1.0,
            "detector": "patterns",
            "group": "1",
            "via": ["base64"],
        }
    ],
    "unknowns": [{"kind": "image", "pointer": "/messages/0/content/1", "detail": ""}],
    "candidates": [{"model": "cloud", "lawful": False, "able": True, "why": ["restricted stays at home"]}],
    "refusal": {"code": "policy_denied", "status": 403, "message": "no"},
    "signals": {"complexity": {"value": 0.83, "band": "hard"}, "language": {"error": "timeout"}},
    "reasons": [{"rule": "hard-questions", "matched": True, "why": "complexity 0.83 >= 0.7"}],
    "policy": "1",
}


@dataclass
class Seen:
    """One request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Gateway:
    """The stand-in's address, what it has seen, and the status that it answers with."""

    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


def completion(content: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "home", "choices": [choice]}


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "home", "choices": [choice], **more}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    gateway: Gateway

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.gateway.seen.append(Seen("POST", self.path, headers, body))
        if self.gateway.status != 200:
            error = {"message": "no", "type": "server_error", "param": None, "code": "local_unavailable"}
            self._json({"error": error}, self.gateway.status)
        elif self.path == "/v1/route":
            self._json(EXPLANATION)
        elif self.path == "/v1/feedback":
            self._json({"object": "gatehouse.feedback", "reason": None, **body})
        elif body.get("stream"):
            self._events()
        else:
            wants_json = "response_format" in body
            self._json(completion('{"city": "Paris"}' if wants_json else "Paris"))

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.gateway.seen.append(Seen("GET", self.path, headers, {}))
        self._json(
            {"object": "list", "data": [{"id": "auto", "object": "model", "created": 1, "owned_by": "gatehouse"}]}
        )

    def _json(self, body: dict[str, Any], status: int = 200) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**ROUTE_HEADERS, **self.gateway.headers}.items():
            self.send_header(name, value)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _events(self) -> None:
        final = {"route": "cloud", "model": "cloud", "reason": "escalation", "confidence": 0.2}
        chunks = [
            chunk({"role": "assistant", "content": "Pa"}),
            chunk({"content": "ris"}),
            chunk({}, "stop", gatehouse=final),
        ]
        lines = [f"data: {json.dumps(item)}\n\n" for item in chunks] + ["data: [DONE]\n\n"]
        data = "".join(lines).encode()
        self.send_response(200)
        for name, value in {**ROUTE_HEADERS, "x-gatehouse-route": "pending"}.items():
            self.send_header(name, value)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def start() -> tuple[Gateway, ThreadingHTTPServer]:
    """Start a stand-in on a free loopback port."""
    gateway = Gateway()
    handler = type("Handler", (_Handler,), {"gateway": gateway})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    gateway.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return gateway, server
