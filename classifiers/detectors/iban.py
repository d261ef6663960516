"""International bank account numbers (ISO 13616): country length and structure, mod 97, in any grouping or case."""

from __future__ import annotations

from collections.abc import Sequence

from stdnum import iban

from classifiers.detectors.base import GAP, Piece, pattern
from classifiers.types import Match

# Country code and the length of its IBANs (SWIFT registry).
_REGISTRY = """
    AD:24 AE:23 AL:28 AT:20 AZ:28 BA:20 BE:16 BG:22 BH:22 BI:27 BR:29 BY:28 CH:21 CR:22 CY:28 CZ:24 DE:22 DJ:27
    DK:18 DO:28 EE:20 EG:29 ES:24 FI:18 FK:18 FO:18 FR:27 GB:22 GE:22 GI:23 GL:18 GR:27 GT:28 HN:28 HR:21 HU:28
    IE:22 IL:23 IQ:23 IS:26 IT:27 JO:30 KW:30 KZ:20 LB:28 LC:32 LI:21 LT:20 LU:20 LV:21 LY:25 MC:27 MD:24 ME:22
    MK:19 MN:20 MR:27 MT:31 MU:30 NI:28 NL:18 NO:15 OM:23 PK:24 PL:28 PS:29 PT:25 QA:29 RO:24 RS:22 RU:33 SA:24
    SC:31 SD:18 SE:24 SI:19 SK:24 SM:27 SO:23 ST:25 SV:28 TL:23 TN:24 TR:26 UA:29 VA:22 VG:24 XK:20 YE:30
"""
_LENGTHS = {entry[:2]: int(entry[3:]) for entry in _REGISTRY.split()}
_LETTERS = "|".join(
    first + GAP + "?[" + "".join(sorted(code[1] for code in _LENGTHS if code[0] == first)) + "]"
    for first in sorted({code[0] for code in _LENGTHS})
)
_START = "(?i)\\b(?:" + _LETTERS + ")" + GAP + "{0,2}\\d" + GAP + "{0,2}\\d" + GAP + "{0,2}[0-9A-Z]"
_BODY = pattern("^(?:(?:" + GAP + "|[\\r\\n_:,;|*]){0,3}[0-9A-Za-z]){4,40}")
_VALUES = {character: str(int(character, 36)) for character in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
_NOT_ALNUM = bytes(byte for byte in range(256) if not (byte < 128 and chr(byte).isalnum()))


class IbanDetector:
    """IBAN_CODE."""

    name = "iban"
    entities = frozenset({"IBAN_CODE"})
    triggers = (_START,)

    def __init__(self) -> None:
        self._start = pattern(_START)

    def detect(self, piece: Piece, hits: Sequence[int]) -> list[Match]:
        """Numbers whose country, length and check digits agree."""
        found = []
        for hit in piece.find(self._start):
            start = hit.start()
            end = _end(piece.data, start)
            if end and not piece.data[end : end + 1].isalnum():
                found.append(Match("IBAN_CODE", start, end, 1.0))
        return found


def _end(data: bytes, start: int) -> int:
    """Where the valid number ends that begins here, up to three separators between two of its characters; or 0."""
    body = _BODY.search(data[start : start + 200])
    if body is None:
        return 0
    written = bytes(body.group())
    letters = written.translate(None, _NOT_ALNUM).upper()
    length = _LENGTHS.get(letters[:2].decode("ascii"), 0)
    if not length or len(letters) < length or not letters[2:4].isdigit():
        return 0
    number = letters[:length].decode("ascii")
    if not _adds_up(number) or not iban.is_valid(number, check_country=False):
        return 0
    left = length
    for place, byte in enumerate(written):
        left -= byte not in _NOT_ALNUM
        if not left:
            return start + place + 1
    return 0


def _adds_up(number: str) -> bool:
    """ISO 7064's mod 97, in one division: `stdnum` is asked only about what passes."""
    return int("".join(map(_VALUES.__getitem__, number[4:] + number[:4]))) % 97 == 1
