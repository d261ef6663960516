"""`gatehouse policy history` and `show`: the versions that were in force, and those on their way there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from policies.comparing.reports import changes_in_words, version_json
from policies.errors import PolicyError
from policies.version import NoSuchVersion, difference
from router.cli.show_problems import show_problems
from router.keys import StateFolderError
from router.records.store import StoreError
from router.settings import from_environment
from router.versions.versions import VersionStore

StateDir = Annotated[
    Path | None,
    typer.Option("--state-dir", help="The gateway's state folder (GATEHOUSE_STATE_DIR).", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]


def history(
    limit: Annotated[int, typer.Option(min=1, help="So many of the newest.")] = 50,
    as_json: AsJson = False,
    state_dir: StateDir = None,
) -> None:
    """The versions of the policy, the newest first: when, who, why, and which is in force."""
    with opened(state_dir) as versions:
        found = versions.list(limit)
    if as_json:
        typer.echo(orjson.dumps([version_json(each) for each in found], option=orjson.OPT_INDENT_2).decode())
        return
    if not found:
        typer.echo("No version was ever put in force here: `gatehouse serve` writes the first.")
        return
    table = Table("version", "state", "policy", "since", "by", "approved by", "reason", box=None)
    for each in found:
        style = "green" if each.state == "active" else ""
        since = (each.activated or each.time)[:19].replace("T", " ")
        approved = ", ".join(each.approvals) or (f"0 of {each.needed}" if each.needed else "-")
        table.add_row(
            *(str(each.number), each.state, each.label, since, each.author, approved, each.reason or "-"), style=style
        )
    Console(width=max(Console().width, 120)).print(table)


def show(
    which: Annotated[str, typer.Argument(metavar="VERSION|DIGEST", help="A number of the history, or a digest.")],
    text_only: Annotated[bool, typer.Option("--text", help="The file's text and nothing else.")] = False,
    as_json: AsJson = False,
    state_dir: StateDir = None,
) -> None:
    """One version: who, when, what it lets out or holds otherwise than the one before, and the lines that differ."""
    with opened(state_dir) as versions:
        version = versions.get(which)
        before = versions.get(str(version.before)) if version.before is not None else None
    if text_only:
        typer.echo(version.texts[0].text, nl=False)
        return
    lines, words = difference(before, version), changes_in_words(before, version)
    if as_json:
        more = {"texts": [[each.source, each.text] for each in version.texts], "diff": lines, "differences": words}
        typer.echo(orjson.dumps({**version_json(version), **more}, option=orjson.OPT_INDENT_2).decode())
        return
    said = version_json(version)
    for key in ("number", "state", "label", "digest", "author", "time", "activated", "activated_by", "reason"):
        typer.echo(f"{key.replace('_', ' '):<13}{said[key] if said[key] not in (None, '') else '-'}")
    typer.echo(f"{'approved by':<13}{', '.join(version.approvals) or '-'} ({version.needed} needed)")
    for each in words:
        typer.echo(f"  {each['direction']}: {each['what']}")
    typer.echo(lines, nl=False)


@contextmanager
def opened(state_dir: Path | None) -> Iterator[VersionStore]:
    """The store of versions; what goes wrong with it ends the command with exit code 1."""
    try:
        with VersionStore(from_environment(state_dir=state_dir).state_dir) as store:
            yield store
    except (StoreError, StateFolderError, NoSuchVersion) as error:
        typer.echo(f"{error}", err=True)
        raise typer.Exit(1) from None
    except PolicyError as error:
        show_problems(error)
        raise typer.Exit(1) from None
