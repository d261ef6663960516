"""Text to numbers: hashed n-grams and surface counts, the same for training and for serving.

`extract` says what they are; `native/features.c` gives the same numbers, which tests hold it to.

Must never depend on the process (no salted hashes) nor read more than a fixed part of a long text.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.kernels import KERNELS

BITS: Final = 16
BUCKETS: Final = 1 << BITS
HEAD_CHARACTERS: Final = 3000  # of a longer text, its beginning and its end are read: tasks stand at either
TAIL_CHARACTERS: Final = 1000
_GRAM: Final = 5  # bytes in a character n-gram

_U64 = npt.NDArray[np.uint64]
_BASE: Final = 0x9E3779B97F4A7C15  # odd, so it has an inverse modulo 2**64
_MIX: Final = np.uint64(0xD6E8FEB86659FD93)
_PAIR: Final = np.uint64(0xA0761D6478BD642F)
_KINDS: Final = (np.uint64(0x2545F4914F6CDD1D), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0x165667B19E3779F9))
_SHIFT: Final = np.uint64(64 - BITS)
_HALF: Final = np.uint64(32)
_MAX_BYTES: Final = 4 * (HEAD_CHARACTERS + TAIL_CHARACTERS) + 2

# Byte classes: what kind of mark a byte is, for the surface counts.
_OTHER, _LETTER, _DIGIT, _SPACE, _LINE, _MATHS, _CODE, _STOP, _QUESTION, _WIDE, _COMMA = range(11)
_CLASSES: Final = 11


def _powers(base: int, count: int) -> _U64:
    values, current = [], 1
    for _ in range(count):
        values.append(current)
        current = current * base & 0xFFFFFFFFFFFFFFFF
    return np.array(values, dtype=np.uint64)


def _byte_classes() -> npt.NDArray[np.uint8]:
    table = np.full(256, _OTHER, dtype=np.uint8)
    table[128:] = _WIDE
    for marks, kind in (
        (b"abcdefghijklmnopqrstuvwxyz", _LETTER),
        (b"0123456789", _DIGIT),
        (b" \t", _SPACE),
        (b"\r\n", _LINE),
        (b"\\^$=+*<>|", _MATHS),
        (b"{}[]();_#`/&@", _CODE),
        (b".!", _STOP),
        (b"?", _QUESTION),
        (b",:", _COMMA),
    ):
        table[list(marks)] = kind
    return table


_POWERS: Final = _powers(_BASE, _MAX_BYTES + 1)
_INVERSES: Final = _powers(pow(_BASE, -1, 1 << 64), _MAX_BYTES + 1)
_CLASS_OF: Final = _byte_classes()
_IS_WORD: Final = np.isin(_CLASS_OF, (_LETTER, _DIGIT, _WIDE))
_CODE_OF: Final = np.arange(1, 257, dtype=np.uint64)  # byte -> its digit in the rolling hash; never zero

SURFACE_NAMES: Final = (
    "log_characters",
    "log_characters_above_60",
    "log_characters_above_240",
    "log_characters_above_1000",
    "log_words",
    "mean_word_length",
    "long_word_share",
    "digit_share",
    "maths_share",
    "code_share",
    "wide_share",
    "punctuation_share",
    "log_lines",
    "log_questions",
    "log_sentences",
    "has_maths",
    "has_code_line",
)
SURFACE_COUNT: Final = len(SURFACE_NAMES)


@dataclass(frozen=True, slots=True)
class Features:
    """`buckets`: sorted distinct hashed n-grams, each below `BUCKETS`; `surface`: as in `SURFACE_NAMES`."""

    buckets: npt.NDArray[Any]
    surface: npt.NDArray[np.float64]


def clip(text: str) -> str:
    """The part of `text` that is read: all of it, or the first 3,000 and the last 1,000 characters."""
    if len(text) <= HEAD_CHARACTERS + TAIL_CHARACTERS:
        return text
    return text[:HEAD_CHARACTERS] + "\n" + text[-TAIL_CHARACTERS:]


def data_of(text: str) -> bytes:
    """What is read of a text: small letters in UTF-8 between two blanks, at most 16,002 bytes."""
    return b" " + clip(text).lower().encode("utf-8", "replace")[: _MAX_BYTES - 2] + b" "


@lru_cache(maxsize=1)
def read(text: str) -> Any:
    """The features as a compiled model takes them; only where the kernels are in use."""
    return KERNELS.module().features(data_of(text))


@lru_cache(maxsize=1)  # the signals of one request mostly read the same text
def extract(text: str) -> Features:
    """The features of one text, in time linear in the part that is read; equal texts give equal features anywhere."""
    data = data_of(text)
    raw = np.frombuffer(data, dtype=np.uint8)
    in_word = _IS_WORD[raw]
    edges = (in_word[1:] != in_word[:-1]).nonzero()[0] + 1
    starts, ends = edges[0::2], edges[1::2]
    prefix = np.empty(len(raw) + 1, dtype=np.uint64)
    prefix[0] = 0
    (_CODE_OF[raw] * _POWERS[: len(raw)]).cumsum(out=prefix[1:])
    words = (prefix[ends] - prefix[starts]) * _INVERSES[starts]
    grams = (prefix[_GRAM:] - prefix[:-_GRAM]) * _INVERSES[: max(len(prefix) - _GRAM, 0)]
    pairs = words[:-1] * _PAIR + words[1:]
    hashes = np.concatenate((words ^ _KINDS[0], pairs ^ _KINDS[1], grams ^ _KINDS[2]))
    hashes ^= hashes >> _HALF
    hashes *= _MIX
    hashes >>= _SHIFT
    buckets = hashes.astype(np.int32)
    buckets.sort()
    if len(buckets) > 1:
        distinct = np.empty(len(buckets), dtype=np.bool_)
        distinct[0] = True
        np.not_equal(buckets[1:], buckets[:-1], out=distinct[1:])
        buckets = buckets[distinct]
    return Features(buckets, _surface(raw, starts, ends))


def _surface(raw: npt.NDArray[np.uint8], starts: npt.NDArray[Any], ends: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    counts = np.bincount(_CLASS_OF[raw], minlength=_CLASSES).tolist()
    size = max(len(raw) - 2, 1)
    words = len(starts)
    lengths = ends - starts
    long_words = int(np.count_nonzero(lengths >= 9))
    log = math.log1p
    log_size = log(size)
    return np.array(
        (
            log_size,
            max(log_size - 4.11, 0.0),  # log1p(60), log1p(240), log1p(1000): where the slope over length may change
            max(log_size - 5.48, 0.0),
            max(log_size - 6.91, 0.0),
            log(words),
            int(lengths.sum()) / words if words else 0.0,
            long_words / max(words, 1),
            counts[_DIGIT] / size,
            counts[_MATHS] / size,
            counts[_CODE] / size,
            counts[_WIDE] / size,
            (counts[_STOP] + counts[_COMMA]) / size,
            log(counts[_LINE]),
            log(counts[_QUESTION]),
            log(counts[_STOP]),
            1.0 if counts[_MATHS] >= 2 else 0.0,
            1.0 if counts[_CODE] >= 6 else 0.0,
        ),
        dtype=np.float64,
    )
