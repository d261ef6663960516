"""Numbers within bounds, as grammar (GBNF). A range may come out tighter than it was asked for, never looser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import groupby

_MOST_DIGITS = 16  # of a number without a bound on that side: what a float holds exactly
_MOST_DECIMALS = 8

# A pattern is one digit class a place, each from the first digit to the second.
_Pattern = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Inclusive or exclusive bounds; None: none on that side."""

    low: Decimal | None = None
    high: Decimal | None = None
    is_low_open: bool = False
    is_high_open: bool = False


def integer_rule(bounds: Bounds) -> str | None:
    """The body of a rule for the integers within `bounds`; None when there is none, or none of 16 digits."""
    return _rule(bounds, 0, has_fraction=False)


def number_rule(bounds: Bounds) -> str | None:
    """The body of a rule for decimal numbers within `bounds`; None when there is none that it can write."""
    ends = [end for end in (bounds.low, bounds.high) if end is not None]
    decimals = max((max(0, -_exponent(end)) for end in ends), default=0)
    if bounds.is_low_open or bounds.is_high_open:
        decimals += 2
    return None if decimals > _MOST_DECIMALS else _rule(bounds, decimals, has_fraction=True)


def _exponent(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def _rule(bounds: Bounds, decimals: int, *, has_fraction: bool) -> str | None:
    """Units in the last of `decimals` places, both bounds included."""
    if any(end is not None and abs(end) >= 10**_MOST_DIGITS for end in (bounds.low, bounds.high)):
        return None
    low, high = _first(bounds, 10**decimals), _last(bounds, 10**decimals)
    alternatives: list[str] = []
    if low is None or low < 0:
        near = 1 if high is None else max(1, -high)
        least = 0 if has_fraction and (high is None or high >= 0) else near  # -0.5 is above -1
        texts = _range(least, None if low is None else -low, decimals, has_fraction=has_fraction)
        alternatives += [f'"-" {text}' for text in texts]
    if high is None or high >= 0:
        alternatives += _range(max(0, low or 0), high, decimals, has_fraction=has_fraction)
    return " | ".join(alternatives) or None


def _first(bounds: Bounds, unit: int) -> int | None:
    if bounds.low is None:
        return None
    exact = bounds.low * unit
    first = int(exact.to_integral_value(ROUND_CEILING))
    return first + 1 if bounds.is_low_open and first == exact else first


def _last(bounds: Bounds, unit: int) -> int | None:
    if bounds.high is None:
        return None
    exact = bounds.high * unit
    last = int(exact.to_integral_value(ROUND_FLOOR))
    return last - 1 if bounds.is_high_open and last == exact else last


def _range(low: int, high: int | None, decimals: int, *, has_fraction: bool) -> Iterator[str]:
    """Units from `low` on, not negative. All but the last may have further digits behind them."""
    more = ""
    if has_fraction:
        more = f" [0-9]{{0,{_MOST_DECIMALS}}}" if decimals else f' ("." [0-9]{{1,{_MOST_DECIMALS}}})?'
    width = decimals + 1
    if high is None:
        length = max(width, len(str(low)))
        for pattern in _by_length(low, 10**length - 1, width):
            yield _digits(pattern, decimals) + more
        places = f' "." [0-9]{{{decimals}}}' if decimals else ""
        yield f"[1-9] [0-9]{{{length - decimals},{_MOST_DIGITS - 1}}}{places}{more}"
        return
    if has_fraction and low <= high:
        for pattern in _by_length(low, high - 1, width):
            yield _digits(pattern, decimals) + more
        low = high
    for pattern in _by_length(low, high, width):
        yield _digits(pattern, decimals)


def _digits(pattern: _Pattern, decimals: int = 0) -> str:
    whole, fraction = pattern[: len(pattern) - decimals], pattern[len(pattern) - decimals :]
    return " ".join(_classes(whole) + (['"."', *_classes(fraction)] if fraction else []))


def _classes(pattern: _Pattern) -> list[str]:
    shown = []
    for (first, last), run in groupby(pattern):
        count = len(list(run))
        digit = f'"{first}"' if first == last else f"[{first}-{last}]"
        shown.append(digit if count == 1 else f"{digit}{{{count}}}")
    return shown


def _by_length(low: int, high: int, width: int) -> Iterator[_Pattern]:
    """Patterns of the whole numbers from `low` to `high`, neither negative, padded to at least `width` digits."""
    if low > high:
        return
    for length in range(max(width, len(str(low))), max(width, len(str(high))) + 1):
        first = max(low, 0 if length == width else 10 ** (length - 1))
        last = min(high, 10**length - 1)
        yield from _between(str(first).zfill(length), str(last).zfill(length))


def _between(low: str, high: str) -> Iterator[_Pattern]:
    """Patterns of the numbers from `low` to `high`, which have the same length."""
    if set(low) <= {"0"} and set(high) <= {"9"}:
        yield (("0", "9"),) * len(low)
        return
    first, last, rest = low[0], high[0], len(low) - 1
    if first == last:
        yield from _led(first, _between(low[1:], high[1:]))
        return
    if low[1:] != "0" * rest:
        yield from _led(first, _between(low[1:], "9" * rest))
        first = str(int(first) + 1)
    has_end = high[1:] != "9" * rest
    middle = str(int(last) - 1) if has_end else last
    if first <= middle:
        yield ((first, middle), *((("0", "9"),) * rest))
    if has_end:
        yield from _led(last, _between("0" * rest, high[1:]))


def _led(digit: str, patterns: Iterator[_Pattern]) -> Iterator[_Pattern]:
    for pattern in patterns:
        yield ((digit, digit), *pattern)
