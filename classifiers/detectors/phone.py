"""Telephone numbers of any country (libphonenumber's metadata). Never a date, a version, a price or an order number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import phonenumbers
import re2

from classifiers.detectors.base import GAP, SEVEN_DIGITS, Piece, pattern
from classifiers.types import Match

DEFAULT_REGIONS = ("US", "GB", "DE", "FR", "ES", "IT", "NL", "IN", "AU", "BR")
_CHECKED = 8  # numbers a piece that libphonenumber confirms; in a text with more, their shape is enough
_RUN = pattern("(?:\\+" + GAP + "?)?\\(?\\d(?:" + GAP + "{0,3}\\d){6,40}(?:\\s?(?:x|ext\\.?|#)\\s?\\d{1,6})?")
_DIGITS = pattern("\\d+")
_EXTENSION = pattern("(?i)^\\s?(?:x|ext\\.?|#)\\s?\\d{1,6}\\b")
_CONTEXT = pattern(
    "(?i)\\b(?:(?:tele)?phone|telefon\\w*|tel[eé]fono|t[eé]l[eé]phone|tel|t[eé]l|mobile|mobil\\w*|m[oó]vil|portable"
    "|handy\\w*|cell(?:ulare|ular|phone)?|fax|whats ?app|signal|sms|text|dial|ring|call(?:ing|ed)?|callback"
    "|reach(?:ed|able)?|hotline|landline|rufnummer|rückruf|anrufen|erreichbar|ll[aá]m\\w+|appel\\w*|chiam\\w+|bel|voicemail|office"
    "|answer(?:ing|s)?|extension|my number|contact(?: me| number)?)\\b"
)
_LABEL = pattern("(?i)^[-/,:.]?\\s?(?:office|fax|home|work|mobile|cell|tel|phone|direct)\\b")
_TYPES = ("fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost", "personal_number", "voip", "pager", "uan")


class PhoneDetector:
    """PHONE_NUMBER: international, national of the policy's countries (or the defaults), or any beside a word."""

    name = "phone"
    entities = frozenset({"PHONE_NUMBER"})
    triggers = (SEVEN_DIGITS,)

    def detect(self, piece: Piece, hits: Sequence[int]) -> list[Match]:
        """Numbers that begin and end where a group of digits does."""
        found: list[Match] = []
        for run in piece.find(_RUN):
            groups = [hit.span() for hit in _DIGITS.finditer(piece.data, *run.span())]
            if _is_something_else(piece.data, groups):
                continue
            taken = 0
            for first, last in _windows(groups):
                start, end = groups[first][0], groups[last][1]
                score = self._score(piece, groups[first : last + 1], len(found) < _CHECKED) if start >= taken else 0.0
                if score:
                    found.append(
                        Match("PHONE_NUMBER", _with_prefix(piece.data, start), _with_extension(piece, end), score)
                    )
                    taken = end
        return found

    def _score(self, piece: Piece, groups: list[tuple[int, int]], check: bool) -> float:
        start, end = groups[0][0], groups[-1][1]
        first = _with_prefix(piece.data, start)
        digits = b"".join(piece.data[low:high] for low, high in groups).decode("ascii")
        if len(set(digits)) < 3 or not _is_apart(piece, first, end):
            return 0.0
        if piece.data[first : first + 1] == b"+":
            return 1.0 if not check or _is_international(digits) else 0.0
        named = bool(_CONTEXT.search(piece.before(first, 40)) or _CONTEXT.search(piece.after(end, 20)))
        if digits.startswith("00") and _is_international(digits[2:]) and (named or len(groups) > 1):
            return 0.95
        if _is_national(digits, piece.countries or DEFAULT_REGIONS, check):
            if named:
                return 0.9
            return 0.75 if _is_written_as_phone(piece.data, groups) else 0.0
        return 0.5 if named and len(groups) > 1 else 0.0


def _windows(groups: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """First and last index of neighbouring groups with 7 to 15 digits: from the left, the longest first."""
    for first in range(len(groups)):
        fitting, total = [], 0
        for last in range(first, min(len(groups), first + 8)):
            total += groups[last][1] - groups[last][0]
            if total > 17:
                break
            if total >= 7:
                fitting.append((first, last))
        yield from reversed(fitting)


def _with_prefix(data: bytes, start: int) -> int:
    """Where the number begins when its bracket and plus sign are counted in."""
    first = start
    while first and data[first - 1] in b"+(" and start - first < 3:
        first -= 1
    return first


def _with_extension(piece: Piece, end: int) -> int:
    extension = _EXTENSION.search(piece.data[end : end + 14])
    return end + int(extension.end()) if extension else end


def _is_apart(piece: Piece, start: int, end: int) -> bool:
    """Whether no longer identifier goes on at either side (UUIDs, order numbers, versions, prices, paths)."""
    left, right = piece.data[start - 1 : start] if start else b"", piece.data[end : end + 1]
    if left.isalnum() or left in (b"_", b"$", b"#", b"/", b"-", b".", b"@", b"%", b"\xa3", b"&"):
        return False
    if _EXTENSION.search(piece.data[end : end + 14]) or _LABEL.search(piece.data[end : end + 14]):
        return True
    if right.isalnum() or right in (b"_", b"%", b"$"):
        return False
    return not (right in (b"-", b".", b"/", b",", b":") and piece.data[end + 1 : end + 2].isalnum())


def _is_something_else(data: bytes, groups: list[tuple[int, int]]) -> bool:
    """Dates, times, years, cards, decimals, book numbers, numbers written in thousands."""
    parts = [data[low:high].decode("ascii") for low, high in groups]
    sizes = [len(part) for part in parts]
    gaps = {data[left[1] : right[0]] for left, right in pairwise(groups)}
    if sizes[:3] == [4, 2, 2] and "1900" <= parts[0] <= "2100" and parts[1] <= "12" and parts[2] <= "31":
        return True
    if (
        len(sizes) >= 3
        and max(sizes[:2]) <= 2
        and sizes[2] == 4
        and "1900" <= parts[2] <= "2100"
        and gaps & {b"/", b".", b"-"}
    ):
        return True
    if all(size == 4 and "1900" <= part <= "2100" for size, part in zip(sizes, parts, strict=True)):
        return True
    if len(sizes) >= 4 and set(sizes) == {4}:
        return True
    if sizes == [3, 2, 4] or (len(sizes) == 2 and gaps == {b"."}):
        return True
    if len(sizes) == 4 and gaps == {b"."} and max(sizes) <= 3:
        return True
    return parts[0] in ("978", "979") and sum(sizes) == 13


def _is_written_as_phone(data: bytes, groups: list[tuple[int, int]]) -> bool:
    """Whether the grouping alone says telephone: brackets, or three or more groups that are not thousands."""
    if len(groups) < 2:
        return False
    sizes = [high - low for low, high in groups]
    gaps = {data[left[1] : right[0]] for left, right in pairwise(groups)}
    if data[groups[0][0] - 1 : groups[0][0]] == b"(" and any(b")" in gap for gap in gaps):
        return True
    if len(gaps) > 2 or len(sizes) < 3 or (sizes[0] <= 3 and set(sizes[1:]) == {3}):
        return False
    return max(sizes) <= 5 and min(sizes) >= 2


@lru_cache(maxsize=64)
def _numbering(regions: tuple[str, ...]) -> Any:
    """One expression for all valid national numbers of the regions, with and without their trunk prefix."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 64 << 20
    every = []
    for region in regions:
        metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
        if metadata is None:
            continue
        bodies = [getattr(metadata, kind) for kind in _TYPES]
        numbers = "|".join(body.national_number_pattern for body in bodies if body and body.national_number_pattern)
        trunk = metadata.national_prefix_for_parsing or ""
        every.append(f"(?:{trunk})?(?:{numbers})" if trunk else f"(?:{numbers})")
    return re2.compile("|".join(every) if every else "[^\\x00-\\x{10FFFF}]", options)


def _is_national(digits: str, regions: tuple[str, ...], check: bool) -> bool:
    if not _numbering(regions).fullmatch(digits):
        return False
    return not check or _is_valid_in(digits, regions)


def _is_valid_in(digits: str, regions: tuple[str, ...]) -> bool:
    """libphonenumber's own word, region by region (it knows the rules that the expression cannot hold)."""
    for region in regions:
        try:
            if phonenumbers.is_valid_number_for_region(phonenumbers.parse(digits, region), region):
                return True
        except phonenumbers.NumberParseException:
            continue
    return False


def _is_international(digits: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse("+" + digits, None))
    except phonenumbers.NumberParseException:
        return False
