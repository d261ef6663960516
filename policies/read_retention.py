"""From `cache` and `retention` to how long answers and records are kept: never longer than what stands above them."""

from __future__ import annotations

from dataclasses import replace

from policies.document import Path
from policies.notes import Notes
from policies.shape import PolicyFile
from policies.shape_retention import RetentionPart
from policies.shape_rules import DecisionPart, RuleCachePart
from policies.types import CachePolicy, Rule


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


def read_rule_retention(path: Path, part: DecisionPart, file: PolicyFile, notes: Notes) -> int | None:
    """Days that the records of one route's requests are kept; None where it is as long as the policy's."""
    if part.retention is None:
        return None
    here = (*path, "retention")
    if part.route is None:
        notes.problem(here, "only a route has a retention: a forbid decides where no request goes", at_key=True)
    return _fewer((*here, "records_days"), part.retention.records_days, file.retention.records_days, notes)


def read_tenant_days(path: Path, part: RetentionPart | None, most: int | None, notes: Notes) -> int | None:
    """Days that a tenant's records are kept, no longer than everybody's."""
    if part is None or part.records_days is None:
        return most
    return _fewer((*path, "retention", "records_days"), part.records_days, most, notes)


def read_tenant_cache(
    path: Path, cache: RuleCachePart | None, retention: RetentionPart | None, base: CachePolicy, notes: Notes
) -> CachePolicy:
    """The most that a tenant's answers are kept, with or without a rule's own word: off, or for less long."""
    most = base.ttl_seconds
    if cache is not None and cache.mode == "exact" and base.mode == "off":
        notes.problem((*path, "cache"), "the file keeps no answers, so a tenant's are not kept either", at_key=True)
    if cache is not None and cache.ttl_seconds is not None:
        if cache.ttl_seconds > most:
            notes.problem((*path, "cache", "ttl_seconds"), f"the file keeps answers for {most:,} seconds at most")
        most = min(most, cache.ttl_seconds)
    kept = retention.cache_seconds if retention is not None else None
    return CachePolicy("off" if cache is not None and cache.mode == "off" else base.mode, min(most, kept or most))


def tighter_rule_cache(rule: Rule, cache: RuleCachePart | None, retention: RetentionPart | None) -> Rule:
    """A rule as it counts for a tenant with a word of its own: what the rule says, but no more than the tenant does."""
    if rule.cache is None or (cache is None and retention is None):
        return rule
    said = (cache.ttl_seconds if cache else None, retention.cache_seconds if retention else None)
    seconds = min(rule.cache.ttl_seconds, *(each for each in said if each is not None))
    mode = "off" if cache is not None and cache.mode == "off" else rule.cache.mode
    return replace(rule, cache=CachePolicy(mode, seconds))


def _fewer(path: Path, days: int, most: int | None, notes: Notes) -> int:
    if most is not None and days > most:
        notes.problem(path, f"'records_days' is more than the {most:,} days of 'retention.records_days'")
    return days


def _check(path: Path, seconds: int, most: int | None, notes: Notes) -> None:
    if most is not None and seconds > most:
        notes.problem(path, f"'ttl_seconds' is more than the {most:,} seconds of 'retention.cache_seconds'")
