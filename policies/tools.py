"""Tools by sensitivity: which a request may offer to a model outside at its level, and which to nobody. Pure.

Reasons name the policy's own patterns, never a caller's tool. A tool whose name cannot be read is none that is allowed.
"""

from __future__ import annotations

from collections.abc import Iterable

from policies.types import Facts, Level, Policy, Refusal

TOOLS = "tools"  # what bars an exit, and the header's word


def barred_outside(policy: Policy, level: Level, facts: Facts) -> str:
    """Why a request at this level may not offer its tools to a model outside; empty where it may."""
    if not facts.tools:
        return ""
    for rule in policy.tools.outside.get(level, ()):
        pattern = _first_hit(rule.forbid, facts.tools)
        if pattern is not None:
            return f"from {rule.level.word} on a request with the tool '{pattern}' stays at home"
        if rule.allow is not None and not all(_is_hit(rule.allow, name) for name in facts.tools):
            return f"from {rule.level.word} on only the tools of 'tools.outside.{rule.level.word}.allow' may leave"
    return ""


def refused(policy: Policy, facts: Facts) -> Refusal | None:
    """403 for a request that offers a tool which no model may have."""
    pattern = _first_hit(policy.tools.forbid, facts.tools) if facts.tools else None
    if pattern is None:
        return None
    message = f"The policy ({policy.label}) forbids a tool that this request offers: '{pattern}'. Leave that tool out."
    return Refusal("policy_denied", 403, message)


def known_as(policy: Policy, name: str) -> str | None:
    """What a record says of a tool: the policy's longest pattern that it matches, which stands for all; None: none."""
    rules = policy.tools.outside.get(Level.RESTRICTED, ())
    patterns = policy.tools.forbid.union(*(rule.forbid | (rule.allow or frozenset()) for rule in rules))
    return max((each for each in patterns if _matches(each, name)), key=len, default=None) if name else ""


def _first_hit(patterns: Iterable[str], names: Iterable[str]) -> str | None:
    return next((each for each in sorted(patterns) if any(not name or _matches(each, name) for name in names)), None)


def _is_hit(patterns: Iterable[str], name: str) -> bool:
    return bool(name) and any(_matches(each, name) for each in patterns)


def _matches(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
