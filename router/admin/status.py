"""How the gateway stands: what `/readyz` says, and what only its parent process knows."""

from __future__ import annotations

from router.admin.types import AdminRoute, Call
from router.types import JsonObject


async def show(call: Call) -> JsonObject:
    """Addresses, processes, policy, engine and the writing of records."""
    return call.house.gateway.report()


async def who(call: Call) -> JsonObject:
    """Whose key this is."""
    principal = call.principal
    return {"key_id": principal.key_id, "tenant": principal.tenant, "scopes": sorted(principal.scopes)}


ROUTES = (
    AdminRoute("GET", "/status", "read", show),
    AdminRoute("GET", "/whoami", "read", who),
)
