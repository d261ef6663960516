"""What a whole text means: a small network over words and word pairs, served from an artifact and its card.

It reads bytes of UTF-8, keeps none of them, and never unpickles anything; an altered artifact never scores.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import repeat
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.kernels import KERNELS

PAIR_BITS: Final = 16
PAIRS: Final = 1 << PAIR_BITS
BENIGN: Final = 0  # the first class
UNKNOWN: Final = 0  # the id of a word that is not in the vocabulary
_FIRST: Final = 1  # stands before the first word, and behind the last
_SIZES: Final = 2  # ids 2 to 13: how long the text is, in doublings
_SIZE_COUNT: Final = 12
RESERVED: Final = _SIZES + _SIZE_COUNT
DIGITS: Final = 4
SAME: Final = 1e-9  # how far a kernel's values may be from those of the reference: sums in another order
SAMPLES: Final = (
    b"",
    "The patient’s results: 12% {above} average, @home?".encode(),
    b"Unheardof zyxwvutility, 1999 $ a b c",
)
_MARKS: Final = b"{}()[];=<>_/\\|+#*&\"'`:"
_KINDS: Final = 4  # of marks at least: a talk with who speaks in brackets has fewer
_CODE_SHARE: Final = 0.05  # of a text's bytes that are marks; prose has two in a hundred

_Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_NEAR: Final = np.int64(0x9E3779B97F4A7C15 - (1 << 64))  # odd 64-bit multipliers, as signed numbers
_NEXT: Final = np.int64(0xC2B2AE3D27D4EB4F - (1 << 64))
_FAR: Final = np.int64(0x165667B19E3779F9)
_MIDDLE: Final = np.int64(29)
_SHIFT: Final = np.int64(64 - PAIR_BITS)
_MASK: Final = np.int64(PAIRS - 1)


def _plain() -> bytes:
    """Byte to byte: letters small, digits one digit, marks of code one mark, other punctuation a blank."""
    table = bytearray(range(256))
    for byte in range(128):
        sign = chr(byte)
        if sign.isalpha():
            table[byte] = ord(sign.lower())
        elif sign.isdigit():
            table[byte] = ord("0")
        elif sign in "{}()[];=<>|\\":
            table[byte] = ord("{")
        elif sign not in "?:$%@#":
            table[byte] = ord(" ")
    return bytes(table)


_PLAIN: Final = _plain()
_ALONE: Final = (b"?", b":", b"$", b"%", b"@", b"#", b"{")
_TYPOGRAPHY: Final = (
    b"\xe2\x80\x98",
    b"\xe2\x80\x99",
    b"\xe2\x80\x9c",
    b"\xe2\x80\x9d",
    b"\xe2\x80\x93",
    b"\xe2\x80\x94",
    b"\xc2\xa0",
)


def words_of(raw: bytes) -> list[bytes]:
    """The words and marks of a text, as the model reads them."""
    if not raw.isascii():
        for sign in _TYPOGRAPHY:
            raw = raw.replace(sign, b" ")
    plain = raw.translate(_PLAIN)
    for mark in _ALONE:
        if mark in plain:
            plain = plain.replace(mark, b" " + mark + b" ")
    return plain.split()


def is_code(raw: bytes) -> bool:
    """Whether a text is full of marks, as code, paths, listings and records are."""
    if len(raw) - len(raw.translate(None, _MARKS)) < _CODE_SHARE * len(raw):
        return False
    return len(set(raw).intersection(_MARKS)) >= _KINDS


def beginning(word: bytes) -> bytes:
    """What stands for an unknown word's beginning in the vocabulary."""
    return b"^" + word[:5]


def ending(word: bytes) -> bytes:
    """What stands for an unknown word's end in the vocabulary."""
    return b"~" + word[-4:]


def encode(words: Sequence[bytes], vocabulary: Mapping[bytes, int]) -> _Ints:
    """Sorted distinct feature numbers: words, parts of unknown words, the size, and hashed pairs behind them."""
    get = vocabulary.get
    count = len(words)
    parts = [_SIZES + min(count.bit_length(), _SIZE_COUNT - 1)]
    found = list(map(get, words, repeat(UNKNOWN)))
    if UNKNOWN in found:
        for word in {word for word, number in zip(words, found, strict=True) if number == UNKNOWN}:
            parts += (get(beginning(word), UNKNOWN), get(ending(word), UNKNOWN))
    ids = np.array([_FIRST, *found, _FIRST], dtype=np.int64)
    near = ids * _NEAR
    following = ids * _NEXT
    pairs = np.concatenate((near[:-1] + following[1:], near[:-2] + following[2:] + _FAR))
    pairs ^= pairs >> _MIDDLE
    pairs *= _FAR
    pairs >>= _SHIFT
    pairs &= _MASK
    pairs += len(vocabulary) + RESERVED
    numbers = np.concatenate((ids, parts, pairs))
    numbers.sort()
    distinct = np.empty(len(numbers), dtype=np.bool_)
    distinct[0] = True
    np.not_equal(numbers[1:], numbers[:-1], out=distinct[1:])
    return numbers[distinct]


class Lines(Mapping[bytes, int]):
    """A vocabulary, a line each, as it came: a word's number is looked for among the lines, and takes no memory."""

    def __init__(self, lines: bytes) -> None:
        self._lines = lines

    def __getitem__(self, word: bytes) -> int:
        at = (b"\n" + self._lines + b"\n").find(b"\n" + word + b"\n")
        if at < 0:
            raise KeyError(word)
        return RESERVED + self._lines.count(b"\n", 0, at)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._lines.split(b"\n"))

    def __len__(self) -> int:
        return self._lines.count(b"\n") + 1


@lru_cache(maxsize=2)
def numbered(lines: bytes) -> Mapping[bytes, int]:
    """The same as a dictionary, which is quick and takes 7 MB: made only where no kernel reads them."""
    return {word: number for number, word in enumerate(lines.split(b"\n"), RESERVED)}


class ArtifactError(Exception):
    """An artifact or its card is missing, altered or misshapen; the message names it and what is wrong."""


@dataclass(frozen=True, slots=True)
class MeaningModel:
    """Classes' log-odds = outer @ relu(step * sum of rows / sqrt(count) + inner bias) + outer bias."""

    words: bytes = field(repr=False)  # the vocabulary, a line each
    rows: npt.NDArray[np.int8] = field(repr=False)  # features x hidden units
    steps: Floats = field(repr=False)  # by hidden unit
    inner: Floats = field(repr=False)
    outer: Floats = field(repr=False)  # hidden units x classes
    bias: Floats = field(repr=False)
    labels: tuple[str, ...]
    digest: str = ""
    least_in_code: float = 0.5  # what a meaning must reach in code, of which an agent sends dozens of parts
    compiled: Any = None  # the same model in `native/meaning.c`

    def values(self, raw: bytes) -> list[float]:
        """One value a class, the first of the benign one: by the kernel where there is one, within 1e-9."""
        if self.compiled is None:
            return list(self.logits(raw).tolist())
        return list(KERNELS.module().meaning_logits(self.compiled, raw))

    def logits(self, raw: bytes, vocabulary: Mapping[bytes, int] | None = None) -> Floats:
        """The same by numpy: what the kernel is held to."""
        numbers = encode(words_of(raw), numbered(self.words) if vocabulary is None else vocabulary)
        hidden = self.rows.take(numbers, axis=0).sum(axis=0, dtype=np.int32) * (self.steps / math.sqrt(len(numbers)))
        hidden += self.inner
        np.maximum(hidden, 0.0, out=hidden)
        return np.asarray(hidden @ self.outer + self.bias)

    def judge(self, raw: bytes) -> list[tuple[str, float]]:
        """The meanings with a chance of at least one half, the likeliest first; none for a benign text."""
        values = self.values(raw)
        benign = values[BENIGN]
        others = values[1:]
        highest = max(others)
        if highest + math.log(len(others)) < benign:
            return []
        total = highest + math.log(sum(math.exp(value - highest) for value in others))
        if total < benign or (chance(total - benign) < self.least_in_code and is_code(raw)):
            return []
        found = [(self.labels[1 + others.index(highest)], round(chance(total - benign), DIGITS))]
        for label, value in zip(self.labels[1:], others, strict=True):
            if benign <= value < highest and value > highest - 1.5:
                found.append((label, round(chance(value - benign), DIGITS)))
        return found


def chance(odds: float) -> float:
    """1 / (1 + e^-x), without overflow."""
    if odds >= 0:
        return 1.0 / (1.0 + math.exp(-min(odds, 700.0)))
    power = math.exp(max(odds, -700.0))
    return power / (1.0 + power)


def load(folder: Traversable | None = None) -> MeaningModel:
    """`meaning.npz` with its card `meaning.json` from `folder` (default: the shipped artifacts).

    Raises `ArtifactError`.
    """
    where = files("classifiers.artifacts") if folder is None else folder
    try:
        data, text = where.joinpath("meaning.npz").read_bytes(), where.joinpath("meaning.json").read_bytes()
        card = json.loads(text)
    except (OSError, ValueError) as error:
        raise ArtifactError(f"artifact meaning or its card cannot be read ({type(error).__name__})") from error
    digest = hashlib.sha256(data).hexdigest()
    if not isinstance(card, dict) or card.get("sha256") != digest:
        raise ArtifactError("artifact meaning.npz is not the one that its card describes (SHA-256 differs)")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in ("rows", "steps", "inner", "outer", "bias", "words")}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ArtifactError("artifact meaning.npz is not a readable archive of arrays") from error
    least = card.get("least_in_code", 0.5)
    if not isinstance(least, float) or not 0.5 <= least < 1.0:
        raise ArtifactError("the card of artifact meaning: least_in_code is no chance from one half on")
    return _build(arrays, tuple(card.get("classes", ())), digest, least)


def _build(arrays: Mapping[str, npt.NDArray[Any]], labels: tuple[str, ...], digest: str, least: float) -> MeaningModel:
    words = arrays["words"].tobytes()
    hidden, classes = arrays["outer"].shape
    shapes = {
        "rows": (words.count(b"\n") + 1 + RESERVED + PAIRS, hidden),
        "steps": (hidden,),
        "inner": (hidden,),
        "bias": (classes,),
    }
    if arrays["rows"].dtype != np.int8 or classes != len(labels):
        raise ArtifactError("artifact meaning.npz: weights are not bytes, or the card names other classes")
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise ArtifactError(f"artifact meaning.npz: {name} has the wrong shape")
    if not all(np.isfinite(arrays[name]).all() for name in ("steps", "inner", "outer", "bias")):
        raise ArtifactError("artifact meaning.npz holds a value that is not finite")
    steps, inner, outer, bias = (arrays[name].astype(np.float64) for name in ("steps", "inner", "outer", "bias"))
    model = MeaningModel(words, arrays["rows"], steps, inner, outer, bias, labels, digest, least_in_code=least)
    return _with_kernel(model)


def _with_kernel(model: MeaningModel) -> MeaningModel:
    def make(kernels: Any) -> MeaningModel:
        arrays = (model.rows, model.steps, model.inner, model.outer, model.bias)
        return replace(model, compiled=kernels.meaning(kernels.words(model.words), *map(np.ascontiguousarray, arrays)))

    def agrees(made: MeaningModel) -> bool:
        lines = Lines(model.words)
        return all(np.allclose(made.values(text), model.logits(text, lines), rtol=0, atol=SAME) for text in SAMPLES)

    return KERNELS.take("meaning", make, agrees) or model
