"""The shape of `retention`."""

from __future__ import annotations

from pydantic import Field

from policies.shape.part import Part


class RetentionPart(Part):
    """How long is kept what a request leaves behind."""

    records_days: int | None = Field(
        default=None, ge=1, le=36_500, description="Decision records older than this are deleted; absent: none are."
    )
    cache_seconds: int | None = Field(
        default=None, ge=1, le=2_592_000, description="No cached answer is kept longer, whatever `cache` says."
    )
