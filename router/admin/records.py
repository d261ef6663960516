"""Decision records and the audit trail, as `gatehouse records` shows them. They never hold content."""

from __future__ import annotations

import asyncio

from router.admin.reading import reader_of, whole_number
from router.admin.types import AdminRoute, Call
from router.errors import InvalidRequest, NotFound
from router.records.audit import KIND
from router.records.filing import FILTERS
from router.types import JsonObject

_KINDS = ("decision", "intent", "feedback")  # the audit trail has a route of its own


async def list_records(call: Call) -> JsonObject:
    """The newest, equal to every filter."""
    limit = whole_number(call, "limit", 50, 1000)
    filters = {name: value for name, value in call.query.items() if name != "limit"}
    if filters.get("kind", "decision") not in _KINDS:
        raise InvalidRequest(f"`kind` is one of {', '.join(_KINDS)}.", param="kind")
    if call.tenant is not None:
        filters["tenant"] = call.tenant
    return {"records": await asyncio.to_thread(_listed, call, limit, filters)}


async def show_record(call: Call) -> JsonObject:
    """One, whole."""
    found = await asyncio.to_thread(_found, call)
    tenant = ((found or {}).get("principal") or {}).get("tenant")
    if found is None or found.get("kind") == KIND or call.tenant not in (None, tenant):
        raise NotFound("There is no such record.", code="no_such_record")
    return {"record": found}


async def verify(call: Call) -> JsonObject:
    """Whether the chain is whole."""
    return await asyncio.to_thread(_verified, call)


async def audit(call: Call) -> JsonObject:
    """Who changed what. The text of policies, which may name what is sensitive, is for admins alone."""
    limit = whole_number(call, "limit", 50, 1000)
    filters = {"kind": KIND} | ({"tenant": call.tenant} if call.tenant is not None else {})
    entries = await asyncio.to_thread(_listed, call, limit, filters)
    if "admin" not in call.principal.scopes:
        for entry in entries:
            (entry.get("audit") or {}).get("detail", {}).pop("diff", None)
    return {"entries": entries}


def _listed(call: Call, limit: int, filters: dict[str, str]) -> list[JsonObject]:
    with reader_of(call.house) as reader:
        return reader.list_records(limit, filters)


def _found(call: Call) -> JsonObject | None:
    with reader_of(call.house) as reader:
        return reader.get_record(call.path["id"])


def _verified(call: Call) -> JsonObject:
    with reader_of(call.house) as reader:
        report = reader.verify()
    return {"intact": report.intact, "rows": report.rows, "broken_at": report.broken_at, "why": report.why}


ROUTES = (
    AdminRoute(
        "GET", "/records", "read", list_records, query=frozenset({"limit", *FILTERS}), command="gatehouse records list"
    ),
    AdminRoute("GET", "/records/verify", "read", verify, command="gatehouse records verify"),
    AdminRoute("GET", "/records/{id}", "read", show_record, command="gatehouse records show"),
    AdminRoute("GET", "/audit", "read", audit, query=frozenset({"limit"}), command="gatehouse records list"),
)
