"""The shape of `cache`, in the file, beside a route and under a tenant."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from policies.shape.part import Part

LEAST_SIMILARITY = 0.9  # below it different questions are near one another
_Similarity = Annotated[float, Field(ge=LEAST_SIMILARITY, le=1, allow_inf_nan=False)]


class CachePart(Part):
    """Whether answers are kept."""

    mode: Literal["off", "exact", "semantic"] = Field(
        description="exact: the very same request is answered from the cache. semantic: also a public question that "
        "says the same in other words of courtesy and form."
    )
    ttl_seconds: int = Field(default=3600, ge=1, le=2_592_000, description="How long an answer is kept.")
    similarity: _Similarity = Field(
        default=0.95, description="semantic: how near two questions must be (cosine), beside having the same words."
    )


class RuleCachePart(Part):
    """Whether answers to what a route decides are kept, where that differs from `cache`."""

    mode: Literal["off", "exact", "semantic"] = Field(default="exact", description="As in `cache`.")
    ttl_seconds: int | None = Field(
        default=None, ge=1, le=2_592_000, description="How long an answer is kept; absent: as `cache` says."
    )
    similarity: _Similarity | None = Field(default=None, description="As in `cache`; absent: as `cache` says.")


def _mode_alone(value: Any) -> Any:
    """A bare word is short for the mode alone."""
    return {"mode": value} if isinstance(value, str) else value


RuleCache = Annotated[
    RuleCachePart | None,
    BeforeValidator(_mode_alone),
    WithJsonSchema({"anyOf": [{"enum": ["off", "exact", "semantic"]}, RuleCachePart.model_json_schema()]}),
]
