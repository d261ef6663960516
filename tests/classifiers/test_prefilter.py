"""What the prefilter passes over cannot match: what is found is the same with it and without, whatever the text."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
import re2
from hypothesis import example, given, settings
from hypothesis import strategies as st

from classifiers.expressions import HIGH, Alternatives, Edge, Node, One, Repeat, parse
from classifiers.factors import chains
from classifiers.kernels import KERNELS
from classifiers.patterns import Patterns
from classifiers.prefilter import Prefilter
from classifiers.registry import DETECTORS
from classifiers.scanner import construct
from classifiers.views.triggers import TRIGGERS

# Every trigger that is shipped: of the detectors, and of the views.
SHIPPED = list(
    dict.fromkeys(
        [
            *(trigger for where in DETECTORS.values() for trigger in construct(where).triggers),
            *(trigger for family in TRIGGERS.values() for trigger in family),
        ]
    )
)
_SETS = 16
_WRITTEN = """
    the Password passport api_key secret IBAN one TWO dot at PIN national account 4111 555-2368 0 12 A3- ghp_ xoxb- sk-
    AKIA :// a@b.c DE44 GB eyJ _ - . / | = : %41 &#65; \\u0041 <b> \u00e9 \u017f \u212a \u5bc6\u7801 \u1c80
    \u043f\u0430\u0440\u043e\u043b\u044c \u0395\u0393\u041d
"""
_PIECES = (*_WRITTEN.split(), " ", "  ", "\n", "\x00", "\t", "\u00a0", "\u2009")
TEXTS = st.lists(st.sampled_from(_PIECES) | st.text(max_size=4), max_size=30).map("".join)


@pytest.fixture(scope="module")
def shipped() -> Prefilter:
    return Prefilter(SHIPPED)


@pytest.fixture(scope="module")
def in_sets() -> Patterns:
    """Without the prefilter, as where nothing was compiled."""
    return Patterns([SHIPPED[start::_SETS] for start in range(_SETS)], prefiltered=False)


def _text_of(node: Node, chance: random.Random) -> str:
    """Something that the pattern of a tree may match."""
    if isinstance(node, Edge):
        return ""
    if isinstance(node, One):
        if node.mask & HIGH:
            return chance.choice("\u00e9\u00a0\u2013\u4e2d") if node.goes_on else ""
        return chr(chance.choice([code for code in range(128) if node.mask >> code & 1]))
    if isinstance(node, Alternatives):
        return _text_of(chance.choice(node.parts), chance)
    if isinstance(node, Repeat):
        most = node.least + 3 if node.most is None else node.most
        return "".join(
            _text_of(node.part, chance) for _ in range(chance.randint(node.least, min(most, node.least + 3)))
        )
    return "".join(_text_of(part, chance) for part in node.parts)


def _matched(pattern: str, chance: random.Random, count: int) -> Iterator[bytes]:
    """Texts that RE2 says the pattern matches, amid others."""
    expression, tree = re2.compile(pattern), parse(pattern)
    for _ in range(count):
        before, behind = ("".join(chance.choices(_PIECES, k=chance.randrange(3))) for _ in range(2))
        data = (before + _text_of(tree, chance) + behind).encode()
        if expression.search(data):
            yield data


def test_every_shipped_trigger_is_understood() -> None:
    assert [pattern for pattern in SHIPPED if chains(pattern) is None] == []


def test_what_a_shipped_trigger_matches_it_is_tried_on(shipped: Prefilter) -> None:
    chance, matched = random.Random(20261128), 0
    for number, pattern in enumerate(SHIPPED):
        for data in _matched(pattern, chance, 12):
            matched += 1
            assert number in shipped.candidates(data), (pattern, data)
    assert matched > 6 * len(SHIPPED)


@settings(deadline=None)
@given(TEXTS | st.binary(max_size=60))
def test_nothing_matches_that_is_not_tried(shipped: Prefilter, in_sets: Patterns, text: str | bytes) -> None:
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    assert _as_shipped(in_sets.matching(data)) <= set(shipped.candidates(data))


@settings(deadline=None)
@given(TEXTS)
def test_the_same_patterns_match_with_the_prefilter_and_without(in_sets: Patterns, text: str) -> None:
    filtered = _filtered()
    assert set(filtered.matching(text.encode())) == _as_shipped(in_sets.matching(text.encode()))


def _as_shipped(numbers: list[int]) -> set[int]:
    """The numbers of patterns that were put into sets, as those of `SHIPPED`."""
    order = [number for start in range(_SETS) for number in range(start, len(SHIPPED), _SETS)]
    return {order[number] for number in numbers}


def _filtered(made: dict[str, Patterns] = {}) -> Patterns:  # noqa: B006 - made once, for all examples
    if not made:
        made["all"] = Patterns([SHIPPED])
    return made["all"]


# Patterns as RE2 takes them, over few characters, so that chance meets them.
_PARTS = r"""
    a b K s 1 _ \. \b \B ^ $ . \d \w \W \s \S [ab1] [^ab] [a-k_] [^\w] \pL \PN \x{e9} \x61 \n (?i) (?-i) []a] [a\-]
"""
_ATOMS = st.sampled_from([*_PARTS.split(), " ", "\u00e9", "\u0436", "[\\d\u00e9]"])
_EXPRESSIONS = st.recursive(
    _ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4).map("".join),
        st.lists(inner, min_size=1, max_size=3).map("|".join).map("(?:{})".format),
        st.tuples(inner, st.sampled_from(("*", "+", "?", "{2}", "{1,3}", "{0,2}?", "{3,}"))).map(
            lambda parts: f"(?:{parts[0]}){parts[1]}"
        ),
        inner.map("(?i:{})".format),
        inner.map("(?P<name>{})".format),
    ),
    max_leaves=8,
)


@settings(deadline=None, max_examples=600)
@given(_EXPRESSIONS, st.lists(st.text("abkKsS1_ .\u00e9\u00c9\u0436\u0416\u017f\u212a\n", max_size=9), max_size=6))
@example("(?i)k", ["\u212a"])
@example("(?i)[\u017f]", ["s"])
@example("\\ba\\b", ["a", "ba", "a b"])
@example("(?:\\b|_)a", ["_a", "b"])
@example("^a|b$", ["a", "\na", "b\n", "b"])
def test_no_pattern_matches_a_text_that_it_is_not_tried_on(pattern: str, texts: list[str]) -> None:
    try:
        expression = re2.compile(pattern, _quiet())
    except re2.error:
        return
    prefilter = Prefilter([pattern])
    for text in texts:
        if expression.search(text.encode()):
            assert prefilter.candidates(text.encode()) == [0], (pattern, text)


def _quiet() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    return options


@pytest.mark.parametrize(
    "pattern", ["[[:alpha:]]", "\\p{Greek}", "\\Qa\\E", "\\C", "(a", "a)", "*a", "a\\", "[a", "\\x{110000}", "(?X)a"]
)
def test_what_is_not_understood_is_tried_on_every_text(pattern: str) -> None:
    assert chains(pattern) is None
    assert Prefilter(["word", pattern]).candidates(b"") == [1]


@pytest.mark.parametrize("pattern", ["", "a*", "(?:a|)", "\\b", "^"])
def test_what_may_match_nothing_is_tried_on_every_text(pattern: str) -> None:
    assert Prefilter([pattern]).candidates(b"") == [0]


@pytest.mark.parametrize(
    ("pattern", "passes", "does_not"),
    [
        ("(?i)\\bpin\\b", ["a PIN.", "pin"], ["spin", "pins", "pi n"]),
        ("\\d(?:[ .]{0,3}\\d){6}", ["555 12.34", "12  34567"], ["555 123", "555a1234"]),
        ("(?i)(?:bank|current)[ _]account", ["my Bank account"], ["bank", "an account", "bankaccount"]),
        ("[A-Z2-7]{8,15}=", ["ABCDEFGH="], ["ABCDEFG=", "abcdefgh="]),
    ],
)
def test_usual_text_is_passed_over(pattern: str, passes: list[str], does_not: list[str]) -> None:
    """It is worth something: near misses are not tried."""
    prefilter = Prefilter([pattern])
    assert [text for text in (*passes, *does_not) if prefilter.candidates(text.encode())] == passes


@settings(deadline=None)
@given(TEXTS | st.binary(max_size=300))
def test_the_kernel_says_what_the_reference_says(shipped: Prefilter, text: str | bytes) -> None:
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if not shipped.is_compiled:
        pytest.skip(f"no compiled kernels: {KERNELS.describe()}")  # a clone without a compiler; sets work there
    assert shipped.ends(data) == shipped.reference(data)
