"""What surrounds the data path: `/v1/models`, `/healthz`, `/readyz`, `/metrics`, and a 404 for every other `/v1/*`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import orjson
from starlette.requests import Request
from starlette.responses import Response

from policies.candidates import resolve
from policies.tenants import view_of
from policies.types import Model, Policy
from router.api.errors import error_headers, openai_envelope
from router.api.headers import identified, outcome_headers
from router.api.http import new_request_id
from router.errors import GatehouseError, MethodNotAllowed, NotFound
from router.identity import Identity, require
from router.running import RunningPolicy
from router.status import Status
from router.telemetry.metrics import CONTENT_TYPE
from router.telemetry.telemetry import Telemetry
from router.types import JsonObject, Outcome

_WITHOUT_V1 = frozenset(f"/{name}" for name in ("chat/completions", "completions", "embeddings", "messages", "models"))
_CREATED = 1_760_000_000  # the models of a policy have no creation date; clients want a number …
_CREATED_AT = "2025-10-09T08:53:20Z"  # … or, in Anthropic's list, the same as a date


class Service:
    """Plain Starlette handlers; those that tell of models or traffic want the same key as the data path."""

    def __init__(self, running: RunningPolicy, identity: Identity, status: Status, telemetry: Telemetry) -> None:
        self._running = running
        self._identity = identity
        self._status = status
        self._telemetry = telemetry

    async def healthz(self, request: Request) -> Response:
        """The loop turns."""
        return _json({"status": "ok"})

    async def readyz(self, request: Request) -> Response:
        """200 once a policy is loaded and one target has answered; what is degraded stands in the body."""
        return _json(self._status.report(), 200 if self._status.ready else 503)

    async def metrics(self, request: Request) -> Response:
        """Prometheus text, over all processes of this gateway."""
        try:
            require(self._identity.authenticate(request.scope["headers"]), "read")
        except GatehouseError as error:
            return error_response(error)
        self._telemetry.write_counts()
        page = await asyncio.to_thread(self._telemetry.render)  # it reads the files of every process
        return Response(page, headers=_identified(), media_type=CONTENT_TYPE)

    async def models(self, request: Request) -> Response:
        """The list of models: `auto`, `local`, `cloud` and those of the policy."""
        try:
            entries = list(self._entries(request).values())
        except GatehouseError as error:
            return error_response(error)
        listed: JsonObject = {"object": "list", "data": entries}
        if _is_for_anthropic(request):
            listed |= {"has_more": False, "first_id": entries[0]["id"], "last_id": entries[-1]["id"]}
        return _json(listed)

    async def model(self, request: Request) -> Response:
        """One model of the list, or what an alias stands for, since some clients look a name up before they use it."""
        try:
            entries, name = self._entries(request), request.path_params["model"]
            entry = entries.get(name) or _aliased(entries, name, self._policy(request))
            if entry is None:
                raise NotFound("There is no such model. GET /v1/models lists what there is.", param="model")
        except GatehouseError as error:
            return error_response(error)
        return _json(entry)

    def _entries(self, request: Request) -> dict[str, JsonObject]:
        """The models that there are for whoever asks."""
        entries = _entries(self._policy(request), self._running.current.unavailable())
        if _is_for_anthropic(request):
            for name, entry in entries.items():
                entry |= {"type": "model", "display_name": name, "created_at": _CREATED_AT}
        return entries

    def _policy(self, request: Request) -> Policy:
        """The policy as the tenant of whoever asks sees it."""
        principal = self._identity.authenticate(request.scope["headers"])
        require(principal, "infer", "read")
        return view_of(self._running.current.policy, principal.tenant)

    async def unknown(self, request: Request) -> Response:
        """No path of an upstream is ever passed through."""
        told = "There is no such path here. See /v1/chat/completions, /v1/responses, /v1/messages and /v1/models."
        return error_response(NotFound(told + _hint(request.scope["path"]), code="unknown_path"))

    async def wrong_method(self, request: Request, error: Exception) -> Response:
        """These paths are only read."""
        return error_response(MethodNotAllowed("GET, HEAD"))


def _hint(path: str) -> str:
    """What is wrong with a client's base URL, where that is what it is. Says nothing of the path itself."""
    if path.startswith("/v1/v1/"):
        return " The client adds /v1 itself (Anthropic's does): give it the address without it."
    if path in _WITHOUT_V1:
        return " The client's base URL must end in /v1."
    return ""


def _aliased(entries: Mapping[str, JsonObject], name: str, policy: Policy) -> JsonObject | None:
    target = resolve(policy, name)
    entry = entries.get(target) if target is not None else None
    if entry is None:
        return None
    return {**entry, "id": name, "gatehouse": {**entry["gatehouse"], "alias_of": target}}


def _is_for_anthropic(request: Request) -> bool:
    """Anthropic's client says so; its list is OpenAI's with other members, so it is given both."""
    return "anthropic-version" in request.headers


def _entries(policy: Policy, unavailable: Mapping[str, str]) -> dict[str, JsonObject]:
    entries = {"auto": _entry("auto", {"routes_by": policy.label})}
    for word, name in (("local", policy.default_local), ("cloud", policy.default_cloud)):
        if name is not None:
            entries[word] = _entry(word, _facts(policy.models[name], unavailable.get(name)))
    for name, model in policy.models.items():
        entries[name] = _entry(name, _facts(model, unavailable.get(name)))
    return entries


def _entry(name: str, facts: JsonObject) -> JsonObject:
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "gatehouse", "gatehouse": facts}


def _facts(model: Model, why: str | None) -> JsonObject:
    facts: JsonObject = {
        "model": model.model,
        "locality": model.locality,
        "region": model.region,
        "context": model.context,
        "capabilities": sorted(model.capabilities),
        "available": why is None,
    }
    if why is not None:
        facts["why"] = f"{why}: set {model.api_key_env}" if model.api_key_env else why
    return facts


def _json(payload: JsonObject, status: int = 200) -> Response:
    return Response(orjson.dumps(payload), status, _identified(), media_type="application/json")


def _identified() -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in identified(new_request_id())}


def error_response(error: GatehouseError) -> Response:
    """An error in OpenAI's envelope, with the headers that every answer carries."""
    headers = [*outcome_headers(new_request_id(), Outcome()), *error_headers(error)]
    response = Response(openai_envelope(error), error.status, media_type="application/json")
    for name, value in headers:
        response.headers[name.decode()] = value.decode()
    return response
