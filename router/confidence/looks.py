"""The second look at a doubtful answer: what the same model is asked again, and one number made of what it says. Pure.

`verify`: whether the answer is right, yes or no. `agreement`: the same question again, a few times, and how alike the
answers are. What the number is worth is for the model's card to say, never for this file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal, get_args

from router.types import JsonObject

LookKind = Literal["verify", "agreement"]
LOOKS: Final[tuple[LookKind, ...]] = get_args(LookKind)
_ASKED: Final = "Is your answer above right and complete? Reply with one word, yes or no."
_MOST: Final = 6.0  # log-odds
_ALTERNATIVES: Final = 20
_WARMTH: Final = 0.7  # temperature of further samples, where the request has less
# What a further sample keeps of the request; `verify` keeps the messages alone.
_KEPT: Final = ("messages", "temperature", "top_p", "max_tokens", "max_completion_tokens", "stop", "response_format")
_WORD: Final = re.compile(r"\w+", re.UNICODE)


def can_look(body: Mapping[str, Any], answer: str) -> bool:
    """Whether an answer to this body can be looked at again: one choice of text, without tools."""
    return bool(answer.strip()) and not body.get("tools") and (body.get("n") or 1) == 1


def look_bodies(kind: LookKind, body: Mapping[str, Any], answer: str, samples: int) -> list[JsonObject]:
    """The chat-completions bodies of the look, without a model's name."""
    if kind == "verify":
        said = [{"role": "assistant", "content": answer}, {"role": "user", "content": _ASKED}]
        asked: JsonObject = {"messages": [*body["messages"], *said], "temperature": 0, "max_tokens": 1}
        return [asked | {"logprobs": True, "top_logprobs": _ALTERNATIVES}]
    kept = {name: body[name] for name in _KEPT if body.get(name) is not None}
    warm = max(float(kept.get("temperature") or 0.0), _WARMTH)
    return [kept | {"temperature": warm, "seed": seed} for seed in range(1, samples + 1)]


def look_value(kind: LookKind, answer: str, choices: Sequence[Mapping[str, Any]]) -> float | None:
    """The number of a look, from the first choice of each of its answers; None where they do not tell.

    `verify`: log-odds of yes against no, from -6 to 6. `agreement`: the mean share of words in common, from 0 to 1.
    """
    if kind == "verify":
        return _yes(choices[0]) if choices else None
    others = [text for choice in choices if (text := content(choice))]
    return sum(_alike(answer, text) for text in others) / len(others) if others else None


def content(choice: Mapping[str, Any]) -> str:
    """The text of an entry of `choices`; empty where it has none."""
    message = choice.get("message")
    text = message.get("content") if isinstance(message, Mapping) else None
    return text if isinstance(text, str) else ""


def _yes(choice: Mapping[str, Any]) -> float | None:
    """Only yes and no are compared, however the model would rather go on."""
    chances = {"yes": 0.0, "no": 0.0}
    for token, logprob in dict(_first_tokens(choice)).items():
        word = token.strip().strip("\"'.*").lower()
        if word in chances:
            chances[word] += math.exp(logprob)
    yes, no = chances["yes"], chances["no"]
    if not yes and not no:
        return None
    least = math.exp(-_MOST)
    return max(-_MOST, min(math.log((yes + least * no) / (no + least * yes)), _MOST))


def _first_tokens(choice: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    logprobs = choice.get("logprobs")
    entries = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    first = entries[0] if isinstance(entries, list) and entries and isinstance(entries[0], Mapping) else {}
    for entry in (first, *(first.get("top_logprobs") or ())):
        token, logprob = entry.get("token"), entry.get("logprob")
        if isinstance(token, str) and isinstance(logprob, int | float) and not math.isnan(logprob):
            yield token, min(float(logprob), 0.0)


def _alike(one: str, other: str) -> float:
    """1.0 for the same words in the same order, else twice those in common over all of both (Dice), at most 0.9."""
    first, second = _WORD.findall(one.lower()), _WORD.findall(other.lower())
    if first == second:
        return 1.0
    common = len(set(first) & set(second))
    return min(2 * common / (len(set(first)) + len(set(second))), 0.9) if first and second else 0.0
