"""The shape of `deadline`."""

from __future__ import annotations

from pydantic import Field

from policies.shape.part import Part


class DeadlinePart(Part):
    """How long a request may take, from when it came in. What is over is not begun, and ends with a 504."""

    total_seconds: float | None = Field(
        default=None, gt=0, le=86_400, allow_inf_nan=False, description="Until the whole answer, or a stream's end."
    )
    first_token_seconds: float | None = Field(
        default=None, gt=0, le=3600, allow_inf_nan=False, description="Until a stream's first token."
    )
