"""`gatehouse eval`: how well the gateway does on the user's own labelled data. Prints rates and ids, never a text."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from classifiers.labelled import LEVELS, BadRow, Labelled, read_labelled
from classifiers.pipeline import Pipeline
from classifiers.rates import Rate, Tally
from classifiers.registry import detectors_with
from policies.levels import scan_level
from policies.schema import PolicyError, load_policy
from policies.types import Level, Policy
from router.settings import Settings, from_environment

_SHOWN = 10  # ids of the worst rows
_BUDGET_MS = 60_000.0  # a busy machine must not turn measuring into timeouts

eval = typer.Typer(help="Measure on your own labelled data.", no_args_is_help=True)  # noqa: A001 - the command's name


@eval.callback()
def _group() -> None:
    """Keeps `sensitivity` a command of its own while it is the only one."""


@eval.command()
def sensitivity(
    file: Annotated[Path, typer.Argument(help="Labelled requests, one JSON object a line.")],
    policy: Annotated[
        str | None, typer.Option(help="A policy file or a recipe's name.", show_default="default")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The figures as JSON.")] = False,
) -> None:
    """What is missed and what is held back wrongly, by entity and language, with 95 % intervals.

    A line is {"id"?, "text" or "body", "spans"?: [{"type", "start", "end", "pointer"?}], "level"?, "language"?} with
    `spans` ([] where nothing is sensitive), `level`, or both. The texts stay in this process and are not shown.
    """
    settings = from_environment(policy=policy)
    try:
        loaded = load_policy(settings.policy)
        rows = _read(file)
    except (PolicyError, BadRow) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    except OSError as error:
        typer.echo(f"error: {file} cannot be read: {error.strerror}", err=True)
        raise typer.Exit(1) from None
    tally = asyncio.run(_measure(rows, loaded, settings))
    if as_json:
        typer.echo(orjson.dumps(_figures(tally), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode())
    else:
        _show(tally)


def _read(file: Path) -> list[Labelled]:
    with file.open(encoding="utf-8", errors="replace") as lines:
        try:
            rows = list(read_labelled(lines))
        except BadRow as error:
            raise BadRow(f"{file}: {error}") from None
    if not rows:
        raise BadRow(f"{file}: there is no row in it")
    return rows


async def _measure(rows: list[Labelled], policy: Policy, settings: Settings) -> Tally:
    detectors = detectors_with(settings.extra_detectors)
    compiled, tally = settings.compiled_kernels, Tally()
    pipeline = Pipeline(budget_ms=_BUDGET_MS, detectors=detectors, signals={}, compiled=compiled)
    try:
        await pipeline.start()
        for row in track(rows, "scanning", console=Console(stderr=True), transient=True):
            scan = (await pipeline.run(row.body, policy.scan_rules, "eval")).scan
            tally.add(row, scan, _labelled_level(row, policy), scan_level(policy, scan), LEVELS)
    finally:
        await pipeline.close()
    return tally


def _labelled_level(row: Labelled, policy: Policy) -> int:
    """The row's own level, or the highest that the policy gives to what is labelled in it."""
    if row.level is not None:
        return LEVELS.index(row.level)
    return max((policy.levels.get(span.entity_type, Level.CONFIDENTIAL) for span in row.spans or ()), default=0)


def _rates(counts: Counter[tuple[str, str]], totals: Counter[tuple[str, str]]) -> Iterator[tuple[str, str, Rate]]:
    """(entity, language, rate), and for several languages first all of them together (`all`)."""
    for entity in sorted({entity for entity, _ in totals}):
        languages = sorted(language for each, language in totals if each == entity)
        if len(languages) > 1:
            together = Rate(
                sum(counts[entity, each] for each in languages), sum(totals[entity, each] for each in languages)
            )
            yield entity, "all", together
        for language in languages:
            yield entity, language or "-", Rate(counts[entity, language], totals[entity, language])


def _over_totals(tally: Tally) -> Counter[tuple[str, str]]:
    entities = {entity for entity, _ in tally.over}
    return Counter({(entity, language): count for entity in entities for language, count in tally.rows.items()})


def _by_language(counts: Counter[str], totals: Counter[str]) -> Iterator[tuple[str, str, Rate]]:
    yield from _rates(
        Counter({("requests", language): count for language, count in counts.items()}),
        Counter({("requests", language): count for language, count in totals.items()}),
    )


def _worst(rows: list[tuple[int, str]]) -> list[str]:
    return [name for _, name in sorted(rows, key=lambda row: (-row[0], row[1]))[:_SHOWN]]


def _figures(tally: Tally) -> dict[str, Any]:
    def listed(rates: Iterator[tuple[str, str, Rate]]) -> list[dict[str, Any]]:
        return [
            {
                "entity": entity,
                "language": language,
                "count": rate.count,
                "total": rate.total,
                "rate": round(rate.share, 4),
                "interval": [round(edge, 4) for edge in rate.interval],
            }
            for entity, language, rate in rates
        ]

    return {
        "missed": listed(_rates(tally.missed, tally.labelled)),
        "over_retained": listed(_rates(tally.over, _over_totals(tally))),
        "requests": {
            "missed": listed(_by_language(tally.too_low, tally.sensitive)),
            "over_retained": listed(_by_language(tally.too_high, tally.lowerable)),
        },
        "confusion": {
            labelled: {measured: tally.confusion[labelled, measured] for measured in LEVELS} for labelled in LEVELS
        },
        "worst": {"missed": _worst(tally.worst_missed), "over_retained": _worst(tally.worst_over)},
    }


def _show(tally: Tally) -> None:
    console = Console(highlight=False)
    console.print("[bold]Missed[/bold]: labelled spans of which findings cover less than half")
    console.print(_table(_rates(tally.missed, tally.labelled), "entity", "missed", "of"))
    console.print("\n[bold]Over-retained[/bold]: rows in which something is found that is not labelled")
    console.print(_table(_rates(tally.over, _over_totals(tally)), "entity", "rows", "of"))
    console.print("\n[bold]Requests[/bold] whose level is measured too low (sensitive and missed)")
    console.print(_table(_by_language(tally.too_low, tally.sensitive), "", "too low", "of"))
    console.print("\n[bold]Requests[/bold] whose level is measured too high (held back wrongly)")
    console.print(_table(_by_language(tally.too_high, tally.lowerable), "", "too high", "of"))
    confusion = Table("labelled", *(f"measured {level}" for level in LEVELS), box=None)
    for labelled in LEVELS:
        confusion.add_row(labelled, *(str(tally.confusion[labelled, measured]) for measured in LEVELS))
    console.print("\n[bold]Levels[/bold]")
    console.print(confusion)
    for name, rows in (("missed", tally.worst_missed), ("over-retained", tally.worst_over)):
        if rows:
            console.print(f"\nworst {name}, by id: {', '.join(_worst(rows))}", soft_wrap=True, markup=False)


def _table(rates: Iterator[tuple[str, str, Rate]], *columns: str) -> Table:
    first, count, total = columns
    table = Table(first, "language", count, total, "rate", "95 %", box=None)
    for entity, language, rate in rates:
        low, high = rate.interval
        numbers = (str(rate.count), str(rate.total), f"{rate.share:.2%}", f"{low:.2%} to {high:.2%}")
        table.add_row(entity, language, *numbers)
    return table
