"""Every path of a worker and what serves it: the data path's endpoints at once, everything else through a router."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route, request_response
from starlette.types import ASGIApp, Receive, Scope, Send

from router.api.admission import Admission, full, stopping
from router.api.anthropic_messages import CountedMessages, Messages
from router.api.connection import Door
from router.api.dialect import Dialect
from router.api.endpoint import Endpoint
from router.api.feedback import FeedbackEndpoint, FeedbackSending
from router.api.headers import EXPOSED
from router.api.openai_chat import ChatCompletions
from router.api.openai_completions import Completions
from router.api.openai_embeddings import Embeddings
from router.api.openai_responses import Responses, ResponseStates
from router.api.rate_headers import ANTHROPIC_NAMES, OPENAI_NAMES, anthropic_rate_headers, openai_rate_headers
from router.api.service import Service
from router.api.stored_responses import StoredResponses
from router.api.turned_away import Refusals
from router.gateway import Gateway
from router.identity import Identity
from router.running import RunningPolicy
from router.settings import Settings
from router.status import Status
from router.telemetry.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the endpoints stand among, beside the gateway itself."""

    settings: Settings
    running: RunningPolicy
    status: Status
    telemetry: Telemetry
    states: ResponseStates
    desk: FeedbackSending
    admission: Admission


class Application:
    """The data path's endpoints by their exact path, without a router before them."""

    def __init__(self, hot: dict[str, ASGIApp], rest: ASGIApp) -> None:
        self._hot = hot
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._hot.get(scope["path"], self._rest) if scope["type"] == "http" else self._rest
        await app(scope, receive, send)


def _dialects(around: Surroundings) -> dict[str, Dialect]:
    """The paths that ask for an answer, and how each is spoken."""
    return {
        "/v1/chat/completions": ChatCompletions(),
        "/v1/route": ChatCompletions(),
        "/v1/responses": Responses(around.states),
        "/v1/messages": Messages(),
        "/v1/messages/count_tokens": CountedMessages(),
        "/v1/completions": Completions(),
        "/v1/embeddings": Embeddings(),
    }


def door(around: Surroundings, connections: int) -> Door:
    """What stands before `application`: at most so many connections, and the bounds of each."""
    settings = around.settings
    # With CORS switched on every answer has headers of its own: none is given from the bytes alone.
    dialects = {} if settings.allowed_origins else _dialects(around)
    envelopes = {path: dialect.envelope for path, dialect in dialects.items()}
    return Door(
        admission=around.admission,
        refusals=Refusals(envelopes, full()),
        farewells=Refusals(envelopes, stopping(), closes=True),
        head_seconds=settings.head_timeout_s,
        head_bytes=settings.max_head_bytes,
        write_seconds=settings.write_timeout_s,
        connections=connections,
    )


def application(gateway: Gateway, identity: Identity, around: Surroundings) -> ASGIApp:
    """The whole of a worker's HTTP side."""
    parts = (gateway, identity, around.settings, around.telemetry, around.admission)
    hot: dict[str, object] = {
        path: Endpoint(
            *parts,
            dialect,
            explains=path == "/v1/route",
            counts=isinstance(dialect, CountedMessages),
            limits=anthropic_rate_headers if isinstance(dialect, Messages) else openai_rate_headers,
        )
        for path, dialect in _dialects(around).items()
    }
    hot["/v1/feedback"] = FeedbackEndpoint(identity, around.desk)
    whole = Application(cast("dict[str, ASGIApp]", hot), _rest(identity, around))
    origins = around.settings.allowed_origins
    if not origins:
        return whole  # any web page could otherwise spend the user's money
    return CORSMiddleware(
        whole,
        allow_origins=origins,
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["*"],  # clients send many of their own (x-stainless-…); none of them can loosen anything
        expose_headers=(*EXPOSED, *OPENAI_NAMES, *ANTHROPIC_NAMES),
    )


def _rest(identity: Identity, around: Surroundings) -> Starlette:
    service = Service(around.running, identity, around.status, around.telemetry)
    stored = StoredResponses(identity, around.states)
    rest = Starlette(
        exception_handlers={405: service.wrong_method},
        routes=[
            Route("/healthz", service.healthz),
            Route("/readyz", service.readyz),
            Route("/metrics", service.metrics),
            Route("/v1/models", service.models),
            Route("/v1/models/{model:path}", service.model),
            Route("/v1/responses/{response}", stored.show, methods=["GET"]),
            Route("/v1/responses/{response}", stored.delete, methods=["DELETE"]),
        ],
    )
    rest.router.redirect_slashes = False
    rest.router.default = request_response(service.unknown)
    return rest
