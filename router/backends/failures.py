"""What goes wrong at an upstream, said in the gateway's own words: status, code, fixed sentence.

An upstream's message may quote the request, so it is never passed on; its code and type only where plain words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from policies.types import Model
from router.errors import DeadlineExceeded, GatehouseError, Unavailable, UpstreamError, UpstreamTimeout

_WORD = re.compile(r"[a-z][a-z_]{1,47}")
_TOO_LONG = frozenset({"context_length_exceeded", "exceed_context_size_error", "string_above_max_length"})
_RETRY_LOCAL_AFTER = 2.0
_RETRY_CAP = 3600.0
_LONGEST_MESSAGE = 500


def retry_after(value: str | None) -> float | None:
    """Seconds from a `Retry-After` header (RFC 9110, section 10.2.3), at most an hour; None if absent or malformed."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(seconds, 0.0), _RETRY_CAP) if math.isfinite(seconds) else None


def _error_object(body: bytes) -> Mapping[str, Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    error = value.get("error", value) if isinstance(value, dict) else {}
    return error if isinstance(error, dict) else {}


def _words(error: Mapping[str, Any]) -> list[str]:
    named = (error.get("code"), error.get("type"))
    return [word for word in named if isinstance(word, str) and _WORD.fullmatch(word)]


def from_status(model: Model, status: int, headers: Mapping[str, str], body: bytes) -> GatehouseError:
    """The error for an upstream's answer that is not a success."""
    return from_error(model, status, _error_object(body), retry_after(headers.get("Retry-After")))


def from_error(model: Model, status: int, error: Mapping[str, Any], wait: float | None = None) -> GatehouseError:
    """The error for what an upstream says in an error object, with the status that it came with (or stands for)."""
    words = _words(error)
    said = f" It says: {', '.join(dict.fromkeys(words))}." if words else ""
    if model.locality == "local" and status in (429, 503):
        return _local_busy(model, status, words, wait)
    if model.backend == "engine" and status == 504 and "deadline_exceeded" in words:
        return DeadlineExceeded()
    if status in (400, 413, 422):
        return _refused_request(model, status, error, words, said)
    if status in (401, 403):
        message = f"Model `{model.name}`: the gateway's key was refused by the upstream ({status}).{said}"
        return UpstreamError(f"{message} Check the key that the policy names.", upstream_status=status)
    if status == 404:
        message = f"Model `{model.name}`: the upstream does not know this model or path (404).{said} Check the policy."
        return UpstreamError(message, upstream_status=404)
    if status == 429:
        message = f"Model `{model.name}`: the upstream refuses for now, too many requests (429).{said} Retry later."
        return UpstreamError(message, upstream_status=429, status=429, retry_after=wait)
    if status in (408, 504):
        return UpstreamTimeout(
            f"Model `{model.name}`: the upstream timed out ({status}).{said}", upstream_status=status
        )
    if status in (503, 529):
        message = f"Model `{model.name}`: the upstream is overloaded or down ({status}).{said} Retry later."
        return UpstreamError(message, upstream_status=status, status=503, retry_after=wait)
    if 300 <= status < 400:
        message = f"Model `{model.name}`: the upstream redirects ({status}), and redirects are never followed."
        return UpstreamError(f"{message} Put the final address in the policy.", upstream_status=status)
    return UpstreamError(f"Model `{model.name}`: the upstream failed ({status}).{said}", upstream_status=status)


def _local_busy(model: Model, status: int, words: list[str], wait: float | None) -> GatehouseError:
    overloaded = status == 429 or "local_overloaded" in words
    if not overloaded:
        message = f"Model `{model.name}` is not ready. Retry in a few seconds."
    elif status == 429 and model.backend == "engine":
        message = f"Too many of your requests wait for model `{model.name}`. Retry later."
    else:
        message = f"Model `{model.name}` has too many requests. Retry later."
    return Unavailable(
        message,
        status=status,
        code="local_overloaded" if overloaded else "local_unavailable",
        retry_after=wait if wait is not None else _RETRY_LOCAL_AFTER,
    )


def _refused_request(
    model: Model, status: int, error: Mapping[str, Any], words: list[str], said: str
) -> GatehouseError:
    refusal = UpstreamError(
        f"Model `{model.name}`: the upstream refuses this request ({status}).{said}",
        upstream_status=status,
        status=400,
        code="invalid_request",
        should_retry=False,
    )
    refusal.type = "invalid_request_error"
    if _TOO_LONG.intersection(words):
        needed, window = error.get("n_prompt_tokens"), error.get("n_ctx")
        numbers = f": {needed:,} > {window:,} tokens" if type(needed) is int and type(window) is int else ""
        refusal.message = f"The request does not fit into the context window of model `{model.name}`{numbers}."
        refusal.code = "context_length_exceeded"
    if model.backend == "engine" and isinstance(error.get("message"), str):
        # The engine is ours, and its messages name fields and numbers, never what stands in them.
        refusal.message = error["message"][:_LONGEST_MESSAGE]
        refusal.code = words[0] if words else refusal.code
        refusal.param = error.get("param") if isinstance(error.get("param"), str) else None
    refusal.args = (refusal.message,)
    return refusal


def unreachable(
    model: Model, why: str = "it does not answer at its address", *, curable: bool = True
) -> GatehouseError:
    """The error for a connection that could not be made: nothing was sent. `curable`: by waiting a moment."""
    if model.locality == "local":
        return Unavailable(
            f"The local model `{model.name}` is not available: {why}. Retry in a few seconds.",
            retry_after=_RETRY_LOCAL_AFTER,
        )
    return UpstreamError(f"Model `{model.name}` could not be reached: {why}.", unsent=True, curable=curable)


def broken_off(model: Model) -> GatehouseError:
    """The error for a connection that ended before the answer did."""
    return UpstreamError(f"Model `{model.name}` broke off before its answer was whole.")


def malformed(model: Model, what: str) -> GatehouseError:
    """The error for an answer that is no chat completion; `what` is a fixed phrase, never the answer's own text."""
    return UpstreamError(f"Model `{model.name}` answered with {what}.")


def too_late(model: Model, what: str, *, unsent: bool = False) -> GatehouseError:
    """The error for a deadline; `what` names which, `unsent` that it was the connection's."""
    return UpstreamTimeout(f"Model `{model.name}`: {what}.", unsent=unsent)
