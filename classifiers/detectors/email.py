"""E-mail addresses (RFC 5321's usual forms, letters of any script). Never a decorator, package, file or handle."""

from __future__ import annotations

from collections.abc import Sequence

from classifiers.detectors.base import Piece, pattern
from classifiers.types import Match

_LOCAL = pattern('(?:"[^"\\x00\\n@]+"|[\\pL\\pN!#$%&\'*+/=?^_`{|}~-][\\pL\\pN\\pM!#$%&\'*+/=?^_`{|}~.-]*)$')
_DOMAIN = pattern(
    "^(?:(?:[\\pL\\pN][\\pL\\pN\\pM-]*\\.)+(?:xn--[a-zA-Z0-9-]+|\\pL[\\pL\\pM]+)|\\[[0-9a-fA-F.:]{7,45}\\])"
)
_LOCAL_BYTES, _DOMAIN_BYTES = 160, 255  # 64 characters; RFC 5321's limit for a domain
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

    def detect(self, piece: Piece, hits: Sequence[int]) -> list[Match]:
        """Addresses in the piece, without the punctuation that quotes them."""
        found: list[Match] = []
        at = piece.data.find(b"@", piece.start, piece.stop)
        while at >= 0:
            span = _around(piece.data, at, found[-1].end if found else 0)
            if span is not None and not _is_something_else(piece, *span):
                found.append(Match("EMAIL_ADDRESS", span[0], span[1], 1.0))
            at = piece.data.find(b"@", at + 1, piece.stop)
        return found


def _around(data: bytes, at: int, taken: int) -> tuple[int, int] | None:
    """Where the address with this at sign begins and ends."""
    domain = _DOMAIN.search(data[at + 1 : at + 1 + _DOMAIN_BYTES])
    if domain is None:
        return None
    low = max(taken, at - _LOCAL_BYTES)
    while low < at and data[low] & 0xC0 == 0x80:
        low += 1
    local = _LOCAL.search(data[low:at])
    if local is None:
        return None
    start = low + int(local.start())
    while data[start] in _LEADING:
        start += 1
    return (start, at + 1 + int(domain.end())) if start < at else None


def _is_something_else(piece: Piece, start: int, end: int) -> bool:
    """Whether it is a file, a repository, a product of matrices, or a handle of a social network."""
    local, _, domain = piece.data[start:end].rpartition(b"@")
    ending, following = domain.rpartition(b".")[2].lower(), piece.data[end : end + 1]
    if ending in _FILES or (local in (b"git", b"hg", b"svn") and following in (b":", b"/")):
        return True
    if following == b"(" and ending not in _DOMAINS:
        return True
    return piece.data[start - 1 : start] == b"@" and not piece.data[max(0, start - 2) : start - 1].isalnum()
