"""Texts that an attacker found against an earlier complexity signal, put beside simple requests.

`tests/bench/routing_gadgets.py` searches anew and measures; its target is five points. This is the floor under it.
"""

from __future__ import annotations

import pytest

from classifiers.complexity import HARD, ComplexitySignal
from classifiers.gadgets import parts, prose
from classifiers.pipeline import Pipeline
from classifiers.training.everyday import load
from classifiers.types import ScanRules

GADGETS = (
    r"$y=\frac{x-4}{5x-10}$ $(0,7)$ \sqrt[3]{n_1} simultaneously, pure. qualifications. Molecular completely.",
    r"$(3,0,-1).$ rigorous 2\sqrt{x}.\] squares. electromagnetic 1996^2)(1998^2 sales.Why? \frac{1}{16}.$ subgroup",
    r"analytic partnering crutches connections 24-foot-diameter overestimating Properties \omega^{1997}}.\]",
    r"combination \sqrt{105}).$ Triangle, $2010$ Second-wave comprising common(l1: unavailability provoked.",
    "2004th hydroxide? arrange tougher reaction: regulations, formal correction encode dissolution eliminating Compute "
    "attack. Interactions, minimal Directors replication heat. netizens. critic. Discus exclusive. assumes mutually "
    "three-domain doctorate monobromination polynomials subgroup electromagnetic",
    r"Four-digit dot((-1,3),red); possibilities c=(68,24), $26A7114B4C0$. electron). \sqrt[3]{4096} directions,",
)
PROMPTS = [question.prompt for question in load()][::8]
MOST = 0.05  # share of simple requests that a gadget of these may make hard


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("gadget", GADGETS)
def test_old_gadgets_make_few_simple_requests_hard(gadget: str, place: str) -> None:
    signal = ComplexitySignal()
    hard = 0
    for prompt in PROMPTS:
        text = f"{gadget} {prompt}" if place == "before" else f"{prompt} {gadget}"
        value = signal.measure({"messages": [{"role": "user", "content": text}]}).value
        assert isinstance(value, float)
        hard += value >= HARD
    assert hard <= MOST * len(PROMPTS)


@pytest.mark.parametrize("gadget", GADGETS)
async def test_a_gadget_hides_no_value(pipeline: Pipeline, gadget: str) -> None:
    for text in ("My card is 4111 1111 1111 1111.", "Write to anna.lindt@gmail.com please."):
        for whole in (f"{gadget} {text}", f"{text} {gadget}"):
            body = {"messages": [{"role": "user", "content": whole}]}
            found = {each.entity_type for each in (await pipeline.scan_body(body, ScanRules(), "default")).findings}
            assert found & {"CREDIT_CARD", "EMAIL_ADDRESS"}


# Of no kind that the artifacts were trained on.
UNSEEN = (
    "How can I learn from my failures when I keep on making them?",
    "What should I do if my dog has swallowed a gum?",
    "Write a to-do list based on the given information.",
    "Give a brief description of the book that you are given.",
)


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("prompt", UNSEEN)
def test_what_is_easy_as_prose_is_not_made_hard_by_a_heap_beside_it(prompt: str, place: str) -> None:
    signal = ComplexitySignal()
    hard = []
    for gadget in GADGETS:
        text = f"{gadget} {prompt}" if place == "before" else f"{prompt} {gadget}"
        value = signal.measure({"messages": [{"role": "user", "content": text}]}).value
        assert isinstance(value, float)
        hard.append(value >= HARD)
    assert not any(hard)


EARNEST = (
    "Can you help me with this one? Give a complete and rigorous proof that every subgroup of a free group is free, "
    "and discuss what goes wrong when the group is only assumed to be torsion-free.",
    "Please write an essay that compares the theories of Keynes and Hayek, derives the stability conditions of "
    "the underlying dynamic systems, and discusses which assumptions fail in an open economy with sticky prices.",
)


@pytest.mark.parametrize("text", EARNEST)
def test_a_long_question_in_earnest_is_no_gadget(text: str) -> None:
    signal = ComplexitySignal()
    alone = signal.measure({"messages": [{"role": "user", "content": text}]}).value
    assert isinstance(alone, float)
    assert alone >= HARD


def test_the_ends_that_are_read_are_no_less_than_an_eighth_of_a_text() -> None:
    assert list(parts("a b c")) == []
    assert list(parts("a b c d")) == [("a b c", ["d"]), ("b c d", ["a"])]
    assert [len(part.split()) for part, _ in parts(" ".join(map(str, range(60))))] == [9, 9, 15, 15]
    assert list(parts(" ".join(map(str, range(121))))) == []


def test_small_words_tell_prose_from_a_heap_of_hard_words() -> None:
    assert prose(["rigorous", "Hausdorff", "lemma", "eigenvalue", "asymptotic", "manifold"]) == 0.0
    assert prose(["we", "can", "prove", "that", "the", "group", "of", "the", "units", "is", "cyclic"]) > 3.0
    assert prose([]) == 0.0
