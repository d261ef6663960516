"""The parent's eye on calibration: cards that change on the disk, and whether records keep what the cards promise.

Told every record as it comes, looked at once a second. Names and numbers only; it changes no decision.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import orjson

from router.calibration.drift import DriftWatch, Observed, Pledge
from router.calibration.standing import FOLDER, digest_of_cards
from router.processes.control import RecordWriting
from router.records.filing import FiledRecord
from router.telemetry.telemetry import Telemetry
from router.types import JsonObject

log = logging.getLogger("gatehouse.calibration")


class CardWatch:
    """Tells when a card in the state folder is new, changed or gone. A folder that cannot be read has not changed."""

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir / FOLDER
        self._stamp: tuple[tuple[str, int, int], ...] | None = None
        self.digest = ""

    def has_changed(self) -> bool:
        """Whether the cards are others than at the last look; cheap where no file was touched. The first look: no."""
        try:
            stamp = tuple(sorted(_stamps(self._folder)))
            if stamp == self._stamp:
                return False
            digest = digest_of_cards(self._folder)
        except OSError as error:
            log.warning("the cards in %s cannot be read: %s", self._folder, error.strerror)
            return False
        is_first, self._stamp = self._stamp is None, stamp
        before, self.digest = self.digest, digest
        return not is_first and before != digest


class PromiseWatch:
    """Passes records on to their writer and reads drift off them; `show` once a second."""

    def __init__(self, writer: RecordWriting, telemetry: Telemetry, on_change: Callable[[], None]) -> None:
        """`on_change` is called when `broken` may have changed."""
        self._writer = writer
        self._telemetry = telemetry
        self._on_change = on_change
        self._drift = DriftWatch()
        self.broken: tuple[str, ...] = ()  # as `/readyz` names them under `degraded`

    def submit(self, record: FiledRecord) -> bool:
        """Queue a record for writing; False: dropped."""
        if record.is_promised:
            self._drift.take(orjson.loads(record.text))
        return self._writer.submit(record)

    async def commit_intent(self, record: JsonObject) -> bool:
        """Have an intent made durable. It judges nothing."""
        return await self._writer.commit_intent(record)

    def take_feedback(self, request_id: str, is_good: bool) -> None:
        """What a caller said of an answer."""
        self._drift.take_feedback(request_id, is_good)

    def show(self) -> None:
        """Set the metrics, and warn of a promise that has just been found broken."""
        seen = self._drift.observed()
        for each in seen:
            self._telemetry.promise_observed(
                each.pledge.model, _kind(each.pledge), each.pledge.share, each.share, each.total, each.is_broken
            )
        broken = {_word(each): each for each in seen if each.is_broken}
        for word in broken.keys() - set(self.broken):
            _warn(broken[word])
        if tuple(sorted(broken)) != self.broken:
            self.broken = tuple(sorted(broken))
            self._on_change()


def _stamps(folder: Path) -> list[tuple[str, int, int]]:
    if not folder.is_dir():
        return []
    found = [(entry.name, entry.stat()) for entry in folder.iterdir()]
    return [(name, status.st_mtime_ns, status.st_size) for name, status in found if name.endswith(".json")]


def _word(observed: Observed) -> str:
    return f"promise_broken_{observed.pledge.model}_{_kind(observed.pledge)}"


def _kind(pledge: Pledge) -> str:
    """The kind of a promise as metrics and `/readyz` name it, with the rule whose target it is."""
    return f"{pledge.kind}/{pledge.rule}" if pledge.rule else pledge.kind


def _warn(observed: Observed) -> None:
    pledge = observed.pledge
    log.warning(
        "model %s does not keep %s: promised %.3f, observed %d of %d (at least %.3f); calibrate on what is asked now",
        *(pledge.model, _kind(pledge), pledge.share, observed.count, observed.total, observed.least),
    )
