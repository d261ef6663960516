"""Imitations of the servers that people run beside the gateway: lists and replies as their makers' sources say."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from aiohttp import web

Kind = Literal["llama-server", "vllm", "ollama", "lm-studio"]

_DETAILS = {"format": "gguf", "family": "llama", "families": ["llama"], "parameter_size": "3.2B"}


def _tag(name: str, **remote: str) -> dict[str, Any]:
    return {"name": name, "model": name, "size": 2019393189, "digest": "a80c4f17acd5", "details": _DETAILS, **remote}


CLOUD_TAG = _tag("gpt-oss:120b-cloud", remote_model="gpt-oss:120b", remote_host="https://ollama.com:443")


def _entry(name: str, owner: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": owner, **more}


def _lists(kind: Kind, name: str) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """`GET /v1/models` and `GET /api/tags`; None: there is no such path."""
    if kind == "llama-server":
        data = [_entry("models/llama.gguf", "llamacpp", meta={"n_ctx_train": 8192})]
        return {"object": "list", "data": data}, {"models": [_tag("models/llama.gguf")], "data": data}
    if kind == "vllm":
        return {"object": "list", "data": [_entry(name, "vllm", root=name, max_model_len=8192)]}, None
    if kind == "lm-studio":
        lists = {"object": "list", "data": [_entry(name, "organization_owner")]}
        return lists, {"error": "Unexpected endpoint or method. (GET /api/tags)"}
    tag = name if ":" in name else f"{name}:latest"
    return {"object": "list", "data": [_entry(tag, "library")]}, {"models": [_tag(tag)]}


class Imitation:
    """One such server on loopback. What it has been asked stands in `asked`, what it was given to answer in `chats`."""

    def __init__(self, kind: Kind, name: str = "llama3.2") -> None:
        self.models, self.tags = _lists(kind, name)
        self.status = 200  # of the lists
        self.location = ""
        self.hangs = False
        self.asked: list[str] = []
        self.chats: list[dict[str, Any]] = []
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Imitation:
        await self.start()
        return self

    async def start(self, port: int = 0) -> None:
        """Listen; on the port of before, where one is named."""
        app = web.Application()
        app.router.add_get("/v1/models", self._counted(self._list_models))
        app.router.add_get("/api/tags", self._counted(self._list_tags))
        app.router.add_post("/v1/chat/completions", self._counted(self._chat))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}/v1"

    async def stop(self) -> None:
        """Refuse connections."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _counted(
        self, answer: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            self.asked.append(f"{request.method} {request.path}")
            return await answer(request)

        return handle

    async def _list_models(self, request: web.Request) -> web.StreamResponse:
        return await self._list(self.models)

    async def _list_tags(self, request: web.Request) -> web.StreamResponse:
        if self.tags is None:
            return web.json_response({"detail": "Not Found"}, status=404)
        return await self._list(self.tags)

    async def _list(self, value: dict[str, Any]) -> web.StreamResponse:
        if self.hangs:
            await asyncio.sleep(600)
        headers = {"location": self.location} if self.location else None
        return web.json_response(value, status=self.status, headers=headers)

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        self.chats.append(await request.json())
        message = {"role": "assistant", "content": "Hello."}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
        head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": "m"}
        return web.json_response({**head, "choices": [choice], "usage": usage})
