"""`gatehouse policy validate`: the static proof of a policy file, for people and for CI. Never content, never a key."""

from __future__ import annotations

from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from policies.comparing.examine import examine
from policies.comparing.proof import Reach, reachable
from policies.errors import PolicyError
from policies.types import Policy
from router.approvals import strange
from router.calibration.standing import Promises
from router.cli.show_problems import show_problems
from router.running import unavailable_models
from router.settings import from_environment
from router.types import JsonObject

BAD, WARNED = 1, 2  # exit codes; 0 is good


def validate(
    file: Annotated[str, typer.Argument(help="A policy file, or the name of a recipe such as `default`.")],
    strict: Annotated[bool, typer.Option("--strict", help="Exit 2 for any warning.")] = False,
    keys: Annotated[
        bool, typer.Option("--keys/--no-keys", help="Warn of keys that are not here; CI often has none.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Load FILE, or say with file:line:column what is wrong. Then prove what may reach which model.

    It shows for each level of sensitivity which model in which region can be reached with which payload, whatever a
    request holds; everything that the policy loosens, with its reason; and warns of rules that can never match or
    never decide, of models that nothing leads to, and of keys that are missing here. Exit 0: good. 1: a bad file.
    2: with --strict, a good file with warnings (and, as of every command, arguments that are none).
    """
    try:
        examined = examine(file)
    except PolicyError as error:
        if as_json:
            typer.echo(orjson.dumps(_bad(error), option=orjson.OPT_INDENT_2).decode())
        else:
            show_problems(error)
        raise typer.Exit(BAD) from None
    loaded, settings = examined.policy, from_environment()
    warnings = (*examined.warnings, *strange(loaded, settings), *Promises.of(settings).complaints(loaded))
    if keys:
        warnings = (*warnings, *_missing_keys(loaded))
    if as_json:
        typer.echo(orjson.dumps(_as_json(loaded, warnings), option=orjson.OPT_INDENT_2).decode())
    else:
        _show(loaded, warnings)
    if strict and warnings:
        raise typer.Exit(WARNED)


def _missing_keys(loaded: Policy) -> list[str]:
    found = []
    for name in unavailable_models(loaded):
        model = loaded.models[name]
        where = f"variable {model.api_key_env} is not set" if model.api_key_env else f"file {model.api_key_file} is not"
        found.append(f"models.{name}: the {where} here, so requests pass this model over")
    return found


def _show(loaded: Policy, warnings: tuple[str, ...]) -> None:
    for warning in warnings:
        typer.echo(f"warning: {warning}", err=True)
    Console().print(_table(loaded))
    for view in loaded.tenants.values():
        less = _of_tenant(loaded, view)
        if less.row_count:
            Console().print(less)
        else:
            typer.echo(f"tenant {view.tenant}: reaches what all others reach")
    if loaded.loosenings:
        Console().print(_loosenings(loaded))
    verdict = f"good, with {len(warnings)} warning{'' if len(warnings) == 1 else 's'}" if warnings else "good"
    typer.echo(f"{loaded.source}: version {loaded.version}, digest {loaded.digest[:12]}, mode {loaded.mode}: {verdict}")


def _table(loaded: Policy) -> Table:
    table = Table("sensitivity", "model", "locality", "region", "payload", box=None)
    for reach in reachable(loaded):
        table.add_row(reach.level.word, reach.model, reach.locality, reach.region or "-", _payload(reach))
    return table


def _of_tenant(loaded: Policy, view: Policy) -> Table:
    """What a tenant's requests may reach less than all others."""
    table = Table(f"tenant {view.tenant}", "model", "payload", "for others", box=None)
    own = {(reach.level, reach.model): _payload(reach) for reach in reachable(view)}
    for reach in reachable(loaded):
        less = own.get((reach.level, reach.model))
        if (less or "none") != _payload(reach):
            table.add_row(reach.level.word, reach.model, less or "no such model", _payload(reach))
    return table


def _payload(reach: Reach) -> str:
    if not reach.released_by:
        return reach.payload
    return f"{reach.payload}; full once if {'its user agrees' if reach.released_by == 'user' else 'an approver agrees'}"


def _loosenings(loaded: Policy) -> Table:
    """What lets pass what would be held back otherwise: the other half of the proof."""
    table = Table("loosened by", "what", "until", "reason", box=None)
    for each in loaded.loosenings:
        until = each.expires.isoformat() if each.expires is not None else "-"
        table.add_row(each.path, each.what, until, each.reason or "-")
    return table


def _bad(error: PolicyError) -> JsonObject:
    problems = [{"line": each.line, "column": each.column, "message": each.message} for each in error.problems]
    return {"good": False, "source": error.source, "problems": problems}


def _as_json(loaded: Policy, warnings: tuple[str, ...]) -> JsonObject:
    return {
        "good": True,
        "source": loaded.source,
        "version": loaded.version,
        "digest": loaded.digest,
        "mode": loaded.mode,
        "reach": _reach(loaded),
        "tenants": {name: _reach(view) for name, view in loaded.tenants.items()},
        "loosenings": [
            {
                "path": each.path,
                "what": each.what,
                "reason": each.reason,
                "until": each.expires.isoformat() if each.expires is not None else None,
            }
            for each in loaded.loosenings
        ],
        "warnings": list(warnings),
    }


def _reach(loaded: Policy) -> list[JsonObject]:
    return [
        {
            "sensitivity": cell.level.word,
            "model": cell.model,
            "locality": cell.locality,
            "region": cell.region,
            "payload": cell.payload,
            "released_by": cell.released_by or None,
        }
        for cell in reachable(loaded)
    ]
