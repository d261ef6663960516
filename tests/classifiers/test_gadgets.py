"""Texts that an attacker found against an earlier complexity signal, put beside simple requests.

`tests/bench/routing_gadgets.py` searches anew and measures; its target is five points. This is the floor under it.
"""

from __future__ import annotations

import pytest

from classifiers.complexity import HARD, ComplexitySignal
from classifiers.pipeline import Pipeline
from classifiers.training.everyday import load
from classifiers.types import ScanRules

GADGETS = (
    r"$y=\frac{x-4}{5x-10}$ $(0,7)$ \sqrt[3]{n_1} simultaneously, pure. qualifications. Molecular completely.",
    r"$(3,0,-1).$ rigorous 2\sqrt{x}.\] squares. electromagnetic 1996^2)(1998^2 sales.Why? \frac{1}{16}.$ subgroup",
    r"Four-digit dot((-1,3),red); possibilities c=(68,24), $26A7114B4C0$. electron). \sqrt[3]{4096} directions,",
)
PROMPTS = [question.prompt for question in load()][::8]
MOST = 0.10  # share of simple requests that a gadget of these may make hard


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
