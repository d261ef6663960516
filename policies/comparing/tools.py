"""What differs in the tools that requests may offer. A doubtful difference counts as loosening. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from policies.types import Level, Policy, ToolRule


def tools_differences(old: Policy, new: Policy) -> Iterable[tuple[str, bool, str]]:
    """(path, whether it loosens, in words) for `tools.forbid` and each level that differs."""
    if old.tools.forbid != new.tools.forbid:
        gone = sorted(old.tools.forbid - new.tools.forbid)
        added = sorted(new.tools.forbid - old.tools.forbid)
        what = f"no longer forbidden: {', '.join(gone)}" if gone else f"forbidden: {', '.join(added)}"
        yield "tools.forbid", bool(gone), what
    for level in Level:
        was, now = old.tools.outside.get(level, ()), new.tools.outside.get(level, ())
        if was != now:
            is_looser = not _covers(now, was)
            what = f"{level.word}: {'other' if is_looser else 'fewer'} tools may be offered outside"
            yield f"tools.outside.{level.word}", is_looser, what


def _covers(now: tuple[ToolRule, ...], was: tuple[ToolRule, ...]) -> bool:
    """Whether everything that was barred is barred still."""
    forbidden = frozenset[str]().union(*(rule.forbid for rule in now))
    allows = [rule.allow for rule in now if rule.allow is not None]
    return all(
        rule.forbid <= forbidden and (rule.allow is None or any(each <= rule.allow for each in allows)) for rule in was
    )
