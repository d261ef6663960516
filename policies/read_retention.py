"""From `cache` and `retention` to how long answers are kept: never longer than retention lets them."""

from __future__ import annotations

from policies.document import Path
from policies.notes import Notes
from policies.shape import PolicyFile
from policies.shape_rules import DecisionPart
from policies.types import CachePolicy


def read_cache(file: PolicyFile, notes: Notes) -> CachePolicy:
    """The compiled cache. A time that is written down and longer than what retention allows is a problem."""
    part, most = file.cache, file.retention.cache_seconds
    if "ttl_seconds" in part.model_fields_set:
        _check(("cache", "ttl_seconds"), part.ttl_seconds, most, notes)
    return CachePolicy(part.mode, min(part.ttl_seconds, most or part.ttl_seconds))


def read_rule_cache(path: Path, part: DecisionPart, file: PolicyFile, notes: Notes) -> CachePolicy | None:
    """The cache of one route, None where it is that of the policy."""
    if part.cache is None:
        return None
    if part.route is None:
        notes.problem((*path, "cache"), "only a route has a cache: a forbid answers nothing", at_key=True)
    most, seconds = file.retention.cache_seconds, part.cache.ttl_seconds or file.cache.ttl_seconds
    if part.cache.ttl_seconds is not None:
        _check((*path, "cache", "ttl_seconds"), seconds, most, notes)
    return CachePolicy(part.cache.mode, min(seconds, most or seconds))


def _check(path: Path, seconds: int, most: int | None, notes: Notes) -> None:
    if most is not None and seconds > most:
        notes.problem(path, f"'ttl_seconds' is more than the {most:,} seconds of 'retention.cache_seconds'")
