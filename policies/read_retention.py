"""From `cache` and `retention` to how long answers are kept: never longer than retention lets them."""

from __future__ import annotations

from policies.document import Path
from policies.notes import Notes
from policies.shape import CachePart
from policies.shape_retention import RetentionPart
from policies.types import CachePolicy


def read_cache(part: CachePart, retention: RetentionPart, notes: Notes) -> CachePolicy:
    """The compiled cache. A time that is written down and longer than what retention allows is a problem."""
    return CachePolicy(part.mode, kept_seconds(("cache",), part, retention, notes))


def kept_seconds(path: Path, part: CachePart, retention: RetentionPart, notes: Notes) -> int:
    """How long an answer is kept; where nothing is written, as long as usual or as retention allows."""
    most = retention.cache_seconds
    if most is None or part.ttl_seconds <= most:
        return part.ttl_seconds
    if "ttl_seconds" in part.model_fields_set:
        notes.problem(
            (*path, "ttl_seconds"), f"'ttl_seconds' is more than the {most:,} seconds of 'retention.cache_seconds'"
        )
    return most
