"""Prompt lookup: what followed the last few tokens the last time they occurred is a cheap guess at what comes now.

Summaries and edits copy their input. A guess costs nothing but the room in a step; the model still decides every token.
Source: Saxena, "Prompt Lookup Decoding", 2023.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

_GRAM = 3  # tokens that must have occurred before
_NEAR = 3  # within so many tokens of where a copy was left, one token is enough: a word was left out, or another put in
_MOST = 16
_SURE = 5  # tokens of agreement that are tried even where guesses have not paid: a copy may begin late
# A token of a guess costs up to half a step of its own (measured with SmolLM2-135M on 2 cores: 0.4 to 0.5).
_COST = 0.5
# A guess ends where its next token would be right less often than this: the odds are those of where a copy still ran.
_WORTH = 0.7
_MEMORY = 0.9  # what an outcome still weighs after the next one


@dataclass(slots=True)
class _Odds:
    """How often a guess's token was right, of late."""

    right: float
    tried: float

    def learn(self, guessed: int, right: int) -> None:
        self.right = self.right * _MEMORY + right
        self.tried = self.tried * _MEMORY + min(guessed, right + 1)

    @property
    def pays(self) -> bool:
        """Whether a token is right often enough to be worth its room."""
        return self.right >= _COST * self.tried

    @property
    def length(self) -> int:
        chance = min(self.right / self.tried, 0.99)
        return max(1, min(_MOST, int(math.log(_WORTH) / math.log(max(chance, _WORTH)))))


class PromptLookup:
    """Guesses for one sequence. They grow with how much of what came before agrees, and with how good the last were."""

    def __init__(self, tokens: Sequence[int], ends: Collection[int] = ()) -> None:
        """Guesses for what follows `tokens`, the prompt; `ends` are the tokens that end an answer."""
        self._tokens = list(tokens)
        self._ends = frozenset(ends)
        self._places: dict[tuple[int, ...], int] = {}  # a gram -> where what follows it begins
        # By the length of the agreement.
        self._odds = (_Odds(1.0, 2.0), _Odds(3.0, 4.0), _Odds(9.0, 10.0), _Odds(19.0, 20.0))
        self._used = self._odds[0]
        self._all = _Odds(2.0, 3.0)  # of any agreement: text that copies nothing is told by it after a few guesses
        self._read = 0  # the place behind what was copied last, from where on it may go on; 0: nothing was
        self._single: dict[int, int] = {}  # a token of the prompt -> the place behind it; 0: it stands there twice
        for place, token in enumerate(self._tokens, 1):
            self._single[token] = 0 if token in self._single else place
        for end in range(_GRAM, len(self._tokens)):
            self._places[tuple(self._tokens[end - _GRAM : end])] = end

    def push(self, token: int) -> None:
        """Say which token came."""
        if len(self._tokens) >= _GRAM:
            self._places[tuple(self._tokens[-_GRAM:])] = len(self._tokens)
        self._tokens.append(token)
        if self._read:
            self._read += 1

    def guess(self, most: int) -> list[int]:
        """At most `most` tokens that may come next; none when nothing like it has occurred."""
        place = self._places.get(tuple(self._tokens[-_GRAM:])) or self._near() or self._behind_its_only_like()
        if not 0 < place < len(self._tokens) or most < 1:
            return []
        agreement = self._agreement(place)
        if agreement < _SURE and not self._all.pays:
            return []
        self._used = self._odds[0 if agreement < _GRAM else 1 if agreement < _SURE else 2 if agreement < 9 else 3]
        self._read = place
        guess = self._tokens[place : place + min(most, self._used.length)]
        if self._ends.isdisjoint(guess):
            return guess
        end = next(index for index, token in enumerate(guess) if token in self._ends)
        return guess[: end + 1]  # what stands behind the end of a turn in the prompt is no part of an answer

    def learn(self, guessed: int, right: int) -> None:
        """Say how many of the last guess's tokens were right."""
        self._used.learn(guessed, right)
        self._all.learn(guessed, right)

    def _near(self) -> int:
        """Where a copy that was left may go on: behind the last token's like, beside where it was left; 0: nowhere."""
        for away in range(_NEAR if self._read else 0):
            for place in (self._read + away, self._read - away):
                if 0 < place < len(self._tokens) and self._tokens[place - 1] == self._tokens[-1]:
                    return place
        return 0

    def _behind_its_only_like(self) -> int:
        """Where a copy may begin: behind the last token, if it stands once in the prompt; 0: nowhere.

        Names, numbers and rare words are such tokens. A copy is met two tokens sooner than by three in common.
        """
        return self._single.get(self._tokens[-1], 0) if self._tokens else 0

    def _agreement(self, place: int) -> int:
        """How many tokens before `place` are those at the end."""
        length = 1
        while length < _MOST and place > length and self._tokens[place - length - 1] == self._tokens[-length - 1]:
            length += 1
        return length
