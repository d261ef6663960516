"""What is kept of an answer while it comes in: how sure the model was of each token. Never a decision.

A trace lives as long as its request; only numbers made from it (`router.confidence.answer_features`) may outlive it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

HEAD: Final = 16  # tokens after which an answer may be judged before it is whole
_LEAST_LOGPROB: Final = -20.0  # servers send -inf or -9999 for a token that their sampler had cut off
_GRAM: Final = 4  # tokens in a row that count as repeated
_KEPT: Final = 1024  # tokens that are kept one by one; of the others, the sums


class Token(NamedTuple):
    """One token of an answer."""

    text: str
    logprob: float  # nats, at least -20


@dataclass(slots=True)
class TokenTrace:
    """One choice: its tokens, and sums over all of them.

    `count` is tokens with a log-probability; `total`, `least` and `mean` are in nats.
    """

    count: int = 0
    total: float = 0.0
    least: float = 0.0
    finish_reason: str | None = None
    complete: bool = True  # False: some content came without log-probabilities
    tokens: list[Token] = field(default_factory=list, repr=False)  # the first of them
    repeated_by: list[int] = field(default_factory=list, repr=False)  # after each kept token: runs that came before
    _grams: set[tuple[str, ...]] = field(default_factory=set, repr=False)
    _recent: tuple[str, ...] = field(default=(), repr=False)
    _repeated: int = field(default=0, repr=False)
    _runs: int = field(default=0, repr=False)

    def add(self, entries: Sequence[Any]) -> None:
        """Take OpenAI `logprobs.content` entries: `{"token", "logprob", …}`. A broken one: incomplete."""
        for entry in entries:
            logprob = _number(entry.get("logprob")) if isinstance(entry, Mapping) else None
            if logprob is None:
                self.complete = False
                continue
            text = entry.get("token")
            token = Token(text if isinstance(text, str) else "", logprob)
            self.count += 1
            self.total += logprob
            self.least = min(self.least, logprob)
            self._repeat(token.text)
            if len(self.tokens) < _KEPT:
                self.tokens.append(token)
                self.repeated_by.append(self._repeated)

    def add_choice(self, choice: Mapping[str, Any]) -> None:
        """Take one entry of `choices`, of a whole `chat.completion` or of a chunk: its tokens and finish reason."""
        logprobs = choice.get("logprobs")
        entries = logprobs.get("content") if isinstance(logprobs, Mapping) else None
        if isinstance(entries, list) and entries:
            self.add(entries)
        else:
            part = choice.get("delta") or choice.get("message")
            if isinstance(part, Mapping) and (part.get("content") or part.get("tool_calls")):
                self.complete = False
        reason = choice.get("finish_reason")
        if isinstance(reason, str):
            self.finish_reason = reason

    @property
    def mean(self) -> float:
        """The mean log-probability; 0.0 of no tokens."""
        return self.total / self.count if self.count else 0.0

    @property
    def repetition(self) -> float:
        """The share of runs of four tokens that had come before: near 1 for a loop, which looks confident."""
        return self._repeated / self._runs if self._runs else 0.0

    @property
    def is_over(self) -> bool:
        """Whether the answer has ended."""
        return self.finish_reason is not None

    def head(self) -> TokenTrace:
        """What was known after `HEAD` tokens: the trace itself where there were fewer, else a part of it."""
        if self.count < HEAD:
            return self
        tokens = self.tokens[:HEAD]
        first = TokenTrace(len(tokens), sum(t.logprob for t in tokens), min(t.logprob for t in tokens), None)
        first.tokens, first.repeated_by = tokens, self.repeated_by[:HEAD]
        first._repeated, first._runs = self.repeated_by[HEAD - 1], HEAD - _GRAM + 1
        first.complete = self.complete
        return first

    def _repeat(self, token: str) -> None:
        self._recent = (*self._recent, token)[-_GRAM:]
        if len(self._recent) == _GRAM:
            self._runs += 1
            if self._recent in self._grams:
                self._repeated += 1
            else:
                self._grams.add(self._recent)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        return None
    return max(min(float(value), 0.0), _LEAST_LOGPROB)
