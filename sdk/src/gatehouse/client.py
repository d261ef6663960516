"""`Gatehouse` and `AsyncGatehouse`: the official clients over a gateway, that tighten, explain and tell the route."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import openai
from openai.types.chat import ChatCompletionMessageParam

from gatehouse.async_completions import AsyncGatehouseChat
from gatehouse.completions import GatehouseChat
from gatehouse.errors import unreachable
from gatehouse.explanation import Explanation, body
from gatehouse.feedback import Feedback, FeedbackReason, Verdict, feedback_body
from gatehouse.route import PRIVACY_HEADER, Privacy, privacy_headers
from gatehouse.transport import AsyncDirectClient, DirectClient

if TYPE_CHECKING:
    import httpx  # for annotations only: from its version 3 the official client runs on httpx2 instead

DEFAULT_BASE_URL = "http://127.0.0.1:8080/v1"
_NO_KEY = "no-key-needed-on-loopback"
_MAX_RETRIES = 1  # the gateway retries towards its models itself, and says when another try cannot help

Messages = Iterable[ChatCompletionMessageParam]


def _address(base_url: str | httpx.URL | None) -> str | httpx.URL:
    return base_url or os.environ.get("GATEHOUSE_BASE_URL") or DEFAULT_BASE_URL


def _key(api_key: Any) -> Any:
    """A key (a text or a function that gives one); the OPENAI_API_KEY of the environment is not for the gateway."""
    return api_key or os.environ.get("GATEHOUSE_API_KEY") or _NO_KEY


def _headers(given: Mapping[str, str] | None, privacy: str | None) -> dict[str, str]:
    return {**(given or {}), **privacy_headers(privacy)}


class Gatehouse(openai.OpenAI):
    """The official client over a gateway.

    `base_url` defaults to GATEHOUSE_BASE_URL, then http://127.0.0.1:8080/v1; `api_key` to GATEHOUSE_API_KEY (none is
    needed on loopback). `privacy="local-only"` tightens every request. All other options are `openai.OpenAI`'s.
    Calls raise `GatewayUnreachable` when no gateway answers at the address, and the official client's errors otherwise.
    """

    def __init__(
        self,
        *,
        base_url: str | httpx.URL | None = None,
        api_key: Any = None,
        privacy: Privacy | None = None,
        max_retries: int = _MAX_RETRIES,
        default_headers: Mapping[str, str] | None = None,
        http_client: httpx.Client | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            base_url=_address(base_url),
            api_key=_key(api_key),
            max_retries=max_retries,
            default_headers=_headers(default_headers, privacy),
            http_client=http_client or DirectClient(),
            **options,
        )

    @cached_property
    def chat(self) -> GatehouseChat:
        """`chat.completions`, with `privacy=` on each call and `gatehouse` on each reply."""
        return GatehouseChat(self)

    @property
    def privacy(self) -> str | None:
        """What every request of this client is tightened to."""
        return self._custom_headers.get(PRIVACY_HEADER)

    def with_privacy(self, privacy: Privacy) -> Self:
        """A client like this one, over the same connections, that tightens every request."""
        return self.with_options(default_headers=privacy_headers(privacy))

    def explain(
        self,
        prompt: str | None = None,
        *,
        messages: Messages | None = None,
        privacy: Privacy | None = None,
        **fields: Any,
    ) -> Explanation:
        """What would happen to a request, and why; calls no model. `fields` are those of `chat.completions.create`."""
        options: Any = {"headers": privacy_headers(privacy)}
        return self.post("/route", cast_to=Explanation, body=body(messages, prompt, fields), options=options)

    def feedback(self, request_id: str, verdict: Verdict, reason: FeedbackReason | None = None) -> Feedback:
        """Say whether an answer was `good` or `bad`: `reply.gatehouse.request_id` names it. The last verdict counts."""
        return self.post("/feedback", cast_to=Feedback, body=feedback_body(request_id, verdict, reason))

    def request(self, *args: Any, **kwargs: Any) -> Any:
        """As the official `request`; raises `GatewayUnreachable` when no connection could be made."""
        try:
            return super().request(*args, **kwargs)
        except openai.APIConnectionError as error:
            if ours := unreachable(error):
                raise ours from error
            raise


class AsyncGatehouse(openai.AsyncOpenAI):
    """The official async client over a gateway; options, errors and additions as in `Gatehouse`."""

    def __init__(
        self,
        *,
        base_url: str | httpx.URL | None = None,
        api_key: Any = None,
        privacy: Privacy | None = None,
        max_retries: int = _MAX_RETRIES,
        default_headers: Mapping[str, str] | None = None,
        http_client: httpx.AsyncClient | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            base_url=_address(base_url),
            api_key=_key(api_key),
            max_retries=max_retries,
            default_headers=_headers(default_headers, privacy),
            http_client=http_client or AsyncDirectClient(),
            **options,
        )

    @cached_property
    def chat(self) -> AsyncGatehouseChat:
        """`chat.completions`, with `privacy=` on each call and `gatehouse` on each reply."""
        return AsyncGatehouseChat(self)

    @property
    def privacy(self) -> str | None:
        """What every request of this client is tightened to."""
        return self._custom_headers.get(PRIVACY_HEADER)

    def with_privacy(self, privacy: Privacy) -> Self:
        """A client like this one, over the same connections, that tightens every request."""
        return self.with_options(default_headers=privacy_headers(privacy))

    async def explain(
        self,
        prompt: str | None = None,
        *,
        messages: Messages | None = None,
        privacy: Privacy | None = None,
        **fields: Any,
    ) -> Explanation:
        """What would happen to a request, and why; calls no model. `fields` are those of `chat.completions.create`."""
        options: Any = {"headers": privacy_headers(privacy)}
        return await self.post("/route", cast_to=Explanation, body=body(messages, prompt, fields), options=options)

    async def feedback(self, request_id: str, verdict: Verdict, reason: FeedbackReason | None = None) -> Feedback:
        """As `Gatehouse.feedback`."""
        return await self.post("/feedback", cast_to=Feedback, body=feedback_body(request_id, verdict, reason))

    async def request(self, *args: Any, **kwargs: Any) -> Any:
        """As the official `request`; raises `GatewayUnreachable` when no connection could be made."""
        try:
            return await super().request(*args, **kwargs)
        except openai.APIConnectionError as error:
            if ours := unreachable(error):
                raise ours from error
            raise
