"""How well sensitive content is found, how much harmless traffic is held back, and how long it takes: the figures.

    python -m tests.bench.sensitivity --data FOLDER [--markdown] [--json FILE] [--only NAME …] [--shipped]

Prints each figure beside its target, with a 95 % interval and a trivial baseline. Spans and direct identifiers are
cross-validated: taggers are trained here that have not seen the templates they are judged on (`--shipped` judges the
shipped one instead, which has). Needs scikit-learn and what training needs. No text is printed.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import inspect
import json
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.bench.figures import Figure, as_json, as_table

# name -> module and function; the function takes the command's arguments and gives figures. Only what was asked for is
# imported: some need what training needs.
MEASURES = {
    "spans": ("tests.bench.sensitivity_spans", "spans"),
    "noisy": ("tests.bench.sensitivity_spans", "noisy"),
    "documents": ("tests.bench.sensitivity_spans", "documents"),
    "ids": ("tests.bench.sensitivity_ids", "ids"),
    "benign": ("tests.bench.sensitivity_benign", "benign"),
    "languages": ("tests.bench.sensitivity_benign", "languages"),
    "groups": ("tests.bench.sensitivity_groups", "groups"),
    "meaning": ("tests.bench.sensitivity_benign", "meaning"),
    "speed": ("tests.bench.sensitivity_speed", "speed"),
    "patterns": ("tests.bench.sensitivity_speed", "patterns"),
}


def measure(name: str, given: argparse.Namespace) -> Iterable[Figure]:
    """The figures of one name."""
    module, function = MEASURES[name]
    made = getattr(importlib.import_module(module), function)(given)
    figures: Iterable[Figure] = asyncio.run(made) if inspect.isawaitable(made) else made
    return figures


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder with sensitivity/, traffic/, routing/")
    parser.add_argument("--only", nargs="+", choices=list(MEASURES), default=list(MEASURES))
    parser.add_argument(
        "--shipped", action="store_true", help="judge the shipped tagger: quick, but it has seen the data"
    )
    parser.add_argument("--folds", type=int, default=2, help="how many of the five folds to train (minutes each)")
    parser.add_argument("--markdown", action="store_true", help="print a table for a document")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    given = parser.parse_args(arguments)
    figures: list[Figure] = []
    for name in given.only:
        began = time.perf_counter()
        figures += measure(name, given)
        print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr)
    print(as_table(figures, given.markdown))
    if given.json:
        given.json.write_text(json.dumps(as_json(figures), indent=2) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
