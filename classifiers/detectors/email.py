"""E-mail addresses (RFC 5321's usual forms, letters of any script). Never a decorator, a package or a file name."""

from __future__ import annotations

from collections.abc import Sequence

from classifiers.detectors.base import Piece, pattern
from classifiers.types import Match

_ADDRESS = (
    '(?:"[^"\\x00\\n@]{1,64}"|[\\pL\\pN!#$%&\'*+/=?^_`{|}~-](?:[\\pL\\pN\\pM!#$%&\'*+/=?^_`{|}~.-]{0,63}))'
    "@(?:((?:[\\pL\\pN](?:[\\pL\\pN\\pM-]{0,62})\\.)+(?:xn--[a-zA-Z0-9-]{2,59}|\\pL[\\pL\\pM]{1,23}))"
    "|\\[[0-9a-fA-F.:]{7,45}\\])"
)
# Endings of file names that are no top-level domain: `icon@2x.png`, `main@abc.js`.
_FILE_ENDINGS = """
    png jpg jpeg gif svg webp bmp js ts jsx tsx css scss html htm json yaml yml txt csv pdf xml lock zip gz tgz tar whl
    jar exe dll md rst ini cfg toml sql log map mjs cjs vue svelte ico woff pem crt
"""
_FILES = frozenset(_FILE_ENDINGS.encode("ascii").split())
# Endings in front of a bracket that are a domain's; any other name there is a method: `weights@x.transpose()`.
_DOMAIN_ENDINGS = """
    com org net edu gov mil int info biz io co ai app dev me de fr es it nl uk at ch be lu ie pt pl cz se no dk fi eu us
    ca au nz jp cn in br mx ru
"""
_DOMAINS = frozenset(_DOMAIN_ENDINGS.encode("ascii").split())
_LEADING = b"!#$%&'*/=?^`{|}~"  # legal in an address, but in front of one they are almost always quoting or syntax


class EmailDetector:
    """EMAIL_ADDRESS."""

    name = "email"
    entities = frozenset({"EMAIL_ADDRESS"})
    triggers = ("[^\\s@]@(?:[\\pL\\pN][^\\s@]{0,63}\\.[\\pLx]|\\[)",)

    def __init__(self) -> None:
        self._address = pattern(_ADDRESS)

    def detect(self, piece: Piece, hits: Sequence[int]) -> list[Match]:
        """Addresses in the piece, without the punctuation that quotes them."""
        found = []
        for hit in piece.find(self._address):
            start, end = hit.span()
            while piece.data[start] in _LEADING:
                start += 1
            if piece.data[start] != 0x40 and not _is_something_else(piece, start, end):
                found.append(Match("EMAIL_ADDRESS", start, end, 1.0))
        return found


def _is_something_else(piece: Piece, start: int, end: int) -> bool:
    """Whether it is a file, a repository, a product of matrices, or a handle of a social network."""
    local, _, domain = piece.data[start:end].rpartition(b"@")
    ending, following = domain.rpartition(b".")[2].lower(), piece.data[end : end + 1]
    if ending in _FILES or (local in (b"git", b"hg", b"svn") and following in (b":", b"/")):
        return True
    if following == b"(" and ending not in _DOMAINS:
        return True
    return piece.data[start - 1 : start] == b"@" and not piece.data[max(0, start - 2) : start - 1].isalnum()
