"""What the records add up to: what holds requests back, what was spent and saved, and which models are here."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import cast

from router.admin.reading import days_ago, reader_of, whole_number
from router.admin.types import AdminRoute, Call
from router.budgets.ledger import LedgerError
from router.budgets.purse import shared_budgets
from router.budgets.report import budget_rows, read_elsewhere, read_ledger, report_json
from router.costs.saving import By, groups_json, parse_since, tally
from router.errors import InvalidRequest, Unavailable
from router.models.catalogue import ModelFileError, catalogue
from router.models.registry import Registry
from router.records.held import is_of, rank, ranking_json
from router.types import JsonObject

_GROUPS = ("rule", "key", "model", "day")


async def findings(call: Call) -> JsonObject:
    """What holds requests back most."""
    days, limit = whole_number(call, "days", 7, 3650), whole_number(call, "limit", 20, 1000)
    label = call.query.get("policy")

    def work() -> JsonObject:
        with reader_of(call.house) as reader:
            rows = _own(call, reader.decisions_since(days_ago(days)))
            return ranking_json(rank(each for each in rows if is_of(each, label)), limit)

    return {"days": days, **await asyncio.to_thread(work)}


async def savings(call: Call) -> JsonObject:
    """What was spent and saved against sending everything to the default cloud model."""
    by = call.query.get("by", "rule")
    if by not in _GROUPS:
        raise InvalidRequest(f"`by` is one of {', '.join(_GROUPS)}.", param="by")
    since = parse_since(call.query.get("since", "30d"), datetime.now(UTC))
    if since is None:
        raise InvalidRequest("`since` is a day, such as 2026-05-01, or a number of days, such as 30d.", param="since")

    def work() -> JsonObject:
        with reader_of(call.house) as reader:
            return groups_json(since, cast("By", by), tally(_own(call, reader.decisions_since(since)), cast("By", by)))

    return await asyncio.to_thread(work)


async def budgets(call: Call) -> JsonObject:
    """How the budgets of the policy in force stand, with what other hosts have where they share a Redis."""
    policy, settings, now = call.house.gateway.policy, call.house.settings, datetime.now(UTC)
    try:
        ledger = await asyncio.to_thread(read_ledger, settings.state_dir)
    except LedgerError:
        raise Unavailable("The ledger cannot be read at the moment.", code="ledger_unavailable") from None
    shared = shared_budgets(settings)
    try:
        elsewhere = await read_elsewhere(shared, ledger.host, now)
    finally:
        if shared is not None:
            await shared.close()
    rows = budget_rows(policy.budgets, ledger.balances, now, elsewhere=elsewhere)
    if call.tenant is not None:
        rows = [row for row in rows if row.scope == f"tenant:{call.tenant}"]
    return report_json(policy.label, rows, is_shared=shared is not None, elsewhere=elsewhere)


async def models(call: Call) -> JsonObject:
    """The models of the policy in force, those in the models folder, and those that the catalogue knows."""

    def work() -> JsonObject:
        try:
            here = Registry(call.house.settings.state_dir).read().models
            known = catalogue()
        except ModelFileError:
            raise Unavailable("The models folder cannot be read.", code="models_unavailable") from None
        return {
            "policy": [
                {"name": name, "locality": model.locality, "backend": model.backend, "model": model.model}
                for name, model in call.house.gateway.policy.models.items()
            ],
            "here": [
                {"name": entry.name, "kind": entry.kind, "size": entry.size, "sha256": entry.sha256}
                for entry in here.values()
            ],
            "catalogue": sorted(known),
        }

    return await asyncio.to_thread(work)


def _own(call: Call, rows: Iterable[JsonObject]) -> Iterator[JsonObject]:
    """The records that this key may see."""
    for row in rows:
        if call.tenant is None or (row.get("principal") or {}).get("tenant") == call.tenant:
            yield row


ROUTES = (
    AdminRoute(
        *("GET", "/findings", "read", findings),
        query=frozenset({"days", "limit", "policy"}),
        command="gatehouse findings top",
    ),
    AdminRoute("GET", "/savings", "read", savings, query=frozenset({"by", "since"}), command="gatehouse savings"),
    AdminRoute("GET", "/budgets", "read", budgets, command="gatehouse budgets"),
    AdminRoute("GET", "/models", "read", models, command="gatehouse models list"),
)
