"""The shape of `tools`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from policies.shape.part import Part
from policies.shape.words import TOOL

ToolName = Annotated[str, Field(pattern=TOOL, min_length=1, max_length=128)]


class ToolRulePart(Part):
    """Which tools a request of a level, or of a higher one, may offer to a model outside."""

    allow: list[ToolName] | None = Field(default=None, max_length=1000, description="These and no others.")
    forbid: list[ToolName] = Field(default=[], max_length=1000, description="None of these.")


class OutsideToolsPart(Part):
    """By level; what holds at a level holds at every higher one too."""

    public: ToolRulePart | None = Field(default=None, description="For every request.")
    internal: ToolRulePart | None = Field(default=None, description="From internal on.")
    confidential: ToolRulePart | None = Field(default=None, description="From confidential on.")
    restricted: ToolRulePart | None = Field(default=None, description="For restricted requests.")


class ToolsPart(Part):
    """Which tools a request may offer: names as the caller writes them, or their beginning with * at the end."""

    forbid: list[ToolName] = Field(
        default=[], max_length=1000, description="Offered to no model at all: such a request is refused."
    )
    outside: OutsideToolsPart = Field(
        default=OutsideToolsPart(), description="A request that offers others stays at home."
    )
