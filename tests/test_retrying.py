"""When a call outside is made once more: what was refused or never sent, within a fifth of all calls and in time."""

from __future__ import annotations

import pytest

from router.errors import UpstreamError, UpstreamTimeout
from router.retrying import MOST, RetryBudget, pause_before


def error(status: int | None = None, **options: object) -> UpstreamError:
    return UpstreamError("failed", upstream_status=status, **options)


@pytest.mark.parametrize(
    ("failed", "is_made_again"),
    [
        (error(429), True),
        (error(503), True),
        (error(529), True),
        (error(429, retry_after=3.0), True),
        (error(429, retry_after=30.0), False),  # longer than anybody should be kept waiting unawares
        (error(unsent=True), True),
        (UpstreamTimeout("no connection", unsent=True), True),
        (error(unsent=True, curable=False), False),  # no key, a certificate that cannot be trusted
        (error(), False),  # it broke off: it may have worked on the request
        (UpstreamTimeout("no answer"), False),
        (error(500), False),
        (error(502), False),
        (error(504), False),
        (error(400), False),
        (error(401), False),
        (error(404), False),
    ],
)
def test_only_what_was_refused_or_never_sent_is_asked_for_again(failed: UpstreamError, is_made_again: bool) -> None:
    assert (pause_before(failed, 0, None, 0.5) is not None) is is_made_again
    assert pause_before(failed, MOST, None, 0.5) is None


def test_the_pause_is_at_least_what_the_upstream_asks_for_and_grows_and_differs() -> None:
    refused = error(429, retry_after=2.0)
    assert pause_before(refused, 0, None, 0.0) == 2.0
    pauses = [pause_before(error(503), times, None, chance) for times in (0, 1) for chance in (0.25, 0.75)]
    assert pauses == pytest.approx([0.05, 0.15, 0.1, 0.3])


@pytest.mark.parametrize(("left", "is_made_again"), [(None, True), (2.5, True), (1.5, False), (0.0, False)])
def test_no_pause_outlasts_the_deadline(left: float | None, is_made_again: bool) -> None:
    assert (pause_before(error(429, retry_after=2.0), 0, left, 0.1) is not None) is is_made_again


@pytest.mark.parametrize("calls", [1, 4, 5, 6, 10, 99, 1000])
def test_of_so_many_calls_a_fifth_is_made_once_more_at_most(calls: int) -> None:
    budget = RetryBudget()
    again = 0
    for _ in range(calls):
        budget.earn()
        while budget.spend():
            again += 1
    assert again == -(-calls // 5)


def test_a_quiet_time_does_not_save_up_without_end() -> None:
    budget = RetryBudget()
    for _ in range(10_000):
        budget.earn()
    again = 0
    while budget.spend():
        again += 1
    assert again == 10
