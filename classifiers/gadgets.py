"""Whether a text that reads hard is an everyday request with something put beside it to make it look so.

Hard words beside a request change nothing of the request itself: it still stands at one end of the text, whole. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.resources.abc import Traversable
from typing import Final

from classifiers.features import clip
from classifiers.linear import LinearModel, load
from classifiers.prose import parts_reader

PART_WORDS: Final = (3, 5, 9, 15)
MOST_WORDS: Final = 8  # times as many as the part: in a longer text a friendly beginning says nothing
PROSE: Final = 0.1  # share of small words from which on the rest may be a question in earnest, and
PROSE_WEIGHT: Final = 14.0  # how much each further unit of that share counts: gadgets are no sentences
EASY: Final = -0.4055  # log-odds of 0.4, below which a prompt is easy
_EASIEST: Final = 3.5  # no part has a lower complexity than minus this, in log-odds
_SMALL: Final = frozenset((
    "a", "an", "and", "are", "as", "at", "be", "by", "can", "could", "do", "does", "for", "from", "had", "has", "have",
    "how", "i", "if", "in", "is", "it", "its", "me", "my", "not", "of", "on", "or", "that", "the", "their", "they",
    "this", "to", "was", "we", "were", "what", "which", "with", "would", "you", "your",
))  # fmt: skip
_MARKS: Final = ".,;:?!()\"'"

Complexity = Callable[[str], float]


def parts(text: str) -> Iterator[tuple[str, list[str]]]:
    """The first and the last 3, 5, 9 and 15 words of a text that has more, each with the words that are left."""
    words = clip(text).split()
    for size in PART_WORDS:
        if size < len(words) <= size * MOST_WORDS:
            yield " ".join(words[:size]), words[size:]
            yield " ".join(words[-size:]), words[:-size]


def prose(words: list[str]) -> float:
    """What the small words among these take off: 0.0 for a heap of rare words and formulas."""
    small = sum(word.lower().strip(_MARKS) in _SMALL for word in words)
    return PROSE_WEIGHT * max(small / max(len(words), 1) - PROSE, 0.0)


class Gadgets:
    """Looks at both ends of a text, by the artifact `everyday` and by the complexity of the end alone."""

    def __init__(self, complexity: Complexity, folder: Traversable | None = None) -> None:
        """`complexity` gives the log-odds of a text. Raises `classifiers.linear.ArtifactError`."""
        self._everyday = load("everyday", folder)
        self._prose_parts = parts_reader()
        self._complexity = complexity

    @property
    def digest(self) -> str:
        """SHA-256 of the artifact, hex."""
        return self._everyday.digest

    def has_request(self, text: str) -> bool:
        """Whether an end of the text, read alone, is an everyday request, and the rest is no prose; or, without what is
        no prose at its ends, the text is easy."""
        return any(self._is_request(part, prose(rest)) for part, rest in parts(text)) or self._has_easy_prose(text)

    def _is_request(self, part: str, off: float) -> bool:
        value = everyday(self._everyday, part) - off
        return value >= -_EASIEST and value - self._complexity(part) >= 0.0

    def _has_easy_prose(self, text: str) -> bool:
        raw = clip(text).encode("utf-8", "replace")
        spans = self._prose_parts(raw)
        return any(self._complexity(raw[start:end].decode("utf-8", "replace")) < EASY for start, end in spans)


def everyday(model: LinearModel, part: str) -> float:
    """How much a part looks like an everyday request, in log-odds."""
    return model.logit_of(part)


def most(model: LinearModel, complexity: Complexity, text: str) -> float:
    """The highest value of a text's parts, as `Gadgets` holds it against 0; far below that where there are none."""
    return max((everyday(model, part) - prose(rest) - complexity(part) for part, rest in parts(text)), default=-50.0)
