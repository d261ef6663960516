"""`gatehouse records`: what was decided, from the content-free records in the state folder. Reads only."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import orjson
import typer
from rich.console import Console
from rich.table import Table

from router.records.audit import KIND
from router.records.receipts import differences
from router.records.store import RECORDS_FILE, RecordReader, StoreError
from router.settings import from_environment
from router.types import JsonObject

records = typer.Typer(
    help="Decision records: one a request, refusals and cache hits included. They never hold content.",
    no_args_is_help=True,
)

_StateDir = Annotated[
    Path | None,
    typer.Option("--state-dir", help="The gateway's state folder (GATEHOUSE_STATE_DIR).", show_default=False),
]


_LEAST_WIDTH = 132
_TRAIL_WIDTH = 240
_DECISIONS = ("time", "id", "route", "model", "reason", "sensitivity", "status")
_TRAIL = ("time", "id", "who", "via", "action", "target", "result", "error")
_OTHERS = ("time", "id", "tenant", "what")
Kind = Literal["decision", "intent", "feedback", "audit", "lockdown", "erasure"]


def _open(state_dir: Path | None) -> RecordReader:
    folder = from_environment(state_dir=state_dir).state_dir
    try:
        return RecordReader(folder / RECORDS_FILE)
    except StoreError as error:
        typer.echo(f"No records can be read: {error}. Has `gatehouse serve` answered a request?", err=True)
        raise typer.Exit(1) from None


@records.command("list")
def list_records(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 20,
    route: Annotated[str | None, typer.Option(help="Only this route: local, lan, cloud, cache, refused.")] = None,
    sensitivity: Annotated[str | None, typer.Option(help="Only this level.")] = None,
    kind: Annotated[
        Kind,
        typer.Option(help="Which records; audit: who changed what."),
    ] = "decision",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    state_dir: _StateDir = None,
) -> None:
    """The newest records, a line each."""
    given = (("route", route), ("sensitivity", sensitivity), ("kind", kind))
    filters = {name: value for name, value in given if value is not None}
    with _open(state_dir) as reader:
        found = reader.list_records(limit, filters)
    if as_json:
        for record in found:
            typer.echo(orjson.dumps(record))
        return
    shown, columns = _TABLES.get(kind, (_DECISIONS, _columns))
    table = Table(*shown, box=None)
    for column in table.columns:
        column.no_wrap = True
    for record in found:
        table.add_row(*columns(record))
    least = _TRAIL_WIDTH if kind == KIND else _LEAST_WIDTH
    Console(width=max(Console().width, least)).print(table)  # an id that is cut short shows nothing


def _trail_columns(record: JsonObject) -> list[str]:
    audit, principal = record.get("audit") or {}, record.get("principal") or {}
    return [
        str(record.get("time", ""))[:19],
        str(record.get("id", "")),
        str(audit.get("user") or principal.get("key_id") or "-"),
        *(str(audit.get(name) or "-") for name in ("via", "action", "target", "result", "error")),
    ]


def _others(record: JsonObject) -> list[str]:
    """A lock, or an erasure: what was done, why, and to how many."""
    told = record.get("lockdown") or record.get("erasure") or {}
    locks = told.get("locks") or []
    why = told.get("reason") or ", ".join(str(lock["reason"]) for lock in locks)
    counts = [f"{len(value)} {name}" for name, value in told.items() if isinstance(value, list) and name != "locks"]
    what = [str(part) for part in (told.get("action"), told.get("why"), why, *counts) if part]
    tenant = locks[0]["tenant"] if locks else None
    return [str(record.get("time", ""))[:19], str(record.get("id") or "-"), str(tenant or "-"), ": ".join(what)]


def _columns(record: JsonObject) -> list[str]:
    outcome = record.get("outcome") or {}
    decision = record.get("decision") or {}
    return [
        str(record.get("time", ""))[:19],
        str(record.get("id", "")),
        *(str(outcome.get(name) or "-") for name in ("route", "model", "reason")),
        str(decision.get("sensitivity", outcome.get("sensitivity", "-"))),
        str(outcome.get("error") or "ok") if record.get("kind") == "decision" else "intent",
    ]


_TABLES = {KIND: (_TRAIL, _trail_columns), "lockdown": (_OTHERS, _others), "erasure": (_OTHERS, _others)}


@records.command("show")
def show_record(
    request_id: Annotated[str, typer.Argument(help="The value of x-gatehouse-request-id.")],
    state_dir: _StateDir = None,
) -> None:
    """One record, whole."""
    with _open(state_dir) as reader:
        record = reader.get_record(request_id)
    if record is None:
        typer.echo(f"There is no record {request_id}. `gatehouse records list` shows the newest.", err=True)
        raise typer.Exit(1)
    typer.echo(orjson.dumps(record, option=orjson.OPT_INDENT_2).decode())


@records.command("receipt")
def check_receipt(
    file: Annotated[Path, typer.Argument(help="A receipt of the SDK as JSON (`receipt_of(reply).to_dict()`).")],
    state_dir: _StateDir = None,
) -> None:
    """Whether a receipt says what the chained record of its request says."""
    try:
        receipt = orjson.loads(file.read_bytes())
        with _open(state_dir) as reader:
            record = reader.get_record(str(receipt["request_id"])) if isinstance(receipt, dict) else None
            whole = reader.verify().intact
        if record is None:
            raise ValueError("there is no record of that request here")
        found = differences(receipt, record)
    except (OSError, ValueError, KeyError) as error:
        why = "it has no request_id" if isinstance(error, KeyError) else str(error)
        typer.echo(f"The receipt cannot be checked: {why}.", err=True)
        raise typer.Exit(1) from None
    if found or not whole:
        lines = [*found, *([] if whole else ["the chain of records is broken: `gatehouse records verify`"])]
        typer.echo("The receipt does not hold.\n" + "\n".join(f"  {line}" for line in lines), err=True)
        raise typer.Exit(1)
    typer.echo("The receipt says what the record says, and the chain is whole.")


@records.command("verify")
def verify_records(state_dir: _StateDir = None) -> None:
    """Check the chain: each record names the digest of the one before it."""
    with _open(state_dir) as reader:
        report = reader.verify()
    if not report.intact:
        typer.echo(f"The chain is broken at {report.broken_at}: {report.why}", err=True)
        raise typer.Exit(1)
    typer.echo("The chain is whole.")
