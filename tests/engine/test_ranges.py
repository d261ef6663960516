"""Rules for numbers within bounds: an integer matches exactly when it is within, a decimal number only then."""

from __future__ import annotations

import re
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from router.engine.ranges import Bounds, integer_rule, number_rule


def expression(rule: str) -> re.Pattern[str]:
    """The same rule as a regular expression: literals, digit classes and counts are all that stands in it."""
    parts = []
    for alternative in rule.split(" | "):
        compact = alternative.replace('("." [0-9]', "(?:\\.[0-9]").replace(" ", "")
        parts.append(re.sub(r'"([^"]*)"', lambda found: re.escape(found[1]), compact))
    return re.compile("|".join(f"(?:{part})" for part in parts))


def holds(bounds: Bounds, value: Decimal) -> bool:
    above = bounds.low is None or (value > bounds.low if bounds.is_low_open else value >= bounds.low)
    below = bounds.high is None or (value < bounds.high if bounds.is_high_open else value <= bounds.high)
    return above and below


ends = st.one_of(st.none(), st.integers(-3000, 3000).map(Decimal))
decimal_ends = st.one_of(st.none(), st.decimals(-300, 300, places=2), st.integers(-30, 30).map(Decimal))


def near(bounds: Bounds) -> list[Decimal]:
    return [end + step for end in (bounds.low, bounds.high) if end is not None for step in (-1, 0, 1)]


@settings(max_examples=300, deadline=None)
@given(ends, ends, st.booleans(), st.booleans(), st.lists(st.integers(-20_000, 20_000), max_size=20))
def test_an_integer_matches_exactly_when_it_is_within(
    low: Decimal | None, high: Decimal | None, is_low_open: bool, is_high_open: bool, values: list[int]
) -> None:
    bounds = Bounds(low, high, is_low_open, is_high_open)
    rule = integer_rule(bounds)
    tried = [*map(Decimal, values), *near(bounds), Decimal(0)]
    if rule is None:
        assert not any(holds(bounds, value) for value in tried)
        return
    matches = expression(rule)
    for value in tried:
        assert bool(matches.fullmatch(str(int(value)))) == holds(bounds, value), value


@settings(max_examples=300, deadline=None)
@given(
    decimal_ends,
    decimal_ends,
    st.booleans(),
    st.booleans(),
    st.lists(st.decimals(-400, 400, places=3), max_size=30),
)
def test_a_number_that_matches_is_within(
    low: Decimal | None, high: Decimal | None, is_low_open: bool, is_high_open: bool, values: list[Decimal]
) -> None:
    bounds = Bounds(low, high, is_low_open, is_high_open)
    rule = number_rule(bounds)
    if rule is None:
        return
    matches = expression(rule)
    for value in [*values, *near(bounds)]:
        for shown in {str(value), f"{value:.2f}", f"{value:.4f}", str(int(value))}:
            if matches.fullmatch(shown):
                assert holds(bounds, Decimal(shown)), shown


def test_the_usual_ranges_are_not_tightened_away() -> None:
    chance = expression(number_rule(Bounds(Decimal(0), Decimal(1))) or "")
    for shown in ("0", "1", "0.5", "0.999"):
        assert chance.fullmatch(shown)
    price = expression(number_rule(Bounds(Decimal(0), None, is_low_open=True)) or "")
    for shown in ("0.01", "19.99", "1234.50"):
        assert price.fullmatch(shown)
