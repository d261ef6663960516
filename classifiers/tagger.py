"""A small tagger: which tokens of a text belong to a name, an address, a place, an organisation, a date or an age.

Three layers of a linear map each, over what each token looks like and over its neighbours; numpy alone. What it
remembers is how single words look, never where they stood. A missing or altered artifact raises `ArtifactError`.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from array import array
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import accumulate, chain
from threading import Lock
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.linear import ArtifactError
from classifiers.name_table import NameTable
from classifiers.tagger_features import BUCKETS, LIST_SLOTS, alike, features

Floats = npt.NDArray[np.float32]

LABELS: Final = (
    "",
    "PERSON",
    "STREET_ADDRESS",
    "LOCATION",
    "ORGANIZATION",
    "DATE_OF_BIRTH",
    "AGE",
    "NRP",
    "DATE_TIME",
)
NEAR: Final = 2  # the first layer sees this many tokens to each side
FAR: Final = (-4, -2, 0, 2, 4)  # the second layer sees these places of the first
ABOUT: Final = 24  # and the mean of the first over this many tokens to each side: what the text is about
EDGE: Final = NEAR + max(FAR)
_WALLS: Final = ("\n", "\x00", "\n") * (EDGE // 3)  # what stands around a string, as in a haystack
_REMEMBERED: Final = 1 << 15  # words; then all but the usual are forgotten at once
_MOST_USUAL: Final = 1 << 12
STEPS: Final = 6000  # of a remembered number, to each side: five of them added stay within 16 bits
_BUCKETS_AT_MOST: Final = 6  # of the strongest one: a word that adds more is cut there (none of 30,000 does)
_SHORT: Final = 96  # tokens; up to here means over neighbours are one product with a matrix kept for that length
_ARRAYS: Final = (
    "looks",
    "scale",
    "near",
    "near_bias",
    "far",
    "far_bias",
    "out",
    "out_bias",
    "listed",
    "bits",
    "usual",
    "known",
    "known_looks",
)


@dataclass(frozen=True, slots=True)
class TaggerModel:
    """The weights. `looks` has a row for each bucket of `tagger_features`, in steps of `scale` by column.

    Behind them stands one for each known word; `known` holds their slots in the table of names, in order.
    """

    looks: npt.NDArray[np.int8]
    scale: Floats
    near: Floats
    near_bias: Floats
    far: Floats
    far_bias: Floats
    out: Floats
    out_bias: Floats
    listed: NameTable = field(repr=False)  # the table of names
    known: array[int] = field(repr=False, default_factory=lambda: array("I"))
    usual: tuple[str, ...] = ()  # tokens that are looked at beforehand
    digest: str = ""

    def look(self, tokens: list[str]) -> Floats:
        """What each token looks like, whatever stands beside it, in steps of `scale`."""
        found = [features(token, self.listed, self.known) for token in tokens]
        starts = np.fromiter(accumulate(map(len, found[:-1]), initial=0), dtype=np.intp, count=len(found))
        flat = np.fromiter(chain.from_iterable(found), dtype=np.intp)
        return np.add.reduceat(self.looks[flat], starts, axis=0, dtype=np.float32)


class Tagger:
    """A model with its memory of words. Safe to share between threads.

    What a word adds to each of its neighbours is worked out once a word, and kept as whole numbers of small steps; the
    rest of the first layer is addition.
    """

    def __init__(self, model: TaggerModel, *, usual: bool = True) -> None:
        """`usual`: look at the usual words now, which takes memory and time that a compiled tagger makes needless."""
        self._model = model
        self._lock = Lock()
        self._hidden, self._deep = model.near.shape[1], model.far.shape[1]
        self._near = np.ascontiguousarray(_side_by_side(model.near, 2 * NEAR + 1) * model.scale[:, None])
        self._bias = np.zeros(self._near.shape[1], dtype=np.float32)
        self._bias[: self._hidden] = model.near_bias  # each sum has one number of the first block: the bias goes there
        self._far = _side_by_side(model.far, len(FAR) + 1)
        largest = max(float(np.abs(part @ self._near).max()) for part in np.array_split(model.looks, 16))
        self._step = np.float32(_BUCKETS_AT_MOST * largest / STEPS)
        self._rows: dict[str, int] = {}
        self._usual: dict[str, int] = {}
        self._table = np.zeros((_REMEMBERED, self._near.shape[1]), dtype=np.int16)  # takes memory where it is written
        if usual:
            self.remember_usual()

    def remember_usual(self) -> None:
        """Look at the usual words, and forget all others."""
        usual = list(self._model.usual)
        self._rows = {}
        self._remember(usual, self._added(usual))
        self._usual = dict(self._rows)  # their rows come first in the table, and stay

    def weights(self) -> tuple[TaggerModel, Floats, Floats, Floats, float]:
        """The model; its first layer by neighbour, for looks in steps, with the bias; its second likewise; the step."""
        return self._model, self._near, self._bias, self._far, float(self._step)

    def logits(self, tokens: list[str]) -> Floats:
        """For each token and label a number that grows with its chance; tokens are those of `tokenize`."""
        model, deep, size = self._model, self._deep, len(tokens)
        inner, reach = size + 2 * max(FAR), max(FAR)
        sums = np.add.reduce(_stairs(self._words(tokens), inner, 2 * NEAR + 1, 1), axis=1, dtype=np.int16)
        hidden = sums * self._step
        np.maximum(hidden, 0.0, out=hidden)
        sides = np.asarray(hidden @ self._far, dtype=np.float32)
        found = around(sides[reach : reach + size, len(FAR) * deep :])
        found += np.add.reduce(_stairs(sides, size, len(FAR), FAR[1] - FAR[0]), axis=1)
        found += model.far_bias
        np.maximum(found, 0.0, out=found)
        result: Floats = found @ model.out
        result += model.out_bias
        return result

    def _words(self, tokens: list[str]) -> npt.NDArray[np.int16]:
        """The rows of the tokens between walls; unseen ones are looked at and remembered."""
        padded = [*_WALLS, *tokens, *_WALLS]
        with self._lock:
            rows = list(map(self._rows.get, padded))
            if None in rows:
                padded = list(map(alike, padded))
                rows = list(map(self._rows.get, padded))
            if None in rows:
                unseen = list({token for token, row in zip(padded, rows, strict=True) if row is None})
                if len(unseen) > _REMEMBERED // 4:
                    return self._stepped(self._added(padded))
                if len(self._rows) + len(unseen) > _REMEMBERED:
                    self._forget()
                    unseen = [token for token in set(padded) if token not in self._rows]
                self._remember(unseen, self._added(unseen))
                rows = list(map(self._rows.get, padded))
            found: npt.NDArray[np.int16] = self._table.take(np.array(rows, dtype=np.intp), axis=0)
        return found

    def _added(self, tokens: list[str]) -> Floats:
        """What each token adds to its neighbours, side by side."""
        looks = self._model.look(tokens) if tokens else np.zeros((0, len(self._near)), dtype=np.float32)
        return looks @ self._near + self._bias

    def _stepped(self, added: Floats) -> npt.NDArray[np.int16]:
        steps = np.rint(added / self._step)
        np.maximum(steps, -STEPS, out=steps)  # np.clip takes ten times as long for a single word
        np.minimum(steps, STEPS, out=steps)
        return np.asarray(steps, dtype=np.int16)

    def _forget(self) -> None:
        """All but the usual words, which nobody waits for a second time."""
        self._rows = dict(self._usual)

    def _remember(self, tokens: list[str], added: Floats) -> None:
        first = len(self._rows)
        self._table[first : first + len(tokens)] = self._stepped(added)
        self._rows.update(zip(tokens, range(first, first + len(tokens)), strict=True))


def _stairs(rows: npt.NDArray[Any], count: int, blocks: int, step: int) -> npt.NDArray[Any]:
    """A view: for each of `count` rows its first block, the second block of the row `step` further on, and so on.

    Rows hold `blocks` blocks side by side (those of the second layer one more, which is not in the view).
    """
    down, along = rows.strides
    width = rows.shape[1] // (blocks if step == 1 else blocks + 1)
    return np.ndarray((count, blocks, width), rows.dtype, rows, 0, (down, step * down + width * along, along))


def _side_by_side(layer: Floats, blocks: int) -> Floats:
    """A layer over `blocks` neighbours as one over a single one that gives what it adds to each, side by side."""
    rows, columns = layer.shape
    parted = layer.reshape(blocks, rows // blocks, columns).transpose(1, 0, 2)
    return np.ascontiguousarray(parted.reshape(rows // blocks, blocks * columns))


def around(rows: Floats) -> Floats:
    """For each row the mean of the rows at most `ABOUT` away."""
    size, width = rows.shape
    if size <= _SHORT:
        return _shares(size) @ rows
    low, high, share = _bounds(size)
    sums = np.zeros((size + 1, width), dtype=np.float32)
    np.cumsum(rows, axis=0, out=sums[1:])
    means: Floats = sums.take(high, axis=0)
    means -= sums.take(low, axis=0)
    means *= share
    return means


@lru_cache(maxsize=256)
def _bounds(size: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Floats]:
    """For each of so many rows the first around it, the one behind the last, and one over their number."""
    places = np.arange(size)
    low, high = np.maximum(places - ABOUT, 0), np.minimum(places + ABOUT + 1, size)
    return low, high, (1.0 / (high - low)).astype(np.float32)[:, None]


@lru_cache(maxsize=_SHORT + 1)
def _shares(size: int) -> Floats:
    """The same as a matrix: what each row of so many adds to the mean around each."""
    low, high, share = _bounds(size)
    places = np.arange(size)
    near = (places >= low[:, None]) & (places < high[:, None])
    return np.asarray(near * share, dtype=np.float32)


def load(folder: Traversable | None = None) -> TaggerModel:
    """The model `tagger.npz` with its card `tagger.json` from `folder` (default: the shipped artifacts).

    Raises `ArtifactError`.
    """
    where = files("classifiers.artifacts") if folder is None else folder
    data, text = _read(where, "tagger.npz"), _read(where, "tagger.json")
    try:
        card = json.loads(text)
    except ValueError as error:
        raise ArtifactError("card tagger.json is not JSON") from error
    digest = hashlib.sha256(data).hexdigest()
    if not isinstance(card, dict) or card.get("sha256") != digest:
        raise ArtifactError("artifact tagger.npz is not the one that its card describes (SHA-256 differs)")
    if card.get("labels") != list(LABELS):
        raise ArtifactError("artifact tagger.npz was made for other labels; train it again")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in _ARRAYS}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ArtifactError("artifact tagger.npz is not a readable archive of arrays") from error
    return _build(arrays, digest)


def _read(where: Traversable, filename: str) -> bytes:
    try:
        return where.joinpath(filename).read_bytes()
    except OSError as error:
        raise ArtifactError(f"artifact {filename} cannot be read ({type(error).__name__})") from error


def _build(arrays: dict[str, npt.NDArray[Any]], digest: str) -> TaggerModel:
    numbers = {key: arrays[key].astype(np.float32) for key in _ARRAYS[1:8]}
    rows, scale = (arrays["looks"], arrays["known_looks"]), numbers["scale"]
    if {part.shape[1:] for part in rows} != {scale.shape}:
        raise ArtifactError("artifact tagger.npz: an array has the wrong shape")
    looks, known = np.concatenate(rows), slots_of(arrays["known"])
    width, hidden, deep = looks.shape[-1], numbers["near"].shape[-1], numbers["far"].shape[-1]
    wanted = {
        "near": ((2 * NEAR + 1) * width, hidden),
        "near_bias": (hidden,),
        "far": ((len(FAR) + 1) * hidden, deep),
        "far_bias": (deep,),
        "out": (deep, len(LABELS)),
        "out_bias": (len(LABELS),),
    }
    if (
        looks.shape != (BUCKETS + len(known), width)
        or looks.dtype != np.int8
        or any(numbers[key].shape != shape for key, shape in wanted.items())
    ):
        raise ArtifactError("artifact tagger.npz: an array has the wrong shape")
    if not all(np.isfinite(numbers[key]).all() for key in ("scale", *wanted)):
        raise ArtifactError("artifact tagger.npz holds a value that is not finite")
    usual = tuple(arrays["usual"].tobytes().decode("utf-8").split("\n"))
    if len(usual) > _MOST_USUAL:
        raise ArtifactError("artifact tagger.npz: too many usual words")
    layers = {key: numbers[key] for key in wanted}
    return TaggerModel(looks, scale, **layers, listed=expand(arrays), known=known, usual=usual, digest=digest)


def expand(arrays: dict[str, npt.NDArray[Any]]) -> NameTable:
    """The table of names from its steps (`listed`: from a used slot to the next) and `bits`. Raises `ArtifactError`."""
    try:
        return NameTable.of(np.array(slots_of(arrays["listed"]), dtype=np.int64), arrays["bits"])
    except ValueError as error:
        raise ArtifactError("artifact tagger.npz: the table of names has the wrong shape") from error


def slots_of(steps: npt.NDArray[Any]) -> array[int]:
    """Slots of the table of names, in order, from the steps from each to the next. Raises `ArtifactError`."""
    slots = np.cumsum(steps.astype(np.int64))
    if steps.ndim != 1 or steps.dtype.kind != "u" or (len(slots) and slots[-1] >= LIST_SLOTS):
        raise ArtifactError("artifact tagger.npz: a slot is outside the table of names")
    return array("I", slots.astype(np.uint32).tobytes())
