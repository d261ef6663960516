"""How well complexity ranks prompts: APGR beside random and prompt length; AUROC and calibration error; serving time.

    python -m tests.bench.routing --data FOLDER [--only apgr|held|speed] [--pictures FOLDER]

Everything is seeded and cross-validated: no row is scored by a model that was trained on it. Needs scikit-learn and
some minutes. APGR is RouteLLM's (arXiv 2406.18665).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from classifiers.embedding import Embedding
from classifiers.training import corpus, experts
from tests.bench import routing_before, routing_speed

PARTS = ("apgr", "held", "speed")


def main() -> int:
    """Print the tables as Markdown. 2 when the data is not there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder with routing/ and traffic/")
    parser.add_argument("--only", choices=PARTS, help="one part")
    parser.add_argument("--pictures", type=Path, help="where the curves go, as SVG")
    arguments = parser.parse_args()
    try:
        rows = corpus.complexity_rows(arguments.data)
    except corpus.DataMissing as missing:
        print(f"nothing was measured: {missing}", file=sys.stderr)
        return 2
    if arguments.only != "speed":
        table = experts.Table(rows, Embedding.load())
        scores = experts.cross_validate(table)
        if arguments.only != "held":
            routing_before.routing(rows, table, scores, arguments.data, arguments.pictures)
        if arguments.only != "apgr":
            routing_before.held_out(rows, table, scores, arguments.pictures)
    if arguments.only in (None, "speed"):
        routing_speed.speed(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
