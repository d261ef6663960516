"""The parent's eye: new cards are noticed once, broken promises are shown, warned of once and taken back."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from router.calibration.drift import LEAST, promise_in_record
from router.calibration.standing import FOLDER, card_name
from router.calibration.targets import Standard
from router.calibration.thresholds import Promise
from router.calibration.watching import CardWatch, PromiseWatch
from router.records.filing import filed
from router.telemetry.metrics import MetricStore
from router.telemetry.telemetry import Telemetry


def test_a_card_is_noticed_when_it_comes_changes_and_goes_and_otherwise_not(tmp_path: Path) -> None:
    watch = CardWatch(tmp_path)
    assert [watch.has_changed(), watch.has_changed()] == [False, False]
    folder = tmp_path / FOLDER
    folder.mkdir()
    (folder / "answers.jsonl").write_text("is no card")
    assert not watch.has_changed()
    card = folder / card_name("m")
    seen = []
    for text in ('{"model": "m"}', '{"model": "m", "graded": {}}'):
        card.write_text(text)
        seen.append((watch.has_changed(), watch.has_changed(), watch.digest))
    os.utime(card, (1, 1))
    assert not watch.has_changed()
    card.unlink()
    assert watch.has_changed()
    assert [changed[:2] for changed in seen] == [(True, False), (True, False)]
    assert seen[0][2] != seen[1][2]


def test_cards_that_are_there_at_the_start_are_no_change(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / card_name("m")).write_text("{}")
    assert not CardWatch(tmp_path).has_changed()


class Written:
    """A writer that keeps what it gets."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def submit(self, record: dict[str, Any]) -> bool:
        self.records.append(record)
        return True

    async def commit_intent(self, record: dict[str, Any]) -> bool:
        self.records.append(record)
        return True


def record(number: int, card: str, *, good_enough: bool) -> dict[str, Any]:
    promise = Promise("max_cloud_share", 0.2, 0.5, 200)
    return {
        "id": f"gh-{number}",
        "decision": {"target": {"model": "home"}},
        "promise": promise_in_record(Standard(promise, "", card), "home"),
        "outcome": {"judgement": {"verdict": "keep" if good_enough else "escalate"}},
    }


async def test_a_broken_promise_is_shown_warned_of_once_and_taken_back_with_a_new_card(
    caplog: pytest.LogCaptureFixture,
) -> None:
    writer, told = Written(), []
    telemetry = Telemetry(store=MetricStore())
    watch = PromiseWatch(writer, telemetry, lambda: told.append(1))
    with caplog.at_level(logging.WARNING, logger="gatehouse.calibration"):
        for number in range(2 * LEAST):
            assert watch.submit(filed(record(number, "card-1", good_enough=False)))
        watch.show()
        watch.show()
    assert watch.broken == ("promise_broken_home_max_cloud_share",)
    assert len(caplog.records) == len(told) == 1
    assert "promised 0.200, observed 40 of 40" in caplog.text
    page = telemetry.render().decode()
    assert 'gatehouse_promise_broken{kind="max_cloud_share",model="home"} 1.0' in page
    assert 'gatehouse_promise_observed{kind="max_cloud_share",model="home"} 1.0' in page
    watch.submit(filed(record(99, "card-2", good_enough=True)))
    watch.show()
    assert watch.broken == ()
    assert len(told) == 2
    assert 'gatehouse_promise_answers{kind="max_cloud_share",model="home"} 1.0' in telemetry.render().decode()
    assert await watch.commit_intent({"kind": "intent"})
    assert len(writer.records) == 2 * LEAST + 2
    assert json.dumps([filed(each).text.decode() for each in writer.records])
