"""`gatehouse erase`: a person's rows go, and the chain of records stays whole."""

from __future__ import annotations

from typing import Annotated

import typer

from router.cache.sealed import Sealer
from router.cli.audited import audited
from router.cli.lockdown import StateDir
from router.identity import subject_of
from router.keys import StateFolderError, load_keys
from router.records.erasing import Eraser
from router.records.store import RECORDS_FILE, StoreError
from router.response_states import STATES_FILE, ResponseStateFile
from router.settings import Settings, from_environment


def erase(
    subject: Annotated[str, typer.Option(help="Who, as the subject header or the token names them.")],
    tenant: Annotated[str, typer.Option(help="At which tenant.")] = "default",
    delink: Annotated[
        bool, typer.Option("--delink", help="Keep the records, without anything that says whose they were.")
    ] = False,
    state_dir: StateDir = None,
) -> None:
    """Empty every record of a person, and forget their stored conversations. It cannot be undone.

    With --delink the records stay for statistics and simulations: id, subject, groups and time of day go, the day, the
    key and the decision stay.

    The subject is turned into the pseudonym under which it is kept; it is neither written nor shown. A request that is
    being answered at this moment is written down afterwards: run it again a minute later.
    """
    settings = from_environment(state_dir=state_dir)
    with audited(state_dir, "erase", tenant) as detail:
        try:
            rows, conversations = _erase(settings, tenant, subject, delink=delink)
        except (StoreError, StateFolderError) as error:
            typer.echo(f"Not done: {error}", err=True)
            raise typer.Exit(1) from None
        detail.update(rows=rows, conversations=conversations, delinked=delink)
    typer.echo(f"{'de-linked' if delink else 'erased'}: {rows} records; erased: {conversations} stored conversations")


def _erase(settings: Settings, tenant: str, subject: str, *, delink: bool) -> tuple[int, int]:
    keys = load_keys(settings.state_dir)
    pseudonym = subject_of(keys, tenant, subject.encode())
    with Eraser(settings.state_dir / RECORDS_FILE) as eraser:
        change = eraser.delink_subject if delink else eraser.erase_subject
        rows = change(tenant, pseudonym).rows
    path, conversations = settings.state_dir / STATES_FILE, 0
    if path.exists():
        states = ResponseStateFile(path, Sealer(keys), settings.responses_ttl_s, settings.responses_max_bytes)
        conversations = states.forget_subject(tenant, pseudonym)
        states.close()
    return rows, conversations
