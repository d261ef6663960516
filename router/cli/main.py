"""The command `gatehouse`: a table of commands, one file each. Only the command that was asked for is imported."""

from __future__ import annotations

import importlib
import keyword
import sys
from collections.abc import Sequence

import typer

# name -> module; the module holds a function, or a `typer.Typer`, of that name (`import_`, as Python has that word).
COMMANDS = {
    "serve": "router.cli.serve",
    "demo": "router.cli.demo",
    "explain": "router.cli.explain",
    "policy": "router.cli.policy",
    "observe": "router.cli.observe",
    "import": "router.cli.importing",
    "models": "router.cli.models",
    "keys": "router.cli.keys",
    "records": "router.cli.records",
    "findings": "router.cli.findings",
    "savings": "router.cli.savings",
    "budgets": "router.cli.budgets",
    "doctor": "router.cli.doctor",
    "engine": "router.cli.engine",
    "eval": "router.cli.eval",
    "calibrate": "router.cli.calibrate",
    "backup": "router.cli.backup",
    "restore": "router.cli.restore",
    "erase": "router.cli.erase",
    "release": "router.cli.release",
    "lockdown": "router.cli.lockdown",
    "unlock": "router.cli.unlock",
}
_ABOUT = (
    "A gateway in front of language models. It answers at home with a small local model by default, and lets a request "
    "out to a cloud model only when your policy allows it. Start with `gatehouse serve`, or see `gatehouse demo`."
)


def build(arguments: Sequence[str]) -> typer.Typer:
    """The application for these arguments: with all commands, unless the first argument names one."""
    app = typer.Typer(
        name="gatehouse", help=_ABOUT, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
    )
    app.callback()(_keep_names)
    named = [name for name in COMMANDS if list(arguments[:1]) == [name]]
    for name in named or COMMANDS:
        attribute = f"{name}_" if keyword.iskeyword(name) else name
        command = getattr(importlib.import_module(COMMANDS[name]), attribute)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)
    return app


def _keep_names() -> None:
    """A callback keeps a single command from losing its name."""


def main() -> None:
    """Entry point of the distribution `gatehouse-server`."""
    build(sys.argv[1:])()


if __name__ == "__main__":
    main()
