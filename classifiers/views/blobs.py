"""Base64, base32 and hexadecimal that hold text, compressed or not, read out; and blobs that nothing here can read.

What is decoded is bounded by the room that is left: a bomb is a gap, never memory.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Final

from classifiers.detectors.base import pattern
from classifiers.types import UnknownKind
from classifiers.views.finding import spans
from classifiers.views.opaque import LONGER_THAN, kind_of_blob
from classifiers.views.room import Room
from classifiers.views.view import Change

_LETTERS = r"[A-Za-z0-9+/_\-]"
DIGITS_IN_BASE64: Final = "(?:[I-O][0-9A-Za-z]{3}){2}[I-O][0-9A-Za-z]{1,6}"  # nine to eleven digits and marks
# Too short to be a blob by its length: what changes between small letters and others, what ends in padding.
SHORT: Final = (
    r"\b[A-Za-z0-9]{0,12}[a-z0-9][A-Z][A-Za-z0-9]{1,12}={0,2}",
    r"\b[A-Z2-7]{8,15}={1,6}",
)
_TOKEN = pattern(rf"{_LETTERS}{{16,}}={{0,6}}|\b{DIGITS_IN_BASE64}={{0,2}}|{'|'.join(SHORT)}")
_LONG = 16  # characters; of a shorter token only an id is read
_ID = re.compile(r"[A-Za-z]{0,3}[ \-]?\d(?:[ \-./]?[0-9A-Za-z]){5,}")
_BREAK = re.compile(r"(?:\\r)?\r?(?:\\+n|\n)[ \t>]*")  # between the lines of one blob
_LAST_LINE = re.compile(rf"{_LETTERS}{{2,}}={{0,2}}(?=[ \t]*(?:[\r\n\"'`<\\]|$))")
_LINE = 40  # a shorter line ends a blob
_LISTED = pattern(r"\b(?:(?:0x|\\x|%)?[0-9a-fA-F]{2}(?:, ?|[ :\-\n])){7,}(?:0x|\\x|%)?[0-9a-fA-F]{2}\b")
_PAIR = re.compile(r"(?:0x|\\x|%)?([0-9a-fA-F]{2})(?![0-9a-fA-F])")
_HEX = re.compile(r"(?:0[xX])?([0-9a-fA-F]{16,})")
_HEX_LINE = re.compile(r"[0-9a-fA-F]+$")
_BASE32 = re.compile(r"[A-Z2-7]{10,}=*|[a-z2-7]{16,}=*")
_PLAIN = re.compile(r"[a-z_\-/]+")  # lower case throughout: words, paths
_MARKS = re.compile(r"[+/_\-]")
_READABLE = bytes((*range(0x20, 0x7F), 9, 10, 13))
_STRAY = 12
_BYTE_ORDERS = (b"\xff\xfe", b"\xfe\xff")
_SHORTEST = 6  # bytes: fewer are text by chance too often


def blobs(text: str, room: Room) -> tuple[list[Change], list[tuple[UnknownKind, int, int]]]:
    """What decodes to text, and (kind, start, end) of what looks encoded and does not."""
    changes: list[Change] = []
    gaps: list[tuple[UnknownKind, int, int]] = []
    for start, end in _tokens(text):
        room.check()
        token = text[start:end]
        if _PLAIN.fullmatch(token):
            continue
        found = list(_read(token, start, room))
        changes += found
        if end - start - sum(change.end - change.start for change in found) > LONGER_THAN:
            kind = kind_of_blob(text, start, _unbroken(token))
            if kind is not None and not _is_cut_by_escapes(text, start, end):
                gaps.append((kind, start, end))
    for start, end in spans(_LISTED, text):
        plain = readable(bytes.fromhex("".join(_PAIR.findall(text[start:end]))))
        if plain is not None:
            changes.append(Change(start, end, plain, ("hex",)))
    return changes, gaps


def _is_cut_by_escapes(text: str, start: int, end: int) -> bool:
    """Whether the blob goes on behind an escape: it is read where the escapes are undone."""
    return (
        text[end : end + 1] in ("%", "\\") or text[max(0, start - 3) : start - 2] == "%" or text[end : end + 2] == "&#"
    )


def _tokens(text: str) -> Iterator[tuple[int, int]]:
    """Where something may be encoded: runs of the alphabets' characters, those of several lines as one."""
    begin = end = -1
    for start, stop in spans(_TOKEN, text):
        if begin >= 0:
            gap = _BREAK.match(text, end)
            if gap is not None and gap.end() == start and end - begin >= _LINE and text[end - 1] != "=":
                end = stop
                continue
            yield begin, _with_last_line(text, begin, end)
        begin, end = start, stop
    if begin >= 0:
        yield begin, _with_last_line(text, begin, end)


def _with_last_line(text: str, begin: int, end: int) -> int:
    """Where the blob ends when a short last line belongs to it."""
    gap = _BREAK.match(text, end) if end - begin >= _LINE and text[end - 1] != "=" else None
    last = _LAST_LINE.match(text, gap.end()) if gap is not None else None
    is_other = last is not None and _HEX.fullmatch(text, begin, end) and not _HEX_LINE.match(last.group())
    return end if last is None or is_other else last.end()


def _unbroken(token: str) -> str:
    """The token without what breaks its lines."""
    return token if "\n" not in token and "\\" not in token else re.sub(r"\\+[rn]|[\s>]+", "", token)


def _read(whole: str, start: int, room: Room) -> Iterator[Change]:
    """The token as text; or those of its parts, cut at the alphabets' marks, that are text."""
    token = _unbroken(whole).rstrip("=")
    plain = _text_of(token, room)
    if plain is not None and (len(token) >= _LONG or _is_id(plain[0])):
        yield Change(start, start + len(whole), plain[0], plain[1])
        return
    at = start
    for part in _MARKS.split(whole):
        if 16 <= len(part) < len(token) and not _PLAIN.fullmatch(part):
            plain = _text_of(part.rstrip("="), room)
            if plain is not None:
                yield Change(at, at + len(part), plain[0], plain[1])
        at += len(part) + 1


def _is_id(text: str) -> bool:
    """Whether a short text is one that a short blob would be made of: mostly digits."""
    digits = sum(character.isdigit() for character in text)
    return digits >= 5 and digits * 2 > len(text) and _ID.fullmatch(text) is not None


def _text_of(token: str, room: Room) -> tuple[str, tuple[str, ...]] | None:
    """The token decoded by the first encoding that gives text, and the names of the decodings."""
    for name, decode in _DECODERS:
        raw = decode(token)
        if raw is None:
            continue
        plain = readable(raw)
        if plain is not None:
            room.take(len(plain))
            return plain, (name,)
        packed = _unpacked(raw, room)
        if packed is not None:
            return packed[0], (name, packed[1])
    return None


def _from_hex(token: str) -> bytes | None:
    hit = _HEX.fullmatch(token)
    if hit is None or len(hit[1]) % 2:
        return None
    return bytes.fromhex(hit[1])


def _from_base64(token: str) -> bytes | None:
    if "-" in token or "_" in token:
        token = token.replace("-", "+").replace("_", "/")
    if len(token) % 4 == 1:
        token = token[:-1]
    try:
        return binascii.a2b_base64(token + "=" * (-len(token) % 4))
    except binascii.Error:
        return None


def _from_base32(token: str) -> bytes | None:
    if not _BASE32.fullmatch(token):
        return None
    token = token.upper()
    token = token[: len(token) - (len(token) % 8 in (1, 3, 6))]
    try:
        return base64.b32decode(token + "=" * (-len(token) % 8))
    except binascii.Error:
        return None


_DECODERS: Final[tuple[tuple[str, Callable[[str], bytes | None]], ...]] = (
    ("hex", _from_hex),
    ("base64", _from_base64),
    ("base32", _from_base32),
)


def readable(raw: bytes) -> str | None:
    """The bytes as text (ASCII, UTF-8, UTF-16, Western), or None when they are none. A stray byte in twelve is text."""
    if len(raw) < _SHORTEST:
        return None
    odd = len(raw.translate(None, _READABLE))
    if raw.isascii() and odd <= len(raw) // _STRAY:
        return raw.decode("ascii")
    if raw.count(0) * 3 > len(raw) or raw[:2] in _BYTE_ORDERS:
        return _readable_utf16(raw)
    try:
        plain = raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace") if odd <= len(raw) // _STRAY else None
    return plain if _is_printable(plain) else None


def _readable_utf16(raw: bytes) -> str | None:
    if len(raw) % 2 or not (raw[:2] in _BYTE_ORDERS or not any(raw[1::2]) or not any(raw[0::2])):
        return None
    order = "utf-16-be" if raw[:2] == b"\xfe\xff" or not any(raw[0::2]) else "utf-16-le"
    try:
        plain = raw.decode(order).lstrip("\ufeff")
    except UnicodeDecodeError:
        return None
    return plain if _is_printable(plain) else None


def _is_printable(text: str) -> bool:
    if text.isprintable():
        return True
    odd = sum(not (character.isprintable() or character in "\t\n\r\u200b\u00ad") for character in text)
    return odd <= len(text) // _STRAY


def _unpacked(raw: bytes, room: Room) -> tuple[str, str] | None:
    """What gzip or zlib holds, as text, within the room."""
    name = "gzip" if raw[:3] == b"\x1f\x8b\x08" else "zlib"
    if name == "zlib" and not (len(raw) > 8 and raw[0] & 0x8F == 8 and int.from_bytes(raw[:2], "big") % 31 == 0):
        return None
    engine = zlib.decompressobj(wbits=47)
    try:
        inner = engine.decompress(raw, room.left + 1)
    except zlib.error:
        return None
    room.take(len(inner))
    plain = readable(inner)
    return None if plain is None else (plain, name)
