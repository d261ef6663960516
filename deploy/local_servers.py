"""Model servers that run here already: looked for on loopback only, offered, never used without being asked to."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass

_KNOWN = ((11434, "Ollama"), (1234, "LM Studio"), (8000, "vLLM"), (8081, "llama-server"), (8080, "llama-server"))


@dataclass(frozen=True)
class LocalServer:
    """An OpenAI-compatible server on loopback and the names of its models."""

    name: str
    url: str
    models: tuple[str, ...]


def models_at(port: int, timeout_s: float = 0.4) -> tuple[str, ...]:
    """The model names that `GET /v1/models` gives on loopback; empty when nothing of the kind answers in time."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request("GET", "/v1/models")
        response = connection.getresponse()
        ours = response.getheader("x-gatehouse-request-id") is not None
        body = json.loads(response.read(1 << 20)) if response.status == 200 and not ours else {}
        names = [item["id"] for item in body["data"]]
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return ()
    finally:
        connection.close()
    return tuple(name for name in names if isinstance(name, str))


def find(ports: tuple[tuple[int, str], ...] = _KNOWN) -> tuple[LocalServer, ...]:
    """Every known server that answers on this machine."""
    found = ((name, port, models_at(port)) for port, name in ports)
    return tuple(LocalServer(name, f"http://127.0.0.1:{port}/v1", models) for name, port, models in found if models)


def offer(servers: tuple[LocalServer, ...]) -> str:
    """How to use them instead of compiling; an empty string when there are none."""
    lines = []
    for server in servers:
        lines.append(
            f"  {server.name} is running here ({', '.join(server.models[:4])}). To compile nothing, stop this and type:"
        )
        lines.append(f'    make serve ARGS="--local-url {server.url} --local-model {server.models[0]}"')
    return "\n".join(lines)
