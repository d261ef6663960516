"""The tokens of a vocabulary by their first bytes: what a grammar forbids there, it forbids for all that begin so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Tokens = np.ndarray[Any, np.dtype[np.int32]]


@dataclass(frozen=True, slots=True)
class Spelling:
    """Families of tokens that share their first two bytes.

    `families` says which family each of `tokens` is of. `first` and `second` have, for each family, the token that is
    its first byte alone, and the token that is both and no more; -1 where the vocabulary has no such token.
    """

    tokens: Tokens = field(repr=False)
    families: Tokens = field(repr=False)
    first: Tokens = field(repr=False)
    second: Tokens = field(repr=False)

    @classmethod
    def of(cls, pieces: Iterable[tuple[int, bytes]]) -> Spelling:
        """From tokens with their bytes. A token without any is left out."""
        known = {token: piece for token, piece in pieces if piece}
        exact = {piece: token for token, piece in known.items() if len(piece) <= 2}
        beginnings = sorted({piece[:2] for piece in known.values()})
        place = {beginning: index for index, beginning in enumerate(beginnings)}
        return cls(
            tokens=np.array(list(known), np.int32),
            families=np.array([place[piece[:2]] for piece in known.values()], np.int32),
            first=np.array([exact.get(beginning[:1], -1) for beginning in beginnings], np.int32),
            second=np.array([exact.get(beginning, -1) for beginning in beginnings], np.int32),
        )
