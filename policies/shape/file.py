"""The shape of a policy file: every key with its type, bounds and description. Also the source of the JSON Schema.

It says what may be written, not whether it makes sense together: that is checked after it. Its parts stand in
`policies/shape_*.py`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from policies.shape.allowances import BudgetsPart, KeyId, RatesPart
from policies.shape.cache import CachePart
from policies.shape.escalation import EscalationPart
from policies.shape.life import ApprovalsPart, KeptPart
from policies.shape.limits import LimitsPart
from policies.shape.models import DefaultsPart, ModelPart, NetworksPart
from policies.shape.part import Part
from policies.shape.probes import ProbePart
from policies.shape.release import ReleasePart
from policies.shape.retention import RetentionPart
from policies.shape.rules import DecisionPart, EgressPart
from policies.shape.sensitivity import ApprovedTextPart, SensitivityPart
from policies.shape.tenants import TenantPart
from policies.shape.tools import ToolsPart
from policies.shape.words import ALIAS, ModelName, TenantName


class FallbackPart(Part):
    """What happens when something is not there."""

    local_unavailable: Literal["refuse", "cloud"] = Field(
        default="refuse", description="cloud: only where that is lawful."
    )


class EnergyPart(Part):
    """What the energy of local answers costs."""

    price_per_kwh: float = Field(ge=0, le=1000, allow_inf_nan=False, description="USD; savings are net of it.")


class PolicyFile(Part):
    """A Gatehouse policy: who may go where."""

    extends: str | None = Field(
        default=None, min_length=1, max_length=4000, description="A recipe or a file (beside this one) to tighten."
    )
    version: int = Field(ge=1, le=1_000_000_000, description="Your own number for this policy; shown in headers.")
    mode: Literal["enforce", "shadow"] = Field(
        default="enforce", description="shadow: answer auto at home, note what would have been; egress is enforced."
    )
    models: dict[ModelName, ModelPart] = Field(min_length=1, description="The models, by your names for them.")
    defaults: DefaultsPart = Field(description="Which model answers by default.")
    aliases: dict[Annotated[str, Field(pattern=ALIAS, min_length=1, max_length=64)], ModelName] = Field(
        default={}, description="Callers' model names, with * at the end if need be, and what they mean here."
    )
    networks: NetworksPart = Field(default=NetworksPart(), description="Address ranges.")
    sensitivity: SensitivityPart = Field(default=SensitivityPart(), description="What makes a request sensitive.")
    approved_texts: list[ApprovedTextPart] = Field(
        default=[], max_length=2000, description="Whole texts in which nothing but a SECRET is a finding."
    )
    egress: EgressPart = Field(default=EgressPart(), description="What may leave at each level.")
    decisions: list[DecisionPart] = Field(
        default=[], description="Forbids first, all of them; then the highest-priority lawful route; none: local."
    )
    escalation: EscalationPart = Field(
        default=EscalationPart(max_hops=0), description="When a doubtful answer is handed on."
    )
    cache: CachePart = Field(default=CachePart(mode="off"), description="Whether answers are kept.")
    limits: LimitsPart = Field(default=LimitsPart(), description="How big a request may be.")
    tools: ToolsPart = Field(default=ToolsPart(), description="Which tools a request may offer, by sensitivity.")
    retention: RetentionPart = Field(default=RetentionPart(), description="How long what is left behind is kept.")
    energy: EnergyPart | None = Field(default=None, description="For the accounts; absent means energy has no price.")
    fallback: FallbackPart = Field(default=FallbackPart(), description="What happens when something is not there.")
    audit: Literal["best_effort", "required"] = Field(
        default="best_effort", description="required: nothing leaves before its record is durable."
    )
    on_pinned_denied: Literal["refuse", "local"] = Field(
        default="refuse", description="For a model that is asked for and may not be used: refuse, or answer at home."
    )
    history: Literal["keep_local", "drop_turns"] = Field(
        default="keep_local",
        description="When only earlier turns are sensitive: keep the request, or drop those turns from what leaves.",
    )
    policy: KeptPart = Field(default=KeptPart(), description="Where the policy in force comes from.")
    approvals: ApprovalsPart = Field(default=ApprovalsPart(), description="Who must agree to a change of policy.")
    notice: Literal["none", "field", "text"] = Field(
        default="none",
        description="What an answer says that was kept at home: nothing, a 'gatehouse' object, or a line after it.",
    )
    notice_by_key: dict[KeyId, Literal["none", "field", "text"]] = Field(
        default={}, max_length=10_000, description="The same for some keys, by their public ids."
    )
    headers_after: float = Field(
        default=10.0, gt=0, le=300, allow_inf_nan=False, description="Seconds that a held stream's headers may wait."
    )
    tenants: dict[TenantName, TenantPart] = Field(
        default={}, max_length=1000, description="What a tenant's requests are held to beside all this: less may leave."
    )
    rates: RatesPart | None = Field(default=None, description="How much may be asked for in a minute.")
    budgets: BudgetsPart | None = Field(default=None, description="What models outside may cost in a day and a month.")
    release: ReleasePart | None = Field(
        default=None, description="Which held requests may go out once with consent, and whose; absent: none."
    )
    probes: list[ProbePart] = Field(
        default=[], max_length=5000, description="Requests and what must come of them: gatehouse policy probe."
    )
