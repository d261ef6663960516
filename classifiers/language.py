"""Tells the languages that the detectors were measured for from others, word by word, from an artifact and its card.

An artifact that is missing, altered or misshapen raises `ArtifactError`. A text is never kept, only scores of words.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import unicodedata
import zipfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.kernels import KERNELS
from classifiers.linear import ArtifactError

BITS: Final = 16
ORDERS: Final = (2, 3, 4, 5)  # bytes in an n-gram
BACKGROUND: Final = "background"  # the class of names, code and noise: no language, so nothing to be unsupported
LEARNED: Final = frozenset({"de", "en", "es", "fr", "it", "nl", BACKGROUND})  # what the vocabulary tells from others
# Artifacts whose recall depends on the language: what their cards do not name was not measured.
MEASURED_BY: Final = ("tagger", "meaning")
SAYS_SCALE: Final = 32  # words' scores are bytes in the archive
_LOWER: Final = bytes.maketrans(bytes(range(0x41, 0x5B)), bytes(range(0x61, 0x7B)))
_SMALL: Final = bytes(code if code > 0x7F or 0x61 <= code <= 0x7A else 0x20 for code in _LOWER)
_WORD: Final = re.compile(r"[^\W\d_]+")
_HIGH: Final = re.compile(r"[^\x00-\x7f]")
_SIGMA: Final = "\u03a3"

_SAMPLES: Final = ([b"a"], [b"wie", b"hei\xc3\x9ft", b"die", b"gr\xc3\xb6\xc3\x9fte", b"stadt", b"x"])

Scores = npt.NDArray[Any]


def words_of(data: bytes) -> list[bytes]:
    """The words of UTF-8 text in order: letters only, lower case, composed (NFC)."""
    return parted(data).translate(_SMALL).split()


def parted(data: bytes) -> bytes:
    """The same words, with no letter of another between them, as the kernels read them: they make ASCII small.

    Only what is not ASCII is looked at, a character at a time.
    """
    if data.isascii():
        return data
    text = unicodedata.normalize("NFC", data.decode("utf-8", "replace"))
    if _SIGMA in text:  # of which the small letter depends on what stands behind it
        return " ".join(_WORD.findall(text.lower())).encode("utf-8")
    return _HIGH.sub(_small, text).encode("utf-8")


def _small(hit: re.Match[str]) -> str:
    return _small_letters(hit.group())


@lru_cache(maxsize=4096)
def _small_letters(character: str) -> str:
    """The small letters of a character, blanks where there are none."""
    return "".join(letter if _WORD.fullmatch(letter) else " " for letter in character.lower())


def buckets(raw: npt.NDArray[np.uint8], order: int, hashes: npt.NDArray[np.uint32]) -> npt.NDArray[Any]:
    """Where the n-grams of one order stand in the table; `hashes` are the rolling sums of that order."""
    mixed = hashes * np.uint32(2654435761)
    mixed ^= mixed >> np.uint32(15)
    mixed *= np.uint32(0x85EBCA6B)
    return mixed >> np.uint32(32 - BITS)


def grams(words: Sequence[bytes]) -> tuple[npt.NDArray[np.uint8], list[npt.NDArray[Any]]]:
    """The bytes of the words with single blanks around each, and for each order the buckets by place."""
    raw = np.frombuffer(b" " + b" ".join(words) + b" ", dtype=np.uint8)
    hashes = raw.astype(np.uint32)
    found = []
    for order in range(2, ORDERS[-1] + 1):
        if len(raw) < order:
            break
        hashes = hashes[: len(raw) - order + 1] * np.uint32(0x01000193) + raw[order - 1 :]
        if order in ORDERS:
            found.append(buckets(raw, order, hashes))
    return raw, found


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Words, a line each, and how much each speaks for a language that was not measured, in steps of 1 / SAYS_SCALE."""

    lines: bytes = field(repr=False)
    says: npt.NDArray[np.int8] = field(repr=False)

    @classmethod
    def of(cls, words: Mapping[bytes, float]) -> Vocabulary:
        """Rounded to steps."""
        return cls(b"\n".join(words), np.round(np.array(list(words.values())) * SAYS_SCALE).astype(np.int8))

    def as_dict(self, only: Collection[bytes] | None = None) -> dict[bytes, float]:
        """What each word says, or each of these words, for which the others are not taken apart."""
        if only is None:
            return dict(zip(self.lines.split(b"\n"), (self.says / SAYS_SCALE).tolist(), strict=True))
        lines = b"\n" + self.lines + b"\n"
        places = ((word, lines.find(b"\n" + word + b"\n")) for word in only)
        return {word: float(self.says[lines.count(b"\n", 0, at)]) / SAYS_SCALE for word, at in places if at >= 0}


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """`weights[bucket, class]` are bytes; a text's log-odds by class are bias + step * their sum over its n-grams."""

    classes: tuple[str, ...]
    weights: npt.NDArray[np.int8]
    bias: Scores
    step: float
    vocabulary: Vocabulary
    digest: str = ""
    compiled: Any = None  # the same model in `native/classes.c`

    def by_word(self, words: Sequence[bytes]) -> Scores:
        """Log-odds by word and class, bias apart. Shape (words, classes)."""
        if self.compiled is None:
            return self.by_word_in_numpy(words)
        raw = KERNELS.module().word_scores(self.compiled, b" " + b" ".join(words) + b" ")
        return np.frombuffer(raw, dtype=np.float32).reshape(-1, len(self.classes))

    def by_word_in_numpy(self, words: Sequence[bytes]) -> Scores:
        """The same, and what the kernel is held to."""
        raw, found = grams(words)
        summed = np.zeros((len(raw), len(self.classes)), dtype=np.int16)
        for places in found:
            summed[: len(places)] += self.weights[places]
        starts = np.flatnonzero(raw == 0x20)[:-1]
        return np.add.reduceat(summed, starts, axis=0, dtype=np.int32).astype(np.float32) * np.float32(self.step)

    def margins(self, scores: Scores, measured: npt.NDArray[np.bool_]) -> Scores:
        """By how much the best class that was not measured beats the best that was; `scores` with the bias."""
        return np.asarray(scores[:, ~measured].max(axis=1) - scores[:, measured].max(axis=1))

    def best(self, words: Sequence[bytes], among: Iterable[str]) -> str:
        """The most likely class of a text among some classes."""
        names = [name for name in among if name in self.classes]
        total = self.by_word(words).sum(axis=0) + self.bias if words else self.bias
        return max(names, key=lambda name: float(total[self.classes.index(name)]))


def load(folder: Traversable | None = None) -> LanguageModel:
    """The model `language.npz` with its card from `folder` (default: the shipped artifacts). Raises `ArtifactError`."""
    return _shipped() if folder is None else _read(folder)


@cache
def _shipped() -> LanguageModel:
    return _read(files("classifiers.artifacts"))


def _read(where: Traversable) -> LanguageModel:
    card = _card(where, "language")
    try:
        data = where.joinpath("language.npz").read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        if card is None or card.get("sha256") != digest:
            raise ArtifactError("artifact language.npz is not the one that its card describes (SHA-256 differs)")
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            weights, bias = archive["weights"], archive["bias"]
            step = float(archive["step"][0])
            known = _vocabulary(archive["vocabulary"], archive["says"])
    except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile) as error:
        raise ArtifactError(f"artifact language.npz cannot be read ({type(error).__name__})") from error
    classes = tuple(card.get("classes", ()))
    if weights.dtype != np.int8 or weights.shape != (1 << BITS, len(classes)) or bias.shape != (len(classes),):
        raise ArtifactError("artifact language.npz has the wrong shape")
    if not (np.isfinite(bias).all() and np.isfinite(step)):
        raise ArtifactError("artifact language.npz holds a value that is not finite")
    return _with_kernel(LanguageModel(classes, weights, bias.astype(np.float32), step, known, digest))


def _with_kernel(model: LanguageModel) -> LanguageModel:
    def make(kernels: Any) -> LanguageModel:
        arrays = np.ascontiguousarray(model.bias), np.ascontiguousarray(model.weights)
        return replace(model, compiled=kernels.languages(*arrays, model.step))

    def agrees(made: LanguageModel) -> bool:
        return all(np.array_equal(made.by_word(words), model.by_word_in_numpy(words)) for words in _SAMPLES)

    return KERNELS.take("language model", make, agrees) or model


def _vocabulary(words: npt.NDArray[Any], says: npt.NDArray[Any]) -> Vocabulary:
    lines = words.tobytes().replace(b" ", b"\n")
    if says.dtype != np.int8 or says.shape != (lines.count(b"\n") + 1,):
        raise ArtifactError("artifact language.npz: its vocabulary has the wrong shape")
    return Vocabulary(lines, says)


def measured_languages(folder: Traversable | None = None) -> frozenset[str]:
    """The languages for which every artifact that depends on language was measured, as their cards say (ISO 639-1).

    An artifact that is not there yet says nothing; the identifier's own card names the languages that it was measured
    to keep apart from others. Raises `ArtifactError` for a card that names none.
    """
    where = files("classifiers.artifacts") if folder is None else folder
    cards = [_card(where, name) for name in ("language", *MEASURED_BY)]
    if cards[0] is None:
        raise ArtifactError("artifact language.json cannot be read")
    named = [frozenset(card.get("languages", ())) for card in cards if card is not None]
    measured = frozenset.intersection(*named)
    if not measured:
        raise ArtifactError("the cards of the artifacts name no language in common")
    return measured


def _card(where: Traversable, name: str) -> dict[str, Any] | None:
    try:
        text = where.joinpath(f"{name}.json").read_text("utf-8")
    except OSError:
        return None
    try:
        card = json.loads(text)
    except ValueError as error:
        raise ArtifactError(f"card {name}.json is not JSON") from error
    if not isinstance(card, dict):
        raise ArtifactError(f"card {name}.json is not an object")
    return card
