"""What differs between what two policies let be released, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from policies.types import Level, Policy, ReleaseRule

_NOTHING = ReleaseRule(frozenset(), "approver", 0, frozenset())


def release_differences(old: Policy, new: Policy) -> Iterable[tuple[str, bool, str]]:
    """(path, whether it loosens, in words) for each word of `release` that differs."""
    was, now = old.release or _NOTHING, new.release or _NOTHING
    for level in Level:
        if (level in was.levels) != (level in now.levels):
            may = "may" if level in now.levels else "may no longer"
            by = (now if level in now.levels else was).by
            yield "release.levels", level in now.levels, f"{level.word} {may} be released by the {by}"
    if not was.levels or not now.levels:
        return
    if was.by != now.by:
        yield "release.by", now.by == "user", f"{was.by} -> {now.by}"
    if was.ttl_seconds != now.ttl_seconds:
        yield "release.ttl", now.ttl_seconds > was.ttl_seconds, f"{was.ttl_seconds:,} s -> {now.ttl_seconds:,} s"
    if was.groups != now.groups:
        is_fewer = now.groups is not None and (was.groups is None or now.groups <= was.groups)
        yield "release.groups", not is_fewer, "fewer keys are offered it" if is_fewer else "other keys are offered it"
