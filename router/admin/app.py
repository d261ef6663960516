"""The admin API's one endpoint: every request passes the gate, then its route's scope, then a bounded, strict body.

Routes are rows of tables, a file a concern. No CORS, no cookies, no state change by GET; never content in an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl

import orjson

from router.admin import keys, lockdown, policy, policy_life, records, releases, reports, status, versions
from router.admin.changing import note_refusal
from router.admin.description import PREFIX, described
from router.admin.gate import Failures, Gate
from router.admin.types import AdminRoute, Call, House
from router.api.http import CallerGone, Receive, Scope, Send, header, read_body, respond, respond_error
from router.api.parse import parse_json_object
from router.errors import (
    Denied,
    GatehouseError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from router.identity import require
from router.types import JsonObject, Principal

_ROUTES: tuple[AdminRoute, ...] = (
    *status.ROUTES,
    *policy.ROUTES,
    *versions.ROUTES,
    *policy_life.ROUTES,
    *records.ROUTES,
    *reports.ROUTES,
    *keys.ROUTES,
    *lockdown.ROUTES,
    *releases.ROUTES,
)
ROUTES = (*_ROUTES, described(_ROUTES))

_MOST_BODY = 3 * 1024 * 1024  # a policy of 1 MiB as a JSON string, escapes included
_MOST_DEPTH = 8
_MOST_AT_ONCE = 4  # requests that work; the parent has other things to do
_HEADERS = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]


class AdminApp:
    """An ASGI application for the admin listener."""

    def __init__(self, house: House, gate: Gate, routes: Iterable[AdminRoute] = ROUTES) -> None:
        self._house = house
        self._gate = gate
        self._failures = Failures()
        self._room = asyncio.Semaphore(_MOST_AT_ONCE)
        self._routes = [(_pattern(route.path), route) for route in routes]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            answer = await self._answer(scope, receive)
        except CallerGone:
            return
        except GatehouseError as error:
            await respond_error(send, error, list(_HEADERS), receive)
            return
        await respond(send, 200, list(_HEADERS), orjson.dumps(answer))

    async def _answer(self, scope: Scope, receive: Receive) -> JsonObject:
        principal = await self._admit(scope)
        route, parts = self._find(scope["method"], scope["path"])
        try:
            require(principal, route.scope)
        except Denied as error:
            self._refuse(principal, f"{route.method} {route.path}", error)
            raise
        query = _query(scope, route)
        body = await self._body(scope, receive, route) if route.method == "POST" else {}
        if self._room.locked():
            raise Unavailable("Other requests are at work here. Retry.", code="admin_busy", retry_after=1)
        async with self._room:
            return await route.handler(Call(self._house, principal, parts, query, body))

    async def _admit(self, scope: Scope) -> Principal:
        await asyncio.to_thread(self._gate.refresh)
        try:
            return self._gate.admit(scope["headers"])
        except (Denied, Unauthenticated) as error:
            self._refuse(None, "authenticate", error)
            raise

    def _refuse(self, principal: Principal | None, action: str, error: GatehouseError) -> None:
        """Keep the attempt in the trail; over the bound it is a 429. Wrong keys never hold up a right one."""
        if not self._failures.note():
            raise Unauthenticated(
                "Too many refused requests. Wait a minute.", status=429, code="too_many_failures", retry_after=60
            ) from None
        note_refusal(self._house, principal, action, error)

    def _find(self, method: str, path: str) -> tuple[AdminRoute, Mapping[str, str]]:
        allowed = []
        for pattern, route in self._routes:
            match = pattern.fullmatch(path)
            if match is not None and route.method == method:
                return route, match.groupdict()
            if match is not None:
                allowed.append(route.method)
        if allowed:
            raise MethodNotAllowed(", ".join(sorted(set(allowed))))
        raise NotFound("There is no such route; docs/admin.md lists them.", code="not_found")

    async def _body(self, scope: Scope, receive: Receive, route: AdminRoute) -> JsonObject:
        if (header(scope, b"content-type") or b"").split(b";")[0].strip().lower() != b"application/json":
            raise InvalidRequest("Send content-type: application/json.", status=415, code="unsupported_media_type")
        raw = await read_body(scope, receive, _MOST_BODY, self._house.settings.body_timeout_s)
        body = parse_json_object(raw, _MOST_DEPTH)
        unknown = sorted(body.keys() - route.fields)
        if unknown:
            takes = ", ".join(sorted(route.fields)) or "no fields"
            raise InvalidRequest(f"A field is not known here; this route takes {takes}.", code="unknown_field")
        return body


def _pattern(path: str) -> re.Pattern[str]:
    """`/keys/{id}` with the prefix, as an expression; a part holds neither slash nor anything unprintable."""
    return re.compile(PREFIX + re.sub(r"\{(\w+)\}", r"(?P<\1>[A-Za-z0-9._@+:-]{1,128})", path))


def _query(scope: Scope, route: AdminRoute) -> dict[str, str]:
    try:
        with contextlib.suppress(UnicodeDecodeError):
            pairs = parse_qsl(scope["query_string"].decode("ascii"), True, True, max_num_fields=16)
            if len({name for name, _ in pairs}) == len(pairs) and route.query.issuperset(name for name, _ in pairs):
                return dict(pairs)
    except ValueError:
        pass
    takes = ", ".join(sorted(route.query)) or "none"
    raise InvalidRequest(f"This route takes these query parameters, each once: {takes}.", code="unknown_parameter")
