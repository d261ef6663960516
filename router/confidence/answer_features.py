"""Numbers that say how an answer was made and what kind of answer it is: what a calibration is fitted on.

They hold no content, in a fixed order, so that a decision record may keep them. Counts of words, not words.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from typing import Final

from router.confidence.answer_checks import NAMES as CHECKS
from router.confidence.answer_checks import checks
from router.confidence.asked import Asked
from router.confidence.trace import Token, TokenTrace

NAMES: Final = (
    "log_of_sum",  # log(1 - sum of log-probabilities): how unlikely the whole of it was
    "mean",  # log-probability, nats
    "least",  # log(1 - the least log-probability)
    "first",  # … the first token's
    "early",  # log(1 - sum of the first four)
    "doubtful",  # share of tokens with a probability under 0.5
    "new_sum",  # log(1 - sum of log-probabilities) of tokens that do not stand in the question
    "new_mean",
    "new_least",
    "sentence",  # log(1 - sum of log-probabilities) of the first sentence or line
    "sentence_mean",
    "rest",  # log(1 + tokens after it)
    "key",  # log(1 - log-probability) of the first word that is neither the question's nor a small one
    "key_least",  # … the least of the first three such
    "digits",  # … the least of tokens that are digits; 0 of none
    "sentences",  # log(1 + sentences and lines that end)
    "length",  # log(1 + tokens)
    "ended",  # 1: it is over, and not cut short
    "cut",  # 1: it was cut short
    "repetition",  # share of runs of four tokens that had come before
    "echo",  # share of its words that stand in the question
    "echo_all",  # 1: all of them do
    "constant",  # 1: yes, no, true, false or a letter comes first, which small models say to everything
    "no_json",  # 1: JSON was asked for and this is none (in a head: does not begin like some)
    "no_number",  # 1: a number was asked for and there is none
    "copied_number",  # 1: a number was asked for and those here all stand in the question
    "wordy",  # log(1 + words) where a word was asked for
    "words",  # log(1 + words)
    "complexity",  # log-odds of the predicted chance that the model fails
    "prompt",  # log(1 + characters)
    "wants_number",
    "wants_json",
    "wants_brief",
    *CHECKS,
)

_SENTENCE_END: Final = re.compile(r"[.!?]$|\n")
_SMALL: Final = frozenset((
    "a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "has", "have", "he", "her", "his", "i",
    "in", "is", "it", "its", "no", "not", "of", "on", "or", "she", "that", "the", "they", "this", "to", "was",
    "we", "what", "which", "who", "with", "yes", "you",
))  # fmt: skip
_WORD: Final = re.compile(r"[^\W_]+")
_NUMBER: Final = re.compile(r"\d+(?:[.,]\d+)*")
_CONSTANT: Final = frozenset({"yes", "no", "true", "false", "a", "b", "c", "d"})
_JSON_BEGINS: Final = re.compile(r"\s*(?:```(?:json)?\s*)?[\[{]")
_FENCED: Final = re.compile(r"^```(?:json)?\s*|\s*```$")


def features(trace: TokenTrace, asked: Asked) -> tuple[float, ...]:
    """Values in the order of `NAMES`, to four digits. Of a `TokenTrace.head()`: what was known by then."""
    text = "".join(token.text for token in trace.tokens)
    made = (
        *_sureness(trace),
        *_newness(trace, asked.text.lower()),
        *_parts(trace, asked),
        *_form(trace),
        *_content(text, trace, asked),
    )
    checked = checks(text, asked, is_over=trace.is_over)
    return tuple(round(value, 4) for value in (*made, *_before(asked), *checked))


_LOOP: Final = 0.5  # a share of repeated runs above this is a loop
_ECHO: Final = 0.9  # a share of words that stand in the question from this on, in an answer of
_ECHOED: Final = 10  # so many words at least,
_OF_PROMPT: Final = 0.6  # which are this share of the prompt's: the prompt said again
_WORD_LENGTH: Final = 6  # characters, with the blank behind it
_PLACE: Final = {name: place for place, name in enumerate(NAMES)}


def is_degenerate(values: Sequence[float]) -> bool:
    """Whether features are those of an answer that says nothing, however sure its tokens are.

    One that goes round in circles, or says the prompt again.
    """
    if values[_PLACE["repetition"]] > _LOOP:
        return True
    words, asked = math.expm1(values[_PLACE["words"]]), math.expm1(values[_PLACE["prompt"]]) / _WORD_LENGTH
    return values[_PLACE["echo"]] >= _ECHO and words >= max(_ECHOED, _OF_PROMPT * asked)


def is_constant(values: Sequence[float]) -> bool:
    """Whether an answer begins with yes, no, true, false or a letter: small models say one of these to everything."""
    return values[_PLACE["constant"]] == 1.0


def _depth(total: float) -> float:
    """A sum of log-probabilities on a scale where its size tells: log(1 - sum)."""
    return math.log1p(-total)


def _sureness(trace: TokenTrace) -> Iterator[float]:
    tokens = trace.tokens
    yield _depth(trace.total)
    yield trace.mean
    yield _depth(trace.least)
    yield _depth(tokens[0].logprob) if tokens else 0.0
    yield _depth(sum(token.logprob for token in tokens[:4]))
    yield _mean([float(token.logprob < -math.log(2)) for token in tokens])


def _newness(trace: TokenTrace, question: str) -> Iterator[float]:
    """Words of the question come easily: how sure the model was of the others."""
    values = [token.logprob for token in trace.tokens if _is_new(token, question)]
    yield _depth(sum(values))
    yield _mean(values)
    yield _depth(min(values, default=0.0))


def _parts(trace: TokenTrace, asked: Asked) -> Iterator[float]:
    """The first sentence, which most often is the answer; the first words that carry it; its numbers."""
    tokens = trace.tokens
    ends = [place for place, token in enumerate(tokens, 1) if place > 1 and _SENTENCE_END.search(token.text)]
    first = [token.logprob for token in tokens[: ends[0] if ends else len(tokens)]]
    yield _depth(sum(first))
    yield _mean(first)
    yield math.log1p(len(tokens) - len(first))
    question = asked.text.lower()
    keys = [token.logprob for token in tokens if _is_new(token, question) and _is_key(token)][:3]
    yield _depth(keys[0]) if keys else 0.0
    yield _depth(min(keys, default=0.0))
    yield _depth(min((token.logprob for token in tokens if token.text.strip().isdigit()), default=0.0))
    yield math.log1p(len(ends))


def _is_key(token: Token) -> bool:
    word = token.text.strip().lower()
    return word[0].isalnum() and word not in _SMALL


def _is_new(token: Token, question: str) -> bool:
    word = token.text.strip().lower()
    return bool(word) and (word[0].isalnum() or len(word) > 1) and word not in question


def _form(trace: TokenTrace) -> Iterator[float]:
    yield math.log1p(trace.count)
    yield float(trace.is_over and trace.finish_reason != "length")
    yield float(trace.finish_reason == "length")
    yield trace.repetition


def _content(text: str, trace: TokenTrace, asked: Asked) -> Iterator[float]:
    words = _WORD.findall(text.lower())
    known = set(_WORD.findall(asked.text.lower()))
    echo = _mean([float(word in known) for word in words])
    yield echo
    yield float(bool(words) and echo == 1.0)
    yield float(bool(words) and words[0] in _CONSTANT)
    yield float(asked.wants_json and not _is_json(text, trace))
    numbers = _NUMBER.findall(text)
    yield float(asked.wants_number and not numbers)
    given = set(_NUMBER.findall(asked.text))
    yield float(asked.wants_number and bool(numbers) and given.issuperset(numbers))
    yield math.log1p(len(words)) if asked.wants_brief else 0.0
    yield math.log1p(len(words))


def _is_json(text: str, trace: TokenTrace) -> bool:
    if not trace.is_over or trace.count > len(trace.tokens):  # a part of it: it can only begin well
        return _JSON_BEGINS.match(text) is not None
    try:
        json.loads(_FENCED.sub("", text.strip()))
    except (ValueError, RecursionError):
        return False
    return True


def _before(asked: Asked) -> Iterator[float]:
    yield asked.complexity_logit
    yield math.log1p(asked.characters)
    yield float(asked.wants_number)
    yield float(asked.wants_json)
    yield float(asked.wants_brief)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0
