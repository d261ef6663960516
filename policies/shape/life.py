"""The shape of `policy` and `approvals`: where the policy is kept, and who must agree to a change of it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from policies.shape.part import Part


class KeptPart(Part):
    """Where the policy in force comes from."""

    source: Literal["file", "store"] = Field(
        default="file",
        description="file: this file, followed as it changes. store: the versions of the state folder, which this file "
        "only begins.",
    )


class ApprovalsPart(Part):
    """How many must approve a change before it can be put in force; for `policy: {source: store}`."""

    loosening: int = Field(
        default=0, ge=0, le=10, description="Of a change that may let more out. Nobody approves their own."
    )
