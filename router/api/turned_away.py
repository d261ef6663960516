"""A request that is refused for want of room, answered from its bytes alone: what is refused must cost almost nothing.

Only what is plainly one whole request is answered here; everything else goes the usual way, and is refused there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from router.api.errors import error_headers
from router.api.headers import outcome_headers
from router.api.http import new_request_id
from router.errors import GatehouseError
from router.types import Outcome

_ANY_ID = "gh-" + "0" * 24  # as long as every id
_LINE = re.compile(rb"POST (/[!-~]*) HTTP/1\.1\r\n")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*\r\n", re.IGNORECASE)
# What has a meaning of its own: then the usual way finds out.
_ODD = re.compile(
    rb"\r\n(?:transfer-encoding|expect|upgrade|connection:(?![ \t]*keep-alive[ \t]*\r\n)|[ \t])|[^\r]\n", re.IGNORECASE
)

Envelope = Callable[[GatehouseError, str], bytes]


class Refusals:
    """The same refusal in the dialect of each path, made once."""

    def __init__(self, envelopes: Mapping[str, Envelope], error: GatehouseError, *, closes: bool = False) -> None:
        """`closes`: the connection ends with the answer, and says so."""
        self._answers = {
            path.encode(): whole_response(error, envelope(error, _ANY_ID), closes=closes)
            for path, envelope in envelopes.items()
        }

    def of(self, target: bytes) -> bytes | None:
        """The response to a request to `target`, if it is one of the paths."""
        answer = self._answers.get(target)
        return None if answer is None else _with_id(answer)

    def answer(self, data: bytes) -> bytes | None:
        """The response to `data`, if it is exactly one request to one of the paths; else None."""
        line = _LINE.match(data)
        answer = self._answers.get(line[1]) if line is not None else None
        if answer is None:
            return None
        end = data.find(b"\r\n\r\n") + 2
        head = data[:end]
        lengths = _LENGTH.findall(head)
        if end < 2 or len(lengths) != 1 or end + 2 + int(lengths[0]) != len(data):
            return None
        if head.lower().count(b"\r\ncontent-length") != 1 or _ODD.search(head):
            return None
        return _with_id(answer)


def _with_id(answer: bytes) -> bytes:
    return answer.replace(_ANY_ID.encode(), new_request_id().encode())


def whole_response(error: GatehouseError, body: bytes, request_id: str = _ANY_ID, *, closes: bool = True) -> bytes:
    """An error as the bytes of a response, for where there is no ASGI message to send."""
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *outcome_headers(request_id, Outcome()),
        *error_headers(error),
    ]
    if closes:
        headers.append((b"connection", b"close"))
    lines = [b"HTTP/1.1 %d %s" % (error.status, _REASONS.get(error.status, b"Refused"))]
    lines += [name + b": " + value for name, value in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


_REASONS = {
    400: b"Bad Request",
    408: b"Request Timeout",
    431: b"Request Header Fields Too Large",
    503: b"Service Unavailable",
}
