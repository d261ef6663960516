"""The exact cache's key: a keyed digest over everything that an answer depends on. Nobody can guess or read it back."""

from __future__ import annotations

import hmac

import orjson

from router.keys import Keys
from router.types import JsonObject

_NOT_IN_KEY = frozenset({"stream", "stream_options"})  # how an answer is sent, not what it says


class CacheKeys:
    """Makes keys under the subkey `cache` of this installation."""

    def __init__(self, keys: Keys) -> None:
        self._subkey = keys.subkey("cache", "key")

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
        request = orjson.dumps(
            {name: value for name, value in body.items() if name not in _NOT_IN_KEY}, option=orjson.OPT_SORT_KEYS
        )
        parts = (tenant, level, policy_digest, artifact_digest, requested, planned)
        head = b"".join(len(part).to_bytes(4, "big") + part for part in (text.encode() for text in parts))
        return hmac.digest(self._subkey, head + request, "sha256")
