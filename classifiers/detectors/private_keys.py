"""Private keys as blocks of text, and password hashes: one SECRET from first to last line. Never a public key."""

from __future__ import annotations

from collections.abc import Sequence

from classifiers.detectors.base import Piece, pattern
from classifiers.types import Match

_BLOCK = pattern("-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----")
_PUTTY = pattern("PuTTY-User-Key-File-\\d:")
_PUTTY_END = b"Private-MAC:"
_HASH = pattern(
    "\\$2[abxy]\\$\\d\\d\\$[./A-Za-z0-9]{53}|\\$(?:1|5|6|y|gy|7)\\$(?:rounds=\\d+\\$)?[./A-Za-z0-9]{1,24}\\$[./A-Za-z0-9]{20,90}"
    "|\\$argon2(?:id|i|d)\\$v=\\d+\\$[\\w=,]{5,40}\\$[+/A-Za-z0-9]{8,90}\\$[+/A-Za-z0-9]{16,120}"
    "|\\b(?:pbkdf2_sha256|scrypt)[$:]\\d[^\\s\"'\\x00]{30,200}"
)
_LONGEST = 16 * 1024  # a 16384-bit RSA key in PEM


class PrivateKeyDetector:
    """SECRET: PEM, OpenSSH, PGP and PuTTY private keys, and the hashes of passwords."""

    name = "private_keys"
    entities = frozenset({"SECRET"})
    triggers = (
        "---- ?BEGIN ",
        "PuTTY-User-Key-File",
        "\\$(?:2[abxy]|1|5|6|y|gy|7|argon2\\w{1,2})\\$|pbkdf2_sha256|\\bscrypt[$:]\\d",
    )

    def detect(self, piece: Piece, hits: Sequence[int]) -> list[Match]:
        """Whole blocks, also where they go on behind the piece."""
        spans: list[tuple[int, int]] = []
        if 0 in hits:
            spans += [(hit.start(), _end_of_block(piece, hit.end())) for hit in piece.find(_BLOCK)]
        if 1 in hits:
            spans += [(hit.start(), _end_of_putty(piece, hit.end())) for hit in piece.find(_PUTTY)]
        if 2 in hits:
            spans += [hit.span() for hit in piece.find(_HASH)]
        return [Match("SECRET", start, end, 1.0) for start, end in spans]


def _end_of_block(piece: Piece, start: int) -> int:
    """Where the key ends: behind its END line, or else with the string."""
    rest = piece.data[start : start + _LONGEST].partition(b"\x00")[0]
    end = rest.find(b"---- END ") if piece.data[start - 5 : start] == b" ----" else rest.find(b"-----END ")
    if end < 0:
        return start + len(rest.rstrip())
    close = rest.find(b"----", end + 9)
    if close < 0:
        return start + len(rest.rstrip())
    while rest[close : close + 1] == b"-":
        close += 1
    return start + close


def _end_of_putty(piece: Piece, start: int) -> int:
    """Where the file ends: behind the line of its MAC, or else with the string."""
    rest = piece.data[start : start + _LONGEST].partition(b"\x00")[0]
    at = rest.find(_PUTTY_END)
    line = rest.find(b"\n", at) if at >= 0 else -1
    return start + (line if line >= 0 else len(rest.rstrip()))
