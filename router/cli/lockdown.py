"""`gatehouse lockdown`: nothing leaves any more, calls in flight included, until somebody says `gatehouse unlock`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from router.cli.audited import audited
from router.keys import StateFolderError
from router.lockdown.lockdown import Lock, LockdownError, lock, lock_object, read_locks
from router.lockdown.sharing import Action, lockdown_record, shared_locks, sync_once, write_down
from router.settings import Settings, from_environment

T = TypeVar("T")
StateDir = Annotated[
    Path | None,
    typer.Option("--state-dir", help="The gateway's state folder (GATEHOUSE_STATE_DIR).", show_default=False),
]


def lockdown(
    reason: Annotated[str, typer.Option(help="Why, in one line: it stands in the state, the log and the records.")],
    tenant: Annotated[str | None, typer.Option(help="Lock this tenant's requests alone.", show_default=False)] = None,
    state_dir: StateDir = None,
) -> None:
    """Stop everything from leaving, on every worker of this state folder and, through Redis, on every host.

    `auto` is then answered at home, a model outside that is asked for by name is refused, and answers from outside that
    are on their way are cut off. It survives a restart. `gatehouse unlock` ends it.
    """
    settings = from_environment(state_dir=state_dir)
    with audited(state_dir, "lockdown.lock", tenant, closes=True) as detail:
        made = attempt(lambda: lock(settings.state_dir, reason=reason, tenant=tenant))
        detail["locks"] = [{"id": made.id, **lock_object(made)}]
    typer.echo(f"locked{f' for tenant {tenant}' if tenant else ''}: {made.id}, since {made.since}")
    tell_others(settings)
    note_down(settings, "lock", (made,))


def attempt(change: Callable[[], T]) -> T:
    """The change's result; a failure ends the command with its words."""
    try:
        return change()
    except (LockdownError, StateFolderError) as error:
        typer.echo(f"Not done: {error}", err=True)
    except OSError as error:
        typer.echo(f"Not done: {error.filename}: {error.strerror}", err=True)
    raise typer.Exit(1)


def tell_others(settings: Settings) -> None:
    """Put this host's locks and those of the others together, now, and say so when that could not be done."""
    shared = shared_locks(settings)
    if shared is None:
        return

    async def once() -> bool:
        try:
            return await sync_once(settings.state_dir, shared)
        finally:
            await shared.close()

    if not attempt(lambda: asyncio.run(once())):
        typer.echo(
            "Redis does not answer: other hosts are not told yet. A gateway that runs here goes on trying; "
            "where it is urgent, run the command on each host.",
            err=True,
        )


def note_down(settings: Settings, action: Action, locks: tuple[Lock, ...], reason: str = "") -> None:
    """Put the event into the records; a lock that could not be recorded is a lock all the same."""
    record = lockdown_record(action, locks, source="cli", reason=reason)
    failed = write_down(settings, record)
    if failed is not None:
        typer.echo(f"Done, but not recorded: {failed}", err=True)


def show_state(settings: Settings) -> None:
    """What is locked now, a line each."""
    locks = read_locks(settings.state_dir)
    if locks.unreadable:
        typer.echo(f"everything is locked: {locks.unreadable}")
    for each in locks.in_force:
        typer.echo(f"{each.id}  {each.since}  {each.tenant or 'everybody'}  by {each.by}: {each.reason}")
