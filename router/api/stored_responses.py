"""`GET` and `DELETE /v1/responses/{id}`: what is kept of an answer, for whoever may ask models."""

from __future__ import annotations

import orjson
from starlette.requests import Request
from starlette.responses import Response

from router.api.http import new_request_id
from router.api.openai_responses import ResponseStates
from router.api.service import error_response
from router.errors import GatehouseError, NotFound
from router.identity import Identity, require
from router.types import JsonObject


class StoredResponses:
    """Plain Starlette handlers; another tenant's response is one that is not there."""

    def __init__(self, identity: Identity, states: ResponseStates) -> None:
        self._identity = identity
        self._states = states

    async def show(self, request: Request) -> Response:
        """The response as it was answered."""
        try:
            principal = self._identity.authenticate(request.scope["headers"])
            require(principal, "infer")
            state = await self._states.get(principal, request.path_params["response"])
            if state is None:
                raise _gone()
        except GatehouseError as error:
            return error_response(error)
        return _json(state["response"])

    async def delete(self, request: Request) -> Response:
        """Forget the response and the conversation before it."""
        own_id = request.path_params["response"]
        try:
            principal = self._identity.authenticate(request.scope["headers"])
            require(principal, "infer")
            if not await self._states.delete(principal, own_id):
                raise _gone()
        except GatehouseError as error:
            return error_response(error)
        return _json({"id": own_id, "object": "response.deleted", "deleted": True})


def _gone() -> NotFound:
    return NotFound("There is no such response here (any more).", code="response_not_found")


def _json(payload: JsonObject) -> Response:
    headers = {"x-gatehouse-request-id": new_request_id()}
    return Response(orjson.dumps(payload), 200, headers, media_type="application/json")
