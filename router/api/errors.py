"""Errors in the caller's own dialect: status, envelope with a stable code, and headers that say whether to retry."""

from __future__ import annotations

import math

import orjson

from router.errors import GatehouseError, MethodNotAllowed

Headers = list[tuple[bytes, bytes]]


def openai_envelope(error: GatehouseError) -> bytes:
    """OpenAI's error object: `{"error": {"message", "type", "param", "code"}}`."""
    return orjson.dumps(
        {"error": {"message": error.message, "type": error.type, "param": error.param, "code": error.code}}
    )


def error_headers(error: GatehouseError) -> Headers:
    """`retry-after` (whole seconds, at least 1) and `x-should-retry`, as the official clients read them; `allow` with a
    405 and `www-authenticate` with a 401, as RFC 9110 wants them."""
    headers: Headers = []
    retry_after = error.retry_after
    if retry_after is None and error.status in (429, 503):
        retry_after = 1.0
    if retry_after is not None:
        headers.append((b"retry-after", str(max(1, math.ceil(retry_after))).encode()))
    if error.should_retry is not None:
        headers.append((b"x-should-retry", b"true" if error.should_retry else b"false"))
    if error.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", error.allow.encode()))
    return headers
