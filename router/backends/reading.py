"""What an upstream wrote or broke, made into chat-completion objects or the gateway's errors. No I/O."""

from __future__ import annotations

import ssl
from typing import Any

import aiohttp
import orjson

from policies.types import Model
from router.backends import failures
from router.backends.direct import NotHttp
from router.backends.places import WrongPlaceError
from router.errors import GatehouseError
from router.types import JsonObject

MAX_REPLY_BYTES = 32 * 1024 * 1024
_NOT_CONNECTED = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientSSLError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
)


def parse(model: Model, data: bytes) -> JsonObject:
    """One object with `choices`. Raises `UpstreamError` for anything else, and what an error object stands for."""
    try:
        value: Any = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise failures.malformed(model, "broken JSON") from None
    if isinstance(value, dict):
        _raise_error(model, value)
        if isinstance(value.get("choices"), list):
            return value
    raise failures.malformed(model, "JSON that is no chat completion")


def _raise_error(model: Model, value: JsonObject) -> None:
    if value.get("error"):
        error = value["error"] if isinstance(value["error"], dict) else {}
        raise failures.from_error(model, _status_of(error), error)


def embeddings(model: Model, body: bytes) -> JsonObject:
    """A list of embeddings, every one of them numbers. Raises as `parse` does."""
    try:
        value: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise failures.malformed(model, "broken JSON") from None
    if isinstance(value, dict):
        _raise_error(model, value)
        rows = value.get("data")
        if isinstance(rows, list) and rows and all(_is_vector(row) for row in rows):
            return value
    raise failures.malformed(model, "JSON that is no list of embeddings")


def _is_vector(row: Any) -> bool:
    vector = row.get("embedding") if isinstance(row, dict) else None
    return isinstance(vector, list) and all(type(number) in (float, int) for number in vector)


def completion(model: Model, body: bytes) -> JsonObject:
    """A whole `chat.completion`, whose every choice holds a message."""
    value = parse(model, body)
    choices = value["choices"]
    if not choices or not all(
        isinstance(choice, dict) and isinstance(choice.get("message"), dict) for choice in choices
    ):
        raise failures.malformed(model, "no choice that holds a message")
    return value


def chunk(model: Model, data: bytes) -> JsonObject:
    """One `chat.completion.chunk`, whose every choice holds a delta."""
    value = parse(model, data)
    for choice in value["choices"]:
        if not isinstance(choice, dict) or not isinstance(choice.get("delta"), dict):
            raise failures.malformed(model, "a choice that holds no delta")
    return value


def not_a_stream(model: Model, body: bytes) -> GatehouseError:
    """The error for one JSON object where a stream was asked for."""
    try:
        parse(model, body)
    except GatehouseError as error:
        return error
    return failures.malformed(model, "one object where a stream was asked for")


def too_large(model: Model) -> GatehouseError:
    """The error for an answer above `MAX_REPLY_BYTES`."""
    return failures.malformed(model, f"more than {MAX_REPLY_BYTES >> 20} MB")


def translate(model: Model, error: Exception, late: str) -> GatehouseError:
    """Our error for what aiohttp raised; `late` says what a timeout means here."""
    if isinstance(error, aiohttp.ConnectionTimeoutError) and model.locality != "local":
        return failures.too_late(model, "no connection within the time limit", unsent=True)
    if isinstance(error, _NOT_CONNECTED):
        return failures.unreachable(model, _why(error), curable=not _is_settled(error))
    if isinstance(error, TimeoutError):
        return failures.too_late(model, late)
    if isinstance(error, aiohttp.ClientResponseError | NotHttp):
        return failures.malformed(model, "something that is no HTTP")
    return failures.broken_off(model)


def _is_settled(error: Exception) -> bool:
    """Whether a connection made a moment later would fail for the same reason."""
    is_misplaced = isinstance(getattr(error, "os_error", None), WrongPlaceError)
    return is_misplaced or isinstance(error, ssl.SSLError | aiohttp.ClientSSLError | aiohttp.InvalidURL)


def _why(error: Exception) -> str:
    cause = getattr(error, "os_error", None)
    if isinstance(cause, WrongPlaceError):
        return str(cause)
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return "no connection within the time limit"
    if isinstance(error, ssl.SSLError | aiohttp.ClientSSLError):
        return "its certificate or TLS cannot be trusted"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name does not resolve"
    return "it does not answer at its address"


def _status_of(error: JsonObject) -> int:
    """The status that an error object inside a 200 stands for, where it says so."""
    for name in ("status", "code"):
        value = error.get(name)
        if type(value) is int and 400 <= value < 600:
            return value
    return 400 if error.get("code") == "context_length_exceeded" else 500
