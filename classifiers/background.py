"""The signal `background`: whether a chat program asks by itself, for a title, tags or follow-ups, and nobody waits.

It reads the instructions that such programs send, as their public sources word them. What it misses or takes wrongly
changes whose turn it is, and never what may leave.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from classifiers.bodies import message_texts
from classifiers.types import Signal

_EDGE: Final = 700  # characters of the beginning and of the end of a text: instructions stand before or after the talk
_ASKING: Final = frozenset({"system", "developer", "user"})
_FROM_VERB: Final = 100  # characters from a verb to what it asks for, …
_TO_TALK: Final = 250  # … and from there to the talk that it is of

_VERB: Final = re.compile(r"\b(?:generate|provide|create|write|suggest|give|extract|summari[sz]e)\b", re.IGNORECASE)
_WHAT: Final = re.compile(
    r"\b(?:title|tags?|follow[- ]?up (?:questions?|prompts?)|search quer(?:y|ies))\b", re.IGNORECASE
)
_TALK: Final = re.compile(r"\b(?:conversation|chat[ _]history|dialogue)\b", re.IGNORECASE)
_OPENINGS: Final = re.compile(
    r"(?:#{1,4} Task:\s*You are an autocompletion system|you are a (?:conversation |chat )?title generator)\b",
    re.IGNORECASE,
)


class BackgroundSignal:
    """Looks at the last user text and at what the system says."""

    name = "background"

    def measure(self, body: Mapping[str, Any]) -> Signal:
        """True or False, never an error: a body without texts is asked by a program, but nobody knows for what."""
        texts = message_texts(body, _ASKING)
        looked_at = (texts[0], texts[-1]) if len(texts) > 1 else texts
        return Signal(self.name, any(is_background(text) for text in looked_at))


def is_background(text: str) -> bool:
    """Whether a text asks for something about a talk that the program shows. Reads both ends of it, in linear time."""
    edges = (text,) if len(text) <= 2 * _EDGE else (text[:_EDGE], text[-_EDGE:])
    return _OPENINGS.match(text.lstrip()[:_EDGE]) is not None or any(_asks_of_a_talk(edge) for edge in edges)


def _asks_of_a_talk(edge: str) -> bool:
    whats, verbs, talks = ([found.start() for found in form.finditer(edge)] for form in (_WHAT, _VERB, _TALK))
    return any(
        any(0 < what - verb <= _FROM_VERB for verb in verbs) and any(abs(talk - what) <= _TO_TALK for talk in talks)
        for what in whats
    )
