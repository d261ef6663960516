"""The cache's keys: keyed digests over everything that an answer depends on. Nobody can guess or read them back."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Any

import orjson

from router.keys import Keys
from router.types import JsonObject

_NOT_IN_KEY = frozenset({"stream", "stream_options"})  # how an answer is sent, not what it says


class CacheKeys:
    """Makes keys under the subkey `cache` of this installation."""

    def __init__(self, keys: Keys) -> None:
        self._subkey = keys.subkey("cache", "key")
        self._similar = keys.subkey("cache", "similar/1")  # counted up when anchors are made in another way

    def key(
        self,
        *,
        tenant: str,
        level: str,
        policy_digest: str,
        artifact_digest: str,
        requested: str,
        planned: str,
        body: JsonObject,
    ) -> bytes:
        """32 bytes: HMAC-SHA256 over the named parts and the request in canonical JSON.

        `planned` names route and model of the decision. Each part is written with its length, so that no two different
        sets of parts read the same. Raises `TypeError` for a body that is not JSON.
        """
        parts = (tenant, level, policy_digest, artifact_digest, requested, planned)
        return _digest(self._subkey, parts, body)

    def partition(self, like: Sequence[str], **parts: Any) -> bytes:
        """Of the questions that one answer may do for: the same as `key` of the request, with `like` for its last text.

        `parts` are those of `key`; the body's last message is the question.
        """
        body: JsonObject = parts["body"]
        *before, last = body["messages"]
        rest = {**body, "messages": [*before, {**last, "content": None}]}
        names = ("tenant", "level", "policy_digest", "artifact_digest", "requested", "planned")
        return _digest(self._similar, (str(len(like)), *like, *(parts[name] for name in names)), rest)


def _digest(subkey: bytes, parts: Sequence[str], body: JsonObject) -> bytes:
    request = orjson.dumps(
        {name: value for name, value in body.items() if name not in _NOT_IN_KEY}, option=orjson.OPT_SORT_KEYS
    )
    head = b"".join(len(part).to_bytes(4, "big") + part for part in (text.encode() for text in parts))
    return hmac.digest(subkey, head + request, "sha256")
