"""A prompt that a model must read before it serves: some native builds die on the first one, others compute nonsense.

It also measures whether guesses may be made for greedy answers: only where a step of several tokens gives the same
numbers, to the bit, as the same tokens one at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import numpy as np

from router.engine.loop import DecodeLoop
from router.engine.native import Logits, NativeContext, NativeError, Step
from router.engine.sizing import BATCH
from router.engine.template import ChatTemplate

_PROMPT = ({"role": "user", "content": "Say hello."},)
_ROWS = 4  # tokens that are decoded together and one at a time

T = TypeVar("T")


def self_test(context: NativeContext, template: ChatTemplate, loop: DecodeLoop) -> bool:
    """Whether a step of several tokens rounds as single ones do. Raises NativeError for numbers that make no sense.

    On the decode thread, as all decoding is. OpenMP gives every thread that computes a team of its own, and as soon as
    the teams together have more threads than there are processors it lets none of them spin: measured, a third of the
    speed, for as long as the process lives.
    """

    def call(work: Callable[[], T]) -> T:
        return loop.call(work).result()

    prompt = template.encode(_PROMPT)[-min(BATCH, context.length - _ROWS) :]
    try:
        (last,) = call(partial(_read, context, 0, prompt, wants_all=False))
        # Whatever comes next: these tokens only have to be the same both times.
        more = [int(last.argmax()), *prompt[: _ROWS - 1]]
        together = call(partial(_read, context, len(prompt), more, wants_all=True))
        context.forget(0, len(prompt))
        for place, token in enumerate(more):
            (row,) = call(partial(_read, context, len(prompt) + place, [token], wants_all=True))
            if not np.array_equal(row, together[place]):
                return False
        return True
    finally:
        context.forget(0)


def _read(context: NativeContext, position: int, tokens: Sequence[int], *, wants_all: bool) -> Logits:
    """A copy of the logits of one step."""
    step = Step()
    step.add(0, position, tokens, wants_all=wants_all, wants_last=True)
    context.decode(step)
    logits = context.logits(len(tokens) if wants_all else 1).copy()
    if not np.isfinite(logits).all() or bool((np.ptp(logits, axis=1) == 0.0).any()):
        raise NativeError("the self-test prompt gave numbers that make no sense: this build does not suit this machine")
    return logits
