"""`gatehouse backup FILE`: what the state folder holds in one file, while the gateway serves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from router.backup import BackupError, Kept, make_backup
from router.cli.lockdown import StateDir
from router.settings import from_environment

PassphraseFile = Annotated[
    Path | None,
    typer.Option(help="A file with the passphrase of the secrets; without it they are left out.", show_default=False),
]


def backup(
    file: Annotated[Path, typer.Argument(help="A new file; it is written 0600.")],
    passphrase_file: PassphraseFile = None,
    state_dir: StateDir = None,
) -> None:
    """Back up the state folder. Models are left out, and the secrets too unless a passphrase is given to seal them.

    Without the root secret a restored folder cannot open sealed conversations, nor find a person's rows by name.
    """
    settings = from_environment(state_dir=state_dir)
    try:
        kept = make_backup(settings.state_dir, file, read_passphrase(passphrase_file))
    except BackupError as error:
        typer.echo(f"Not done: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{file}: {shown(kept)}")


def read_passphrase(file: Path | None) -> bytes | None:
    """The passphrase, without the line's end. Raises `BackupError`."""
    if file is None:
        return None
    try:
        return file.read_bytes().rstrip(b"\r\n")
    except OSError as error:
        raise BackupError(f"{file}: {error.strerror}") from None


def shown(kept: Kept) -> str:
    """In words."""
    records = "no records" if kept.records is None else f"{kept.records:,} records, their chain whole"
    secrets = "the secrets, sealed" if kept.has_secrets else "no secrets (root.key, api.key)"
    return f"{kept.files} files, {records}; {secrets}"
