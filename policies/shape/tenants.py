"""The shape of `tenants`: what one tenant's requests are held to beside the rest of the file."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from classifiers.types import UnknownKind
from policies.shape.cache import RuleCache
from policies.shape.limits import LimitsPart
from policies.shape.part import Part
from policies.shape.release import TenantReleasePart
from policies.shape.retention import RetentionPart
from policies.shape.sensitivity import DictionaryPart, LevelsPart, OnUnknownPart, PatternPart
from policies.shape.words import Entity, ModelName, Unit, Word


class TenantEgressRulePart(Part):
    """Less than what the file lets leave at one level; what is not said here is as the file has it."""

    payload: Literal["none", "pseudonymized", "full"] | None = Field(default=None, description="As much, or less.")
    localities: list[Literal["lan", "cloud"]] | None = Field(
        default=None, min_length=1, description="Of the localities that the file allows."
    )
    regions: list[Word] | None = Field(default=None, min_length=1, description="Of the regions that the file allows.")
    require: list[Word] = Field(default=[], description="Attributes of the model, beside those of the file.")


class TenantEgressPart(Part):
    """What less may leave."""

    public: TenantEgressRulePart | None = Field(default=None, description="For public requests.")
    internal: TenantEgressRulePart | None = Field(default=None, description="For internal requests.")
    confidential: TenantEgressRulePart | None = Field(default=None, description="For confidential requests.")
    restricted: TenantEgressRulePart | None = Field(default=None, description="For restricted requests.")


class TenantSensitivityPart(Part):
    """What more is sensitive."""

    levels: LevelsPart = Field(default=LevelsPart(), description="Entities that count as more than in the file.")
    min_score: dict[Entity, Unit] = Field(default={}, description="Scores from which findings count: lower ones.")
    dictionaries: list[DictionaryPart] = Field(default=[], description="Terms of this tenant.")
    patterns: list[PatternPart] = Field(default=[], description="Patterns of this tenant.")
    on_unknown: dict[UnknownKind, OnUnknownPart] = Field(
        default={}, description="Kinds of unreadable parts that count as more than in the file."
    )


class TenantPart(Part):
    """One tenant: everything here may only tighten."""

    models: list[ModelName] | None = Field(
        default=None, min_length=1, description="The only models there are for it, one local at least; absent: all."
    )
    forbid: list[ModelName] = Field(default=[], description="lan, cloud, or names of models outside: never for it.")
    egress: TenantEgressPart = Field(default=TenantEgressPart(), description="What less may leave.")
    sensitivity: TenantSensitivityPart = Field(default=TenantSensitivityPart(), description="What more is sensitive.")
    release: TenantReleasePart | None = Field(default=None, description="What less may be released.")
    cache: RuleCache = Field(
        default=None, description="Off or exact, where the file does more, kept for less long, or nearer questions."
    )
    audit: Literal["required"] | None = Field(
        default=None, description="required: nothing of it leaves before its record is durable."
    )
    limits: LimitsPart | None = Field(
        default=None, description="Smaller requests and answers than the file's `limits`."
    )
    retention: RetentionPart | None = Field(default=None, description="What it leaves behind is kept for less long.")
