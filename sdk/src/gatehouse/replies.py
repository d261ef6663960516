"""Replies that know where they came from: the official types, and `gatehouse` on each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from openai import AsyncStream, Stream
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from gatehouse.route import RouteInfo


class ChatReply(ChatCompletion):
    """A chat completion that knows where it came from."""

    @property
    def gatehouse(self) -> RouteInfo:
        """Where this answer came from, and why."""
        known = vars(self).get("_gatehouse")
        return known if isinstance(known, RouteInfo) else RouteInfo()


class ChatStream(Stream[ChatCompletionChunk]):
    """The chunks of an answer, and where it came from."""

    _final: Mapping[str, Any] = {}

    @property
    def gatehouse(self) -> RouteInfo:
        """Where this answer comes from: what is known so far, and final once the stream was read to its end."""
        return RouteInfo.from_headers(self.response.headers).updated(self._final)

    def __next__(self) -> ChatCompletionChunk:
        chunk = super().__next__()
        self._final = _final_word(chunk) or self._final
        return chunk

    def __iter__(self) -> Iterator[ChatCompletionChunk]:
        for chunk in super().__iter__():
            self._final = _final_word(chunk) or self._final
            yield chunk


class AsyncChatStream(AsyncStream[ChatCompletionChunk]):
    """The chunks of an answer, and where it came from."""

    _final: Mapping[str, Any] = {}

    @property
    def gatehouse(self) -> RouteInfo:
        """Where this answer comes from: what is known so far, and final once the stream was read to its end."""
        return RouteInfo.from_headers(self.response.headers).updated(self._final)

    async def __anext__(self) -> ChatCompletionChunk:
        chunk = await super().__anext__()
        self._final = _final_word(chunk) or self._final
        return chunk

    async def __aiter__(self) -> AsyncIterator[ChatCompletionChunk]:
        async for chunk in super().__aiter__():
            self._final = _final_word(chunk) or self._final
            yield chunk


def _final_word(chunk: ChatCompletionChunk) -> Mapping[str, Any] | None:
    said = (chunk.model_extra or {}).get("gatehouse")
    return said if isinstance(said, Mapping) else None
