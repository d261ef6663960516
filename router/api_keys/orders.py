"""What may be ordered of API keys: names, scopes, times and headers, checked alike for commands and the admin API."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from policies.allowances import Rate
from router.api_keys.key import StoredKey
from router.types import SCOPES, JsonObject, KeyScope

_UNITS = {"m": 60, "h": 3600, "d": 86_400}
_MOST_A_MINUTE = 1_000_000_000
_DURATION = re.compile(r"([1-9][0-9]{0,5})([mhd])")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
_HEADER = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
# Headers that mean something already: none of them can name a subject.
_TAKEN = re.compile(
    r"authorization|x-api-key|cookie|host|origin|connection|te|trailer|upgrade|expect|traceparent|tracestate|user-agent"
    r"|transfer-encoding|cache-control|accept.*|content-.*|proxy-.*|sec-.*|x-gatehouse-.*|x-forwarded-.*"
)


class BadOrder(ValueError):
    """Something that was ordered cannot be; `what` names the part, the message says what can."""

    def __init__(self, what: str, message: str) -> None:
        super().__init__(message)
        self.what = what


@dataclass(frozen=True, slots=True)
class KeyOrder:
    """A key that may be made."""

    name: str
    tenant: str
    scopes: tuple[KeyScope, ...]
    groups: tuple[str, ...]
    expires: float | None
    subject_header: str | None
    rate: Rate | None = None


def order_key(
    now: float,
    *,
    name: str,
    tenant: str = "default",
    scopes: Iterable[str] = ("infer",),
    groups: Iterable[str] = (),
    expires: str | None = None,
    subject_header: str | None = None,
    requests_per_minute: int | None = None,
    tokens_per_minute: int | None = None,
) -> KeyOrder:
    """Check an order. Raises `BadOrder`."""
    scopes, groups = tuple(scopes), tuple(groups)
    for word in scopes:
        if word not in SCOPES:
            raise BadOrder("scope", f"'{word}' is no scope: there are {', '.join(SCOPES)}")
    for given, what in ((name, "name"), (tenant, "tenant"), *((each, "group") for each in groups)):
        if not _NAME.fullmatch(given):
            raise BadOrder(what, "up to 64 letters, digits and . _ @ + -, beginning with a letter or digit")
    until, header = moment(expires, "expires", now), _subject_header(subject_header)
    rate = _rate(requests_per_minute, tokens_per_minute)
    return KeyOrder(name, tenant, cast("tuple[KeyScope, ...]", scopes), groups, until, header, rate)


def _rate(requests: int | None, tokens: int | None) -> Rate | None:
    for given, what in ((requests, "requests-per-minute"), (tokens, "tokens-per-minute")):
        if given is not None and not 1 <= given <= _MOST_A_MINUTE:
            raise BadOrder(what, f"a whole number from 1 to {_MOST_A_MINUTE:,}")
    return None if requests is None and tokens is None else Rate(requests, tokens)


def duration(text: str, what: str) -> float:
    """Seconds of `30m`, `12h` or `90d`; `0` is none. Raises `BadOrder`."""
    match = _DURATION.fullmatch(text)
    if match is None and text != "0":
        raise BadOrder(what, f"'{text}' is no time: write 30m, 12h or 90d")
    return float(int(match[1]) * _UNITS[match[2]]) if match is not None else 0.0


def moment(text: str | None, what: str, now: float) -> float | None:
    """A time from now, or the beginning of a day (UTC), as Unix seconds. Raises `BadOrder`."""
    if text is None:
        return None
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        seconds = duration(text, what)
        if not seconds:
            raise BadOrder(what, f"'{text}' is no time: write 30m, 12h or 90d") from None
        return now + seconds
    if day.timestamp() <= now:
        raise BadOrder(what, f"{text} is over")
    return day.timestamp()


def key_json(key: StoredKey, now: float) -> JsonObject:
    """What may be shown of a key: everything but what is kept of its secrets."""
    return {
        "id": key.id,
        "name": key.name,
        "tenant": key.tenant,
        "groups": list(key.groups),
        "scopes": sorted(key.scopes),
        "subject_header": key.subject_header,
        "created": _iso(key.created),
        "expires": _iso(key.expires),
        "revoked": _iso(key.revoked),
        "state": key.state(now),
        "secrets": len(key.secrets),
        "requests_per_minute": key.rate.requests if key.rate is not None else None,
        "tokens_per_minute": key.rate.tokens if key.rate is not None else None,
    }


def _iso(moment: float | None) -> str | None:
    return None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")


def _subject_header(name: str | None) -> str | None:
    if name is None:
        return None
    lower = name.lower()
    if not _HEADER.fullmatch(lower) or _TAKEN.fullmatch(lower):
        raise BadOrder("subject-header", f"'{name}' cannot name a subject: take one such as x-user")
    return lower
