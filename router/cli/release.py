"""`gatehouse release`: held requests that somebody asks to let out once, and the word of whoever may agree."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import orjson
import typer
from rich.console import Console
from rich.table import Table

from router.cli.audited import audited
from router.records.audit import this_user
from router.releases.listing import BadReason, ReleaseList, reason_of, release_json
from router.releases.store import Entry, NoSuchRelease, NotWaiting, ReleaseStoreError
from router.settings import from_environment

release = typer.Typer(
    help="Held requests that may leave once, if somebody agrees (`release: {by: approver}` in the policy).\n\n"
    "A request whose sensitivity kept it at home is answered with a token. Sent again with it, it waits here for a day "
    "at most. `list` shows who asks, for which model, at which level, and which types of findings held it; its text is "
    "shown nowhere: its record (`gatehouse records show REQUEST`) says the rest. After `approve` the caller repeats it "
    "with the same token, once, within the policy's ttl. It is checked in full again then: what is restricted, could "
    "not be read or is locked stays, whoever has approved it.",
    no_args_is_help=True,
)

_StateDir = Annotated[
    Path | None,
    typer.Option("--state-dir", help="The gateway's state folder (GATEHOUSE_STATE_DIR).", show_default=False),
]
_AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]
_Id = Annotated[str, typer.Argument(help="The id that `list` shows, as rl-0123456789abcdef.", metavar="ID")]
_Reason = Annotated[str, typer.Option(help="Why, in one line: it stands in the list and in the audit trail.")]


@release.command("list")
def list_releases(
    all_: Annotated[
        bool, typer.Option("--all", help="Also what was decided, used or is over, of the last week.")
    ] = False,
    tenant: Annotated[str | None, typer.Option(help="Of this tenant alone.", show_default=False)] = None,
    as_json: _AsJson = False,
    state_dir: _StateDir = None,
) -> None:
    """What waits to be approved, the newest first."""
    with _told():
        found, is_whole = asyncio.run(ReleaseList(from_environment(state_dir=state_dir)).entries(tenant))
    if not is_whole:
        typer.echo("Redis does not answer: only what this host keeps is shown.", err=True)
    found = [entry for entry in found if all_ or entry.state == "waiting"]
    if as_json:
        typer.echo(orjson.dumps([release_json(entry) for entry in found]))
        return
    if not found:
        typer.echo("Nothing waits." if not all_ else "Nothing was asked for or used.")
        return
    table = Table("id", "state", "tenant", "key", "asked (UTC)", "level", "model", "rule", "because", "bytes", box=None)
    for told in map(release_json, found):
        table.add_row(
            *(told["id"], told["state"], told["tenant"], told["key_id"] or "-", told["asked"][:16].replace("T", " ")),
            *(told["level"] or "-", told["model"] or "-", told["rule"] or "-", ", ".join(told["because"]) or "-"),
            str(told["bytes"] or "-"),
        )
    Console(width=max(Console().width, 140)).print(table)


@release.command()
def approve(which: _Id, reason: _Reason, as_json: _AsJson = False, state_dir: _StateDir = None) -> None:
    """Let one request leave: this body, of this caller, to this model, once, within the policy's ttl from now."""
    entry = _decide(which, "approved", reason, state_dir)
    done = f"{entry.id} is approved until {release_json(entry)['until']}: its caller may repeat it with the same token."
    typer.echo(orjson.dumps(release_json(entry)) if as_json else done)


@release.command()
def deny(which: _Id, reason: _Reason, as_json: _AsJson = False, state_dir: _StateDir = None) -> None:
    """Say no: the token never counts."""
    entry = _decide(which, "denied", reason, state_dir)
    typer.echo(orjson.dumps(release_json(entry)) if as_json else f"{entry.id} is denied.")


def _decide(which: str, state: Literal["approved", "denied"], reason: str, state_dir: Path | None) -> Entry:
    try:
        kept = reason_of(reason)
    except BadReason as error:
        raise typer.BadParameter(str(error), param_hint="--reason") from None
    action = "release.approve" if state == "approved" else "release.deny"
    desk = ReleaseList(from_environment(state_dir=state_dir))
    with _told(), audited(state_dir, action, which, closes=state == "denied") as detail:
        entry = asyncio.run(desk.decide(which, state, f"user {this_user().user}", kept))
        detail.update(release_json(entry))
    return entry


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except ReleaseStoreError as error:
        typer.echo(f"{error}", err=True)
    except NoSuchRelease:
        typer.echo("Nothing of this id waits here: `gatehouse release list`.", err=True)
    except NotWaiting as error:
        typer.echo(f"It does not wait any more: it is {error.state}.", err=True)
    else:
        return
    raise typer.Exit(1)
