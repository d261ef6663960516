"""Server-sent events as OpenAI's clients read them: one `data:` line an event, comments as heartbeats, `[DONE]`."""

from __future__ import annotations

import orjson

from router.types import JsonObject

DONE = b"data: [DONE]\n\n"
HEARTBEAT = (
    b": waiting\n\n"  # a comment without an id before it: openai-python <= 2.37 trips over one after an `id:` line
)


def event(payload: JsonObject) -> bytes:
    """One chunk."""
    return b"data: " + orjson.dumps(payload) + b"\n\n"


def error_event(envelope: bytes) -> bytes:
    """The last event of a stream that failed; the official clients raise on it. No `[DONE]` follows."""
    return b"data: " + envelope + b"\n\n"
