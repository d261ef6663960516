"""`gatehouse policy diff` and `simulate`: what a change of policy would do, before it is switched on. Never content."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from policies.comparing.compare import Difference, compare
from policies.comparing.reports import differences_json, radius_json
from policies.schema import PolicyError, load_policy
from policies.simulate import simulate, usual_latencies
from policies.types import Policy
from policies.version import NoSuchVersion
from router.cli.blast_radius import show_radius
from router.cli.show_problems import show_problems
from router.records.store import RECORDS_FILE, RecordReader, StoreError
from router.settings import from_environment
from router.types import JsonObject
from router.versions.versions import read_active, read_version

_COLOURS = {"loosens": "red", "sends out": "yellow", "tightens": "green", "changes": ""}
_SHOWN_IDS = 5
_STEP = 200  # records
_StateDir = Annotated[
    Path | None,
    typer.Option("--state-dir", help="The gateway's state folder (GATEHOUSE_STATE_DIR).", show_default=False),
]


def diff(
    old: Annotated[
        str, typer.Argument(help="A policy file or a recipe: what is in force. With --against: what would be.")
    ],
    new: Annotated[str | None, typer.Argument(help="A policy file or a recipe: what would be.")] = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="RUNNING|VERSION|FILE", help="What is in force: RUNNING is what the gateway has put there."
        ),
    ] = None,
    fail_on: Annotated[
        str | None, typer.Option("--fail-on", metavar="loosening", help="Exit 1 when anything is loosened: for CI.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    state_dir: _StateDir = None,
) -> None:
    """What NEW allows, holds or sends otherwise than OLD, in words, from the files alone.

    `loosens`: something may leave, or passes unchecked, that did not; `sends out`: more is sent of what may leave
    already; `tightens`: the opposite of either. What is doubtful counts as loosening.

    Exit 1 when --fail-on says so, 2 when one of the two cannot be had.
    """
    if fail_on not in (None, "loosening"):
        raise typer.BadParameter("there is only: --fail-on loosening")
    if (new is None) is (against is None):
        raise typer.BadParameter("name two policies, or one and --against RUNNING")
    before = _load(old, code=2) if against is None else _before(against, state_dir)
    found = compare(before, _load(new if against is None and new is not None else old, code=2))
    if as_json:
        typer.echo(orjson.dumps({"differences": differences_json(found)}, option=orjson.OPT_INDENT_2).decode())
    elif not found:
        typer.echo("The two policies say the same.")
    else:
        Console(width=max(Console().width, 120)).print(_differences(found))
    if fail_on is not None and any(each.direction == "loosens" for each in found):
        raise typer.Exit(1)


def _before(against: str, state_dir: Path | None) -> Policy:
    """What a gate compares with: what is in force here, a version of the history, or a file."""
    if against != "RUNNING" and not against.isdecimal():
        return _load(against, code=2)
    folder = from_environment(state_dir=state_dir).state_dir
    try:
        version = read_active(folder) if against == "RUNNING" else read_version(folder, against)
        if version is None:
            raise NoSuchVersion(f"no gateway has put a policy in force in {folder}")
        return version.compiled()
    except PolicyError as error:
        show_problems(error)
    except (StoreError, NoSuchVersion) as error:
        typer.echo(f"{error}", err=True)
    raise typer.Exit(2)


def _differences(found: tuple[Difference, ...]) -> Table:
    table = Table("", "where", "what", box=None)
    for each in found:
        table.add_row(each.direction, each.path, Text(each.what), style=_COLOURS[each.direction])
    return table


def simulate_command(
    file: Annotated[str, typer.Argument(help="The candidate: a policy file or a recipe.")],
    days: Annotated[int, typer.Option(min=1, max=3650, help="How far back the decisions go that are replayed.")] = 30,
    fail_on: Annotated[
        str | None, typer.Option("--fail-on", metavar="leaving", help="Exit 1 when anything would newly leave.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, with up to 1,000 ids a change.")] = False,
    state_dir: _StateDir = None,
) -> None:
    """Replay recorded decisions through FILE: what would newly leave, newly stay, go to another model, and cost.

    Records hold no text. So what the candidate's dictionaries, patterns, exceptions and approved texts would find or
    let pass is not seen here, and turns that `history: drop_turns` took out do not come back. `task`, `domain` and
    `language` were measured only where the policy then in force read them: elsewhere rules on them count as unknown,
    and what they would send out is not counted.
    """
    if fail_on not in (None, "leaving"):
        raise typer.BadParameter("there is only: --fail-on leaving")
    policy = _load(file)
    since = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="milliseconds")
    folder = from_environment(state_dir=state_dir).state_dir
    try:
        with RecordReader(folder / RECORDS_FILE) as reader:
            latencies = usual_latencies(reader.latencies_since(since))
            radius = simulate(policy, _tracked(reader, since), latencies)
    except StoreError as error:
        typer.echo(f"No records can be read: {error}. Has `gatehouse serve` answered a request?", err=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(orjson.dumps(radius_json(radius), option=orjson.OPT_INDENT_2).decode())
    else:
        show_radius(radius, policy)
    if fail_on is not None and radius.leaving:
        raise typer.Exit(1)


def _tracked(reader: RecordReader, since: str) -> Iterator[JsonObject]:
    """The records, with a bar of how far that has come, which is moved on in steps: each costs as much as a record."""
    total = reader.count_decisions(since)
    with Progress(console=Console(stderr=True), transient=True, refresh_per_second=4) as progress:
        task = progress.add_task("replaying", total=total)
        for number, record in enumerate(reader.decisions_since(since), 1):
            yield record
            if number % _STEP == 0:
                progress.advance(task, _STEP)
        progress.update(task, completed=total)


def _load(file: str, code: int = 1) -> Policy:
    try:
        return load_policy(file)
    except PolicyError as error:
        show_problems(error)
        raise typer.Exit(code) from None
