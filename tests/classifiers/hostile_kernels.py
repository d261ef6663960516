"""A program: every kernel of a library (built with sanitizers, in the tests) over random and hostile inputs.

`python -P hostile_kernels.py LIBRARY` ends with status 0 when nothing wrote or read where it may not. A kernel is added
with a function in `DRIVERS` that calls it; a binding may refuse with an exception, and never harm anything.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any

import numpy as np

ROUNDS = 150
_PIECES = (
    b"word",
    b" ",
    b"  ",
    b"\x00",
    b"\n",
    b"A1",
    b"?",
    b"{",
    b"'",
    b"\xc3\xa9",
    b"\xe2\x80\x99",
    b"\xff",
    b"\xf0",
)


def load(path: str) -> Any:
    loader = ExtensionFileLoader("_kernels", path)
    spec = spec_from_file_location("_kernels", path, loader=loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def bytes_like(chance: random.Random) -> bytes:
    """Bytes of any kind: none, few, many; text, noise, one byte again and again."""
    size = chance.choice((0, 1, 2, 3, 4, 5, 6, 17, 300, 5000))
    kind = chance.randrange(3)
    if kind == 0:
        return chance.randbytes(size)
    if kind == 1:
        return bytes([chance.randrange(256)]) * size
    return b"".join(chance.choices(_PIECES, k=size))[: 2 * size]


def anything(chance: random.Random) -> Any:
    """What a binding is not meant to be given."""
    return chance.choice((None, 3, "text", b"", [1], (b"x",), 1.5, np.zeros(7), np.zeros((4, 4))[:, 1], object()))


def features(kernels: Any, chance: random.Random) -> None:
    grams = np.array(chance.choices(range(-128, 128), k=1 << 16), dtype=np.int8) if chance.random() < 0.02 else _GRAMS
    ones = np.ones(17)
    model = kernels.linear(grams, ones, ones, ones, 1.0, 0.0)
    for data in (bytes_like(chance), b" " + bytes_like(chance) + b" "):
        with suppress(ValueError):
            made = kernels.features(data)
            buckets = np.frombuffer(kernels.contents(made)[0], dtype=np.int32)
            assert buckets.min(initial=0) >= 0
            assert buckets.max(initial=0) < 1 << 16
            kernels.logit(model, made)


def table(kernels: Any, chance: random.Random) -> None:
    lines = bytes_like(chance).split(b"\n")
    made = kernels.words(b"\n".join(lines))
    known = {word: number for number, word in enumerate(lines)}
    for word in (*chance.choices(lines, k=3), bytes_like(chance)):
        assert kernels.find(made, word) == known.get(word, -1)


def meaning(kernels: Any, chance: random.Random) -> None:
    lines = list(dict.fromkeys(bytes_like(chance).split(b"\n")))
    hidden, classes = chance.choice((0, 1, 7, 32)), chance.choice((0, 1, 10))
    rows = np.ones((len(lines) + 14 + (1 << 16), hidden), dtype=np.int8)
    shapes = (hidden,), (hidden,), (hidden, classes), (classes,)
    model = kernels.meaning(kernels.words(b"\n".join(lines)), rows, *(np.ones(shape) for shape in shapes))
    for data in (bytes_like(chance), b" ".join(chance.choices(lines, k=9))):
        assert len(kernels.meaning_logits(model, data)) == classes


def embedding(kernels: Any, chance: random.Random) -> None:
    words = [kernels.words(bytes_like(chance)) for _ in range(2)]
    width = chance.choice((0, 1, 128))
    for rows in (1, chance.randrange(1, 40)):
        with suppress(ValueError):  # most do not belong together
            kernels.embedding(*words, np.ones((rows, width), dtype=np.int8), np.ones(rows, dtype=np.float32))
    lines = [bytes_like(chance).replace(b"\n", b"")[:20].lower() for _ in range(9)]
    later = [line[-2:] for line in lines]
    words = [kernels.words(b"\n".join(each)) for each in (lines, later)]
    model = kernels.embedding(*words, np.ones((9, width), dtype=np.int8), np.ones(9, dtype=np.float32))
    for data in (bytes_like(chance), b"".join(chance.choices(lines + later, k=30))):
        assert len(kernels.vector(model, data)) == 4 * width


def classes(kernels: Any, chance: random.Random) -> None:
    labels, width = chance.choice((1, 9, 64)), chance.choice((0, 1, 128))
    floats = [np.ones(shape, dtype=np.float32) for shape in ((labels,), (width, labels), (17, labels), (17,), (17,))]
    bias, embedding_, surface, mean, deviation = floats
    table_ = _TABLES[labels]
    model = kernels.classes(bias, embedding_, table_, table_, surface, mean, deviation, 1.0, 1.0)
    whole, edges = (kernels.features(b" " + bytes_like(chance) + b" ") for _ in range(2))
    assert len(kernels.class_logits(model, whole, edges, np.ones(width, dtype=np.float32))) == labels
    with suppress(ValueError):
        kernels.class_logits(model, whole, edges, np.ones(chance.randrange(200), dtype=np.float32))
    languages, words = kernels.languages(bias, table_, 1.0), b" " + bytes_like(chance) + b" "
    assert len(kernels.word_scores(languages, words)) == 4 * labels * (words.count(b" ") - 1)
    windows = kernels.strong_windows(languages, chance.randbytes(labels), words)
    assert all(0 <= first <= stop < words.count(b" ") for first, stop in windows)
    with suppress(ValueError):
        kernels.word_scores(languages, bytes_like(chance))
    with suppress(ValueError):
        kernels.strong_windows(languages, bytes_like(chance), words)
    told = kernels.tell_language(languages, bytes_like(chance))
    assert told is None or told[0] < labels


def prompts(kernels: Any, chance: random.Random) -> None:
    data = bytes_like(chance)
    assert kernels.form_of(data) in (0, 1, 2)
    assert kernels.form_of(b"two 7 ?" + data * 9 + chance.choice(_PIECES)) in (0, 1, 2)


_TABLES = {labels: np.full((1 << 16, labels), -128, dtype=np.int8) for labels in (1, 9, 64)}


def tagger(kernels: Any, chance: random.Random) -> None:
    if not _TAGGERS or chance.random() < 0.02:
        _TAGGERS[0] = kernels.tagger(*_LAYERS, 0.01, 6000.0)
        for names in ((*_NAMES[:2], b"abcd"), (bytes(1 << 20), *_NAMES[1:3]), (_NAMES[0], bytes(1 << 16), _NAMES[2])):
            with suppress(ValueError):  # the table of names does not agree with itself
                raise AssertionError(kernels.tagger(*_LAYERS[:-4], *names, _KNOWN, 0.01, 6000.0))
    made = _TAGGERS[0]
    words = [bytes_like(chance)[: chance.randrange(40)] for _ in range(4)]
    for word in words:
        with suppress(ValueError):
            kernels.keep(made, word)
        with suppress(ValueError):
            kernels.learn(
                made,
                word,
                np.array(
                    chance.choices(range(-2, 33800 + len(_KNOWN)), k=chance.randrange(24)), dtype=np.int32
                ).tobytes(),
            )
        if word.isascii():
            kernels.look(made, word)
    for floor in (-1.0, 0.0, 0.4, 1.5, float("nan")):
        data = bytes_like(chance)
        kernels.tokens(made, data)
        found = kernels.tag(made, data, floor)
        for word in found[0] if isinstance(found, tuple) and found[1] is None else ():
            with suppress(ValueError):
                kernels.learn(made, word, np.array([1, 2, 33000], dtype=np.int32).tobytes())


def prefilter(kernels: Any, chance: random.Random) -> None:
    blocks = chance.choice((0, 1, 3))
    gapped = chance.randint(0, blocks)
    words = [np.frombuffer(chance.randbytes(8 * 16 * count), dtype=np.uint64) for count in (blocks, blocks)]
    rows = [np.frombuffer(chance.randbytes(8 * 16 * 256 * count), dtype=np.uint64) for count in (blocks, gapped)]
    with suppress(ValueError):  # an empty one
        made = kernels.prefilter(*words, *rows)
        ends = kernels.prefilter_ends(made, bytes_like(chance))
        assert ends == sorted(ends)
        assert all(end < 1024 * blocks for end in ends)
    with suppress(ValueError):
        kernels.prefilter(*words, rows[0], np.zeros(chance.randrange(9000), dtype=np.uint8))


def strangeness(kernels: Any, chance: random.Random) -> None:
    lines = bytes_like(chance)
    says = np.frombuffer(chance.randbytes(lines.count(b"\n") + 1), dtype=np.int8)
    made = kernels.strangeness(kernels.words(lines), says, 1 / 32, 1.2)
    for least in (0.0, -1.0, 5.5, float("nan")):
        data = bytes_like(chance)
        runs = kernels.strange_runs(made, data, least)
        assert all(0 <= first < stop <= len(data) for first, stop in runs)
    with suppress(ValueError):
        kernels.strangeness(kernels.words(lines), says[1:], 1 / 32, 1.2)


def prose(kernels: Any, chance: random.Random) -> None:
    small = kernels.words(bytes_like(chance).lower())
    for data in (bytes_like(chance), b" ".join(chance.choices((b"word", b"is.", b"A", b'x."', b"the"), k=90))):
        parts = kernels.prose_parts(small, data)
        assert len(parts) <= 14
        assert all(0 <= start < end <= len(data) for start, end in parts)


_CHANCE = np.random.default_rng(7)
_KNOWN = np.sort(_CHANCE.integers(0, 1 << 23, 5000, dtype=np.uint32))
_SHAPES = ((33792 + len(_KNOWN), 32), (32, 240), (240,), (48, 192), (32,), (32, 9), (9,))
_CLASSES = bytes(_CHANCE.integers(0, 5, 1 << 17, dtype=np.uint8))
_USED = np.zeros(1 << 23, dtype=np.uint8)
_USED[[0, 511, 512, 99_999, (1 << 23) - 1]] = 1
_NAMES = (np.packbits(_USED, bitorder="little"), (_USED.cumsum() - _USED)[::512].astype(np.uint32), b"abcde", _KNOWN)
_LAYERS = (
    _CHANCE.integers(-128, 128, _SHAPES[0], dtype=np.int8),
    *(_CHANCE.normal(size=shape).astype(np.float32) for shape in _SHAPES[1:]),
    _CLASSES,
    *_NAMES,
)
_TAGGERS: dict[int, Any] = {}
_GRAMS = np.ones(1 << 16, dtype=np.int8)
DRIVERS: tuple[Callable[[Any, random.Random], None], ...] = (
    features,
    table,
    embedding,
    classes,
    prompts,
    meaning,
    tagger,
    prefilter,
    strangeness,
    prose,
)


def main(library: str) -> None:
    kernels, chance = load(library), random.Random(20261128)
    functions = [each for name, each in vars(kernels).items() if callable(each) and not name.startswith("_")]
    for _ in range(ROUNDS):
        for driver in DRIVERS:
            driver(kernels, chance)
        for function in functions:
            given = [anything(chance) for _ in range(chance.randrange(9))]
            with suppress(TypeError, ValueError, BufferError, OverflowError, UnicodeEncodeError):
                function(*given)
    print(f"{len(functions)} functions, {ROUNDS} rounds")


if __name__ == "__main__":
    main(sys.argv[1])
