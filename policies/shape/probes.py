"""The shape of `probes`, in a policy and in a file of its own beside one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from policies.shape.part import Part
from policies.shape.words import NAME, PROBE_NAME, RULE_NAME, Entity, LevelWord, ModelName

RuleWord = Annotated[str, Field(pattern=RULE_NAME)]


class ExpectPart(Part):
    """What a probe expects of the decision; what is not written may be anything."""

    route: Literal["local", "lan", "cloud", "refused"] | None = Field(default=None, description="Where it is answered.")
    model: ModelName | None = Field(default=None, description="The model that answers, by its name in this policy.")
    rule: RuleWord | None = Field(
        default=None,
        description="What decided, as x-gatehouse-reason says it: a rule's name, or default, pinned, sensitivity, …",
    )
    sensitivity: LevelWord | None = Field(default=None, description="The level that the request counts as.")
    payload: Literal["none", "pseudonymized", "full"] | None = Field(
        default=None, description="How much leaves at once; none: it stays at home."
    )
    held: RuleWord | None = Field(
        default=None, description="The rule that would have sent it out, had that been lawful."
    )
    may_escalate: bool | None = Field(default=None, description="Whether a doubtful answer at home may be handed on.")
    finds: list[Entity] = Field(default=[], min_length=1, description="Entity types that must be among the findings.")
    finds_not: list[Entity] = Field(default=[], min_length=1, description="Entity types that must not be found.")


class ProbePart(Part):
    """A request and what this policy must make of it: exactly one of text and body."""

    name: Annotated[str, Field(pattern=PROBE_NAME)] = Field(description="What it is called when it fails.")
    text: Annotated[str, Field(min_length=1, max_length=50_000)] | None = Field(
        default=None, description="The user's one message."
    )
    body: dict[str, Any] | None = Field(default=None, description="A whole chat-completions body.")
    model: ModelName | None = Field(default=None, description="For a text: the model's name as the caller writes it.")
    headers: dict[Literal["x-gatehouse-privacy"], Literal["local-only"]] = Field(
        default={}, description="Headers of the request."
    )
    tenant: Annotated[str, Field(pattern=NAME)] = Field(default="default", description="Whose request it is.")
    unavailable: list[ModelName] = Field(
        default=[], min_length=1, description="Models taken as not there, for want of a key; all others are there."
    )
    local_wait_ms: float | None = Field(
        default=None, ge=0, le=1e9, allow_inf_nan=False, description="How long home would take; absent: not known."
    )
    expect: ExpectPart | None = Field(default=None, description="What must come of it.")
    must_not_reach: list[ModelName] = Field(
        default=[],
        min_length=1,
        description="lan, cloud, or models outside that it may not reach in any way: neither chosen, nor by escalation "
        "or fallback, nor asked for by name.",
    )


class ProbesFile(Part):
    """A file of probes beside a policy: NAME.probes.yaml beside NAME.yaml."""

    probes: list[ProbePart] = Field(min_length=1, max_length=5000, description="The probes.")
