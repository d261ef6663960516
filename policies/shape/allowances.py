"""The shape of `rates` and `budgets`: how much everybody, a tenant or a key may ask for, and may spend outside."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from policies.shape.part import Part
from policies.shape.words import TenantName

KeyId = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._:-]+$")]
Usd = Annotated[float | None, Field(default=None, ge=0, le=1e6, allow_inf_nan=False)]
Count = Annotated[int | None, Field(default=None, ge=1, le=1_000_000_000)]


class RatePart(Part):
    """In any 60 seconds."""

    requests_per_minute: Count = Field(default=None, description="Requests that are taken.")
    tokens_per_minute: Count = Field(default=None, description="Tokens, prompts and answers, at home and outside.")


class RatesPart(Part):
    """How much may be asked for; every limit that fits a request counts."""

    when_unshared: Literal["own_limits", "refuse"] = Field(
        default="own_limits",
        description="When hosts share a Redis and it does not answer: each host counts alone, or nothing is taken.",
    )
    all: RatePart | None = Field(default=None, description="Everybody together.")
    each_tenant: RatePart | None = Field(default=None, description="Each tenant that `tenants` does not name.")
    each_key: RatePart | None = Field(default=None, description="Each key that `keys` does not name.")
    tenants: dict[TenantName, RatePart] = Field(default={}, max_length=1000, description="By tenant.")
    keys: dict[KeyId, RatePart] = Field(default={}, max_length=10_000, description="By a key's public id.")


class BudgetPart(Part):
    """US dollars for models outside; days and months are UTC's."""

    usd_per_day: Usd = Field(default=None, description="In a day.")
    usd_per_month: Usd = Field(default=None, description="In a month.")


class BudgetsPart(Part):
    """What models outside may cost; every budget that fits a request counts."""

    when_exhausted: Literal["local", "refuse"] = Field(
        default="local", description="local: auto is answered at home. refuse: what would have left is refused."
    )
    refuse_with: Literal[402, 429] = Field(default=429, description="The status of that refusal.")
    when_unshared: Literal["stay", "own_limits"] = Field(
        default="stay",
        description="When hosts share a Redis and it does not answer: as if used up, or each host counts alone.",
    )
    all: BudgetPart | None = Field(default=None, description="Everybody together.")
    each_tenant: BudgetPart | None = Field(default=None, description="Each tenant that `tenants` does not name.")
    each_key: BudgetPart | None = Field(default=None, description="Each key that `keys` does not name.")
    tenants: dict[TenantName, BudgetPart] = Field(default={}, max_length=1000, description="By tenant.")
    keys: dict[KeyId, BudgetPart] = Field(default={}, max_length=10_000, description="By a key's public id.")
