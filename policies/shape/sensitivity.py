"""The shape of `sensitivity` and `approved_texts`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from classifiers.types import UnknownKind
from policies.shape.part import Part
from policies.shape.words import (
    COUNTRY,
    DATE,
    DIGEST,
    DOMAIN,
    NAME,
    Entity,
    Expiry,
    Hash,
    LevelWord,
    Reason,
    Regex,
    Unit,
)


class LevelsPart(Part):
    """Which entity means which level."""

    public: list[Entity] = Field(default=[], description="Not sensitive.")
    internal: list[Entity] = Field(default=[], description="The organisation's own, harmless alone.")
    confidential: list[Entity] = Field(default=[], description="What is not listed anywhere counts as this.")
    restricted: list[Entity] = Field(default=[], description="Never reaches a cloud.")


class ExceptionPart(Part):
    """What is not a finding here."""

    entity: Entity = Field(description="The entity type; never SECRET.")
    terms: list[Annotated[str, Field(min_length=1, max_length=500)]] | None = Field(
        default=None, min_length=1, description="The whole matched text must be one of these."
    )
    domains: list[Annotated[str, Field(pattern=DOMAIN, max_length=253)]] | None = Field(
        default=None, min_length=1, description="The matched address must be at one of these."
    )
    patterns: list[Regex] | None = Field(
        default=None, min_length=1, description="RE2; one of these must match the whole matched text."
    )
    hashes: list[Hash] | None = Field(
        default=None, min_length=1, description="For values that must not stand in a file: gatehouse policy hash."
    )
    reason: Reason
    expires: Expiry = None
    tenant: Annotated[str, Field(pattern=NAME)] | None = Field(
        default=None, description="Only for this tenant; absent: for all."
    )


class DictionaryPart(Part):
    """An exact list of terms of your own."""

    name: Entity = Field(description="What a hit is called: an entity type of its own.")
    level: LevelWord = Field(description="The level of a hit.")
    terms: list[Annotated[str, Field(min_length=2, max_length=500)]] | None = Field(
        default=None, min_length=1, max_length=20_000, description="Whole words, in any case."
    )
    hashes: list[Hash] | None = Field(
        default=None,
        min_length=1,
        max_length=20_000,
        description="For terms that must not stand in a file, all with one salt: gatehouse policy hash.",
    )
    words: int = Field(default=4, ge=1, le=8, description="How many words the longest of the hashed terms has.")


class PatternPart(Part):
    """A pattern of your own."""

    name: Entity = Field(description="What a hit is called: an entity type of its own.")
    level: LevelWord = Field(description="The level of a hit.")
    regex: str = Field(min_length=1, max_length=2000, description="RE2 syntax: no look-around, no back-references.")


class OnUnknownPart(Part):
    """What one kind of unreadable part counts as."""

    counts_as: LevelWord = Field(description="Its level; without this entry it is restricted.")
    reason: Reason


class ApprovedTextPart(Part):
    """A whole text that somebody has looked at; `gatehouse policy approve-text` writes it."""

    name: Annotated[str, Field(min_length=1, max_length=200)] = Field(description="What the text is; for readers.")
    digest: Annotated[str, Field(pattern=DIGEST)] = Field(
        description="Keyed with this installation's secret: nobody can try texts against it."
    )
    kind: Literal["system", "tool", "signature", "any"] = Field(
        description="Where the text may stand: system prompts, tools, sealed members, or anywhere."
    )
    reason: Reason
    approved: Annotated[str, Field(pattern=DATE)] = Field(description="When, as 2026-11-27.")
    expires: Expiry = None


class SensitivityPart(Part):
    """What makes a request sensitive."""

    levels: LevelsPart = Field(default=LevelsPart(), description="Which finding means which level.")
    min_score: dict[Entity, Unit] = Field(default={}, description="Findings below this score do not count.")
    exceptions: list[ExceptionPart] = Field(default=[], description="What is not a finding here, each with its reason.")
    dictionaries: list[DictionaryPart] = Field(default=[], description="Exact terms of your own.")
    patterns: list[PatternPart] = Field(default=[], description="RE2 patterns of your own.")
    countries: list[Annotated[str, Field(pattern=COUNTRY)]] = Field(
        default=[], description="Countries whose national ids are looked for, beside the usual ones."
    )
    on_unknown: dict[UnknownKind, OnUnknownPart] = Field(
        default={}, description="Kinds of unreadable parts that count as less than restricted."
    )
