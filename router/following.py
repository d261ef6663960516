"""Follows answers to sensitive requests on their way to the caller: marks each segment before it is handed on.

What the caller has got, whole or in part, is marked; texts are looked at as they pass and never kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Collection, Iterable, Iterator
from contextlib import aclosing
from typing import Any, cast

from classifiers.pseudonyms import Pseudonyms
from classifiers.walk import strings_of
from policies.history import message_of
from policies.types import Level
from router.exchange import Exchange
from router.planning import Plan
from router.relay import Relay
from router.taint.ledger import Grade, TaintLedger, parts_of
from router.taint.segments import Segmenter, normal_forms, segments
from router.types import JsonObject, Reply

_FIXED = frozenset({"role", "type", "id", "index"})  # of a delta: the API's words, never text of the answer


class Following:
    """Puts an answer under watch where the request that it was made from is above public."""

    def __init__(self, ledger: TaintLedger) -> None:
        self._ledger = ledger
        self._sharing: set[asyncio.Task[None]] = set()

    async def follow(self, exchange: Exchange, reply: Reply) -> Reply:
        """The same reply, marked: a whole one before this returns, a stream as it goes."""
        assert exchange.plan is not None
        level = exchange.planned.sensitivity
        if level is Level.PUBLIC:
            return reply
        request, hidden = exchange.plan.request, exchange.pseudonyms
        known = await self._ledger.digests(request.principal.tenant, _known(exchange.plan, hidden))
        values = None if hidden is None else [form for value in hidden.values.values() for form in normal_forms(value)]
        trail = Trail(self, request.principal.tenant, level, known, values)
        if reply.chunks is not None:
            reply.chunks = FollowedChunks(reply.chunks, trail)
        elif reply.body is not None:
            trail.take_whole(reply.body)
            await trail.share()
        return reply

    @property
    def ledger(self) -> TaintLedger:
        """Where the marks go."""
        return self._ledger

    def share_later(self, digests: list[bytes], grade: Grade) -> None:
        """Tell the other hosts in the background: the caller has gone."""
        sharing = asyncio.get_running_loop().create_task(self._ledger.share(digests, grade))
        self._sharing.add(sharing)
        sharing.add_done_callback(self._sharing.discard)


class Trail:
    """The marks of one answer. `known` are digests of segments that the request held and that say nothing new.

    `values` are, for an answer that was made of placeholders, the values that were put back into it, in normal form.
    """

    def __init__(
        self,
        following: Following,
        tenant: str,
        level: Level,
        known: frozenset[bytes],
        values: Collection[str] | None = None,
    ) -> None:
        self._following = following
        self._tenant = tenant
        self._whole = Grade(level)
        self._outside = Grade(level, is_kept=False)
        self._known = known
        self._values = values
        self._segmenters: dict[tuple[int | str, ...], Segmenter] = {}
        self._unshared: dict[Grade, list[bytes]] = {}
        self._has_id = False

    def take_whole(self, completion: JsonObject) -> None:
        """Mark a whole answer."""
        self._take_id(completion)
        for choice in completion.get("choices") or ():
            for text in strings_of(choice.get("message")):
                self._put(segments(text))

    def take_chunk(self, chunk: JsonObject) -> bool:
        """Mark what this chunk completes; True when it ends a choice."""
        self._take_id(chunk)
        is_end = False
        for choice in chunk.get("choices") or ():
            index = choice.get("index", 0)
            for path, text in _texts(choice.get("delta") or {}):
                self._put(self._segmenters.setdefault((index, *path), Segmenter()).feed(text))
            if choice.get("finish_reason") is not None:
                is_end = True
                self._end(key for key in self._segmenters if key[0] == index)
        return is_end

    def end(self) -> None:
        """Mark what has been handed on of segments that were never completed. Idempotent."""
        self._end(self._segmenters)

    async def share(self) -> None:
        """Tell the other hosts of all marks since the last time."""
        unshared, self._unshared = self._unshared, {}
        for grade, digests in unshared.items():
            await self._following.ledger.share(digests, grade)

    def share_later(self) -> None:
        """The same, without waiting."""
        unshared, self._unshared = self._unshared, {}
        for grade, digests in unshared.items():
            self._following.share_later(digests, grade)

    def _take_id(self, answer: JsonObject) -> None:
        if not self._has_id and isinstance(answer.get("id"), str):
            self._has_id = True
            self._keep(self._whole, self._following.ledger.put_response(self._tenant, self._whole, answer["id"]))

    def _end(self, keys: Iterable[tuple[int | str, ...]]) -> None:
        for key in list(keys):
            self._put(self._segmenters[key].end())

    def _put(self, found: Iterable[str]) -> None:
        graded: dict[Grade, set[bytes]] = {}
        ledger = self._following.ledger
        for segment in found:
            digest = ledger.digest(self._tenant, segment)
            if digest not in self._known:
                graded.setdefault(self._grade(segment), set()).add(digest)
        for grade, new in graded.items():
            self._keep(grade, ledger.put_digests(self._tenant, grade, new))

    def _grade(self, segment: str) -> Grade:
        """What was made outside of placeholders may go there again, but for what holds a value."""
        if self._values is None or any(f" {value} " in f" {segment} " for value in self._values):
            return self._whole
        return self._outside

    def _keep(self, grade: Grade, digests: list[bytes]) -> None:
        self._unshared.setdefault(grade, []).extend(digests)


class FollowedChunks:
    """The chunks of a followed answer. Whoever never reads them calls `close`."""

    def __init__(self, chunks: AsyncIterable[JsonObject], trail: Trail) -> None:
        self._chunks = chunks
        self._trail = trail

    def __aiter__(self) -> AsyncIterator[JsonObject]:
        return self._follow()

    async def _follow(self) -> AsyncIterator[JsonObject]:
        trail = self._trail
        try:
            async with aclosing(cast(Any, aiter(self._chunks))) as chunks:
                async for chunk in chunks:
                    if trail.take_chunk(chunk):
                        await trail.share()
                    yield chunk
            trail.end()
            await trail.share()
        finally:
            trail.end()
            trail.share_later()

    async def close(self) -> None:
        """End an answer that nobody will read."""
        if isinstance(self._chunks, Relay):
            await self._chunks.close()


def _known(plan: Plan, hidden: Pseudonyms | None) -> list[str]:
    """What an answer may repeat without saying anything new: the texts of those parts in which nothing was found.

    Else one sensitive answer that repeats a line of an application's prompt would taint every request with that prompt.
    Where values were `hidden`, all parts: each could go out as it stood there.
    """
    if hidden is not None:
        return [text for _, text in parts_of(plan.request.body)]
    scan, taint = plan.signals.scan, plan.taint
    if taint.source in ("unavailable", "forgotten") or any(not unknown.pointer for unknown in scan.unknowns):
        return []
    unclean = {message_of(finding.pointer) for finding in scan.findings}
    unclean.update(message_of(unknown.pointer) for unknown in scan.unknowns)
    unclean.update(each.message for each in taint.at)
    return [text for index, text in parts_of(plan.request.body) if index not in unclean]


def _texts(delta: JsonObject, path: tuple[int | str, ...] = ()) -> Iterator[tuple[tuple[int | str, ...], str]]:
    """The pieces of text in a delta, each with the place that its continuations have too."""
    for name, value in delta.items():
        if name in _FIXED:
            continue
        if isinstance(value, str):
            yield (*path, name), value
        elif isinstance(value, dict):
            yield from _texts(value, (*path, name))
        elif isinstance(value, list):
            for at, item in enumerate(value):
                if isinstance(item, dict):
                    index = item.get("index", at)
                    yield from _texts(item, (*path, name, index if isinstance(index, int) else at))
                elif isinstance(item, str):
                    yield (*path, name, at), item
