"""Long blobs that look encoded and cannot be read: which of them are forms that everybody may read past.

Recognised are digests, public keys and certificates, signatures of tokens, integrity strings. The rest is a gap.
"""

from __future__ import annotations

import binascii
import math
import re
from collections import Counter
from typing import Final

from classifiers.types import UnknownKind

LONGER_THAN: Final = 64  # characters; shorter blobs are ids, digests and keys, of which detectors know the secret ones
ENTROPY: Final = 4.5  # bits a character, of base64 and its kin (random: 5.1 at 65 characters, near 6 at 1,000)
HEX_ENTROPY: Final = 3.2  # of hexadecimal (random: 3.8 to 4)
_CHANGES: Final = 0.3  # of neighbours that differ in kind (capital, small letter, digit, mark); random 0.65, names 0.15
_DIGIT_SHARE: Final = 0.03  # at least; random 0.16
_DIGESTS: Final = frozenset({32, 40, 56, 64, 96, 128})
_DIGEST_BYTES: Final = frozenset({16, 20, 28, 32, 48, 64})
_PART: Final = 16  # characters of a path's longest part; random base64 has a mark every 32
_MARKS = re.compile(r"[+/_\-]")
_HEX = re.compile(r"(?:0[xX])?([0-9a-fA-F]+)")
_KINDS = bytes(
    1 if 48 <= code <= 57 else 2 if 65 <= code <= 90 else 3 if 97 <= code <= 122 else 4 for code in range(256)
)
_INTEGRITY = re.compile(r"(?i)(?:^|[^a-z0-9])(?:sha-?\d{1,3}|md5|h1|blake[23][bs]?|10c0)[-:=/]{1,2}$")
_INSIDE_INTEGRITY = re.compile(r"(?i)^(?:.*[-/_])?(?:sha-?\d{1,3}|md5)[-_/]{1,2}")
_TOKEN_HEAD = re.compile(r"ey[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{2,}\.$")
_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----")
_PUBLIC = re.compile(r"PUBLIC KEY|CERTIFICATE|X509 CRL|PGP SIGNATURE|SSH SIGNATURE|PRIVATE KEY")  # private: a finding
_SSH = re.compile(rb"\x00\x00\x00.(?:ssh-|ecdsa-|sk-)")
# How files begin that no text reader reads: what is in the text is then an image, a sound or another file.
_MEDIA: Final[tuple[tuple[UnknownKind, tuple[bytes, ...]], ...]] = (
    ("image", (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"\x00\x00\x01\x00", b"BM")),
    ("audio", (b"ID3", b"OggS", b"fLaC", b"\xff\xfb")),
    (
        "file",
        (b"%PDF-", b"PK\x03\x04", b"wOFF", b"wOF2", b"\x00\x01\x00\x00\x00", b"OTTO", b"\x7fELF", b"\xd0\xcf\x11\xe0"),
    ),
)


def kind_of_blob(text: str, start: int, token: str) -> UnknownKind | None:
    """What the blob at `start` is as an unknown: `image`, `audio`, `file`, `undecodable`; None for what is no blob."""
    core = token.rstrip("=")
    if len(core) <= LONGER_THAN or _is_recognised(text, start, core):
        return None
    hexadecimal = _HEX.fullmatch(core)
    if hexadecimal is not None:
        digits = hexadecimal[1]
        letters = sum(character.isalpha() for character in digits) / len(digits)
        is_blob = 0.15 <= letters <= 0.6 and _entropy(digits) >= HEX_ENTROPY
        return "undecodable" if is_blob else None
    raw = _bytes_of(core)
    for kind, beginnings in _MEDIA:
        if raw.startswith(beginnings) and _mixed(core) > _CHANGES / 2:
            return kind
    if sum(character.isdigit() for character in core) < max(2, _DIGIT_SHARE * len(core)):
        return None
    if _entropy(core) < ENTROPY or _mixed(core) < _CHANGES or _is_path(core):
        return None
    return "undecodable"


def _is_path(core: str) -> bool:
    """Many short parts: a path, a slug, a list of ids."""
    parts = _MARKS.split(core)
    return len(parts) >= 4 and all(len(part) <= _PART or is_digest(part) for part in parts)


def is_digest(part: str) -> bool:
    """Whether these are the hexadecimal digits of a digest, and nothing else."""
    return len(part) in _DIGESTS and _HEX.fullmatch(part) is not None


def _is_recognised(text: str, start: int, core: str) -> bool:
    hexadecimal = _HEX.fullmatch(core)
    if hexadecimal is not None:
        digits = hexadecimal[1]
        return len(digits) in _DIGESTS or (len(digits) in (66, 130) and digits[:2] in ("02", "03", "04"))
    before = text[max(0, start - 16) : start]
    inside = _INSIDE_INTEGRITY.match(core)
    if inside is not None or _INTEGRITY.search(before):
        rest = core[inside.end() :] if inside is not None else core
        digits_only = _HEX.fullmatch(rest) is not None
        return len(rest) in _DIGESTS if digits_only else len(_bytes_of(rest)) in _DIGEST_BYTES
    if before.endswith(".") and _TOKEN_HEAD.search(text, max(0, start - 8192), start):
        return True
    if _SSH.match(_bytes_of(core)):
        return True
    return _is_in_public_block(text, start)


def _is_in_public_block(text: str, start: int) -> bool:
    low = max(0, start - 16384)
    at = text.rfind("-----BEGIN ", low, start)
    if at < 0 or text.find("-----END ", at, start) >= 0:
        return False
    block = _BLOCK.match(text, at)
    return block is not None and _PUBLIC.search(block[1]) is not None


def _bytes_of(token: str) -> bytes:
    plain = token.replace("-", "+").replace("_", "/")
    plain = plain[: len(plain) - (len(plain) % 4 == 1)]
    try:
        return binascii.a2b_base64(plain + "=" * (-len(plain) % 4))
    except binascii.Error:
        return b""


def _entropy(token: str) -> float:
    total = len(token)
    return -sum(count / total * math.log2(count / total) for count in Counter(token).values())


def _mixed(token: str) -> float:
    """The share of neighbours that are of different kinds."""
    kinds = token.encode("ascii", "replace").translate(_KINDS)
    return sum(map(int.__ne__, kinds, kinds[1:])) / max(1, len(kinds) - 1)
