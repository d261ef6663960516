"""`gatehouse policy fmt`: puts policy files and files of probes into the one layout; what they say stays the same."""

from __future__ import annotations

import difflib
import os
import stat
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated

import typer

from policies.errors import PolicyError
from policies.text.document import decode
from policies.text.layout import formatted
from policies.text.sources import read_source, recipes
from router.cli.audited import audited
from router.cli.show_problems import show_problems
from router.keys import replace_whole
from router.records.audit import text_diff
from router.records.store import StoreError
from router.settings import from_environment
from router.types import JsonObject
from router.versions.versions import read_active


def fmt(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Policy files, or files of probes.")],
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; show what would be, and exit 1: for CI.")
    ] = False,
) -> None:
    """Order the top-level keys, indent by two, drop needless blank lines. Comments, quotes and braces stay.

    A file that is formatted is the same policy: its digest does not change. Exit 2 for a file that cannot be read.
    """
    differing = 0
    for file in files:
        try:
            differing += _format(file, check)
        except PolicyError as error:
            show_problems(error)
            raise typer.Exit(2) from None
        except OSError as error:
            typer.echo(f"{file}: cannot be written: {error.strerror}", err=True)
            raise typer.Exit(2) from None
    if check and differing:
        typer.echo(f"{differing} of {len(files)} would be changed", err=True)
        raise typer.Exit(1)


def _format(file: str, check: bool) -> bool:
    """Whether the file is not formatted; then it is rewritten whole, or its differences are shown."""
    if not check and file in recipes():
        raise typer.BadParameter(f"'{file}' is a recipe, which belongs to the package; write ./{file} for a file")
    data, source = read_source(file)
    text = decode(data, source)
    wanted = formatted(text, source)
    if wanted == text:
        return False
    if check:
        lines = difflib.unified_diff(
            text.splitlines(True), wanted.splitlines(True), source, f"{source} (formatted)", n=1
        )
        typer.echo("".join(lines), nl=False)
        return True
    path = Path(os.path.realpath(file))
    with _audited(path, file) as detail:
        detail["diff"] = text_diff(text, wanted)
        replace_whole(path, wanted.encode(), stat.S_IMODE(path.stat().st_mode))
    typer.echo(f"{file}: formatted")
    return True


def _audited(path: Path, file: str) -> AbstractContextManager[JsonObject]:
    """The audit trail of the gateway on this machine, if it is its policy; other files are the user's alone."""
    try:
        version = read_active(from_environment().state_dir)
    except StoreError:
        version = None
    served = {os.path.realpath(each.source) for each in version.texts} if version is not None else set()
    return audited(None, "policy.fmt", file) if str(path) in served else nullcontext({})
