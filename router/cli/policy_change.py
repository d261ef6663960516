"""`gatehouse policy apply`, `rollback`, `propose`, `approve`, `activate`: what changes the policy in force."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from policies.comparing.reports import version_json
from policies.errors import PolicyError
from policies.version import NoSuchVersion, Version, WrongState
from router.api_keys.key import digest_of_key
from router.api_keys.store import read_ring
from router.cli.audited import audited
from router.cli.policy_history import StateDir
from router.cli.show_problems import show_problems
from router.keys import StateFolderError
from router.records.store import StoreError
from router.settings import from_environment
from router.types import JsonObject
from router.versions import changing
from router.versions.changing import Changed, NewlyLeaves, Refused
from router.versions.source import local_author
from router.versions.versions import VersionStore

_Reason = Annotated[str, typer.Option(help="Why, in one line: it stands in the history.")]
_KeyFile = Annotated[
    Path | None,
    typer.Option("--key-file", help="A file with an API key of scope admin: who you are, where approvals count."),
]
_Accept = Annotated[
    bool, typer.Option("--i-accept-what-would-newly-leave", help="Do it although something would newly leave.")
]


def apply(
    file: Annotated[str, typer.Argument(help="A policy file or a recipe.")],
    accept: _Accept = False,
    reason: _Reason = "",
    days: Annotated[int, typer.Option(min=1, max=3650, help="How far back recorded decisions are replayed.")] = 30,
    key_file: _KeyFile = None,
    state_dir: StateDir = None,
) -> None:
    """Put FILE in force in the place of what is, after a look at what would newly leave.

    Where the policy is kept in a file, that file is written, whole, and a running gateway follows it; commit it then.
    Where it is kept in the store, it is proposed, and put in force where nobody else must approve it.
    Exit 1 for a file that is not good, 3 where something would newly leave and nobody has accepted it.
    """
    with _changing(state_dir, key_file, "policy.apply", file) as (versions, folder, author, detail):
        texts = changing.read_texts(file)
        made = changing.apply(versions, texts, folder, author=author, reason=reason, may_newly_leave=accept, days=days)
        _say(made, "apply", detail)


def rollback(
    version: Annotated[str | None, typer.Argument(help="A number or digest; without it the one before.")] = None,
    accept: _Accept = False,
    reason: _Reason = "",
    key_file: _KeyFile = None,
    state_dir: StateDir = None,
) -> None:
    """Put back a version that was in force: the one before, unless another is named. As `apply` otherwise."""
    with _changing(state_dir, key_file, "policy.rollback", version) as (versions, folder, author, detail):
        made = changing.rollback(versions, folder, version, author=author, reason=reason, may_newly_leave=accept)
        _say(made, "rollback", detail)


def propose(
    what: Annotated[str, typer.Argument(metavar="FILE|VERSION", help="A policy file, or the number of your draft.")],
    draft: Annotated[bool, typer.Option("--draft", help="Keep it as a draft.")] = False,
    reason: _Reason = "",
    key_file: _KeyFile = None,
    state_dir: StateDir = None,
) -> None:
    """Make a version of FILE that others can look at and approve; nothing is in force by that."""
    with _changing(state_dir, key_file, "policy.propose", what) as (versions, folder, author, detail):
        if what.isdecimal():
            made = changing.propose_draft(versions, what, folder, author=author)
        else:
            texts = changing.read_texts(what)
            made = changing.propose(versions, texts, folder, author=author, reason=reason, is_draft=draft)
        _say(made, "propose", detail)


def approve(version: str, key_file: _KeyFile = None, state_dir: StateDir = None) -> None:
    """Approve a proposed version. Nobody approves their own."""
    with _changing(state_dir, key_file, "policy.approve", version) as (versions, _, author, detail):
        _say_state(changing.approve(versions, version, author=author), detail)


def activate(version: str, key_file: _KeyFile = None, state_dir: StateDir = None) -> None:
    """Put an approved version in force."""
    with _changing(state_dir, key_file, "policy.activate", version) as (versions, _, author, detail):
        _say_state(changing.activate(versions, version, author=author), detail)


@contextmanager
def _changing(
    state_dir: Path | None, key_file: Path | None, action: str, target: str | None
) -> Iterator[tuple[VersionStore, Path, str, JsonObject]]:
    """The store, its folder, who asks, and what the audit trail keeps; what is refused ends the command."""
    folder = from_environment(state_dir=state_dir).state_dir
    try:
        author = local_author() if key_file is None else _author_of(key_file, folder)
        with audited(state_dir, action, target) as detail, VersionStore(folder) as versions:
            detail["author"] = author
            yield versions, folder, author, detail
        return
    except NewlyLeaves as error:
        typer.echo("Nothing was changed: something would newly leave.", err=True)
        for line in error.assessment.loosens:
            typer.echo(f"  {line}", err=True)
        typer.echo("To do it all the same: --i-accept-what-would-newly-leave", err=True)
        raise typer.Exit(3) from None
    except PolicyError as error:
        show_problems(error)
    except OSError as error:
        typer.echo(f"Nothing was changed: {error.filename}: {error.strerror}", err=True)
    except (Refused, WrongState, NoSuchVersion, StoreError, StateFolderError) as error:
        typer.echo(f"Nothing was changed: {error}", err=True)
    raise typer.Exit(1)


def _author_of(key_file: Path, state_dir: Path) -> str:
    text = key_file.read_bytes().strip()
    found = read_ring(state_dir).find(text, digest_of_key(text), time.time())
    if isinstance(found, str):
        raise Refused(f"the key of {key_file} is none that counts here ({found})")
    if "admin" not in found[1].scopes:
        raise Refused(f"the key {found[0].id} has no scope admin")
    return f"key:{found[0].id}"


def _say(made: Changed, command: str, detail: JsonObject) -> None:
    for line in made.assessment.loosens:
        typer.echo(f"newly leaves: {line}")
    for each in made.assessment.differences:
        if each.direction != "loosens":
            typer.echo(f"{each.direction}: {each.what}")
    radius = made.assessment.radius
    if radius is not None and radius.requests:
        changes = ", ".join(f"{count:,} {change}" for change, count in radius.changes.most_common())
        typer.echo(f"{radius.requests:,} recorded requests: {changes}")
    else:
        typer.echo("no recorded requests to replay")
    _say_state(made.version, detail)
    if made.file is not None:
        about = f"policy: {made.version.reason or command} ({made.version.label})".replace("'", "")
        typer.echo(f"{made.file} is written; a running gateway follows it. Commit it:")
        typer.echo(f"  git add {made.file} && git commit -m '{about}'")


def _say_state(version: Version, detail: JsonObject) -> None:
    detail["version"] = version_json(version)
    missing = version.needed - len(version.approvals)
    more = f": {missing} more must approve it" if version.state == "proposed" else ""
    where = "approved, not yet in force" if version.state == "approved" else version.state
    typer.echo(f"version {version.number} ({version.label}) is {where}{more}")
