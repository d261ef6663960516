"""`chat.completions` of the official client, with `privacy=` on each call and the route information on each reply."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, TypeVar, Unpack, overload

from openai import not_given
from openai.resources.chat import Chat, Completions
from openai.types.chat import ParsedChatCompletion
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsBase,
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
)

from gatehouse.calls import Headers, Timeout, merged, wants_raw
from gatehouse.replies import ChatReply, ChatStream
from gatehouse.route import Privacy, attach

T = TypeVar("T")


class GatehouseCompletions(Completions):
    """The official resource; `create` and `parse` take `privacy` too."""

    @overload  # type: ignore[override]  # one keyword more, and replies that know more
    def create(
        self,
        *,
        privacy: Privacy | None = None,
        extra_headers: Headers | None = None,
        extra_query: Mapping[str, object] | None = None,
        extra_body: object | None = None,
        timeout: Timeout = not_given,
        **params: Unpack[CompletionCreateParamsNonStreaming],
    ) -> ChatReply: ...

    @overload
    def create(
        self,
        *,
        privacy: Privacy | None = None,
        extra_headers: Headers | None = None,
        extra_query: Mapping[str, object] | None = None,
        extra_body: object | None = None,
        timeout: Timeout = not_given,
        **params: Unpack[CompletionCreateParamsStreaming],
    ) -> ChatStream: ...

    @overload
    def create(
        self,
        *,
        stream: bool,
        privacy: Privacy | None = None,
        extra_headers: Headers | None = None,
        extra_query: Mapping[str, object] | None = None,
        extra_body: object | None = None,
        timeout: Timeout = not_given,
        **params: Unpack[CompletionCreateParamsBase],
    ) -> ChatReply | ChatStream: ...

    def create(
        self, *, privacy: str | None = None, extra_headers: Headers | None = None, **params: Any
    ) -> ChatReply | ChatStream:
        """As the official `create`; `privacy="local-only"` keeps the request at home whatever the policy permits."""
        headers = merged(privacy, extra_headers)
        if wants_raw(headers):
            untouched: Any = super().create(extra_headers=headers, **params)
            return untouched  # type: ignore[no-any-return]  # a raw response: the wrapper says so to its caller
        raw: Any = self.with_raw_response.create(extra_headers=headers, **params)
        if params.get("stream"):
            chunks: ChatStream = raw.parse(to=ChatStream)
            return chunks
        reply: ChatReply = raw.parse(to=ChatReply)
        attach(reply, raw.headers)
        return reply

    def parse(  # type: ignore[override]  # one keyword more
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
            return super().parse(response_format=response_format, extra_headers=headers, **params)
        raw = self.with_raw_response.parse(response_format=response_format, extra_headers=headers, **params)
        reply = raw.parse()
        attach(reply, raw.headers)
        return reply


class GatehouseChat(Chat):
    """The official resource with our completions."""

    @cached_property
    def completions(self) -> GatehouseCompletions:
        return GatehouseCompletions(self._client)
