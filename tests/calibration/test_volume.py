"""A month's volume from decision records: those that may escalate, scaled to 30 days, at what one costs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from policies.types import Price
from router.calibration.volume import measure

START = datetime(2026, 11, 1, tzinfo=UTC)
GRANT = {"model": "cloud", "payload": "full", "rule": "escalation", "purpose": "escalation"}


def record(
    hours: float, *, escalated: bool = False, may: bool = True, model: str = "home", cost: float = 0.02
) -> dict[str, Any]:
    return {
        "time": (START + timedelta(hours=hours)).isoformat(timespec="milliseconds"),
        "decision": {"target": {"model": model}, "grants": [GRANT] if may else []},
        "outcome": {
            "reason": "escalation" if escalated else "default",
            "cost_usd": cost if escalated else 0.0,
            "tokens": {"home": {"input": 100, "output": 50}},
        },
    }


def test_records_of_ten_days_are_scaled_to_a_month_and_cost_what_the_escalated_ones_did() -> None:
    records = [record(place, escalated=place % 8 == 0) for place in range(241)]
    volume = measure(records, "home", None)
    assert volume is not None
    assert volume.requests == pytest.approx(241 * 3)
    assert volume.usd_each == pytest.approx(0.02)
    assert volume.source == "241 records of 10 days"


def test_only_local_answers_of_this_model_that_may_escalate_count() -> None:
    records = [record(0), record(1, may=False), record(2, model="other"), record(24)]
    volume = measure(records, "home", Price(1.0, 2.0))
    assert volume is not None
    assert volume.requests == pytest.approx(60)
    assert volume.usd_each == pytest.approx((100 * 1.0 + 50 * 2.0) / 1e6)


@pytest.mark.parametrize("records", [[], [record(0, may=False)], [record(0), record(1)]])
def test_without_records_or_a_price_the_volume_is_not_known(records: list[dict[str, Any]]) -> None:
    assert measure(records, "home", None) is None


def test_an_hour_of_records_is_not_blown_up_to_a_month_of_such_hours() -> None:
    volume = measure([record(0), record(1)], "home", Price(1.0, 2.0))
    assert volume is not None
    assert volume.requests == 60
