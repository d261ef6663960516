"""`gatehouse policy hash`: the salted hash of a value that must not stand in a policy. Never reads it from argv."""

from __future__ import annotations

import secrets
import sys
from typing import Annotated

import typer

from classifiers.values import comparable, salted_hash

_SALT_BYTES = 9


def hash_value(
    salt: Annotated[
        str | None,
        typer.Option(help="The salt of a dictionary's other hashes.", metavar="SALT", show_default="a new one"),
    ] = None,
) -> None:
    """Make the salted `sha256:…` of a value: asked for without showing it, or one a line from a pipe.

    Case, width, and blanks and dashes beside digits do not count.
    """
    chosen = salt or secrets.token_urlsafe(_SALT_BYTES)
    if not 8 <= len(chosen) <= 64 or not all(each.isascii() and (each.isalnum() or each in "_-") for each in chosen):
        typer.echo("A salt has 8 to 64 ASCII letters, digits, _ and -.", err=True)
        raise typer.Exit(2)
    values = [typer.prompt("Value", hide_input=True)] if sys.stdin.isatty() else sys.stdin.read().splitlines()
    values = [value for value in values if value.strip()]
    if not values or not all(comparable(value) for value in values):
        typer.echo("There is no value: it needs a letter or a digit.", err=True)
        raise typer.Exit(1)
    for value in values:
        typer.echo(f"sha256:{chosen}:{salted_hash(chosen, value)}")
