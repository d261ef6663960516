"""From graded answers to a threshold that keeps a promise with high probability. Pure arithmetic; knows no policy.

A local answer is kept when its confidence is at least the threshold. Every bound is an exact binomial tail and holds
with probability 1 - delta over the draw of the graded answers, for traffic like them. Too few answers: no threshold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

Kind = Literal["max_bad_local", "max_cloud_share", "max_usd_per_month"]

DELTA: Final = 0.05
LEAST_LABELS: Final = 100  # with fewer, the confidence itself is not calibrated well enough to promise anything
_STARTS: Final = 3
_STEPS: Final = 20


class Graded(NamedTuple):
    """One graded answer: its confidence in [0, 1] by a fit that had not seen it, and whether it was good."""

    score: float
    good: bool


@dataclass(frozen=True, slots=True)
class Promise:
    """What a threshold promises, or why there is none. Shares are in [0, 1].

    `bound` is the upper end of what the promised share can be: no more than the target, the search being paid for.
    """

    kind: Kind
    target: float
    threshold: float | None  # keep an answer with at least this confidence; None: nothing can be promised
    labels: int  # graded answers (for a share: scored ones) behind it
    kept: int = 0  # of these, with at least the threshold
    bad: int = 0  # of those kept
    bound: float = 1.0
    delta: float = DELTA
    why: str = ""  # no threshold: what is missing, in words

    @property
    def kept_share(self) -> float:
        """The share of answers that the threshold keeps at home; 0.0 of none."""
        return self.kept / self.labels if self.labels and self.threshold is not None else 0.0


def at_most_bad(graded: Sequence[Graded], target: float, delta: float = DELTA, least: int = LEAST_LABELS) -> Promise:
    """The lowest threshold at which at most `target` of the answers *kept at home* are bad.

    Of those kept, not of all: that is what an admin means by "at most 5 % bad locally", and a threshold that keeps
    nothing would make the share of all look good. Learn then Test (arXiv 2110.01052), fixed sequences from three starts
    at delta/3 each: the ranks to be tested are fixed before an answer is looked at, and given the score at a rank, the
    bad among those above it are binomial. Assumes beside exchangeability that over the ranks of one sequence a surer
    group is not worse than a less sure one. Raises `ValueError` for a target outside (0, 1).
    """
    _check(target, delta)
    size = len(graded)
    fewest = max(least, fewest_labels(target, delta))
    if size < fewest:
        return Promise("max_bad_local", target, None, size, delta=delta, why=_too_few(size, fewest))
    ordered = sorted(graded, key=lambda each: -each.score)
    bad_above = [0]
    for each in ordered:
        bad_above.append(bad_above[-1] + (not each.good))
    chosen = _lowest_passing(ordered, bad_above, target, delta)
    if chosen is None:
        rank = fewest_labels(target, delta)
        why = (
            f"even among the {rank} surest answers too many are bad ({bad_above[rank]}): "
            f"no threshold keeps the bad ones at {target:.1%} or less"
        )
        return Promise("max_bad_local", target, None, size, delta=delta, why=why)
    kept, threshold = chosen
    bad = bad_above[kept]
    return Promise("max_bad_local", target, threshold, size, kept, bad, upper_bound(bad, kept, delta / _STARTS), delta)


def at_most_escalated(
    scores: Sequence[float], target: float, delta: float = DELTA, kind: Kind = "max_cloud_share"
) -> Promise:
    """The highest threshold below which at most `target` of all judged answers fall: an order statistic.

    The share below the j-th smallest of n scores is at most Beta(j, n - j + 1), whatever their distribution; ties only
    make it smaller. Needs no grades. Raises `ValueError` for a target outside [0, 1].
    """
    if target >= 1.0:
        return Promise(kind, target, 1.0, len(scores), sum(score >= 1.0 for score in scores), delta=delta)
    if target <= 0.0:
        return Promise(kind, target, 0.0, len(scores), len(scores), bound=0.0, delta=delta)
    _check(target, delta)
    size = len(scores)
    place = _order_statistic(size, target, delta)
    if place == 0:
        fewest = math.ceil(math.log(delta) / math.log1p(-target))
        return Promise(kind, target, None, size, delta=delta, why=_too_few(size, fewest))
    threshold = sorted(scores)[place - 1]
    below = sum(score < threshold for score in scores)
    return Promise(kind, target, threshold, size, size - below, bound=upper_bound(below, size, delta), delta=delta)


def budget_share(budget_usd: float, requests_per_month: float, usd_per_escalation: float) -> float:
    """The share of judged answers that a monthly budget pays for, in [0, 1]. Nothing to pay, or nothing asked: 1.0."""
    full = requests_per_month * usd_per_escalation
    return 1.0 if full <= budget_usd else max(budget_usd, 0.0) / full


def fewest_labels(target: float, delta: float = DELTA) -> int:
    """How many answers are needed before the best of outcomes (none bad) can show a share of at most `target`."""
    return math.ceil(math.log(delta / _STARTS) / math.log1p(-target))


def tail(bad: int, total: int, chance: float) -> float:
    """P(X <= bad) for X binomial over `total` draws with `chance`; 0.0 for bad < 0."""
    if bad < 0:
        return 0.0
    if bad >= total or chance <= 0.0:
        return 1.0
    if chance >= 1.0:
        return 0.0
    yes, no, whole = math.log(chance), math.log1p(-chance), math.lgamma(total + 1)
    terms = (
        whole - math.lgamma(count + 1) - math.lgamma(total - count + 1) + count * yes + (total - count) * no
        for count in range(bad + 1)
    )
    return min(1.0, math.fsum(map(math.exp, terms)))


def upper_bound(bad: int, total: int, delta: float = DELTA) -> float:
    """Clopper-Pearson: the greatest chance under which so few bad of `total` still have probability `delta`."""
    if bad >= total:
        return 1.0
    return _bisect(lambda chance: tail(bad, total, chance) > delta)


def lower_bound(bad: int, total: int, delta: float = DELTA) -> float:
    """Clopper-Pearson from below: the least chance under which so many bad still have probability `delta`."""
    if bad <= 0:
        return 0.0
    return _bisect(lambda chance: 1.0 - tail(bad - 1, total, chance) < delta)


def _bisect(is_low: Callable[[float], bool]) -> float:
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if is_low(middle) else (low, middle)
    return high


def _check(target: float, delta: float) -> None:
    if not (0.0 < target < 1.0 and 0.0 < delta < 1.0):
        raise ValueError("a target share and its delta lie between 0 and 1")


def _too_few(size: int, fewest: int) -> str:
    return f"there are {size} graded answers, and at least {fewest} are needed"


def _lowest_passing(
    ordered: Sequence[Graded], bad_above: Sequence[int], target: float, delta: float
) -> tuple[int, float] | None:
    """How many answers are kept, and the threshold, at the last rank that any of the sequences reaches."""
    ranks = _ranks(fewest_labels(target, delta), len(ordered))
    best: tuple[int, float] | None = None
    for start in sorted({len(ranks) * place // _STARTS for place in range(_STARTS)}):
        for rank in ranks[start:]:
            kept, threshold = _above(ordered, rank)
            if tail(bad_above[kept], kept, target) > delta / _STARTS:
                break
            if best is None or kept > best[0]:
                best = kept, threshold
    return best


def _ranks(first: int, last: int) -> list[int]:
    """About twenty ranks from `first` to `last`, in steps of the same ratio."""
    ratio = (last / first) ** (1 / (_STEPS - 1))
    return sorted({*(round(first * ratio**step) for step in range(_STEPS - 1)), last})


def _above(ordered: Sequence[Graded], rank: int) -> tuple[int, float]:
    """How many are surer than the answer after `rank`, and a threshold that keeps just these; ties with it are left."""
    if rank >= len(ordered):
        return len(ordered), 0.0
    limit = ordered[rank].score
    kept = rank
    while kept and ordered[kept - 1].score <= limit:
        kept -= 1
    return kept, math.nextafter(limit, math.inf)


def _order_statistic(size: int, target: float, delta: float) -> int:
    """The greatest j with P(Binomial(size, target) <= j - 1) <= delta; 0: there is none."""
    low, high = 0, size
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if tail(middle - 1, size, target) <= delta else (low, middle - 1)
    return low
