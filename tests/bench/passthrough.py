"""The limit that the gateway is measured against: Starlette, aiohttp, and nothing of our own between them.

python -m tests.bench.passthrough --port 9001 --upstream http://127.0.0.1:9000/v1/chat/completions
"""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def make_app(upstream: str) -> Starlette:
    """One route that hands the body on and the answer back."""

    @asynccontextmanager
    async def session(app: Starlette) -> AsyncIterator[None]:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), trust_env=False) as client:
            app.state.client = client
            yield

    async def chat(request: Request) -> Response:
        body = await request.body()
        client: aiohttp.ClientSession = request.app.state.client
        async with client.post(upstream, data=body, headers={"content-type": "application/json"}) as answer:
            return Response(await answer.read(), answer.status, media_type="application/json")

    return Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"])], lifespan=session)


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    arguments = parser.parse_args()
    uvicorn.run(make_app(arguments.upstream), port=arguments.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
