"""Distils the lists of names, places and usual words into the table that ships: one byte of bits a hashed word.

Training only.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from classifiers.tagger_features import (
    COMMON,
    COUNTRY,
    FIRST,
    LAST,
    NATION,
    PLACE,
    STREET,
    USUAL,
    plain,
    slot,
)
from classifiers.training import tagger_names as names
from classifiers.training.tagger_words import NATIONS, STREETS

_WORD = re.compile(r"[^\W\d_]+")
_USUAL_FROM, _COMMON_FROM = 3, 40  # occurrences in lower case from which a word is a usual and a common one
_PARTICLES = frozenset(
    "de la le el van der den von di da do dos das the of and et y e en am an im in zu u i bei".split()
)


def entries(texts: Iterable[str]) -> dict[str, int]:
    """Word to bits. `texts` are what usual words are counted in."""
    counts = Counter(word for text in texts for word in _WORD.findall(text) if word.islower())
    bits: dict[str, int] = {}

    def add(words: Iterable[str], bit: int) -> None:
        for word in words:
            low = plain(word)
            if len(low) > 1 and low not in _PARTICLES:
                bits[low] = bits.get(low, 0) | bit

    for region in names.REGIONS:
        pool = names.pool(region)
        add(names.words(pool.first), FIRST)
        add(names.words(pool.last), LAST)
        add(names.words(pool.cities), PLACE)
    add(names.words(names.towns("")[0]), PLACE)
    for language in names.LANGUAGES:
        add(names.words(names.countries(language)), COUNTRY)
        add(names.words((*names.languages(language), *NATIONS[language])), NATION)
    add({word.strip("#^. ") for row in STREETS.values() for name in row for word in name.split()}, STREET)
    for word, count in counts.items():
        if count >= _USUAL_FROM and len(word) > 1:
            low = plain(word)
            bits[low] = bits.get(low, 0) | (COMMON if count >= _COMMON_FROM else USUAL)
    return bits


def arrays(bits: dict[str, int]) -> dict[str, npt.NDArray[Any]]:
    """As the artifact holds it: steps between used slots, and their bits."""
    table: dict[int, int] = {}
    for word, value in bits.items():
        place = slot(word)
        table[place] = table.get(place, 0) | value
    slots = np.array(sorted(table), dtype=np.int64)
    steps = np.diff(slots, prepend=0)
    return {
        "listed": steps.astype(np.uint16 if steps.max() < 1 << 16 else np.uint32),
        "bits": np.array([table[int(place)] for place in slots], dtype=np.uint8),
    }
