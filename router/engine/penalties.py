"""Repetition, presence and frequency penalties: they touch only the logits of tokens that have occurred."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from router.engine.native import Logits
from router.engine.types import Sampling


class Penalties:
    """What has occurred in one sequence.

    `repetition_penalty` is over prompt and answer: a positive logit is divided by it, a negative one multiplied
    (Keskar et al., CTRL, 2019; so do transformers and vLLM). `presence_penalty` and `frequency_penalty` are OpenAI's:
    over the answer so far, subtracted once, and once for each occurrence.
    """

    def __init__(self, sampling: Sampling, prompt: Sequence[int]) -> None:
        self._repetition = np.float32(sampling.repetition_penalty)
        self._presence = np.float32(sampling.presence_penalty)
        self._frequency = np.float32(sampling.frequency_penalty)
        occurred = dict.fromkeys(prompt) if sampling.repetition_penalty != 1.0 else {}
        self._places = {token: place for place, token in enumerate(occurred)}
        self._tokens = np.fromiter(occurred, np.intp, len(occurred))
        self._counts = np.zeros(len(occurred), np.float32)

    @staticmethod
    def wanted(sampling: Sampling) -> bool:
        """Whether any penalty changes anything."""
        changed = sampling.presence_penalty or sampling.frequency_penalty or sampling.repetition_penalty != 1.0
        return bool(changed)

    def add(self, token: int) -> None:
        """Note that the answer has one more `token`."""
        place = self._places.setdefault(token, len(self._places))
        if place == len(self._tokens):
            # Doubling keeps this from copying all at every token. Unused places are cut off in `applied`.
            room = max(64, len(self._tokens))
            self._tokens = np.concatenate([self._tokens, np.zeros(room, np.intp)])
            self._counts = np.concatenate([self._counts, np.zeros(room, np.float32)])
        self._tokens[place] = token
        self._counts[place] += 1

    @contextmanager
    def applied(self, logits: Logits) -> Iterator[None]:
        """The penalties stand in `logits` inside the block, and are gone behind it, to the bit."""
        used = len(self._places)
        tokens, counts = self._tokens[:used], self._counts[:used]
        before = logits[tokens]
        after = np.where(before > 0, before / self._repetition, before * self._repetition)
        logits[tokens] = after - self._frequency * counts - self._presence * (counts > 0)
        try:
            yield
        finally:
            logits[tokens] = before
