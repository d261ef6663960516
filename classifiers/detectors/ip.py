"""IP addresses, version 4 and 6. Never the unspecified address, a version, a time or a slice."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from classifiers.detectors.base import Piece, pattern
from classifiers.types import Match

_V4 = pattern("\\b\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}\\b")
_V6 = pattern("(?i)[0-9a-f:]*:[0-9a-f]{0,4}:[0-9a-f:]*(?:\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}\\.\\d{1,3})?", longest=True)
_VERSION = pattern(
    "(?:\\bv(?:er|ersion)?\\.? ?|version:? ?|\\brelease ?|==|>=|<=|~=|\\^|@|section |chapter |§ ?|build |since |"
    "up(?:grade|date)[sd]? to |(?:fixe[sd]|introduced|added|removed) in |\\brev(?:ision)?\\.? )$"
)


class IpDetector:
    """IP_ADDRESS."""

    name = "ip"
    entities = frozenset({"IP_ADDRESS"})
    triggers = ("\\d\\.\\d{1,3}\\.\\d{1,3}\\.\\d", "(?i)[0-9a-f]{0,4}:[0-9a-f]{0,4}:[0-9a-f:]")

    def detect(self, piece: Piece, hits: Sequence[int]) -> list[Match]:
        """Addresses that `ipaddress` accepts and that name a host, this one included."""
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
                goes_on = piece.data[end : end + 1] in (b".", b"-") and piece.data[end + 1 : end + 2].isalnum()
                if piece.is_free(start, end) and not goes_on and _is_v6(piece, start, end):
                    found.append(Match("IP_ADDRESS", start, end, 1.0))
        return found

    def _is_v4(self, piece: Piece, start: int, end: int) -> bool:
        data = piece.data
        if data[start - 1 : start] in (b".", b"-") and data[start - 2 : start - 1].isdigit():
            return False
        if data[end : end + 1] in (b".", b"-") and data[end + 1 : end + 2].isalnum():
            return False
        if not piece.is_free(start, end) or _VERSION.search(piece.before(start, 16)):
            return False
        return _names_a_host(data[start:end].decode("ascii"))


def _is_v6(piece: Piece, start: int, end: int) -> bool:
    """A full address, or a compressed one with a digit (`a::b` is more often C++ or Rust), and no slice."""
    text = piece.data[start:end].decode("ascii")
    if "::" in text:
        groups = [group for group in text.split(":") if group]
        if not any(character.isdigit() for character in text) or _is_slice(piece, start):
            return False
        if len(groups) <= 2 and text != "::1" and max(map(len, groups), default=0) < 3:
            return False
    return text.count(":") >= 2 and _names_a_host(text)


def _is_slice(piece: Piece, start: int) -> bool:
    """Whether it stands in the brackets behind a name or a bracket: `rows[::2]`."""
    opener, owner = piece.data[start - 1 : start], piece.data[max(0, start - 2) : start - 1]
    return opener == b"[" and (owner.isalnum() or owner in (b"_", b")", b"]"))


def _names_a_host(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not address.is_unspecified
