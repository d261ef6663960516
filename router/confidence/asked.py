"""What was known of a request before it was answered, as far as confidence in the answer needs it.

It lives as long as the request: the text is there to compare the answer with, and goes nowhere.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from classifiers.bodies import last_text, text_size
from classifiers.types import Signals

_READ: Final = 8000  # characters at the end of the question that are looked at
_JSON = re.compile(
    r"\b(?:as|in|into|return|output|valid|only|give|write|(?:answer|respond|reply) with)\b[^.?\n]{0,40}\bjson\b"
    r"|\bjson (?:object|array|list)\b",
    re.IGNORECASE,
)
_BRIEF = re.compile(
    r"\b(?:only|nothing else|(?:one|a single) (?:word|letter|number)|no explanation|without explanation|yes or no)\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\bhow (?:many|much|old|long|far)\b|\bwhat (?:number|is \d)|\bcalculate\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Asked:
    """Facts about a request. What was not measured is None; the defaults are a request of which nothing is known."""

    complexity: float | None = None  # in [0, 1]
    characters: int = 0  # of text in all messages
    task: str | None = None
    domain: str | None = None
    wants_json: bool = False  # by `response_format`, or in words
    wants_number: bool = False
    wants_brief: bool = False  # a word, a letter, "nothing else"
    most_tokens: int = 0  # that the answer may have; 0: not said
    text: str = field(default="", repr=False)  # the end of the question

    @property
    def complexity_logit(self) -> float:
        """The log-odds of the complexity, bounded; 0.0 where it was not measured."""
        if self.complexity is None:
            return 0.0
        chance = min(max(self.complexity, 0.01), 0.99)
        return math.log(chance / (1.0 - chance))


def asked_of(body: Mapping[str, Any], signals: Signals | None = None) -> Asked:
    """The facts of a chat-completions body and its signals (`Exchange.measured`). No shape of a body raises."""
    text = last_text(body)[-_READ:]
    form = body.get("response_format")
    by_format = isinstance(form, Mapping) and form.get("type") in ("json_object", "json_schema")
    most = body.get("max_completion_tokens") or body.get("max_tokens")
    complexity = _value(signals, "complexity")
    wants_json = by_format or _JSON.search(text) is not None
    return Asked(
        complexity=float(complexity) if isinstance(complexity, int | float) else None,
        characters=text_size(body),
        task=_label(signals, "task"),
        domain=_label(signals, "domain"),
        wants_json=wants_json,
        wants_number=_NUMBER.search(text) is not None,
        wants_brief=not wants_json and _BRIEF.search(text) is not None,
        most_tokens=most if isinstance(most, int) and not isinstance(most, bool) else 0,
        text=text,
    )


def _value(signals: Signals | None, name: str) -> object:
    signal = signals.values.get(name) if signals is not None else None
    return signal.value if signal is not None else None


def _label(signals: Signals | None, name: str) -> str | None:
    value = _value(signals, name)
    return value if isinstance(value, str) else None
