"""Bytes of a request body to a dictionary: strict JSON, no duplicate keys, bounded depth, errors without content."""

from __future__ import annotations

import orjson

from router.errors import InvalidRequest
from router.types import JsonObject


def parse_json_object(raw: bytes, max_depth: int) -> JsonObject:
    """The object that `raw` holds.

    Raises `InvalidRequest` for broken JSON, invalid UTF-8, NaN, anything but an object, a key that stands twice in one
    object (RFC 8259 leaves its meaning open, so what is scanned could differ from what is read), or deeper nesting than
    `max_depth`.
    """
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(
            f"The body is not valid JSON (line {error.lineno}, column {error.colno}). Send one JSON object in UTF-8.",
            code="invalid_json",
        ) from None
    if not isinstance(body, dict):
        raise InvalidRequest("The body must be a JSON object.", code="invalid_json")
    if raw.count(b"{") + raw.count(b"[") > max_depth and _deeper_than(body, max_depth):
        raise InvalidRequest(f"The body is nested deeper than {max_depth} levels.", code="invalid_json")
    if _count_strings(raw) != _count_strings(orjson.dumps(body)):
        raise InvalidRequest("The body has a duplicate key; each key may stand once in an object.", code="invalid_json")
    return body


def _count_strings(raw: bytes) -> int:
    """Twice the strings, keys included, of valid JSON: the quotes that no backslash escapes.

    A parsed object has lost all but the last of its duplicate keys, so it shows fewer than the bytes it came from.
    """
    if b"\\" not in raw:
        return raw.count(b'"')
    # Dropping pairs of backslashes leaves one only where it escapes what follows.
    unpaired = raw.replace(b"\\\\", b"")
    return unpaired.count(b'"') - unpaired.count(b'\\"')


def _deeper_than(value: object, limit: int) -> bool:
    level: list[object] = [value]
    for _ in range(limit):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node if isinstance(node, list) else ())
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True
