"""`gatehouse findings`: what holds requests back most, from the content-free records, and what can be done about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from classifiers.vocabulary import MEANINGS
from router.settings import from_environment
from router.store import RECORDS_FILE, RecordReader, StoreError
from router.types import JsonObject

findings = typer.Typer(
    help="What holds requests back, from the records. They never hold content.", no_args_is_help=True
)

_FIXED = ("/messages/0/", "/tools/", "/functions/", "/system", "/instructions")  # comes with every request
_FAULTS = ("detector_error", "timeout", "truncated")


@dataclass(slots=True)
class Holder:
    """One entity type, kind of unknown, rule or inheritance, with the requests that it held back."""

    kind: str
    name: str
    requests: int = 0
    alone: int = 0  # of them, those that nothing else held
    tenants: Counter[str] = field(default_factory=Counter)
    places: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Ranking:
    """All requests of some days, those that were held back, and by what, the most frequent first."""

    requests: int = 0
    held: int = 0
    holders: list[Holder] = field(default_factory=list)


@findings.callback()
def _group() -> None:
    """Keeps `top` a command of its own while it is the only one."""


@findings.command()
def top(
    days: Annotated[int, typer.Option(min=1, max=3650, help="How far back.")] = 7,
    policy: Annotated[
        str | None, typer.Option(help="Only what this version decided: as x-gatehouse-policy says, or its digest.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    state_dir: Annotated[
        Path | None,
        typer.Option("--state-dir", help="The gateway's state folder (GATEHOUSE_STATE_DIR).", show_default=False),
    ] = None,
) -> None:
    """Which entity types, unknowns and rules hold requests back, how many, whose, at which places, and what helps.

    `alone`: requests that nothing else held back: what an exception or an approved text for it would free.
    """
    since = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="milliseconds")
    folder = from_environment(state_dir=state_dir).state_dir
    try:
        with RecordReader(folder / RECORDS_FILE) as reader:
            ranking = rank(each for each in reader.decisions_since(since) if _is_of(each, policy))
    except StoreError as error:
        typer.echo(f"No records can be read: {error}. Has `gatehouse serve` answered a request?", err=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(orjson.dumps(_as_json(ranking, limit), option=orjson.OPT_INDENT_2).decode())
        return
    share = f" ({ranking.held / ranking.requests:.1%})" if ranking.requests else ""
    typer.echo(f"{ranking.requests:,} requests in {days} days, {ranking.held:,} of them held back by the policy{share}")
    if ranking.holders:
        Console(width=max(Console().width, 132)).print(_table(ranking, limit))


def rank(records: Iterable[JsonObject]) -> Ranking:
    """Count what held requests back; a request that two things hold counts for both."""
    ranking = Ranking()
    holders: dict[tuple[str, str], Holder] = {}
    for record in records:
        ranking.requests += 1
        causes = record.get("held_by")
        if causes is None:
            continue
        ranking.held += 1
        tenant = str((record.get("principal") or {}).get("tenant", ""))
        for cause in causes:
            holder = holders.setdefault((cause["kind"], cause["name"]), Holder(cause["kind"], cause["name"]))
            holder.requests += 1
            holder.alone += len(causes) == 1
            holder.tenants[tenant] += 1
            holder.places.update(cause["places"])
    ranking.holders = sorted(holders.values(), key=lambda each: (-each.requests, -each.alone, each.kind, each.name))
    return ranking


def hint(holder: Holder) -> str:
    """What an admin can do about it."""
    if holder.kind == "rule":
        return f"see `decisions`: {holder.name}"
    if holder.kind == "tools":
        return "see `tools.outside`"
    if holder.kind == "earlier_turns":
        return "`history: drop_turns`, or a new conversation"
    if holder.kind == "unknown" and holder.name in _FAULTS:
        return "a fault or too little time: gatehouse doctor, GATEHOUSE_SCAN_BUDGET_MS"
    if holder.name == "SECRET":
        return "take it out of the text: a SECRET is never excepted"
    first = next(iter(holder.places.most_common(1)), ("", 0))[0]
    if first.startswith(_FIXED):
        return "a text that comes every time? gatehouse policy approve-text"
    if holder.kind == "unknown":
        return f"`sensitivity.on_unknown.{holder.name}`, with a reason"
    if holder.name in MEANINGS:
        return "`egress.<level>.meaning_may_leave`, or approve-text"
    return "`sensitivity.exceptions`, `min_score`, or payload pseudonymized"


def _is_of(record: JsonObject, policy: str | None) -> bool:
    if policy is None:
        return True
    known = record.get("policy") or {}
    version, digest = str(known.get("version", "")), str(known.get("digest", ""))
    return (
        policy == version or f"{version}-{digest}".startswith(policy) or (len(policy) > 5 and digest.startswith(policy))
    )


def _table(ranking: Ranking, limit: int) -> Table:
    table = Table("held by", "kind", "requests", "share", "alone", "tenants", "mostly at", "what helps", box=None)
    for holder in ranking.holders[:limit]:
        table.add_row(
            holder.name,
            holder.kind.replace("_", " "),
            f"{holder.requests:,}",
            f"{holder.requests / ranking.requests:.1%}",
            f"{holder.alone:,}",
            ", ".join(f"{name} {count:,}" for name, count in holder.tenants.most_common(3)),
            ", ".join(name for name, _ in holder.places.most_common(2)) or "-",
            hint(holder),
        )
    return table


def _as_json(ranking: Ranking, limit: int) -> JsonObject:
    return {
        "requests": ranking.requests,
        "held": ranking.held,
        "by": [
            {
                "kind": holder.kind,
                "name": holder.name,
                "requests": holder.requests,
                "alone": holder.alone,
                "tenants": dict(holder.tenants.most_common()),
                "places": dict(holder.places.most_common()),
                "hint": hint(holder),
            }
            for holder in ranking.holders[:limit]
        ],
    }
