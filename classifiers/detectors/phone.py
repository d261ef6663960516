"""Telephone numbers of any country (libphonenumber's metadata). Never a date, a version, a price or an order number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise

from classifiers.detectors.base import GAP, SEVEN_DIGITS, Piece, digit_groups, pattern
from classifiers.detectors.numbering import is_international, is_national
from classifiers.types import Match

DEFAULT_REGIONS = ("US", "GB", "DE", "FR", "ES", "IT", "NL", "IN", "AU", "BR")
_WITHOUT_TRUNK = frozenset({"US", "ES", "IT", "IN", "BR"})  # where numbers are written without a zero in front
_RUN = pattern("(?:\\+" + GAP + "?)?\\(?\\d(?:" + GAP + "{0,3}\\d){6,40}(?:\\s?(?:x|ext\\.?|#)\\s?\\d{1,6})?")
_SIX = pattern("\\b\\d\\d \\d\\d \\d\\d\\b")
_AT_END = pattern("(?:phone|fon|tel|t[eé]l|fax|mobile?|handy|cell|nummer|number)\\.?:? {0,2}$")
_EXTENSION = pattern("(?i)^\\s?(?:x|ext\\.?|#)\\s?\\d{1,6}\\b")
# Words for the thing itself: digits right behind one are its number, whatever their grouping.
_NOUN = pattern(
    "(?:\\b|_)(?:(?:tele)?(?:phone|fon)(?:s|nummer|nr|number|_no)?|telefon\\w*|telefoon\\w*|tel[eé]fono|t[eé]l[eé]phone|tele?|t[eé]l|fax|telefax|"
    "mobile?|mobil\\w*|mobiel\\w*|m[oó]vil|portable|handy\\w*|cell(?:ulare|ulari|ular|phone)?|celular|whats ?app|"
    "wa|gsm|hotline|"
    "landline|rufnummer|r[üu]ckruf\\w*|voicemail|kontaktnummer|sms|n[uú]mero de contacto)(?:\\b|_)"
)
_VERB = pattern(
    "\\b(?:signal|text|dial|ring|call(?:ing|ed)?|callback|reach(?:ed|able)?|anrufen|ruf|rufen|erreich\\w+|ll[aá]m\\w+|"
    "appel\\w*|joindre|joignable|chiam\\w+|bel|bellen|office|answer(?:ing|s)?|extension|my number|meine nummer|"
    "mon num[eé]ro|mi n[uú]mero|"
    "il mio numero|mijn nummer|contact(?: me| number)?)\\b"
)
_CALLED = pattern(  # right in front of the digits
    "\\b(?:call|text|ring|dial|reach|appel\\w*|joindre|ll[aá]m\\w*|chiam\\w*|bel|bellen|ruf\\w*|erreich\\w+)[ -]"
    "(?:(?:me|us|him|her|them|moi|nous|mich|uns|sie|mij|ons|mi|ci|back)[ ])?"
    "(?:(?:at|on|back on|au|al|le|el|op|unter|telefonisch unter|sous)[ ])?$"
)
_LABEL = pattern("(?i)^[-/,:.]?\\s?(?:office|fax|home|work|mobile|cell|tel|phone|direct)\\b")
_TRIES = 16  # windows of a run that are looked at in a row: what holds no number in so many is a table
_EXTENDING = b"xXeE#"  # how an extension begins behind a blank
_LINKS = (b"wa.me/", b"tel:", b"sms:", b"callto:")


class PhoneDetector:
    """PHONE_NUMBER: international, national of the policy's countries (or the defaults), or any beside a word."""

    name = "phone"
    entities = frozenset({"PHONE_NUMBER"})
    triggers = (SEVEN_DIGITS, "\\b\\d\\d \\d\\d \\d\\d\\b")

    def detect(self, piece: Piece, hits: Sequence[int]) -> list[Match]:
        """Numbers that begin and end where a group of digits does."""
        found = [
            Match("PHONE_NUMBER", hit.start(), hit.end(), 0.5)
            for hit in (piece.find(_SIX) if 1 in hits else ())
            if _is_short(piece, hit.span())
        ]
        for hit in piece.find(_RUN) if 0 in hits else ():
            groups = digit_groups(piece.data, *hit.span())
            if len(groups) >= 4 and all(high - low == 4 for low, high in groups) and hit.group()[:1] != b"+":
                continue  # a card, or a key in fours
            run, taken = _Run(piece, groups), 0
            tries = _TRIES
            for first, last in _windows(groups):
                start, end = groups[first][0], groups[last][1]
                if start < taken or not tries:
                    continue
                tries -= 1
                score = run.score(first, last)
                if score:
                    whole = _with_prefix(piece.data, start), _with_extension(piece, end)
                    found.append(Match("PHONE_NUMBER", *whole, score))
                    taken, tries = end, _TRIES
        return found


class _Run:
    """Neighbouring groups of digits, of which some may be a number, and the words around all of them."""

    def __init__(self, piece: Piece, groups: list[tuple[int, int]]) -> None:
        self._piece, self._groups = piece, groups
        self._regions = piece.countries or DEFAULT_REGIONS

    @cached_property
    def _is_named(self) -> bool:
        around = self._before + b"\n" + self._piece.after(self._groups[-1][1], 20)
        return bool(_NOUN.search(around) or _VERB.search(around))

    @cached_property
    def _before(self) -> bytes:
        return self._piece.before(_with_prefix(self._piece.data, self._groups[0][0]), 40)

    @cached_property
    def _follows_noun(self) -> bool:
        """Whether a word for a telephone stands in front, no other number or sentence between."""
        before = self._before[-32:]
        if not _NOUN.search(before) and not _CALLED.search(before):
            return False
        for at in range(len(before) - 1, -1, -1):
            ends = 48 <= before[at] <= 57 or before[at : at + 2] in (b". ", b"; ", b"? ", b"! ")
            if ends and not before[:at].endswith(
                (b"tel", b"\xa9l", b"nr", b"no")
            ):  # an abbreviation's dot ends nothing
                before = before[at + 1 :]
                break
        return bool(_NOUN.search(before) or _CALLED.search(before))

    def score(self, first: int, last: int) -> float:
        """Of the groups from `first` to `last`. 0 when they are none; else higher, the less they need words around."""
        data, groups = self._piece.data, self._groups[first : last + 1]
        begin = _with_prefix(data, groups[0][0])
        if not _is_apart(self._piece, begin, groups[-1][1]):
            return 0.0
        digits = b"".join([data[low:high] for low, high in groups]).decode("ascii")
        if len(set(digits)) < 3:
            return 0.0
        if b"+" in data[begin : groups[0][0]]:
            return self._score_international(digits, first, len(groups))
        if _is_something_else(data, groups):
            return 0.0
        if digits.startswith("00") and (len(groups) > 1 or self._is_named) and is_international(digits[2:]):
            return 0.95
        if len(digits) > 15:
            return 0.0
        if is_national(digits, self._regions):
            if self._is_named:
                return 0.9
            written = self._stands_alone(first, last) and _is_written_as_phone(self._piece, digits, groups)
            return 0.75 if written else 0.0
        if (first == 0 and self._follows_noun) or (self._stands_alone(first, last) and _is_american(data, groups)):
            return 0.6
        return 0.5 if len(groups) > 1 and _looks_dialled(groups) and self._is_named else 0.0

    def _stands_alone(self, first: int, last: int) -> bool:
        """Whether other groups of the run, if any, are parted from these by another sign than these from each other."""
        data, groups = self._piece.data, self._groups
        gaps = [data[left[1] : right[0]] for left, right in pairwise(groups)]
        inside = gaps[first:last]
        return (first == 0 or gaps[first - 1] not in inside) and (last == len(gaps) or gaps[last] not in inside)

    def _score_international(self, digits: str, first: int, count: int) -> float:
        """A plus sign and a valid number; or one that nobody has, where it is clearly meant as one."""
        if is_international(digits):
            return 1.0
        if not 9 <= len(digits) <= 15 or digits[0] == "0":
            return 0.0
        return 0.6 if count != 2 or (first == 0 and self._follows_noun) else 0.0


def _is_short(piece: Piece, span: tuple[int, int]) -> bool:
    """Whether six digits in pairs stand right behind a word for a telephone, or in front of one, alone."""
    data, (start, end) = piece.data, span
    if not _is_apart(piece, start, end) or data[start - 2 : start - 1].isdigit() or data[end + 1 : end + 2].isdigit():
        return False
    before = piece.before(start, 24)
    return bool(_CALLED.search(before) or _AT_END.search(before) or _LABEL.search(data[end : end + 14]))


def _windows(groups: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """First and last index of neighbouring groups with 7 to 17 digits: from the left, the longest first."""
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
    if first > 1 and data[first - 1] == 0x20 and data[first - 2] == 0x2B:
        term = data[max(0, first - 6) : first - 2].rstrip()[-1:]  # of a sum
        return first if term.isalnum() or term in (b")", b"]") else first - 2
    return first


def _with_extension(piece: Piece, end: int) -> int:
    extension = _EXTENSION.search(piece.data[end : end + 14])
    return end + int(extension.end()) if extension else end


def _is_apart(piece: Piece, start: int, end: int) -> bool:
    """Whether no longer identifier goes on at either side (UUIDs, order numbers, versions, prices, paths)."""
    left, right = piece.data[start - 1 : start] if start else b"", piece.data[end : end + 1]
    if left.isalnum() or (left and left in b"_$#/-.@%\xa3&^*"):
        return piece.data[max(0, start - 8) : start].lower().endswith(_LINKS)
    if right in (b" ", b"\n", b"") and piece.data[end + 1 : end + 2] not in _EXTENDING:
        return True
    if _EXTENSION.search(piece.data[end : end + 14]) or _LABEL.search(piece.data[end : end + 14]):
        return True
    if right.isalnum() or (right and right in b"_%$^*"):
        return False
    return not (right in (b"-", b".", b"/", b",", b":") and piece.data[end + 1 : end + 2].isalnum())


def _is_something_else(data: bytes, groups: list[tuple[int, int]]) -> bool:
    """Dates, times, years, cards, decimals, book numbers, numbers written in thousands, factors of a product."""
    parts = [data[low:high].decode("ascii") for low, high in groups]
    sizes = [len(part) for part in parts]
    gaps = {data[left[1] : right[0]] for left, right in pairwise(groups)}
    if _is_date(parts, sizes, gaps) or b")(" in gaps:
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


def _is_date(parts: list[str], sizes: list[int], gaps: set[bytes]) -> bool:
    """Whether a date stands in it: 2021-05-12, 12.05.2021, in front of a time or behind a number."""
    for at in range(len(parts) - 2):
        year, month, day = parts[at : at + 3]
        if sizes[at : at + 3] == [4, 2, 2] and "1900" <= year <= "2100" and month <= "12" and day <= "31":
            return True
        if (
            max(sizes[at : at + 2]) <= 2
            and sizes[at + 2] == 4
            and "1900" <= day <= "2100"
            and gaps & {b"/", b".", b"-"}
        ):
            return at == 0
    return False


def _is_written_as_phone(piece: Piece, digits: str, groups: list[tuple[int, int]]) -> bool:
    """Whether the grouping alone says telephone: brackets, or three or more groups that are not thousands."""
    data = piece.data
    if len(groups) < 2:
        return False
    gaps = {data[left[1] : right[0]] for left, right in pairwise(groups)}
    if data[groups[0][0] - 1 : groups[0][0]] == b"(" and any(b")" in gap for gap in gaps):
        return len(gaps) <= 2
    sizes = [high - low for low, high in groups]
    if len(sizes) == 2 and digits[0] == "0" and sizes[0] in (2, 3, 4, 5) and 10 <= len(digits) <= 12:
        return gaps <= {b" ", b"-", b"/"}  # an area and the rest: 0170 1234567
    if len(gaps) > 2 or len(sizes) < 3 or (sizes[0] <= 3 and set(sizes[1:]) == {3}):
        return False
    if max(sizes) > 5 or min(sizes) < 2 or any(len(gap.strip()) > 1 for gap in gaps):
        return False
    regions = piece.countries or DEFAULT_REGIONS
    return digits[0] == "0" or is_national(digits, tuple(region for region in regions if region in _WITHOUT_TRUNK))


def _is_american(data: bytes, groups: list[tuple[int, int]]) -> bool:
    """Whether it is written as numbers of North America are, (555) 123-4567 or 555-123-4567, whoever has it."""
    if [high - low for low, high in groups] != [3, 3, 4] or data[groups[0][0]] in b"01":
        return False
    first, second = (data[left[1] : right[0]] for left, right in pairwise(groups))
    bracketed = data[groups[0][0] - 1 : groups[0][0]] == b"(" and first in (b") ", b")", b")-")
    return second in (b"-", b".", b" ") if bracketed else first == second == b"-"


def _looks_dialled(groups: list[tuple[int, int]]) -> bool:
    """Whether groups are of the sizes that people read out, and are not thousands."""
    sizes = [high - low for low, high in groups]
    return max(sizes) <= 8 and not (sizes[0] <= 3 and set(sizes[1:]) == {3} and len(sizes) < 3)
