"""Payment card numbers (ISO/IEC 7812): issuer range, length, Luhn digit. Never a number of the right length alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any, Literal

from stdnum import luhn

from classifiers.detectors.base import GAP, SEVEN_DIGITS, Piece, digit_groups, pattern
from classifiers.types import Match

_RUN = pattern("\\d(?:" + GAP + "{0,3}\\d){11,255}")
# Groups as on the card, with signs between them that also separate numbers of a list: all of them must be the same.
_ODD = "[_,:;|*~+=\\\\\\r\\n]"
_LISTED = pattern(
    f"\\d{{4}}(?:{_ODD}| ){{1,3}}(?:\\d{{4}}(?:{_ODD}| ){{1,3}}\\d{{4}}(?:{_ODD}| ){{1,3}}\\d{{4}}|"
    f"\\d{{6}}(?:{_ODD}| ){{1,3}}\\d{{4,5}})"
)
_DIGITS = re.compile(rb"[0-9]+")
_GAPS = pattern("\\D+")
_CONTEXT = pattern(
    "(?:card|credit|debit|visa|master ?card|maestro|amex|american express|discover|diners|jcb|union ?pay|\\bpan\\b"
    "|\\bcc\\b|karte|carte|tarjeta|carta|kaart|cvv|cvc|expir|payment)"
)
# First and last prefix, lengths, whether the range is wide enough to need a word about cards nearby when ungrouped.
_RANGES: tuple[tuple[str, str, frozenset[int], bool], ...] = (
    ("4", "4", frozenset({13, 16, 19}), False),  # Visa
    ("51", "55", frozenset({16}), False),  # Mastercard
    ("2221", "2720", frozenset({16}), False),
    ("34", "34", frozenset({15}), False),  # American Express
    ("37", "37", frozenset({15}), False),
    ("6011", "6011", frozenset(range(16, 20)), False),  # Discover
    ("644", "659", frozenset(range(16, 20)), False),
    ("300", "305", frozenset(range(14, 20)), False),  # Diners Club
    ("3095", "3095", frozenset(range(14, 20)), False),
    ("36", "36", frozenset(range(14, 20)), False),
    ("38", "39", frozenset(range(14, 20)), False),
    ("3528", "3589", frozenset(range(16, 20)), False),  # JCB
    ("1800", "1800", frozenset({15}), True),
    ("2131", "2131", frozenset({15}), True),
    ("62", "62", frozenset(range(16, 20)), False),  # UnionPay
    ("81", "82", frozenset({16}), False),  # UnionPay, RuPay
    ("60", "60", frozenset({16}), False),  # RuPay
    ("2200", "2204", frozenset(range(16, 20)), False),  # Mir
    ("9792", "9792", frozenset({16}), False),  # Troy
    ("0604", "0604", frozenset(range(12, 20)), True),
    ("50", "50", frozenset(range(12, 20)), True),  # Maestro, Verve, Elo
    ("56", "58", frozenset(range(12, 20)), True),
    ("63", "69", frozenset(range(12, 20)), True),
)
_BY_DIGIT = {
    digit: tuple(row for row in _RANGES if row[0][0] <= digit <= row[1][0])
    for digit in sorted({row[0][0] for row in _RANGES})
}


class CardDetector:
    """CREDIT_CARD, with any separators, 12 to 19 digits."""

    name = "card"
    entities = frozenset({"CREDIT_CARD"})
    triggers = (SEVEN_DIGITS, f"\\d{{4}} ?{_ODD} ?\\d{{4}}")

    def detect(self, piece: Piece, hits: Sequence[int]) -> list[Match]:
        """Valid numbers that begin and end where a group of digits does."""
        found: list[Match] = []
        if 1 in hits:
            found += [
                Match("CREDIT_CARD", hit.start(), hit.end(), 0.9)
                for hit in piece.find(_LISTED)
                if self._is_listed(piece, hit)
            ]
        for run in piece.find(_RUN) if 0 in hits else ():
            groups = digit_groups(piece.data, *run.span())
            if len(groups) == 2 and piece.data[groups[0][1] : groups[1][0]] == b".":
                continue  # a decimal fraction
            taken = 0
            for start, end in _windows(piece.data, groups):
                if start >= taken and self._is_card(piece, start, end):
                    found.append(Match("CREDIT_CARD", start, end, 1.0))
                    taken = end
        return found

    def _is_listed(self, piece: Piece, hit: Any) -> bool:
        """Whether the groups stand alone, parted by one and the same sign, and are a card."""
        start, end = hit.span()
        gaps = {gap.group() for gap in _GAPS.finditer(hit.group())}
        around = piece.data[start - 1 : start].strip(), piece.data[end : end + 1].strip()
        if len(gaps) != 1 or any(sign and sign in next(iter(gaps)) for sign in around):
            return False
        return self._is_card(piece, start, end)

    def _is_card(self, piece: Piece, start: int, end: int) -> bool:
        digits = bytes(byte for byte in piece.data[start:end] if 48 <= byte <= 57).decode("ascii")
        return bool(needs := _issuer(digits)) and luhn.is_valid(digits) and self._is_meant(piece, start, end, needs)

    def _is_meant(self, piece: Piece, start: int, end: int, needs: str) -> bool:
        """Whether digits that are a card's are written as one, or a word about cards is near."""
        if piece.data[start - 1 : start] == b"+" or not piece.is_free(start, end):
            return False
        sizes = [len(group) for group in _DIGITS.findall(piece.data[start:end])]
        if needs == "digits" and _is_grouped_as_card(sizes):
            return True
        return bool(_CONTEXT.search(piece.before(start)) or _CONTEXT.search(piece.after(end)))


def _issuer(digits: str) -> Literal["", "digits", "context"]:
    """What a number of an issuer's range needs to count; empty where no issuer has it."""
    if not 12 <= len(digits) <= 19 or len(set(digits)) < 2:
        return ""
    for low, high, lengths, wide in _BY_DIGIT.get(digits[0], ()):
        if low <= digits[: len(low)] <= high and len(digits) in lengths:
            return "context" if wide else "digits"
    return ""


def _is_grouped_as_card(sizes: list[int]) -> bool:
    """Whether cards are written so; rows of tables, telephone and order numbers are grouped in other ways."""
    if len(sizes) == 1 or sizes in ([4, 6, 5], [4, 6, 4], [4, 3, 3, 3], [4, 4, 5]):
        return True
    if all(size in (4, 8, 12) for size in sizes):  # groups of four, some of which ran together
        return True
    even = sizes[0] in (1, 2, 4) and set(sizes[:-1]) == {sizes[0]} and sizes[-1] <= sizes[0]
    return even or (len(sizes) == 2 and sizes[0] in (4, 6))


def _windows(data: bytes, groups: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Spans of neighbouring groups that hold a number with an issuer and a right last digit: from the left, the longest
    first. Works on the digits of the whole run, so that a table of numbers costs little."""
    digits = "".join([data[low:high].decode("ascii") for low, high in groups])
    ends = [0, *accumulate(high - low for low, high in groups)]
    for first, (start, _) in enumerate(groups):
        if digits[ends[first]] not in _BY_DIGIT:
            continue
        last = min(len(groups), first + 19)
        for after in range(last, first, -1):
            size = ends[after] - ends[first]
            if size < 12:
                break
            if size <= 19:
                number = digits[ends[first] : ends[after]]
                if _issuer(number) and luhn.checksum(number) == 0:
                    yield start, groups[after - 1][1]
