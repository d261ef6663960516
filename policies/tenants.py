"""A policy as one tenant sees it: chosen once a request, so that whatever decides sees a single policy. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from policies.types import Model, Policy


def view_of(policy: Policy, tenant: str) -> Policy:
    """The policy that counts for a tenant: its own view where the file names it, else the policy itself."""
    return policy.tenants.get(tenant, policy)


def with_models(policy: Policy, models: Mapping[str, Model], digest: str) -> Policy:
    """The policy, and every tenant's view of it, with these models in place of those of the same names."""
    views = {name: with_models(view, models, digest) for name, view in policy.tenants.items()}
    merged = {name: models.get(name, model) for name, model in policy.models.items()}
    return replace(policy, models=merged, digest=digest, tenants=views)
