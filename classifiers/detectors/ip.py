"""IP addresses, version 4 and 6. Never a loopback or unspecified address, a version number or a time."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from classifiers.detectors.base import Piece, pattern
from classifiers.types import Match

_V4 = pattern("\\b\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}\\b")
_V6 = pattern("(?i)[0-9a-f:]*:[0-9a-f]{0,4}:[0-9a-f:]*(?:\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}\\.\\d{1,3})?", longest=True)
_VERSION = pattern("(?:\\bv(?:er|ersion)?\\.? ?|version:? ?|\\brelease ?|==|>=|<=|~=|\\^|@|section |chapter |build )$")


class IpDetector:
    """IP_ADDRESS."""

    name = "ip"
    entities = frozenset({"IP_ADDRESS"})
    triggers = ("\\d\\.\\d{1,3}\\.\\d{1,3}\\.\\d", "(?i)[0-9a-f]{0,4}:[0-9a-f]{0,4}:[0-9a-f:]")

    def detect(self, piece: Piece, hits: Sequence[int]) -> list[Match]:
        """Addresses that `ipaddress` accepts and that name another host."""
        found = []
        if 0 in hits:
            for hit in piece.find(_V4):
                start, end = hit.span()
                if self._is_v4(piece, start, end):
                    found.append(Match("IP_ADDRESS", start, end, 1.0))
        if 1 in hits:
            for hit in piece.find(_V6):
                start, end = hit.span()
                while end > start and piece.data[end - 1 : end] == b":" and piece.data[end - 2 : end] != b"::":
                    end -= 1
                if piece.is_free(start, end, b".") and _is_v6(piece.data[start:end].decode("ascii")):
                    found.append(Match("IP_ADDRESS", start, end, 1.0))
        return found

    def _is_v4(self, piece: Piece, start: int, end: int) -> bool:
        data = piece.data
        if data[start - 1 : start] in (b".", b"-") and data[start - 2 : start - 1].isdigit():
            return False
        if data[end : end + 1] in (b".", b"-") and data[end + 1 : end + 2].isalnum():
            return False
        if not piece.is_free(start, end) or _VERSION.search(piece.before(start, 12)):
            return False
        return _names_a_host(data[start:end].decode("ascii"))


def _is_v6(text: str) -> bool:
    """A full address, or a compressed one with a digit (`a::b` is far more often C++ or Rust)."""
    if "::" in text and not any(character.isdigit() for character in text):
        return False
    return text.count(":") >= 2 and _names_a_host(text)


def _names_a_host(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified)
