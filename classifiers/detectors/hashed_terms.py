"""A policy's dictionaries of salted hashes: values that must not stand in a file. Never shipped data.

Each run of up to `words` words of a piece is hashed once: the words of the piece bound the cost, not the dictionary.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from classifiers.detectors.base import Piece
from classifiers.types import Dictionary, Match
from classifiers.values import words_of


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
        for first, word in enumerate(words):
            run, last = "", -1
            for index in range(first, min(first + self._words, len(words))):
                joint = words[index].joint if run else ""
                run += joint + words[index].text
                if self._has(run):
                    last = index
            if last >= 0:
                start = piece.start + _size(text, word.start)
                found.append(
                    Match(self._entity, start, start + _size(text[word.start :], words[last].end - word.start), 1.0)
                )
        return found

    def _has(self, run: str) -> bool:
        state = self._salted.copy()
        state.update(run.encode("utf-8", "surrogatepass"))
        return state.digest() in self._digests


def _size(text: str, characters: int) -> int:
    return len(text[:characters].encode("utf-8", "surrogatepass"))
