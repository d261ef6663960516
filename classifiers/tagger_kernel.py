"""The tagger in C (`classifiers/native/tagger.c`), where it gives what the reference does: which tokens are of a label.

What a token looks like that is not ASCII is asked of `tagger_features`, once. What the kernel does not take (no UTF-8,
rare scripts) is for the reference.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Sequence
from typing import Any, Final, overload

import numpy as np

from classifiers.kernels import KERNELS
from classifiers.tagger import STEPS, Floats, Tagger, TaggerModel
from classifiers.tagger_features import alike, features, tokenize

Sure = list[tuple[int, int, float]]  # token, label, chance that it is any label at all

_LONGEST: Final = 95  # bytes of a word that is remembered, and
_CLASSED: Final = 1 << 17  # code points whose class is known: both as in tagger.h
_KINDS: Final = (r"[^\W\d_]+", r"\d+", r"\s+", r"_")  # letters, digits, blanks, the underscore; what is left is a mark
_TRIES: Final = 2  # words that were to be learned may be forgotten while they are
_SAMPLE: Final = (
    "My name is Margaret Okonkwo, I live at 12 Harbour Road, Bristol BS1 5TY, since 03/04/1985.\n\x00\n"
    "Mit freundlichen Gr\u00fc\u00dfen, J\u00fcrgen Kr\u00e4mer\u2019s B\u00fcro - call 0049301234567 or 555_0100! "
    "ABCdefGHIjklMNOpqrSTUvwxYZabcdefghijklmnopq 7"
)
_CLOSE: Final = 0.01  # of a logit: what two tokens of a rounded step make


class Tokens(Sequence[str]):
    """The tokens of a text, cut when they are asked for: `ends` says where each ends, in bytes."""

    def __init__(self, raw: bytes, ends: bytes) -> None:
        self._raw, self._ends = raw, memoryview(ends).cast("i")

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        start, end = self.span(index if index >= 0 else len(self) + index)
        return self._raw[start:end].decode("utf-8")

    def __iter__(self) -> Iterator[str]:
        return (self[index] for index in range(len(self)))

    def span(self, index: int) -> tuple[int, int]:
        """Where a token stands in the text, in bytes. Raises `IndexError`."""
        end = self._ends[index]
        return (self._ends[index - 1] if index else 0), end


class CompiledTagger:
    """The model's weights in C, with a memory of words of its own. Safe to share between threads."""

    def __init__(self, module: Any, model: TaggerModel, near: Floats, bias: Floats, far: Floats, step: float) -> None:
        self._listed, self._known = model.listed, model.known
        self._tag, self._learn = module.tag, module.learn
        layers = (near, bias, far, model.far_bias, model.out, model.out_bias)
        names = (model.listed.used, model.listed.before, model.listed.bits, model.known)
        looks = np.ascontiguousarray(model.looks)
        self.model = module.tagger(looks, *map(_as_floats, layers), classes(), *names, step, float(STEPS))
        for word in model.usual:
            if word.isascii() and 0 < len(word) <= _LONGEST:
                module.keep(self.model, alike(word).encode())

    def sure(self, raw: bytes, floor: float) -> tuple[Sure, Tokens] | None:
        """The tokens that are some label with a chance above `floor`, and all tokens; None: ask the reference."""
        found = self._ask(raw, floor)
        if not found:
            return None if found is None else ([], Tokens(b"", b""))
        return found[0], Tokens(raw, found[1])

    def logits(self, raw: bytes) -> Floats | None:
        """What `Tagger.logits` gives for the tokens of a text, for the comparison."""
        found = self._ask(raw, -1.0)
        return None if found is None else np.frombuffer(found, dtype=np.float32).reshape(-1, self._labels)

    _labels: Final = 9

    def _ask(self, raw: bytes, floor: float) -> Any:
        for _ in range(_TRIES):
            found = self._tag(self.model, raw, floor)
            if type(found) is not tuple or found[1] is not None:
                return found
            for word in set(found[0]):
                buckets = features(word.decode("utf-8"), self._listed, self._known)
                self._learn(self.model, word, array("i", buckets).tobytes())
        return None


def classes() -> bytes:
    """The class of each code point as the tokens' expression sees it."""
    text = "".join(map(chr, range(_CLASSED)))
    found = np.full(_CLASSED, len(_KINDS), dtype=np.uint8)
    for kind, expression in enumerate(_KINDS):
        for hit in re.finditer(expression, text):
            found[hit.start() : hit.end()] = kind
    return found.tobytes()


def _as_floats(numbers: Any) -> Any:
    return np.ascontiguousarray(numbers, dtype=np.float32)


def compiled(tagger: Tagger) -> CompiledTagger | None:
    """The same tagger in C, or None where there is none that agrees with it."""

    def agrees(made: CompiledTagger) -> bool:
        found = made.logits(_SAMPLE.encode())
        return found is not None and bool(np.allclose(found, tagger.logits(tokenize(_SAMPLE)), atol=_CLOSE))

    return KERNELS.take("tagger", lambda module: CompiledTagger(module, *tagger.weights()), agrees)
