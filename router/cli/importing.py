"""`gatehouse import litellm`: a policy from the configuration of another gateway, and all that it does not have."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from policies.errors import PolicyError
from policies.schema import compile_policy
from policies.text.layout import formatted
from router.cli.from_litellm import Translated, translate
from router.cli.litellm_config import NotAConfig, read_config

import_ = typer.Typer(help="Come from another gateway: a policy from its configuration.", no_args_is_help=True)


@import_.callback()
def _group() -> None:
    """Keeps `litellm` a command of its own while it is the only one."""


@import_.command()
def litellm(
    file: Annotated[Path, typer.Argument(help="The config.yaml of a LiteLLM proxy.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The policy file to write; it must not be there yet.")
    ] = None,
    opens: Annotated[
        Literal["public"] | None, typer.Option("--open", help="Let public requests leave. Without it nothing may.")
    ] = None,
) -> None:
    """Translate a LiteLLM config: models, aliases, fallbacks, prices. List everything that was not carried over.

    The policy lets nothing out until you write what may leave. No key is copied: the list says which variable to set.
    Exit 1: the file is no such config, or the policy's file is there already.
    """
    try:
        made = translate(read_config(file), opens_public=opens == "public")
        text = formatted(made.text, str(output or "policy.yaml"))
        compile_policy(text, str(output or "policy.yaml"))
        if output is not None:
            with output.open("x", encoding="utf-8") as written:
                written.write(text)
    except FileExistsError:
        typer.echo(f"{output} is there already: name a new file, or take it away", err=True)
        raise typer.Exit(1) from None
    except OSError as error:
        typer.echo(f"{error.filename or file}: {error.strerror}", err=True)
        raise typer.Exit(1) from None
    except (NotAConfig, PolicyError) as error:
        typer.echo(f"{file}: {error}", err=True)
        raise typer.Exit(1) from None
    if output is None:
        sys.stdout.write(text)
    _report(made, file, output)


def _report(made: Translated, file: Path, output: Path | None) -> None:
    """On standard error, so that the policy alone goes into a pipe."""
    console = Console(stderr=True, highlight=False, width=max(Console(stderr=True).width, 120))
    where = f" to {output}" if output else ""
    console.print(f"{made.models} of {made.of} models carried over{where}", markup=False)
    if made.not_carried:
        table = Table("line", "not carried over, or to look at", "", box=None)
        for each in made.not_carried:
            table.add_row(Text(f"{file.name}:{each.line}"), Text(each.key), Text(each.why))  # brackets are no markup
        console.print(table)
    console.print("Nothing may leave until `egress` says so; check it with: gatehouse policy validate FILE")
