"""The tagger in C: its tokens, looks and items are the reference's, whatever the text; or the reference reads it."""

from __future__ import annotations

import random
from array import array
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.detectors.base import Piece
from classifiers.detectors.names import FLOOR, NameDetector
from classifiers.kernels import KERNELS
from classifiers.tagger import Tagger, load
from classifiers.tagger_features import BUCKETS, features, tokenize
from classifiers.tagger_kernel import CompiledTagger, Tokens, compiled

_SIGNS = (
    "abcXYZ0123456789 _-.,\n\t\x00\x1c!  "
    "\u00e9\u00fc\u00df\u2019\u201c\u2014\u0663\u0664\u00b2\u03a9\u0436\u4e2d\u00a0\u2003\U0001f600\u0301"
)
_WORDS = st.lists(st.sampled_from(["Priya", " 123456", "\u00fcber "])).map("".join)
TEXTS = st.one_of(st.text(), st.text(_SIGNS, max_size=80), _WORDS)


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return Tagger(load())


@pytest.fixture(scope="module")
def kernel(tagger: Tagger) -> CompiledTagger:
    made = compiled(tagger)
    if made is None:
        pytest.skip(
            f"no compiled kernels: {KERNELS.describe()}"
        )  # a clone without a compiler; the reference works there
    return made


def _ends(kernel: CompiledTagger, raw: bytes) -> list[int] | None:
    found: Any = KERNELS.module().tokens(kernel.model, raw)
    return None if found is None else np.frombuffer(found, dtype=np.int32).tolist()


@settings(deadline=None)
@given(TEXTS)
def test_the_tokens_are_those_of_the_reference(kernel: CompiledTagger, text: str) -> None:
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        assert _ends(kernel, text.encode("utf-8", "surrogatepass")) is None
        return
    tokens, ends = tokenize(text), _ends(kernel, raw)
    if any(ord(character) >= 1 << 17 for character in text):
        assert ends is None
        return
    assert ends == np.cumsum([len(token.encode()) for token in tokens], dtype=int).tolist()
    assert list(Tokens(raw, np.array(ends, dtype=np.int32).tobytes())) == tokens


@settings(deadline=None)
@given(st.text(st.characters(max_codepoint=127)))
def test_an_ascii_token_looks_as_in_the_reference(kernel: CompiledTagger, tagger: Tagger, text: str) -> None:
    model = tagger.weights()[0]
    for token in tokenize(text):
        found = np.frombuffer(KERNELS.module().look(kernel.model, token.encode()), dtype=np.int32)
        assert found.tolist() == features(token, model.listed, model.known)


def test_known_words_look_as_in_the_reference(kernel: CompiledTagger, tagger: Tagger) -> None:
    """The first and the last of their table, and such as stand in none."""
    model, known = tagger.weights()[0], 0
    for word in ("monday", " Monday", "MONDAY", "aardvark", "zurich", " xqzzv", "the", " Paul", "\u00fcber"):
        if word.isascii():
            found = np.frombuffer(KERNELS.module().look(kernel.model, word.encode()), dtype=np.int32).tolist()
            assert found == features(word, model.listed, model.known)
        known += max(features(word, model.listed, model.known)) >= BUCKETS
    assert known >= 4


@settings(deadline=None)
@given(TEXTS)
def test_the_labels_are_as_likely_as_in_the_reference(kernel: CompiledTagger, tagger: Tagger, text: str) -> None:
    raw, tokens = text.encode("utf-8", "surrogatepass"), tokenize(text)
    found = kernel.logits(raw)
    if found is not None and tokens:
        assert np.allclose(found, tagger.logits(tokens), atol=0.01)  # a few rounded steps of the first layer


@pytest.mark.parametrize(
    "text",
    [
        "My name is Margaret Okonkwo, 12 Harbour Road, Bristol BS1 5TY; born 03/04/1985.",
        "Mit freundlichen Gr\u00fc\u00dfen\nJ\u00fcrgen Kr\u00e4mer, Lindenstra\u00dfe 12, 34117 Kassel",
        "Me llamo Luc\u00eda Barrenechea. " * 60,
        "a" * 3000 + " Dear John Smith " + "9" * 900,
        "\u00fc" * 40 + " my name is John Smith",  # too long a word that is not ASCII: the reference reads it
        "\U00020000 my name is John Smith",
        "w\u00e4" + " w\u00f6".join(f"\u00fc{number}\u00fc" for number in range(400)),
    ],
)
def test_the_items_are_those_of_the_reference(kernel: CompiledTagger, text: str) -> None:
    ours, reference = NameDetector(), NameDetector()
    assert ours._compiled is not None
    reference._compiled = None
    raw = text.encode()
    found = ours.detect(Piece(raw, 0, len(raw)), ())
    expected = reference.detect(Piece(raw, 0, len(raw)), ())
    assert [(each.entity_type, each.start, each.end) for each in found] == [
        (each.entity_type, each.start, each.end) for each in expected
    ]
    assert all(abs(one.score - other.score) < 0.003 for one, other in zip(found, expected, strict=True))


def test_it_reads_alike_however_many_words_it_has_met(kernel: CompiledTagger) -> None:
    """More than are remembered, ASCII and not; what it forgets it looks at again."""
    text = "Please call J\u00fcrgen Kr\u00e4mer at Calder Heating."
    first = kernel.sure(text.encode(), FLOOR)
    assert first is not None
    chance = random.Random(5)
    for number in range(40):
        words = " ".join(f"w{chance.randrange(10**9):x}{mark}" for mark in ("", "\u00fc") for _ in range(900))
        assert kernel.sure(f"{number} {words}".encode(), FLOOR) is not None
    again = kernel.sure(text.encode(), FLOOR)
    assert again is not None
    assert [each[:2] for each in again[0]] == [each[:2] for each in first[0]]


def test_what_is_no_text_is_for_the_reference(kernel: CompiledTagger) -> None:
    for raw in (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf0\xa0\x80\x80", b"\xc0\xaf", b"a\xe2\x80"):
        assert kernel.sure(raw, FLOOR) is None
    detector = NameDetector()
    data = b"\xff my name is John Smith."
    assert b"John Smith" in [data[match.start : match.end] for match in detector.detect(Piece(data, 0, len(data)), ())]


def test_weights_of_another_shape_or_step_are_refused(kernel: CompiledTagger, tagger: Tagger) -> None:
    module = KERNELS.module()
    model, near, bias, far, step = tagger.weights()
    listed = (model.listed.used, model.listed.before, model.listed.bits)
    layers = [model.looks, near, bias, far, model.far_bias, model.out, model.out_bias, bytes(1 << 17)]
    arrays = [*layers, *listed, model.known]
    with pytest.raises(ValueError, match="wrong size"):  # more known words than rows
        module.tagger(*layers, *listed, array("I", [*model.known, 7]), step, 6000.0)
    with pytest.raises(ValueError, match="wrong size"):
        module.tagger(*arrays[:7], b"", *listed, model.known, step, 6000.0)
    with pytest.raises(ValueError, match="table of names"):
        module.tagger(*layers, *listed[:2], listed[-1][:-1], model.known, step, 6000.0)
    with pytest.raises(ValueError, match="16 bits"):
        module.tagger(*arrays, step, 7000.0)
    with pytest.raises(ValueError, match="16 bits"):
        module.tagger(*arrays, float("nan"), 6000.0)
