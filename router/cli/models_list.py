"""The table, and the JSON, of `gatehouse models list`: the catalogue, what is on this machine, and how it would run."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from policies.vocabulary import CONTEXT
from router.models.catalogue import CatalogueModel, ModelFileError, catalogue, locate
from router.models.machine import Machine, this_machine
from router.models.registry import Contents, Entry
from router.settings import Settings

_TOKENS = CONTEXT["local"]  # of one request, prompt and answer together
_PRINTED = 120  # columns, where the output is no terminal


@dataclass(frozen=True, slots=True)
class _Row:
    """One model as the list shows it; `known` and `entry`: what the catalogue and the registry have of it."""

    name: str
    known: CatalogueModel | None
    entry: Entry | None
    is_here: bool
    digest: str

    @property
    def size(self) -> int:
        if self.entry is not None:
            return self.entry.size
        return self.known.size_bytes if self.known is not None else 0

    def memory(self) -> int | None:
        """None where the catalogue does not say how large the cache of a token is."""
        return None if self.known is None else self.known.memory_bytes(_TOKENS)


def show_json(contents: Contents, settings: Settings) -> None:
    """Everything that is known, as one JSON document on stdout."""
    machine = this_machine()
    document = {
        "machine": {
            "cores": machine.cores,
            "memory_limit": machine.memory_limit,
            "memory_free": machine.memory_free,
            "models_folder": str(settings.state_dir / "models"),
        },
        "models": [_as_json(row, machine) for row in _rows(contents)],
    }
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def show_table(contents: Contents, settings: Settings) -> None:
    """One line a model, what is here first."""
    machine = this_machine()
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for column in ("name", "MB", "memory", "runs", "tools", "here", "digest"):
        table.add_column(column, justify="right" if column in ("MB", "memory") else "left", no_wrap=True)
    table.add_column("licence", min_width=10)
    for row in sorted(_rows(contents), key=lambda row: not row.is_here):
        table.add_row(*_cells(row, machine))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PRINTED
    console.print(table)
    console.print(
        f"\nThis machine: {machine.cores} processors, {machine.memory_free / 1e9:.1f} GB of memory free of "
        f"{machine.memory_limit / 1e9:.1f}. Models are kept in {settings.state_dir / 'models'}.",
        soft_wrap=True,
        markup=False,
    )
    console.print(
        "Take one into use: gatehouse models use NAME. What the columns mean: gatehouse models list --help",
        soft_wrap=True,
    )


def _rows(contents: Contents) -> list[_Row]:
    names = [*catalogue(), *(name for name in contents.models if name not in catalogue())]
    return [_row(name, contents) for name in names]


def _row(name: str, contents: Contents) -> _Row:
    known, entry, pin = catalogue().get(name), contents.models.get(name), contents.pins.get(name)
    if known is not None and known.package is not None:
        return _Row(name, known, entry, _is_installed(known), "known")
    if pin is not None or known is None:
        return _Row(name, known, entry, entry is not None, "pinned")
    return _Row(name, known, entry, entry is not None, "known" if known.sha256 else "-")


def _is_installed(known: CatalogueModel) -> bool:
    try:
        locate(known)
    except ModelFileError:
        return False
    return True


def _cells(row: _Row, machine: Machine) -> list[str]:
    memory = row.memory()
    approximately = "~" if row.known is not None and row.known.size_approximate and row.entry is None else ""
    licence = "-"
    if row.known is not None:
        licence = row.known.licence + ("*" if row.known.restricts else "")
    return [
        row.name,
        f"{approximately}{row.size / 1e6:,.0f}",
        "-" if memory is None else f"{memory / 1e9:.1f} GB",
        _runs(row, machine),
        "yes" if _has_tools(row) else "no",
        "yes" if row.is_here else "no",
        row.digest,
        licence,
    ]


def _runs(row: _Row, machine: Machine) -> str:
    if row.entry is not None and row.entry.adapter_of is not None:
        return f"with {row.entry.adapter_of}"
    memory = row.memory()
    fit = machine.fit(row.size if memory is None else memory, row.size)
    speed = machine.tokens_per_second(row.size)
    return fit if fit == "no" else f"{fit}, ~{min(speed, 999):.0f}/s"


def _has_tools(row: _Row) -> bool:
    if row.entry is not None:
        return row.entry.tools
    return row.known is not None and row.known.tools


def _as_json(row: _Row, machine: Machine) -> dict[str, Any]:
    known, entry, memory = row.known, row.entry, row.memory()
    document: dict[str, Any] = {
        "name": row.name,
        "here": row.is_here,
        "size_bytes": row.size,
        "digest": row.digest,
        "sha256": entry.sha256 if entry is not None else None if known is None else known.sha256,
        "tools": _has_tools(row),
        "memory_bytes": memory,
        "runs_here": machine.fit(row.size if memory is None else memory, row.size),
        "estimated_tokens_per_second": round(machine.tokens_per_second(row.size), 1),
    }
    if known is not None:
        document |= {
            "title": known.title,
            "family": known.family,
            "licence": known.licence,
            "licence_restricts": known.restricts,
            "parameters": known.parameters,
            "architecture": known.architecture,
            "context": known.context,
            "template": known.template,
            "languages": list(known.languages),
            "size_approximate": known.size_approximate and entry is None,
            "kv_bytes_per_token": known.kv_bytes_per_token,
            "repository": known.repository,
            "file": known.file,
            "revision": known.revision,
        }
    if entry is not None:
        installed: dict[str, Any] = {"kind": entry.kind, "adapter_of": entry.adapter_of, "embedding": entry.embedding}
        installed |= {"context": entry.context, "architecture": entry.architecture, "source": entry.source}
        document["installed"] = installed | {"added_at": entry.added_at}
    return document
