"""The line in front of a model: in order, fair between tenants, bounded in requests and in tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from router.engine.queue import FairQueue, QueueLimits

Item = tuple[str, int]  # the tenant, and a number of its own


def anybody(_item: Item) -> bool:
    return True


def queue(count: int = 1_000, tokens: int = 1_000_000) -> FairQueue[Item]:
    return FairQueue(QueueLimits(count, tokens))


def push(line: FairQueue[Item], tenant: str, *numbers: int, tokens: int = 10) -> None:
    for number in numbers:
        line.push(tenant, (tenant, number), tokens)


def pops(line: FairQueue[Item], count: int, may_go: Callable[[Item], bool] = anybody) -> list[Item]:
    found = [line.pop(may_go) for _ in range(count)]
    return [item for item in found if item is not None]


def test_within_a_tenant_who_comes_first_goes_first() -> None:
    line = queue()
    push(line, "red", *range(5))
    assert pops(line, 9) == [("red", number) for number in range(5)]


def test_two_tenants_take_turns_however_much_one_of_them_asks() -> None:
    line = queue()
    push(line, "flood", *range(100))
    push(line, "other", *range(3))
    first = [tenant for tenant, _ in pops(line, 6)]
    assert Counter(first) == {"flood": 3, "other": 3}


def test_a_newcomer_goes_next_although_the_flood_came_long_before() -> None:
    line = queue()
    push(line, "flood", *range(100))
    pops(line, 20)
    push(line, "newcomer", 0)
    assert ("newcomer", 0) in pops(line, 2)


def test_shares_are_of_tokens_not_of_requests() -> None:
    """Three hundred tokens asked by one weigh as much as thirty times ten."""
    line = queue()
    push(line, "long", *range(50), tokens=300)
    push(line, "short", *range(500), tokens=10)
    went = Counter(tenant for tenant, _ in pops(line, 200))
    assert went["long"] == pytest.approx(200 / 31, abs=1)


@pytest.mark.parametrize("tenants", [2, 3, 7])
def test_every_tenant_gets_its_share_of_a_crowd(tenants: int) -> None:
    line = queue()
    for tenant in range(tenants):
        push(line, str(tenant), *range(50 * (tenant + 1)))
    went = Counter(tenant for tenant, _ in pops(line, 10 * tenants))
    assert set(went.values()) == {10}


def test_who_pauses_earns_no_credit_for_it() -> None:
    line = queue()
    push(line, "back", 0)
    push(line, "steady", *range(100))
    pops(line, 51)  # "back" has gone after its only one
    push(line, "back", *range(1, 50))
    went = Counter(tenant for tenant, _ in pops(line, 20))
    assert went["back"] == pytest.approx(10, abs=1)


def test_who_comes_again_and_again_with_one_request_gets_no_more_than_its_share() -> None:
    line = queue()
    push(line, "steady", *range(100))
    went: Counter[str] = Counter()
    for number in range(40):
        if number % 2 == 0:
            push(line, "dripping", number)
        went.update(tenant for tenant, _ in pops(line, 1))
    assert went["dripping"] == pytest.approx(20, abs=1)


def test_who_may_not_go_yet_holds_up_its_own_line_only() -> None:
    line = queue()
    push(line, "red", 0, 1)
    push(line, "blue", 0)
    assert pops(line, 3, may_go=lambda item: item != ("red", 0)) == [("blue", 0)]
    assert len(line) == 2
    assert pops(line, 3) == [("red", 0), ("red", 1)]


def test_who_was_held_up_does_not_turn_back_the_time_for_newcomers() -> None:
    line = queue()
    push(line, "held", 0)
    push(line, "steady", *range(100))
    pops(line, 30, may_go=lambda item: item[0] != "held")
    assert pops(line, 1) == [("held", 0)]
    push(line, "newcomer", *range(100))
    went = Counter(tenant for tenant, _ in pops(line, 20))
    assert went["newcomer"] == pytest.approx(10, abs=1)


def test_an_empty_line_gives_nobody() -> None:
    assert queue().pop(anybody) is None


def test_who_is_removed_leaves_the_order_and_the_counts_as_if_it_had_never_come() -> None:
    line = queue()
    push(line, "red", 0, 1, 2)
    push(line, "blue", 0)
    gone = ("red", 9)
    line.push("red", gone, 500)
    assert (len(line), line.tokens) == (5, 540)
    assert line.remove(gone)
    assert not line.remove(gone)
    assert (len(line), line.tokens) == (4, 40)
    assert [item for item in pops(line, 9) if item[0] == "red"] == [("red", 0), ("red", 1), ("red", 2)]
    assert (len(line), line.tokens) == (0, 0)


def test_one_item_is_removed_and_not_another_that_equals_it() -> None:
    line: FairQueue[list[int]] = FairQueue(QueueLimits())
    first, second = [1], [1]
    line.push("red", first, 10)
    line.push("red", second, 10)
    assert line.remove(second)
    left = line.pop(lambda _item: True)
    assert left is first


def test_draining_gives_everybody_once() -> None:
    line = queue()
    push(line, "red", 0, 1)
    push(line, "blue", 0)
    assert sorted(line.drain()) == [("blue", 0), ("red", 0), ("red", 1)]
    assert (len(line), line.tokens) == (0, 0)
    assert line.drain() == []
    push(line, "red", 2)
    assert pops(line, 2) == [("red", 2)]


# Limits: what waits already, one more of so many tokens, and whose share that exceeds.
FULL = [
    ("nobody waits", {}, "", 10, 0, None),
    ("the last place", {"": [10, 10]}, "", 10, 0, None),
    ("one too many", {"": [10, 10, 10, 10]}, "", 10, 0, "system"),
    ("a free slot makes a place", {"": [10, 10, 10, 10]}, "", 10, 1, None),
    ("two free slots, six wait", {"": [10] * 6}, "", 10, 2, "system"),
    ("the last token", {"": [40, 40]}, "", 20, 0, None),
    ("a token too many", {"": [40, 40]}, "", 21, 0, "system"),
    ("larger than the line, alone", {}, "", 5_000, 0, None),
    ("larger than the line, behind another", {"": [1]}, "", 5_000, 0, "system"),
    ("larger than the line, but who waits has a free slot", {"": [1]}, "", 5_000, 1, None),
    ("a tenant's three quarters of four places", {"red": [10, 10]}, "red", 10, 0, None),
    ("a tenant's fourth place", {"red": [10, 10, 10]}, "red", 10, 0, "tenant"),
    ("another tenant's fourth place", {"red": [10, 10, 10]}, "blue", 10, 0, None),
    ("a tenant's fourth place, a slot being free", {"red": [10, 10, 10]}, "red", 10, 1, None),
    ("a tenant's three quarters of the tokens", {"red": [50]}, "red", 25, 0, None),
    ("a token beyond them", {"red": [50]}, "red", 26, 0, "tenant"),
    ("the same from another tenant", {"red": [50]}, "blue", 26, 0, None),
    ("larger than the share, alone", {}, "red", 90, 0, None),
    ("full for all before full for one", {"red": [10] * 4}, "red", 10, 0, "system"),
]


@pytest.mark.parametrize(
    ("waiting", "tenant", "tokens", "free", "scope"), [case[1:] for case in FULL], ids=[case[0] for case in FULL]
)
def test_the_line_is_full(
    waiting: dict[str, list[int]], tenant: str, tokens: int, free: int, scope: str | None
) -> None:
    line = queue(count=4, tokens=100)
    for name, sizes in waiting.items():
        for number, size in enumerate(sizes):
            line.push(name, (name, number), size)
    assert line.full_for(tenant, tokens, free) == scope


def test_one_place_is_a_tenants_whatever_its_share_of_a_short_line() -> None:
    line = queue(count=1)
    assert line.full_for("red", 10) is None
    push(line, "red", 0)
    assert line.full_for("red", 10) == "system"


def test_tenants_that_have_gone_are_not_remembered_for_ever() -> None:
    """One that always waits must not make the line remember everybody who ever came."""
    line = queue()
    push(line, "steady", *range(2_000))
    for number in range(1_000):
        push(line, f"once-{number}", number)
        pops(line, 2)
    assert len(line._virtual) < 10


def push_low(line: FairQueue[Item], tenant: str, *numbers: int) -> None:
    for number in numbers:
        line.push(tenant, (tenant, number), 10, is_low=True)


def test_low_urgency_goes_when_nobody_else_may() -> None:
    line = queue()
    push_low(line, "low", 0, 1)
    push(line, "red", 0, 1, 2)
    assert pops(line, 9) == [("red", 0), ("red", 1), ("red", 2), ("low", 0), ("low", 1)]
    push_low(line, "low", 2)
    push(line, "red", 3)
    assert pops(line, 2, may_go=lambda item: item[0] == "low") == [("low", 2)]


def test_low_urgency_goes_as_the_eighth_at_the_latest() -> None:
    line = queue()
    push_low(line, "low", *range(10))
    push(line, "red", *range(100))
    went = [tenant for tenant, _ in pops(line, 32)]
    assert [number for number, tenant in enumerate(went) if tenant == "low"] == [7, 15, 23, 31]


def test_who_has_waited_before_low_urgency_came_does_not_count_against_the_others() -> None:
    line = queue()
    push(line, "red", *range(100))
    pops(line, 50)
    push_low(line, "low", 0)
    assert [tenant for tenant, _ in pops(line, 8)] == ["red"] * 7 + ["low"]


def test_tenants_take_turns_within_each_urgency() -> None:
    line = queue()
    push_low(line, "flood", *range(20))
    push_low(line, "other", *range(20))
    assert Counter(tenant for tenant, _ in pops(line, 10)) == {"flood": 5, "other": 5}


def test_low_urgency_finds_no_room_in_a_line_that_is_half_full_and_counts_towards_its_tenants_share() -> None:
    line = queue(count=8, tokens=1_000)
    push_low(line, "red", 0, 1, 2)
    assert line.full_for("blue", 10, is_low=True) is None
    push_low(line, "red", 3)
    assert line.full_for("blue", 10, is_low=True) == "system"
    assert line.full_for("blue", 10, 1, is_low=True) is None  # a slot is free
    assert line.full_for("blue", 10) is None
    push(line, "red", 4, 5)
    assert line.full_for("red", 10) == "tenant"
    assert line.full_for("blue", 500, is_low=True) == "system"


def test_what_is_over_is_taken_out_and_nothing_else() -> None:
    line = queue()
    push(line, "red", 0, 1, 2)
    push_low(line, "red", 3)
    push(line, "blue", 1)
    assert sorted(line.take_out(lambda item: item[1] in (1, 3))) == [("blue", 1), ("red", 1), ("red", 3)]
    assert (len(line), line.tokens) == (2, 20)
    assert pops(line, 5) == [("red", 0), ("red", 2)]
