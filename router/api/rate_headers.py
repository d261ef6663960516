"""How the limits of a minute stand, in the headers that clients of each dialect read. Numbers alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from router.rates.table import Kind, Level

Headers = list[tuple[bytes, bytes]]

OPENAI_NAMES = tuple(
    f"x-ratelimit-{word}-{kind}" for word in ("limit", "remaining", "reset") for kind in ("requests", "tokens")
)
ANTHROPIC_NAMES = tuple(
    f"anthropic-ratelimit-{kind}-{word}" for kind in ("requests", "tokens") for word in ("limit", "remaining", "reset")
)


def openai_rate_headers(levels: Mapping[Kind, Level]) -> Headers:
    """`x-ratelimit-limit|remaining|reset-requests|tokens`; the reset is a duration until all is free, as `12s`."""
    headers: Headers = []
    for kind, level in levels.items():
        for word, value in (
            ("limit", str(level.limit)),
            ("remaining", str(level.remaining)),
            ("reset", f"{math.ceil(level.reset)}s"),
        ):
            headers.append((f"x-ratelimit-{word}-{kind}".encode(), value.encode()))
    return headers


def anthropic_rate_headers(levels: Mapping[Kind, Level], now: datetime | None = None) -> Headers:
    """`anthropic-ratelimit-requests|tokens-limit|remaining|reset`; the reset is a time (RFC 3339)."""
    headers: Headers = []
    for kind, level in levels.items():
        until = (now or datetime.now(UTC)) + timedelta(seconds=math.ceil(level.reset))
        for word, value in (
            ("limit", str(level.limit)),
            ("remaining", str(level.remaining)),
            ("reset", until.strftime("%Y-%m-%dT%H:%M:%SZ")),
        ):
            headers.append((f"anthropic-ratelimit-{kind}-{word}".encode(), value.encode()))
    return headers
