"""Everyday text that holds nobody's data: public prompts, questions, puzzles and sums.

Training only. Somebody's first name in it may be a name or none: who would ask about invented people is not told apart.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from classifiers.tagger_features import plain
from classifiers.training import tagger_names as names
from classifiers.training.tagger_data import NOT_DIRECT, Doc, benign, held_out, read

_WORD: Final = re.compile(r"[^\W\d_]+")
_STRETCH: Final = 800  # characters of a long prompt that are learned from at once, and
_STRETCHES: Final = 3  # how often at most
_BLANK_WITHIN: Final = 60  # characters; a stretch begins with a word where there is one so near
_MOST: Final = 700  # of the puzzles of one set
_USUAL: Final = 3  # occurrences in small letters that make a first name a word, too
_WEIGHTS: Final = {
    "clinc150": 5.0,
    "banking77": 2.0,
    "awesome_prompts": 2.0,
    "self_instruct": 3.0,
}  # fmt: skip
_SPOKEN: Final = frozenset({"clinc150", "banking77"})  # what names there are is few and small: nobody's, as labelled
_PUZZLES: Final = {
    "big_math": "routing/big_math_solve_rate",
    "math": "routing/math_levels",
    "routerbench": "routing/routerbench_subset",
    "arena": "routing/arena_bench_scores",
    "jailbreak": "safety/jailbreak_prompts",
}


def everyday(data: Path, rng: random.Random, usual: Iterable[str]) -> Iterator[Doc]:
    """What of the public sets is not kept for measuring; `usual`: the texts in which usual words are counted."""
    first = _first_names(usual)
    for name, texts in (benign(data) | puzzles(data)).items():
        kept = [text for text in texts if not held_out(text, 2)]
        if name in _PUZZLES:
            kept = rng.sample(kept, min(_MOST, len(kept)))
        for text in kept:
            for part in stretches(text, rng):
                hits = _WORD.finditer(part) if name not in _SPOKEN else ()
                maybe = [hit.span() for hit in hits if plain(hit.group()) in first]
                spans = tuple((*place, "?PERSON") for place in maybe)
                yield Doc(part, spans, NOT_DIRECT, _WEIGHTS.get(name, 1.0), name, name)


def puzzles(data: Path) -> dict[str, list[str]]:
    """Sums, questions with choices, prompts found in the wild, by source."""
    found = {name: [row["prompt"] for row in read(data / f"{file}.jsonl.gz")] for name, file in _PUZZLES.items()}
    return {name: list(dict.fromkeys(texts)) for name, texts in found.items()}


def stretches(text: str, rng: random.Random) -> Iterator[str]:
    """A text; of a long one its beginning, and stretches from anywhere in it."""
    yield text[:_STRETCH]
    for _ in range(min(_STRETCHES, -(-len(text) // _STRETCH)) - 1):
        start = rng.randrange(len(text) - _STRETCH // 2)
        blank = text.find(" ", start, start + _BLANK_WITHIN)
        start = blank + 1 if blank >= 0 else start
        yield text[start : start + _STRETCH]


def _first_names(usual: Iterable[str]) -> frozenset[str]:
    counts = Counter(word for text in usual for word in _WORD.findall(text) if word.islower())
    listed = {plain(word) for region in names.REGIONS for word in names.words(names.pool(region).first)}
    return frozenset(word for word in listed if len(word) > 2 and counts[word] < _USUAL)
