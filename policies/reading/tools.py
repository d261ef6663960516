"""From `tools` to its compiled form."""

from __future__ import annotations

from policies.shape.tools import ToolsPart
from policies.types import Level, ToolPolicy, ToolRule


def read_tools(part: ToolsPart) -> ToolPolicy:
    """The compiled tools. What holds at a level holds above it, so each level has the rules of those below."""
    outside: dict[Level, tuple[ToolRule, ...]] = {}
    so_far: tuple[ToolRule, ...] = ()
    for level in Level:
        entry = getattr(part.outside, level.word)
        if entry is not None:
            allow = None if entry.allow is None else frozenset(entry.allow)
            so_far = (*so_far, ToolRule(level, allow, frozenset(entry.forbid)))
        outside[level] = so_far
    return ToolPolicy(frozenset(part.forbid), outside)
