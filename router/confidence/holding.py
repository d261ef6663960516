"""Holds the beginning of a local stream back until it can be judged: so many tokens, so much time, or its end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from router.confidence.ahead import Ahead
from router.confidence.confidence import AnswerTrace
from router.types import JsonObject


@dataclass(frozen=True, slots=True)
class Held:
    """The tokens that were held back. `is_whole`: every choice of the answer has ended."""

    trace: AnswerTrace
    is_whole: bool


async def hold(chunks: Ahead, *, choices: int, tokens: int, seconds: float) -> Held:
    """Look at chunks until each of `choices` has `tokens` tokens or its end, or `seconds` have passed since the first.

    Content that comes without log-probabilities can never be measured, so nothing more is waited for. Raises what the
    stream raises.
    """
    trace = AnswerTrace()
    until: float | None = None
    while not _is_enough(trace, choices, tokens):
        try:
            chunk = await chunks.look(until)
        except TimeoutError:
            break
        if chunk is None:
            break
        if until is None:
            until = asyncio.get_running_loop().time() + seconds
        _take(trace, chunk)
    return Held(trace, _count_ended(trace) >= choices)


def _take(trace: AnswerTrace, chunk: JsonObject) -> None:
    for choice in chunk.get("choices") or ():
        trace.add_choice(choice)


def _is_enough(trace: AnswerTrace, choices: int, tokens: int) -> bool:
    if any(not choice.complete for choice in trace.choices.values()):
        return True
    enough = (choice.count >= tokens or choice.finish_reason is not None for choice in trace.choices.values())
    return sum(enough) >= choices


def _count_ended(trace: AnswerTrace) -> int:
    return sum(choice.finish_reason is not None for choice in trace.choices.values())
