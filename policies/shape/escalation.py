"""The shape of `escalation`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from policies.shape.part import Part
from policies.shape.words import MEDIUM, ModelName, Share


class TargetPart(Part):
    """What escalation shall keep to: exactly one of the three. `gatehouse calibrate` makes it a threshold."""

    max_bad_local: Share | None = Field(
        default=None, description="Of the answers that stay at home at most this share is bad, with 95 % probability."
    )
    max_cloud_share: Share | None = Field(default=None, description="At most this share of judged answers escalates.")
    max_usd_per_month: float | None = Field(
        default=None, gt=0, le=1e9, allow_inf_nan=False, description="What escalations may cost in a month, USD."
    )


class AffinityPart(Part):
    """A conversation stays where it was answered."""

    minutes: float = Field(
        default=30.0, gt=0, le=1440, allow_inf_nan=False, description="For how long after its last answer."
    )


def _race_bound(value: Any) -> Any:
    """`true` is the bound of what is not easy, `false` no bound; anything else is checked as a number."""
    return (MEDIUM if value else None) if isinstance(value, bool) else value


def _unless_off(value: Any) -> Any:
    return None if value == "off" else value


class RuleEscalationPart(Part):
    """Terms of its own for what one route keeps at home: exactly one of the two. The rest is as `escalation` says."""

    threshold: float | None = Field(
        default=None, ge=0, le=1, allow_inf_nan=False, description="Confidence below it escalates; 0 never."
    )
    target: TargetPart | None = Field(default=None, description="In place of a threshold: what it shall keep to.")


class EscalationPart(Part):
    """When a local answer is handed on to the cloud."""

    threshold: float | None = Field(
        default=None, ge=0, le=1, allow_inf_nan=False, description="Confidence below it escalates; 0 never."
    )
    target: TargetPart | None = Field(default=None, description="In place of a threshold: what it shall keep to.")
    via: ModelName | None = Field(
        default=None, description="A second local model: a doubtful answer is asked of it before any model outside."
    )
    max_hops: int = Field(
        default=1,
        ge=0,
        le=3,
        description="How many models outside are asked after a doubtful answer, in turn, until one of them answers.",
    )
    to: list[ModelName] = Field(
        default=["cloud"],
        min_length=1,
        max_length=16,
        description="lan, cloud, or models outside: who is asked, in this order.",
    )
    stream: Literal["before", "hold", "commit"] = Field(
        default="before",
        description="before: streams are decided from the signals alone. hold: judge the whole answer first. "
        "commit: judge its first tokens, then let it go for good.",
    )
    hold_tokens: int = Field(default=16, ge=1, le=512, description="commit: how many tokens are held back at most.")
    hold_ms: int = Field(default=1500, ge=10, le=60_000, description="commit: how many milliseconds at most.")
    deadline_ms: int | None = Field(None, ge=100, le=3_600_000, description="Slower at home than this: out at once.")
    race: Annotated[
        Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None,
        BeforeValidator(_race_bound),
        WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "number", "minimum": 0, "maximum": 1}]}),
    ] = Field(
        default=None,
        description="Ask the cloud at once, beside home, from this complexity on; true: 0.4. The loser is cancelled.",
    )
    second_look: Literal["none", "verify", "agreement"] = Field(
        default="none",
        description="Ask the local model again about a doubtful answer: whether it is right, or the same again.",
    )
    samples: int = Field(default=4, ge=2, le=8, description="agreement: how many answers are compared.")
    affinity: Annotated[
        AffinityPart | None,
        BeforeValidator(_unless_off),
        WithJsonSchema({"anyOf": [{"const": "off"}, AffinityPart.model_json_schema()]}),
    ] = Field(default=None, description="A conversation that was answered outside goes on there, where it may.")
