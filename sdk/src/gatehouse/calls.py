"""What the sync and the async resource share: the words of a call that the official client does not have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openai import NotGiven
from openai import Timeout as OpenAITimeout

from gatehouse.route import privacy_headers

_RAW = "x-stainless-raw-response"  # set by with_raw_response and with_streaming_response: they want the reply as it is

Headers = Mapping[str, Any]
Timeout = float | OpenAITimeout | None | NotGiven


def wants_raw(headers: Headers) -> bool:
    """Whether this call was made through one of the official client's raw wrappers."""
    return any(name.lower() == _RAW for name in headers)


def merged(privacy: str | None, headers: Headers | None) -> dict[str, Any]:
    """The call's own headers and, after them, the one that tightens. Raises `ValueError` for an unknown privacy."""
    return {**(headers or {}), **privacy_headers(privacy)}
