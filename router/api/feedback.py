"""`POST /v1/feedback`: a verdict on one's own request, by its id. Words of a fixed list; free text is refused."""

from __future__ import annotations

from typing import Protocol

import orjson

from router.api.errors import error_headers, openai_envelope
from router.api.headers import outcome_headers
from router.api.http import CallerGone, Receive, Scope, Send, new_request_id, read_body, respond
from router.api.parse import parse_json_object
from router.errors import GatehouseError, InvalidRequest, MethodNotAllowed, NotFound, Unavailable
from router.identity import Identity, require
from router.records.feedback import REASONS, VERDICTS
from router.types import JsonObject, Outcome, Principal

_MOST_BYTES = 4096
_DEPTH = 4
_SECONDS = 10.0
_FIELDS = frozenset({"request_id", "verdict", "reason"})


class FeedbackSending(Protocol):
    """The way to the parent's desk."""

    async def send_feedback(self, feedback: JsonObject) -> str:
        """The desk's word (`router.records.feedback.Answer`); `failed` when it cannot be asked."""
        ...


class FeedbackEndpoint:
    """A plain ASGI application, with the data path's own authentication."""

    def __init__(self, identity: Identity, desk: FeedbackSending) -> None:
        self._identity = identity
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        own_id = new_request_id()
        try:
            if scope["method"] != "POST":
                raise MethodNotAllowed("POST")
            principal = self._identity.authenticate(scope["headers"])
            require(principal, "infer")
            raw = await read_body(scope, receive, _MOST_BYTES, _SECONDS)
            feedback = _read(parse_json_object(raw, _DEPTH), principal)
            _refuse(await self._desk.send_feedback(feedback))
        except CallerGone:
            return
        except GatehouseError as error:
            headers = [*outcome_headers(own_id, Outcome()), *error_headers(error)]
            await respond(send, error.status, headers, openai_envelope(error))
            return
        shown = {name: feedback[name] for name in ("request_id", "verdict", "reason")}
        body = orjson.dumps({"object": "gatehouse.feedback", **shown})
        await respond(send, 200, [(b"x-gatehouse-request-id", own_id.encode())], body)


def _read(body: JsonObject, principal: Principal) -> JsonObject:
    if not body.keys() <= _FIELDS:
        raise InvalidRequest("Feedback has `request_id`, `verdict` and, if need be, `reason`; nothing else is kept.")
    request_id, verdict, reason = body.get("request_id"), body.get("verdict"), body.get("reason")
    if not isinstance(request_id, str) or not request_id:
        raise InvalidRequest("`request_id` is the x-gatehouse-request-id of the answer.", param="request_id")
    if verdict not in VERDICTS:
        raise InvalidRequest(f"`verdict` is one of {', '.join(VERDICTS)}.", param="verdict", code="invalid_value")
    if reason is not None and reason not in REASONS:
        raise InvalidRequest(f"`reason` is one of {', '.join(REASONS)}.", param="reason", code="invalid_value")
    who = {"tenant": principal.tenant, "key_id": principal.key_id}
    return {"request_id": request_id, "verdict": verdict, "reason": reason, **who}


def _refuse(answer: str) -> None:
    if answer == "unknown":
        raise NotFound("There is no such request of this key.", code="unknown_request", param="request_id")
    if answer == "limited":
        raise InvalidRequest(
            "Too much feedback at once. Retry later.", status=429, code="rate_limited", retry_after=1, should_retry=True
        )
    if answer != "taken":
        raise Unavailable("The feedback could not be kept. Retry later.", code="records_unavailable", retry_after=2)
