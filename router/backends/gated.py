"""A backend outside, behind the kill switch: asked just before it writes, and cut in the middle of an answer.

What leaves only because it was released is written only once that release has been used for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Protocol

from policies.types import Model, Release
from router.backends.base import Backend
from router.errors import Denied
from router.lockdown.exits import ExitCall, Exits
from router.types import JsonObject, Outgoing


class ReleaseGate(Protocol):
    """What knows which releases were used for which request (`router.releases.releases.Releases`)."""

    def require_used(self, release: Release, request_id: str) -> None:
        """Return if it was used for this very request. Raises `Denied`."""
        ...


class GatedBackend:
    """`inner`, as long as nothing is locked. Every backend that is not local stands behind one (`table.py`)."""

    def __init__(self, inner: Backend, exits: Exits, releases: ReleaseGate | None = None) -> None:
        self.model: Model = inner.model
        self._inner = inner
        self._exits = exits
        self._releases = releases
        self._closing: set[asyncio.Task[None]] = set()
        exits.when_locked(self._drop_connections)

    async def complete(self, outgoing: Outgoing) -> JsonObject:
        """As the inner one does. Raises `Locked` before anything is written, or when a lock cuts it."""
        call = self._exits.call(outgoing.tenant)
        try:
            self._require_used(outgoing)
            return await call.during(lambda: self._inner.complete(outgoing))
        finally:
            call.end()

    async def open_stream(self, outgoing: Outgoing) -> GatedStream:
        """The same for a stream, its first chunk already there."""
        call = self._exits.call(outgoing.tenant)
        try:
            self._require_used(outgoing)
            return GatedStream(await call.during(lambda: self._inner.open_stream(outgoing)), call)
        except BaseException:
            call.end()
            raise

    def _require_used(self, outgoing: Outgoing) -> None:
        release = outgoing.permit.release if outgoing.permit is not None else None
        if release is None:
            return
        if self._releases is None:
            raise Denied("Nothing is released here.", code="release_refused")
        self._releases.require_used(release, outgoing.request_id)

    async def self_test(self) -> None:
        """As the inner one does: nothing is sent."""
        await self._inner.self_test()

    async def close(self) -> None:
        """Close every connection, for good. Idempotent."""
        self._exits.not_when_locked(self._drop_connections)
        await self._inner.close()

    def _drop_connections(self) -> None:
        """Close what rests in the pool too; the next call, if one comes, connects anew."""
        closing = asyncio.get_running_loop().create_task(self._inner.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)


class GatedStream:
    """The chunks of one call. Whoever stops early must `aclose` it, which closes the connection at once."""

    def __init__(self, chunks: AsyncIterator[JsonObject], call: ExitCall) -> None:
        self._chunks: Any = chunks
        self._call = call
        call.close = self._close
        if call.is_cut:  # between the first chunk and now
            call.is_cut = False
            call.cut()

    def __aiter__(self) -> GatedStream:
        return self

    async def __anext__(self) -> JsonObject:
        try:
            chunk: JsonObject = await self._call.during(self._chunks.__anext__)
        except BaseException:
            self._call.end()
            raise
        return chunk

    async def aclose(self) -> None:
        """Close the stream. Idempotent."""
        self._call.end()
        await self._close()

    async def _close(self) -> None:
        await self._chunks.aclose()
