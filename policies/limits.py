"""What is too big for a policy, whatever it is about: refused with both numbers before anything is chosen. Pure."""

from __future__ import annotations

from policies.shape_limits import LimitsPart
from policies.types import Facts, Limits, Policy, Refusal

LIMITS = "limits"  # the header's word


def read_limits(part: LimitsPart) -> Limits:
    """The compiled limits."""
    return Limits(part.max_input_tokens, part.max_output_tokens, part.max_messages, part.max_tools)


def refused(policy: Policy, facts: Facts) -> Refusal | None:
    """413 for a request that is too big, 400 for one that asks for too long an answer."""
    limits = policy.limits
    if limits.max_input_tokens is not None and facts.input_tokens > limits.max_input_tokens:
        return _too_large(facts.input_tokens, limits.max_input_tokens, "tokens of input", "max_input_tokens")
    if limits.max_messages is not None and facts.messages > limits.max_messages:
        return _too_large(facts.messages, limits.max_messages, "messages", "max_messages")
    if limits.max_tools is not None and len(facts.tools) > limits.max_tools:
        return _too_large(len(facts.tools), limits.max_tools, "tools", "max_tools")
    most = limits.max_output_tokens
    if most is not None and facts.output_tokens > most:
        message = (
            f"This request asks for up to {facts.output_tokens:,} tokens of output, more than the {most:,} that the "
            "policy allows (max_output_tokens). Ask for fewer, or name no bound."
        )
        return Refusal("limit_exceeded", 400, message)
    return None


def _too_large(count: int, most: int, what: str, name: str) -> Refusal:
    message = f"This request has {count:,} {what}, more than the {most:,} that the policy allows ({name})."
    return Refusal("request_too_large", 413, message)
