"""The shape of `limits`."""

from __future__ import annotations

from pydantic import Field

from policies.shape.part import Part

_MOST = 100_000_000


class LimitsPart(Part):
    """How big a request may be: any, those that one route decides, or a tenant's."""

    max_input_tokens: int | None = Field(default=None, ge=1, le=_MOST, description="Of the prompt, estimated high.")
    max_output_tokens: int | None = Field(
        default=None, ge=1, le=_MOST, description="Of the answer; also where the caller names no bound."
    )
    max_messages: int | None = Field(default=None, ge=1, le=_MOST, description="Of one request.")
    max_tools: int | None = Field(default=None, ge=0, le=_MOST, description="That one request may offer.")
