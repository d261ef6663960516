"""`gatehouse erase`: a person's rows go, and the chain of records stays whole."""

from __future__ import annotations

from typing import Annotated

import typer

from router.cache.sealed import Sealer
from router.cli.lockdown import StateDir
from router.erasing import Eraser
from router.identity import subject_of
from router.keys import StateFolderError, load_keys
from router.response_states import STATES_FILE, ResponseStateFile
from router.settings import from_environment
from router.store import RECORDS_FILE, StoreError


def erase(
    subject: Annotated[str, typer.Option(help="Who, as the subject header or the token names them.")],
    tenant: Annotated[str, typer.Option(help="At which tenant.")] = "default",
    state_dir: StateDir = None,
) -> None:
    """Empty every record of a person, and forget their stored conversations. It cannot be undone.

    The subject is turned into the pseudonym under which it is kept; it is neither written nor shown. A request that is
    being answered at this moment is written down afterwards: run it again a minute later.
    """
    settings = from_environment(state_dir=state_dir)
    try:
        keys = load_keys(settings.state_dir)
        pseudonym = subject_of(keys, tenant, subject.encode())
        rows = 0
        if (settings.state_dir / RECORDS_FILE).exists():
            with Eraser(settings.state_dir / RECORDS_FILE) as eraser:
                rows = eraser.erase_subject(tenant, pseudonym).rows
        conversations = 0
        if (settings.state_dir / STATES_FILE).exists():
            path = settings.state_dir / STATES_FILE
            states = ResponseStateFile(path, Sealer(keys), settings.responses_ttl_s, settings.responses_max_bytes)
            conversations = states.forget_subject(tenant, pseudonym)
            states.close()
    except (StoreError, StateFolderError) as error:
        typer.echo(f"Not done: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"erased: {rows} records, {conversations} stored conversations")
