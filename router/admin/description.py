"""The admin API in OpenAPI's words, made by FastAPI of the table of routes; imported when somebody asks, not before."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from functools import lru_cache

from router import __version__
from router.admin.types import AdminRoute, Call
from router.types import JsonObject

PREFIX = "/admin/v1"


def described(routes: Sequence[AdminRoute]) -> AdminRoute:
    """The route that describes all others."""

    @lru_cache(maxsize=1)
    def description() -> JsonObject:
        return _description(routes)

    async def show(call: Call) -> JsonObject:
        """This API as an OpenAPI 3.1 document."""
        return await asyncio.to_thread(description)

    return AdminRoute("GET", "/openapi", "read", show)


def _description(routes: Sequence[AdminRoute]) -> JsonObject:
    from fastapi import FastAPI  # 11 MB that a gateway whose API nobody reads about does without

    app = FastAPI(title="Gatehouse admin API", version=__version__, openapi_url=None)
    for route in routes:
        app.add_api_route(
            PREFIX + route.path,
            _nothing,
            methods=[route.method],
            summary=(route.handler.__doc__ or "").strip().split("\n")[0],
            description=f"As `{route.command}`." if route.command else "",
            operation_id=_operation_id(route),
            tags=[route.path.split("/")[1]],
            openapi_extra=_taken(route),
        )
    document = app.openapi()
    document["components"] = {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}}
    return document


async def _nothing() -> JsonObject:
    """Stands for a handler, whose own signature is not what a caller sends."""
    return {}


def _operation_id(route: AdminRoute) -> str:
    return "_".join(re.findall(r"\w+", f"{route.method.lower()} {route.path}"))


def _taken(route: AdminRoute) -> JsonObject:
    """What a route takes: parts of its path, parameters, fields of its body, and a key with its scope."""
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", route.path)
    ]
    parameters += [{"name": name, "in": "query", "schema": {"type": "string"}} for name in sorted(route.query)]
    extra: JsonObject = {"parameters": parameters, "security": [{"key": [route.scope]}]}
    if route.method == "POST":
        fields = {
            "type": "object",
            "properties": {name: {} for name in sorted(route.fields)},
            "additionalProperties": False,
        }
        extra["requestBody"] = {"required": True, "content": {"application/json": {"schema": fields}}}
    return extra
