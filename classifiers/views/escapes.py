"""Characters written as escapes of URLs, HTML, quoted-printable mail, program text and JSON, read out.

A run of escapes is one change: what is found in it covers the whole run. A change names its decoding.
"""

from __future__ import annotations

import html
import re
from typing import Final

from classifiers.detectors.base import pattern
from classifiers.views.finding import spans
from classifiers.views.view import Change

_URL = pattern(r"(?:%[0-9A-Fa-f]{2})+")
_ENTITY = pattern(r"(?:&(?:#[xX][0-9a-fA-F]{1,6};?|#\d{1,7};?|[A-Za-z][A-Za-z0-9]{1,31};))+")
_QUOTED = pattern(r"(?:=[0-9A-F]{2}|=[ \t]*\r?\n)+")
_QUOTED_LOOSE = pattern(r"(?i)(?:=[0-9a-f]{2}|=[ \t]*\r?\n)+")
_UNICODE = pattern(r"(?:\\+(?:u[0-9a-fA-F]{4}|u\{[0-9a-fA-F]{1,6}\}|U[0-9a-fA-F]{8})|[uU]\+[0-9a-fA-F]{4,6}[ ,]?)+")
_CODE: Final = re.compile(r"[0-9a-fA-F]{4,8}|(?<=\{)[0-9a-fA-F]{1,6}")
_BYTES = pattern(r"(?:\\+x[0-9a-fA-F]{2})+|(?:\\+[0-3][0-7]{2}){2,}")
_NEWLINE = re.compile(r"\\+(?:[nrt]|/)(?=[0-9A-Za-z+(])")
_PAIR = re.compile("=([0-9A-Fa-f]{2})")
_PADDED = re.compile(r"[A-Za-z0-9+/_\-]{20}$")  # base64: its padding is no soft line break
_MARKS = frozenset(b"@._-+:/= ")


def url_escapes(text: str) -> list[Change]:
    """Runs of %XX."""
    return [
        Change(start, end, _decoded(bytes.fromhex(text[start:end].replace("%", ""))), ("url",))
        for start, end in spans(_URL, text)
    ]


def html_entities(text: str) -> list[Change]:
    """Runs of named, decimal and hexadecimal references. A name that HTML does not know stays."""
    changes = []
    for start, end in spans(_ENTITY, text):
        plain = html.unescape(text[start:end])
        if plain != text[start:end]:
            changes.append(Change(start, end, plain.replace("\xa0", " "), ("html",)))
    return changes


def quoted_printable(text: str) -> list[Change]:
    """Runs of =XX, and soft line breaks: several in a row, or a mark amid letters (`=42` is an assignment)."""
    changes = []
    is_mail = "=3D" in text or "=20\n" in text or "quoted-printable" in text.lower()
    for start, end in spans(_QUOTED_LOOSE if is_mail else _QUOTED, text):
        raw = bytes(int(code, 16) for code in _PAIR.findall(text[start:end]))
        if len(raw) == 1 and not (is_mail or (raw[0] in _MARKS and _is_amid(text, start, end))):
            continue
        if raw or (_is_amid(text, start, end) and not _PADDED.search(text, max(0, start - 24), start)):
            changes.append(Change(start, end, _decoded(raw), ("quoted_printable",)))
    return changes


def _is_amid(text: str, start: int, end: int) -> bool:
    return start > 0 and text[start - 1].isalnum() and text[end : end + 1].isalnum()


def code_escapes(text: str) -> list[Change]:
    r"""Runs of \uXXXX, \xXX and octal escapes, with any number of backslashes; \n, \r, \t in front of a value."""
    changes = []
    for start, end in spans(_UNICODE, text):
        codes = [int(code, 16) for code in _CODE.findall(text[start:end])]
        changes.append(Change(start, end, _from_codes(codes), ("unicode_escape",)))
    for start, end in spans(_BYTES, text):
        if "x" in text[start:end]:
            raw = bytes(int(code, 16) for code in re.findall("x(..)", text[start:end]))
        else:
            raw = bytes(int(code, 8) for code in re.findall("[0-7]{3}", text[start:end]))
        changes.append(Change(start, end, _decoded(raw), ("hex_escape",)))
    changes += [Change(*hit.span(), "/" if hit.group()[-1] == "/" else "\n") for hit in _NEWLINE.finditer(text)]
    return changes


def _from_codes(codes: list[int]) -> str:
    """Characters of code points and UTF-16 units; what is neither is a replacement character."""
    units = b"".join(
        chr(code).encode("utf-16-be", "surrogatepass") if code < 0x110000 else b"\xff\xfd" for code in codes
    )
    return units.decode("utf-16-be", "replace")


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
