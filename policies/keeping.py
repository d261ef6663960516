"""Whose records are kept for less long than the others: a tenant's, or those of what one route decided. Pure."""

from __future__ import annotations

from typing import NamedTuple

from policies.types import Policy


class Kept(NamedTuple):
    """Records of this tenant and this rule (None: of any) are kept so many days."""

    tenant: str | None
    rule: str | None
    days: int


def kept_shorter(policy: Policy) -> tuple[Kept, ...]:
    """All that the policy keeps for less long than `retention.records_days`, which is for every record."""
    rules = [Kept(None, rule.name, rule.retention_days) for rule in policy.rules if rule.retention_days is not None]
    tenants = [
        Kept(name, None, view.retention_days)
        for name, view in policy.tenants.items()
        if view.retention_days is not None and view.retention_days != policy.retention_days
    ]
    return (*tenants, *rules)
