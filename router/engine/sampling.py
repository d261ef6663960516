"""Chooses the next token from logits.

The order is that of transformers: penalties, grammar, temperature, top-k, top-p, min-p. (vLLM cuts by min-p before the
other two; llama.cpp applies the temperature last.) A token that the grammar forbids is never returned.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import numpy as np

from router.engine.constraint import Constraint, DeadEndError, GrammarError
from router.engine.native import Logits, NativeModel
from router.engine.penalties import Penalties
from router.engine.ranking import Indices, Ranking, column_sums, exponentials, pick_at
from router.engine.softmax import make_denominator
from router.engine.types import Sampling, TokenLogprob

__all__ = ["DeadEndError", "Describer", "GrammarError", "Sampler"]

_GREEDY_BELOW = 0.01  # below it dividing by the temperature only adds overflow: the largest logit wins anyway
# A token whose logit is more than 30 temperatures under the best has less than 1e-13 of its probability: 50,000 of
# them weigh less than float32 can hold.
_NEGLIGIBLE = 30.0
_FEW_COLUMNS = 256  # up to here it is cheaper to look at single tokens than to weigh them all
_HEAD = 64


class Sampler:
    """The random state, the penalties' counts and the grammar's state of one sequence.

    `pick` is called once for each token of the answer, in order. It looks at nothing but its logits and what was picked
    before, so that guesses can be verified with it: the token at the first mismatch is the right one.
    """

    def __init__(self, model: NativeModel, sampling: Sampling, prompt: Sequence[int] = ()) -> None:
        """Raises GrammarError."""
        self.is_greedy = sampling.temperature < _GREEDY_BELOW
        self._random = random.Random(sampling.seed)  # noqa: S311 - sampling is no secret
        self._sampling = sampling
        self._span = 0.0 if self.is_greedy else _NEGLIGIBLE * sampling.temperature
        self._scale = 1.0 if self.is_greedy else 1.0 / sampling.temperature
        self._penalties = Penalties(sampling, prompt) if Penalties.wanted(sampling) else None
        self._constraint = Constraint.of(model, sampling)

    def pick(self, logits: Logits) -> int:
        """The next token. `logits` are as before when it returns. Raises DeadEndError."""
        if self._penalties is None:
            return self._pick(logits)
        with self._penalties.applied(logits):
            token = self._pick(logits)
        self._penalties.add(token)
        return token

    def _pick(self, logits: Logits) -> int:
        token = self._draw(logits)
        if self._constraint is None:
            return token
        if not self._constraint.allows(token):
            # The usual token fits, so the vocabulary is put to the grammar only when one did not.
            tokens = self._constraint.allowed(logits, self._span)
            token = int(tokens[self._draw(logits[tokens])])
        self._constraint.accept(token)
        return token

    def _draw(self, logits: Logits) -> int:
        """An index of `logits`."""
        if self.is_greedy:
            return int(logits.argmax())
        sampling, ranking = self._sampling, Ranking(logits)
        if sampling.top_k:
            places = ranking.largest(sampling.top_k)
            return self._draw_ranked(places, exponentials(logits[places], ranking.best, self._scale))
        floor = self._floor(ranking.best)
        if ranking.count_columns(floor) <= _FEW_COLUMNS:
            places = ranking.at_least(floor)
            return self._draw_ranked(places, exponentials(logits[places], ranking.best, self._scale))
        weights = exponentials(logits, ranking.best, self._scale)
        sums = column_sums(weights)
        if sampling.top_p >= 1.0:
            if sampling.min_p > 0.0:
                weights[weights < sampling.min_p] = 0.0
                sums = column_sums(weights)
            return pick_at(weights, sums, self._random.random())
        total = float(sums.sum())
        places = ranking.largest(_HEAD)
        if float(weights[places].sum(dtype=np.float64)) >= sampling.top_p * total:
            return self._draw_ranked(places, weights[places], total)
        # So flat that the head does not hold the nucleus. Sorting weights is several times faster than sorting indices.
        ranked = np.sort(weights)[::-1]
        chosen = self._draw_ranked(np.arange(len(ranked)), ranked, total)
        equals = np.flatnonzero(weights == ranked[chosen])
        first = int(np.searchsorted(-ranked, -ranked[chosen]))
        return int(equals[chosen - first])

    def _floor(self, best: np.float32) -> np.float32:
        """The logit below which nothing counts."""
        span = self._span
        if self._sampling.top_p >= 1.0 and self._sampling.min_p > 0.0:
            span = min(span, -math.log(self._sampling.min_p) * self._sampling.temperature)
        return np.float32(best - span)

    def _draw_ranked(self, places: Indices, weights: Logits, total: float | None = None) -> int:
        """One of `places`, which stand in the order of their weights: top-p of `total`, then min-p, then chance."""
        sums = np.cumsum(weights, dtype=np.float64)
        kept = len(sums)
        if self._sampling.top_p < 1.0:
            share = self._sampling.top_p * (float(sums[-1]) if total is None else total)
            kept = min(kept, int(np.searchsorted(sums, share)) + 1)
        if self._sampling.min_p > 0.0:
            least = self._sampling.min_p * weights[0]
            kept = min(kept, int(np.searchsorted(-weights, -least, side="right")))
        chosen = np.searchsorted(sums[:kept], self._random.random() * sums[kept - 1], side="right")
        return int(places[min(int(chosen), kept - 1)])


class Describer:
    """Says of chosen tokens how likely the model itself held them. For one thread."""

    def __init__(self, model: NativeModel) -> None:
        self._model = model
        self._log_denominator = make_denominator()

    def describe(self, logits: Logits, token: int, top: int) -> TokenLogprob:
        """The chosen token's natural log-probability, and the `top` most probable, best first."""
        total = self._log_denominator(logits)
        best = Ranking(logits).largest(top).tolist() if top else []
        ranked = tuple((self._model.piece(index), float(logits[index]) - total) for index in best)
        return TokenLogprob(self._model.piece(token), float(logits[token]) - total, ranked)
