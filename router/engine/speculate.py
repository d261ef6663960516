"""Prompt lookup: what followed the last few tokens the last time they occurred is a cheap guess at what comes now.

Summaries and edits copy their input. A guess costs nothing but the room in a step; the model still decides every token.
Source: Saxena, "Prompt Lookup Decoding", 2023.
"""

from __future__ import annotations

from collections.abc import Sequence

_GRAM = 3
_FIRST, _LEAST, _MOST = 4, 2, 16


class PromptLookup:
    """Guesses for one sequence. The length of a guess follows how well the last ones did."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self._tokens = list(tokens)
        self._places: dict[tuple[int, ...], int] = {}  # a gram -> where what follows it begins
        self._length = _FIRST
        for end in range(_GRAM, len(self._tokens)):
            self._places[tuple(self._tokens[end - _GRAM : end])] = end

    def push(self, token: int) -> None:
        """Say which token came."""
        if len(self._tokens) >= _GRAM:
            self._places[tuple(self._tokens[-_GRAM:])] = len(self._tokens)
        self._tokens.append(token)

    def guess(self, most: int) -> list[int]:
        """At most `most` tokens that may come next; none when nothing like it has occurred."""
        place = self._places.get(tuple(self._tokens[-_GRAM:]))
        if place is None or most < 1:
            return []
        return self._tokens[place : place + min(most, self._length)]

    def learn(self, guessed: int, right: int) -> None:
        """Say how many of a guess were right: the next is longer when all were, shorter when few were."""
        if right == guessed:
            self._length = min(_MOST, self._length * 2)
        elif right * 2 < guessed:
            self._length = max(_LEAST, self._length // 2)
