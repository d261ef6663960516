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
    for name, count, most, what in (
        ("max_input_tokens", facts.input_tokens, limits.max_input_tokens, "tokens of input"),
        ("max_messages", facts.messages, limits.max_messages, "messages"),
        ("max_tools", len(facts.tools), limits.max_tools, "tools"),
    ):
        if most is not None and count > most:
            message = f"This request has {count:,} {what}, more than the {most:,} that the policy allows ({name})."
            return Refusal("request_too_large", 413, message)
    most = limits.max_output_tokens
    if most is not None and facts.output_tokens > most:
        message = (
            f"This request asks for up to {facts.output_tokens:,} tokens of output, more than the {most:,} that the "
            "policy allows (max_output_tokens). Ask for fewer, or name no bound."
        )
        return Refusal("limit_exceeded", 400, message)
    return None
