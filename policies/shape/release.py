"""The shape of `release`: which held requests may go out once after all, and who must agree."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from policies.shape.part import Part
from policies.shape.words import DURATION, LevelWord

Duration = Annotated[str, Field(pattern=DURATION)]


class ReleasePart(Part):
    """Leave for a held request to go out whole, once, with somebody's consent."""

    levels: list[LevelWord] = Field(
        max_length=4, description="Of held requests, the levels that may be released; never restricted. []: none."
    )
    by: Literal["user", "approver"] = Field(
        description="user: whoever asked repeats it. approver: somebody else approves it first."
    )
    ttl: Duration = Field(
        default="5m", description="How long the token counts: from the held answer on, or from the approval on."
    )
    groups: list[Annotated[str, Field(min_length=1, max_length=200)]] | None = Field(
        default=None, min_length=1, description="Only keys of one of these groups are offered it; absent: every key."
    )


class TenantReleasePart(Part):
    """Less than what the file lets be released; what is not said here is as the file has it."""

    levels: list[LevelWord] | None = Field(
        default=None, max_length=4, description="Of the levels that the file names. []: none."
    )
    by: Literal["user", "approver"] | None = Field(default=None, description="approver, where the file says user.")
    ttl: Duration | None = Field(default=None, description="As long as in the file, or shorter.")
