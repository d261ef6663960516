"""The async twin of `completions.py`: `privacy=` on each call, the route information on each reply."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, TypeVar, Unpack, overload

from openai import not_given
from openai.resources.chat import AsyncChat, AsyncCompletions
from openai.types.chat import ParsedChatCompletion
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsBase,
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
)

from gatehouse.calls import Headers, Timeout, merged, wants_raw
from gatehouse.replies import AsyncChatStream, ChatReply
from gatehouse.route import Privacy, attach

T = TypeVar("T")


class AsyncGatehouseCompletions(AsyncCompletions):
    """The official resource; `create` and `parse` take `privacy` too."""

    @overload  # type: ignore[override]  # one keyword more, and replies that know more
    async def create(
        self,
        *,
        privacy: Privacy | None = None,
        extra_headers: Headers | None = None,
        extra_query: Mapping[str, object] | None = None,
        extra_body: object | None = None,
        timeout: Timeout = not_given,  # noqa: ASYNC109 - the official name
        **params: Unpack[CompletionCreateParamsNonStreaming],
    ) -> ChatReply: ...

    @overload
    async def create(
        self,
        *,
        privacy: Privacy | None = None,
        extra_headers: Headers | None = None,
        extra_query: Mapping[str, object] | None = None,
        extra_body: object | None = None,
        timeout: Timeout = not_given,  # noqa: ASYNC109 - the official name
        **params: Unpack[CompletionCreateParamsStreaming],
    ) -> AsyncChatStream: ...

    @overload
    async def create(
        self,
        *,
        stream: bool,
        privacy: Privacy | None = None,
        extra_headers: Headers | None = None,
        extra_query: Mapping[str, object] | None = None,
        extra_body: object | None = None,
        timeout: Timeout = not_given,  # noqa: ASYNC109 - the official name
        **params: Unpack[CompletionCreateParamsBase],
    ) -> ChatReply | AsyncChatStream: ...

    async def create(
        self, *, privacy: str | None = None, extra_headers: Headers | None = None, **params: Any
    ) -> ChatReply | AsyncChatStream:
        """As the official `create`; `privacy="local-only"` keeps the request at home whatever the policy permits."""
        headers = merged(privacy, extra_headers)
        if wants_raw(headers):
            untouched: Any = await super().create(extra_headers=headers, **params)
            return untouched  # type: ignore[no-any-return]  # a raw response: the wrapper says so to its caller
        raw: Any = await self.with_raw_response.create(extra_headers=headers, **params)
        if params.get("stream"):
            chunks: AsyncChatStream = raw.parse(to=AsyncChatStream)
            return chunks
        reply: ChatReply = raw.parse(to=ChatReply)
        attach(reply, raw.headers)
        return reply

    async def parse(  # type: ignore[override]  # one keyword more
        self,
        *,
        response_format: type[T],
        privacy: Privacy | None = None,
        extra_headers: Headers | None = None,
        **params: Any,
    ) -> ParsedChatCompletion[T]:
        """As the official `parse`, with `privacy`; `route_of(reply)` says where the answer came from."""
        headers = merged(privacy, extra_headers)
        if wants_raw(headers):
            return await super().parse(response_format=response_format, extra_headers=headers, **params)
        raw = await self.with_raw_response.parse(response_format=response_format, extra_headers=headers, **params)
        reply = raw.parse()
        attach(reply, raw.headers)
        return reply


class AsyncGatehouseChat(AsyncChat):
    """The official resource with our completions."""

    @cached_property
    def completions(self) -> AsyncGatehouseCompletions:
        return AsyncGatehouseCompletions(self._client)
