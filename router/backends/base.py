"""The seam of everything that answers. A backend writes the bytes given to it and reads the reply; no more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from policies.types import Model
from router.types import JsonObject, Outgoing


class Backend(Protocol):
    """One model behind a wire. Replies are OpenAI chat completions: whole objects, or chunk objects.

    Both calls raise `router.errors.UpstreamError`, `UpstreamTimeout` or `Unavailable`, never a foreign exception.
    Cancelling the awaiting task (or closing the iterator) closes the connection to the upstream at once.
    """

    model: Model

    async def complete(self, outgoing: Outgoing) -> JsonObject:
        """Send and return the whole `chat.completion` object."""
        ...

    async def open_stream(self, outgoing: Outgoing) -> AsyncIterator[JsonObject]:
        """Send, wait for the first `chat.completion.chunk`, and return an iterator that starts with it.

        The iterator raises `UpstreamError` when the stream ends without `[DONE]` or carries an error event.
        """
        ...

    async def self_test(self) -> None:
        """Return when the backend has answered a tiny request; raise what `complete` raises otherwise."""
        ...

    async def close(self) -> None:
        """Close every connection. Idempotent."""
        ...
