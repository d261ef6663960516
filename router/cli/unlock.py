"""`gatehouse unlock`: ends what `gatehouse lockdown` began. Here that is for the state folder's owner."""

from __future__ import annotations

from typing import Annotated

import typer

from router.cli.audited import audited
from router.cli.lockdown import StateDir, attempt, note_down, show_state, tell_others
from router.lockdown.lockdown import lock_object, reason_to_end
from router.lockdown.lockdown import unlock as end_locks
from router.settings import from_environment


def unlock(
    tenant: Annotated[
        str | None, typer.Option(help="End the locks on this tenant alone.", show_default="the locks on everybody")
    ] = None,
    reason: Annotated[
        str | None, typer.Option(help="Why, in one line: it stands in the records and the audit trail.")
    ] = None,
    state_dir: StateDir = None,
) -> None:
    """Let requests out again, as the policy says. Locks on single tenants are ended by their name alone."""
    settings = from_environment(state_dir=state_dir)
    why = attempt(lambda: reason_to_end(reason)) if reason is not None else ""
    tell_others(settings)  # first: only a lock that has been seen can be ended
    with audited(state_dir, "lockdown.unlock", tenant) as detail:
        detail["reason"] = why
        over = attempt(lambda: end_locks(settings.state_dir, tenant=tenant))
        detail["locks"] = [{"id": each.id, **lock_object(each)} for each in over]
    if not over:
        typer.echo(f"Nothing is locked{f' for tenant {tenant}' if tenant else ' for everybody'}.")
    else:
        tell_others(settings)
        note_down(settings, "unlock", over, why)
        for each in over:
            typer.echo(f"unlocked: {each.id}, since {each.since}: {each.reason}")
        if settings.redis_url is not None and settings.lockdown_key is None:
            typer.echo(
                "Other hosts stay locked: without GATEHOUSE_LOCKDOWN_KEY each is unlocked by a command of its own.",
                err=True,
            )
    show_state(settings)
