"""What is too big for a policy, or for one of its rules: refused with both numbers before anything is chosen. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from policies.reading.notes import Notes
from policies.shape.limits import LimitsPart
from policies.text.document import Path
from policies.types import Facts, Limits, Policy, Refusal

LIMITS = "limits"  # the header's word


def read_limits(part: LimitsPart) -> Limits:
    """The compiled limits."""
    return Limits(part.max_input_tokens, part.max_output_tokens, part.max_messages, part.max_tools)


def read_tighter(path: Path, part: LimitsPart, base: Limits, notes: Notes) -> Limits:
    """Limits beside those of the file: what is not said is as there, and more than there is a problem."""
    own = read_limits(part)
    for name, value, most in _pairs(own, base):
        if value is not None and most is not None and value > most:
            notes.problem((*path, name), f"'{name}' is more than the {most:,} of the file's 'limits'")
    if not part.model_fields_set:
        notes.problem(path, f"'limits' names nothing: {', '.join(LimitsPart.model_fields)}")
    return least(own, base)


def least(one: Limits, other: Limits) -> Limits:
    """What is left of both: of each number the smaller."""
    found = (min((each for each in pair if each is not None), default=None) for _, *pair in _pairs(one, other))
    return Limits(*found)


def refused(policy: Policy, facts: Facts) -> Refusal | None:
    """413 for a request that is too big for the policy, 400 for one that asks for too long an answer."""
    return beyond(policy.limits, facts, facts.output_tokens, "the policy")


def beyond(limits: Limits, facts: Facts, output_tokens: int, whose: str) -> Refusal | None:
    """The same for any limits; `output_tokens` is what the caller asked for, 0 for nothing."""
    if limits.max_input_tokens is not None and facts.input_tokens > limits.max_input_tokens:
        return _too_large(facts.input_tokens, limits.max_input_tokens, "tokens of input", "max_input_tokens", whose)
    if limits.max_messages is not None and facts.messages > limits.max_messages:
        return _too_large(facts.messages, limits.max_messages, "messages", "max_messages", whose)
    if limits.max_tools is not None and len(facts.tools) > limits.max_tools:
        return _too_large(len(facts.tools), limits.max_tools, "tools", "max_tools", whose)
    most = limits.max_output_tokens
    if most is not None and output_tokens > most:
        message = (
            f"This request asks for up to {output_tokens:,} tokens of output, more than the {most:,} that {whose} "
            "allows (max_output_tokens). Ask for fewer, or name no bound."
        )
        return Refusal("limit_exceeded", 400, message)
    return None


def _pairs(one: Limits, other: Limits) -> Iterator[tuple[str, int | None, int | None]]:
    for each in fields(Limits):
        yield each.name, getattr(one, each.name), getattr(other, each.name)


def _too_large(count: int, most: int, what: str, name: str, whose: str) -> Refusal:
    message = f"This request has {count:,} {what}, more than the {most:,} that {whose} allows ({name})."
    return Refusal("request_too_large", 413, message)
