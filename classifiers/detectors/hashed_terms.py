"""A policy's dictionaries of salted hashes: values that must not stand in a file. Never shipped data.

Each run of up to `words` words of a piece is hashed once: the words of the piece bound the cost, not the dictionary.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from classifiers.detectors.base import Piece
from classifiers.types import Dictionary, Match
from classifiers.values import Word, words_of


class HashedTermDetector:
    """A finding's entity type is the dictionary's name. One detector a dictionary: a dictionary has one salt."""

    triggers: tuple[str, ...] = ()

    def __init__(self, dictionary: Dictionary) -> None:
        self.name = "policy"
        self.entities = frozenset({dictionary.name})
        self._entity = dictionary.name
        self._words = dictionary.words
        self._salted = hashlib.sha256(f"{dictionary.salt}:".encode())
        self._digests = frozenset(bytes.fromhex(digest) for digest in dictionary.hashes)

    def detect(self, piece: Piece, hits: Sequence[int]) -> list[Match]:
        """The longest runs of words whose hash is in the dictionary."""
        text = piece.data[piece.start : piece.stop].decode("utf-8", "surrogatepass")
        words = words_of(text)
        found: list[Match] = []
        for first in range(len(words)):
            length = self._longest(words[first : first + self._words])
            if length:
                low, high = words[first][0], words[first + length - 1][1]
                start = piece.start + _size(text[:low])
                found.append(Match(self._entity, start, start + _size(text[low:high]), 1.0))
        return found

    def _longest(self, words: Sequence[Word]) -> int:
        """How many of the words, from the first on, make up a term; 0 for none."""
        salted, digests, run, longest = self._salted, self._digests, "", 0
        for count, (_, _, word, joint) in enumerate(words, 1):
            run = run + joint + word if run else word
            state = salted.copy()
            state.update(run.encode("utf-8", "surrogatepass"))
            if state.digest() in digests:
                longest = count
        return longest


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
