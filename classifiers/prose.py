"""What of a text is prose, where its beginning or its end is a heap of rare words, numbers and formulas. Pure.

Such a heap says nothing, yet it dilutes what a model reads beside it: a text means what its prose means. Prose is told
by its small words, in the languages that `meaning` was measured in; a text without any has no part.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from itertools import islice
from operator import itemgetter
from typing import Any, Final

from classifiers.kernels import KERNELS

_LEAST: Final = 24  # bytes of a part; less is a word or two
_NEAR: Final = 2  # words kept before the first small word and behind the last, and
_TO_END: Final = 12  # how many behind it the end of its sentence is looked for,
_TO_START: Final = 4  # and how many before it the beginning
_HEAP: Final = 3  # words at least, of which
_SHARE: Final = 0.12  # at most so many are small
_TIMES: Final = 4  # a heap has at most so many times the words that are left
_MOST: Final = 6  # ends of sentences that are tried as the border of a heap, at either end
_GLANCE: Final = 8  # words at each end that tell whether there may be one
_WORDS: Final = """
a an and are as at be by can could do does for from had has have how i if in is it its me my not of on or that the their
they this to was we were what which with would you your our us so but about into than then will any all please he she
his her him them up out no yes there been over after before under just also more who when where why i'm we're don't
der die das und ist nicht ein eine mit für von zu auf den dem des im wir unser unsere ich sie es bitte
le la les un une et est de du que pour dans nous notre je il elle el los las y una es para con por nuestro lo gli di
che per del della nostro non een het en van voor met op niet onze wij om
"""
_MARKS: Final = ("", ".", ",", "?", "!", ":", ";", ")", '"')
_SMALL: Final = frozenset(f"{word}{mark}".encode() for word in _WORDS.split() for mark in _MARKS)
_FIRST: Final = re.compile(rb"\x01(?=\x00{0,4}\x01)")  # a small word with another among the five behind it
_SENTENCE_ENDS: Final = (b".", b"!", b"?", b":", b";")
_CLOSING: Final = b"\"')]"  # may stand behind such a sign
_KIND_OF_END: Final = bytes(1 if byte in b".!?:;" else 2 if byte in _CLOSING else 0 for byte in range(256))
_SOME_END: Final = re.compile(rb"[\x01\x02]")
_SAMPLES: Final = (
    b"",
    b" \n",
    b"We have to let him go, and he does not know it yet. partnering crutches properties molecular subgroup.",
    b"E = mc2, [3]. Ab 12 'x y.') And it is what the board will do about the merger: our offer stands",
)
Parts = list[tuple[int, int]]  # where each begins and ends, in bytes


def parts_reader() -> Callable[[bytes], Parts]:
    """What gives the parts of a text: `native/prose.c`, or `prose_parts`, to which that is held."""

    def make(kernels: Any) -> Callable[[bytes], Parts]:
        return partial(kernels.prose_parts, kernels.words(b"\n".join(_SMALL)))

    def agrees(found: Callable[[bytes], Parts]) -> bool:
        return all(found(sample) == prose_parts(sample) for sample in _SAMPLES)

    return KERNELS.take("prose", make, agrees) or prose_parts


def prose_parts(text: bytes) -> Parts:
    """Spans of the text without what is no prose at its ends, none of them all of it; of most texts none.

    From its first to its last stretch of prose; the same in whole sentences; and without what follows
    on a sentence, or comes before it, and is no prose.
    """
    words = text.split()
    small = bytes(map(_SMALL.__contains__, text.lower().split()))
    count = len(small)
    first, last = _FIRST.search(small), _FIRST.search(small[::-1])
    low, high = (first.start(), count - last.start()) if first and last else (0, count)
    if low <= _NEAR and high + _NEAR >= count and not _may_have_heap(small):
        return []
    ends = _ends(words)
    near = min(high + _NEAR, count)
    cuts = {
        (max(low - _NEAR, 0), near),
        (_beginning(words, low, ends), next((end for end in ends if high <= end < high + _TO_END), near)),
        *((0, end) for end in islice((end for end in ends if _is_heap(small[end:], end)), _MOST)),
        *((end, count) for end in islice((end for end in reversed(ends) if _is_heap(small[:end], count - end)), _MOST)),
    }
    cuts.discard((0, count))
    spans = [_span(text, one, other, count) for one, other in sorted(cuts) if one < other]
    return [(start, end) for start, end in spans if end - start >= _LEAST]


def _ends(words: list[bytes]) -> list[int]:
    """Behind how many words a sentence ends."""
    last = bytes(map(itemgetter(-1), words)).translate(_KIND_OF_END)
    return [
        hit.start() + 1
        for hit in _SOME_END.finditer(last)
        if hit.group() == b"\x01" or words[hit.start()].rstrip(_CLOSING)[-1:] in _SENTENCE_ENDS
    ]


def _span(text: bytes, one: int, other: int, count: int) -> tuple[int, int]:
    """Where the words from `one` on stand, up to but without `other`, of so many."""
    return len(text) - len(text.split(None, one)[one]), len(text.rsplit(None, count - other)[0].rstrip())


def _may_have_heap(small: bytes) -> bool:
    return small.count(1, -_GLANCE) <= 1 or small.count(1, 0, _GLANCE) <= 1


def _is_heap(small: bytes, left: int) -> bool:
    return _HEAP <= len(small) <= _TIMES * left and small.count(1) <= _SHARE * len(small)


def _beginning(words: list[bytes], low: int, ends: list[int]) -> int:
    """Where the sentence of a word begins: behind the end of another, or with a capital that follows on none."""
    for place in range(low, max(low - _TO_START, 0) - 1, -1):
        if place == 0 or place in ends or (words[place][:1].isupper() and not words[place - 1][:1].isupper()):
            return place
    return max(low - _NEAR, 0)
