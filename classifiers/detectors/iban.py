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
_START = "(?i)\\b(?:" + "|".join(_LENGTHS) + ")" + GAP + "{0,2}\\d" + GAP + "{0,2}\\d" + GAP + "{0,2}[0-9A-Z]"
_SEPARATOR = pattern("^" + GAP + "$")


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
            if start and piece.data[start - 1 : start].isalnum():
                continue
            length = _LENGTHS[piece.data[start : start + 2].decode("ascii").upper()]
            end, number = _take(piece.data, start, length)
            if len(number) == length and not piece.data[end : end + 1].isalnum() and _is_valid(number):
                found.append(Match("IBAN_CODE", start, end, 1.0))
        return found


def _take(data: bytes, start: int, length: int) -> tuple[int, str]:
    """The next `length` letters and digits from `start`, skipping up to three separators between two of them."""
    text = data[start : start + 4 * length].decode("utf-8", "ignore")
    number: list[str] = []
    gap, used = 0, 0
    for character in text:
        if character.isascii() and character.isalnum():
            number.append(character)
            gap = 0
        elif gap < 3 and _SEPARATOR.search(character):
            gap += 1
        else:
            break
        used += len(character.encode("utf-8"))
        if len(number) == length:
            break
    return start + used, "".join(number).upper()


def _is_valid(number: str) -> bool:
    return bool(iban.is_valid(number, check_country=False))
