"""From `cache` of the file, of a route and of a tenant to whether, how and for how long answers are kept."""

from __future__ import annotations

from dataclasses import replace

from policies.reading.notes import Notes
from policies.shape.cache import CachePart, RuleCachePart
from policies.shape.file import PolicyFile
from policies.shape.retention import RetentionPart
from policies.shape.rules import DecisionPart
from policies.text.document import Path
from policies.types import CacheMode, CachePolicy, Rule

_MORE: dict[CacheMode, int] = {"off": 0, "exact": 1, "semantic": 2}


def read_cache(file: PolicyFile, notes: Notes) -> CachePolicy:
    """The compiled cache. A time that is written down and longer than what retention allows is a problem."""
    part, most = file.cache, file.retention.cache_seconds
    if "ttl_seconds" in part.model_fields_set:
        _check(("cache", "ttl_seconds"), part.ttl_seconds, most, notes)
    _warn_of_idle(("cache",), part, notes)
    return CachePolicy(part.mode, min(part.ttl_seconds, most or part.ttl_seconds), part.similarity)


def read_rule_cache(path: Path, part: DecisionPart, file: PolicyFile, notes: Notes) -> CachePolicy | None:
    """The cache of one route, None where it is that of the policy."""
    if part.cache is None:
        return None
    here = (*path, "cache")
    if part.route is None:
        notes.problem(here, "only a route has a cache: a forbid answers nothing", at_key=True)
    most, seconds = file.retention.cache_seconds, part.cache.ttl_seconds or file.cache.ttl_seconds
    if part.cache.ttl_seconds is not None:
        _check((*here, "ttl_seconds"), seconds, most, notes)
    _warn_of_idle(here, part.cache, notes)
    return CachePolicy(part.cache.mode, min(seconds, most or seconds), part.cache.similarity or file.cache.similarity)


def read_tenant_cache(
    path: Path, cache: RuleCachePart | None, retention: RetentionPart | None, base: CachePolicy, notes: Notes
) -> CachePolicy:
    """The most that a tenant's answers are kept, with or without a rule's own word: less, or for less long."""
    here, most = (*path, "cache"), base.ttl_seconds
    if cache is not None and "mode" in cache.model_fields_set and _MORE[cache.mode] > _MORE[base.mode]:
        kept = "no answers" if base.mode == "off" else "answers for the very same request alone"
        notes.problem(here, f"the file keeps {kept}, and a tenant's are kept no further", at_key=True)
    if cache is not None and cache.ttl_seconds is not None:
        if cache.ttl_seconds > most:
            notes.problem((*here, "ttl_seconds"), f"the file keeps answers for {most:,} seconds at most")
        most = min(most, cache.ttl_seconds)
    if cache is not None and cache.similarity is not None and cache.similarity < base.similarity:
        notes.problem((*here, "similarity"), f"the file takes questions from {base.similarity:g} on")
    return _tighter(replace(base, ttl_seconds=most), cache, retention)


def tighter_rule_cache(rule: Rule, cache: RuleCachePart | None, retention: RetentionPart | None) -> Rule:
    """A rule as it counts for a tenant with a word of its own: what the rule says, but no more than the tenant does."""
    if rule.cache is None or (cache is None and retention is None):
        return rule
    return replace(rule, cache=_tighter(rule.cache, cache, retention))


def _tighter(base: CachePolicy, cache: RuleCachePart | None, retention: RetentionPart | None) -> CachePolicy:
    """What both say at once: a tenant that names no mode has that of the base."""
    modes, similarity = [base.mode], base.similarity
    if cache is not None and "mode" in cache.model_fields_set:
        modes.append(cache.mode)
    if cache is not None and cache.similarity is not None:
        similarity = max(similarity, cache.similarity)
    said = (cache.ttl_seconds if cache else None, retention.cache_seconds if retention else None)
    seconds = min([base.ttl_seconds, *(each for each in said if each is not None)])
    return CachePolicy(min(modes, key=lambda mode: _MORE[mode]), seconds, similarity)


def _warn_of_idle(path: Path, part: CachePart | RuleCachePart, notes: Notes) -> None:
    if "similarity" in part.model_fields_set and part.mode != "semantic":
        notes.warn(
            (*path, "similarity"), "only mode: semantic compares questions; 'similarity' changes nothing", at_key=True
        )


def _check(path: Path, seconds: int, most: int | None, notes: Notes) -> None:
    if most is not None and seconds > most:
        notes.problem(path, f"'ttl_seconds' is more than the {most:,} seconds of 'retention.cache_seconds'")
