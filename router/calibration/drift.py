"""Whether traffic keeps what a threshold promised: the observed share of the last answers against the promised one.

Counts only: an answer is a yes or a no. A new card, target or model begins anew, as other answers say nothing about it.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Final

from router.calibration.targets import Standard
from router.calibration.thresholds import Kind, lower_bound, tail
from router.types import JsonObject

WINDOW: Final = 1000  # answers that are looked at together
# Each new answer is another look at the window: seldom enough that chance alone does not warn in a thousand answers.
ALARM: Final = 1e-4
LEAST: Final = 20
_REMEMBERED: Final = 10_000  # answers kept at home that feedback may still come for


@dataclass(frozen=True, slots=True)
class Pledge:
    """What was promised, and by which card: what a window is counted for. `model` is the policy's name."""

    model: str
    kind: Kind
    share: float  # promised at most: of bad among those kept, or of escalated among those judged
    digest: str  # of the card
    rule: str = ""  # whose target it is; "": the policy's


@dataclass(frozen=True, slots=True)
class Observed:
    """What the window shows. `is_broken`: so many could hardly be if the promise held."""

    pledge: Pledge
    count: int
    total: int
    is_broken: bool

    @property
    def share(self) -> float:
        """The observed share; 0.0 of nothing."""
        return self.count / self.total if self.total else 0.0

    @property
    def least(self) -> float:
        """The least true share that would often (1 in 20) show so many: Clopper-Pearson from below."""
        return lower_bound(self.count, self.total)


class Drift:
    """One window for each model, kind of promise and rule, of the latest card. Not for several threads."""

    def __init__(self, window: int = WINDOW) -> None:
        self._size = window
        self._windows: dict[tuple[str, Kind, str], _Window] = {}

    def add(self, pledge: Pledge, happened: bool) -> None:
        """One more answer under `pledge`: it escalated (of a share), or it was kept and is known to be bad."""
        key = (pledge.model, pledge.kind, pledge.rule)
        window = self._windows.get(key)
        if window is None or window.pledge != pledge:
            window = self._windows[key] = _Window(pledge, deque(maxlen=self._size))
        window.add(happened)

    def keep(self, models: frozenset[str]) -> None:
        """Forget the windows of all other models: the policy has no target for them any more."""
        self._windows = {key: window for key, window in self._windows.items() if key[0] in models}

    def observed(self) -> list[Observed]:
        """What every window shows, by model and kind."""
        return [window.observed() for _, window in sorted(self._windows.items())]


@dataclass(slots=True)
class _Window:
    pledge: Pledge
    seen: deque[bool]
    count: int = 0

    def add(self, happened: bool) -> None:
        if len(self.seen) == self.seen.maxlen:
            self.count -= self.seen[0]
        self.seen.append(happened)
        self.count += happened

    def observed(self) -> Observed:
        total = len(self.seen)
        by_chance = 1.0 - tail(self.count - 1, total, self.pledge.share)
        return Observed(self.pledge, self.count, total, total >= LEAST and by_chance < ALARM)


def promise_in_record(standard: Standard, model: str, rule: str = "") -> JsonObject:
    """What a decision record says of the promise that an answer of `model` (the policy's name) was held against.

    Names, numbers, a digest; `rule` is the one whose target it is, "" for the policy's.
    """
    promise = standard.promise
    return {
        "model": model,
        "rule": rule or None,
        "kind": promise.kind,
        "target": promise.target,
        "share": promise.bound if promise.kind == "max_usd_per_month" else promise.target,
        "threshold": promise.threshold,
        "task": standard.task or None,
        "card": standard.digest or None,
    }


class DriftWatch:
    """Reads drift off decision records as they are written. What names no promise counts for none."""

    def __init__(self, window: int = WINDOW) -> None:
        self._drift = Drift(window)
        self._kept: OrderedDict[str, Pledge] = OrderedDict()

    def take(self, record: JsonObject) -> None:
        """One decision record, as `router.records.record` makes them."""
        outcome, promise = (record.get(name) or {} for name in ("outcome", "promise"))
        found, model = (
            outcome.get("judgement") or {},
            promise.get("model"),
        )
        if promise.get("threshold") is None or not found or not isinstance(model, str):
            return
        card, rule = promise["card"] or "", promise.get("rule") or ""
        pledge = Pledge(model, promise["kind"], promise["share"], card, rule)
        if promise["kind"] != "max_bad_local":
            self._drift.add(pledge, found["verdict"] == "escalate")
        elif found["verdict"] == "keep":
            self._kept[record["id"]] = pledge
            if len(self._kept) > _REMEMBERED:
                self._kept.popitem(last=False)

    def take_feedback(self, request_id: str, is_good: bool) -> None:
        """What a caller says of an answer; only of one that was kept under a promise, and only once."""
        pledge = self._kept.pop(request_id, None)
        if pledge is not None:
            self._drift.add(pledge, not is_good)

    def observed(self) -> list[Observed]:
        """What every window shows, by model and kind."""
        return self._drift.observed()
