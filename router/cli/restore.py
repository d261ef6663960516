"""`gatehouse restore FILE`: a backup in the place of what the state folder holds; never over a gateway that runs."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from router.backup import BackupError, restore_backup
from router.cli.audited import audited
from router.cli.backup import PassphraseFile, read_passphrase, shown
from router.cli.lockdown import StateDir
from router.keys import StateFolderError
from router.settings import from_environment


def restore(
    file: Annotated[Path, typer.Argument(help="What `gatehouse backup` wrote.")],
    passphrase_file: PassphraseFile = None,
    state_dir: StateDir = None,
) -> None:
    """Restore a backup. It is checked whole first; what was there is moved aside, into a folder `before-restore-…`.

    Locks that are in force now stay in force, and what was marked as sensitive since the backup stays marked.
    """
    settings = from_environment(state_dir=state_dir)
    try:
        passphrase = read_passphrase(passphrase_file)
        # What is there may be what is broken: it is restored all the same, and its end stands in the restored records.
        with audited(state_dir, "restore", file.name, closes=True) as detail:
            kept = restore_backup(settings.state_dir, file, passphrase)
            detail.update(files=kept.files, records=kept.records, secrets=kept.has_secrets, sha256=digest_of(file))
    except (BackupError, StateFolderError) as error:
        typer.echo(f"Not done: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"restored: {shown(kept)}")


def digest_of(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
