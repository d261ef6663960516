"""How commands tell what is wrong with a policy file: `file:line:column`, the cause, and the line with a caret."""

from __future__ import annotations

import typer

from policies.errors import PolicyError
from policies.text.document import decode
from policies.text.excerpt import excerpt
from policies.text.sources import read_source


def show_problems(error: PolicyError) -> None:
    """Every problem on standard error, in the order of the file."""
    text = _text(error.source)
    for problem in error.problems:
        typer.echo(problem.render(error.source), err=True)
        lines = excerpt(text, problem) if text else ""
        if lines:
            typer.echo(lines, err=True)


def _text(source: str) -> str:
    """What the file holds now; nothing where it cannot be read, or is no text."""
    try:
        data, _ = read_source(source)
        return decode(data, source)
    except PolicyError:
        return ""
