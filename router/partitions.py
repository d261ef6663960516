"""Names the partition of the engine's prefix reuse that a request belongs to, and the tenant whom its queue is fair to.

Both are keyed digests that only the embedded engine is sent: no other backend, and nothing that leaves, holds them.
"""

from __future__ import annotations

import hmac

from policies.types import Level, Model
from router.keys import Keys
from router.types import JsonObject

_HEX_DIGITS = 32


class Partitions:
    """Digests under a subkey of their own (HMAC-SHA256): two gateways with different root secrets share nothing."""

    def __init__(self, keys: Keys) -> None:
        self._key = keys.subkey("partitions")

    def fields(self, model: Model, tenant: str, level: Level) -> JsonObject:
        """What the body for `model` gets beside the request's own fields: nothing, unless the engine serves it.

        `cache_salt` is of tenant and level together, so that a request of one level never shows by its speed what was
        asked at another; `tenant` is of the tenant alone. 32 hex digits each.
        """
        if model.backend != "engine":
            return {}
        return {
            "cache_salt": self._digest(f"salt\0{level.word}\0{tenant}"),
            "tenant": self._digest(f"tenant\0{tenant}"),
        }

    def _digest(self, text: str) -> str:
        return hmac.digest(self._key, text.encode("utf-8", "surrogatepass"), "sha256").hex()[:_HEX_DIGITS]
