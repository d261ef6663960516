"""The shape of `egress` and `decisions`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from policies.shape.cache import RuleCache
from policies.shape.escalation import RuleEscalationPart
from policies.shape.limits import LimitsPart
from policies.shape.part import Part
from policies.shape.serving import DeadlinePart
from policies.shape.words import RULE_NAME, Entity, ModelName, Reason, Word


class MeaningPart(Part):
    """A meaning that does not keep a request at home."""

    entity: Entity = Field(description="The meaning of a whole segment, such as MEDICAL.")
    reason: Reason


class EgressRulePart(Part):
    """What may leave at one level."""

    payload: Literal["none", "pseudonymized", "full"] = Field(description="How much of the request may leave.")
    localities: list[Literal["lan", "cloud"]] = Field(default=["cloud"], min_length=1, description="Where it may go.")
    regions: list[Word] | None = Field(default=None, min_length=1, description="Regions it may go to; absent: any.")
    require: list[Word] = Field(default=[], description="Attributes that the model must have.")
    meaning_may_leave: list[MeaningPart] = Field(
        default=[], description="Meanings that may leave with payload pseudonymized; any other keeps the request."
    )


class EgressPart(Part):
    """What may leave; a level without an entry stays."""

    public: EgressRulePart | None = Field(default=None, description="For public requests.")
    internal: EgressRulePart | None = Field(default=None, description="For internal requests.")
    confidential: EgressRulePart | None = Field(default=None, description="For confidential requests.")
    restricted: EgressRulePart | None = Field(
        default=None, description="For restricted requests: lan at most, never cloud."
    )


class RuleRetentionPart(Part):
    """How long is kept what the requests of one route leave behind."""

    records_days: int = Field(
        ge=1, le=36_500, description="Their records are emptied then; no longer than `retention` says."
    )


class DecisionPart(Part):
    """One rule: exactly one of route and forbid."""

    name: Annotated[str, Field(pattern=RULE_NAME)] = Field(description="Stands in headers and records.")
    priority: int | None = Field(default=None, ge=0, le=1_000_000, description="Higher first; unique among routes.")
    when: Any = Field(default=None, description="all / any, to depth 4, over signals; absent: always.")
    cel: str | None = Field(
        default=None, min_length=1, max_length=500, description="A condition in CEL, beside `when`, over the signals."
    )
    route: ModelName | None = Field(default=None, description="local, lan, cloud or a model's name.")
    forbid: list[ModelName] | None = Field(
        default=None, min_length=1, description="lan, cloud, or names of models outside."
    )
    fallback: list[ModelName] | None = Field(
        default=None, max_length=16, description="Of a route out: who is asked, in this order, when its model fails."
    )
    deadline: DeadlinePart | None = Field(
        default=None, description="Of a route: how long its requests may take; what is not said, `defaults` says."
    )
    urgency: Literal["normal", "low"] | None = Field(
        default=None, description="Of a route. low: at home it waits until nobody else does (titles, tags)."
    )
    cache: RuleCache = Field(
        default=None, description="Of a route: whether its answers are kept; absent: as `cache` says."
    )
    escalation: RuleEscalationPart | None = Field(
        default=None,
        description="Of a route home: whether a doubtful answer is handed on. Absent: it stays.",
    )
    limits: LimitsPart | None = Field(
        default=None, description="Of a route: how big its requests and answers may be, less than `limits` says."
    )
    retention: RuleRetentionPart | None = Field(
        default=None, description="Of a route: how long its requests' records are kept; absent: as `retention` says."
    )
