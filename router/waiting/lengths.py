"""How long one model's answers get: counts of tokens, fading, by length. No content."""

from __future__ import annotations

import math
from bisect import bisect_right

_EDGES = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1 << 31)
_FADE = 0.98  # weight of what was known when one more answer is counted: the last 50 or so are heard
_PRIOR_MEAN = 200.0  # tokens, until answers have been seen
_PRIOR_WEIGHT = 0.5  # answers that this counts for


class AnswerLengths:
    """The chance that an answer ends at a token, by length; answers cut off by their limit count as not ended yet.

    Source: Kaplan and Meier (1958), with constant hazard between powers of two.
    """

    def __init__(self) -> None:
        count = len(_EDGES) - 1
        self._seen = [_PRIOR_WEIGHT * _PRIOR_MEAN] * count  # tokens said at these lengths
        self._ended = [_PRIOR_WEIGHT] * count  # answers that ended there by themselves
        self._tabulate()

    def learn(self, tokens: int, *, was_cut: bool) -> None:
        """One answer of so many tokens; `was_cut`: by its limit, not by its own end."""
        tokens = max(1, tokens)
        at = bisect_right(_EDGES, tokens - 1) - 1
        for place in range(len(self._seen)):
            self._seen[place] *= _FADE
            self._ended[place] *= _FADE
            if place <= at:
                self._seen[place] += min(tokens, _EDGES[place + 1]) - _EDGES[place]
        if not was_cut:
            self._ended[at] += 1
        self._tabulate()

    def left(self, said: float, cap: float) -> float:
        """Tokens that one still says on average, which has said so many and may say `cap` in all; 1 at least."""
        alive, sum_said = self._at(said)
        if said >= cap or alive < 1e-9:
            return 1.0
        return max(1.0, (self._at(cap)[1] - sum_said) / alive)

    def _tabulate(self) -> None:
        """By edge: the chance to get so far, and the mean number of tokens up to there."""
        self._hazards = [ended / seen for ended, seen in zip(self._ended, self._seen, strict=True)]
        self._alive, self._sums = [1.0], [0.0]
        for place, hazard in enumerate(self._hazards):
            decayed = math.exp(-hazard * (_EDGES[place + 1] - _EDGES[place]))
            self._sums.append(self._sums[-1] + self._alive[-1] * (1 - decayed) / hazard)
            self._alive.append(self._alive[-1] * decayed)

    def _at(self, tokens: float) -> tuple[float, float]:
        place = min(bisect_right(_EDGES, tokens) - 1, len(self._hazards) - 1)
        hazard = self._hazards[place]
        decayed = math.exp(-hazard * (tokens - _EDGES[place]))
        return self._alive[place] * decayed, self._sums[place] + self._alive[place] * (1 - decayed) / hazard
