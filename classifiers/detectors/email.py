"""E-mail addresses (RFC 5321's usual forms, letters of any script). Never a decorator, a package or a file name."""

from __future__ import annotations

from collections.abc import Sequence

from classifiers.detectors.base import Piece, pattern
from classifiers.types import Match

_ADDRESS = (
    "[\\pL\\pN!#$%&'*+/=?^_`{|}~-](?:[\\pL\\pN\\pM!#$%&'*+/=?^_`{|}~.-]{0,63})"
    "@(?:((?:[\\pL\\pN](?:[\\pL\\pN\\pM-]{0,62})\\.)+(?:xn--[a-zA-Z0-9-]{2,59}|\\pL[\\pL\\pM]{1,23}))"
    "|\\[[0-9a-fA-F.:]{7,45}\\])"
)
# Endings of file names that are no top-level domain: `icon@2x.png`, `main@abc.js`.
_FILES = frozenset(
    b"png jpg jpeg gif svg webp bmp js ts jsx tsx css scss html htm json yaml yml txt csv pdf xml lock".split()
)
_LEADING = b"!#$%&'*/=?^`{|}~"  # legal in an address, but in front of one they are almost always quoting or syntax


class EmailDetector:
    """EMAIL_ADDRESS."""

    name = "email"
    entities = frozenset({"EMAIL_ADDRESS"})
    triggers = ("[^\\s@]@[^\\s@]",)

    def __init__(self) -> None:
        self._address = pattern(_ADDRESS)

    def detect(self, piece: Piece, hits: Sequence[int]) -> list[Match]:
        """Addresses in the piece, without the punctuation that quotes them."""
        found = []
        for hit in piece.find(self._address):
            start, end = hit.span()
            while piece.data[start : start + 1] in _LEADING and piece.data[start + 1 : start + 2] != b"@":
                start += 1
            local, _, domain = piece.data[start:end].partition(b"@")
            if domain.rpartition(b".")[2].lower() in _FILES:
                continue
            if local in (b"git", b"hg", b"svn") and piece.data[end : end + 1] in (b":", b"/"):
                continue
            found.append(Match("EMAIL_ADDRESS", start, end, 1.0))
        return found
