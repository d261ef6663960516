"""Trains `artifacts/complexity`: the predicted chance that a small local model's answer will not be good enough.

`python -m classifiers.training.complexity --data FOLDER` writes the artifact and its card.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from classifiers.training import corpus, fitting

STRENGTH = 3.0


def measure(
    rows: Sequence[corpus.Row], table: fitting.Table, values: fitting.Floats
) -> tuple[float, float, dict[str, Any]]:
    """The calibration of out-of-fold values, and figures on the rows whose targets were measured.

    The calibration is itself fitted on the other half of the rows, so that the error is not flattered.
    """
    measured = np.array([row.measured for row in rows])
    half = np.random.default_rng(fitting.SEED).random(table.groups.max() + 1) < 0.5
    first = half[table.groups]
    # Whole groups of authored prompts are held out together, which no model can foresee: they would flatten the slope.
    weight = np.where([row.source.startswith("authored/") for row in rows], 0.0, table.weight)
    chance = np.zeros(len(rows))
    for fitted_on in (first, ~first):
        slope, shift = fitting.calibrate(values[fitted_on], table.target[fitted_on], weight[fitted_on])
        chance[~fitted_on] = fitting.sigmoid(slope * values[~fitted_on] + shift)
    target = table.target[measured]
    figures = {
        "auroc_of_failure": round(float(roc_auc_score(target >= 0.5, chance[measured])), 4),
        "auroc_of_prompt_length": round(
            float(roc_auc_score(target >= 0.5, [len(r.text) for r in rows if r.measured])), 4
        ),
        "calibration_error_10_bins": round(fitting.calibration_error(chance[measured], target), 4),
        "rows": int(measured.sum()),
    }
    slope, shift = fitting.calibrate(values, table.target, weight)
    return slope, shift, figures


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder with routing/ and traffic/")
    parser.add_argument("--out", type=Path, default=Path(str(files("classifiers.artifacts"))))
    arguments = parser.parse_args()
    rows = corpus.complexity_rows(arguments.data)
    table = fitting.Table(rows)
    slope, shift, figures = measure(rows, table, fitting.cross_validate(table, STRENGTH))
    model = fitting.Fit(table, np.arange(len(rows)), STRENGTH).quantised(slope, shift)
    fitting.write(model, "complexity", arguments.out, _card(rows, figures))


def _card(rows: Sequence[corpus.Row], figures: dict[str, Any]) -> dict[str, Any]:
    return {
        "what": "the predicted chance in [0, 1] that a small local model's answer will not be good enough",
        "stands_for": "models of 7 to 13 thousand million parameters (and Mixtral on MMLU and GSM8K rows); "
        "a smaller model fails more often than this says",
        "bands": {"easy": "< 0.4", "medium": "< 0.7", "hard": ">= 0.7"},
        "languages": ["en"],
        "command": "python -m classifiers.training.complexity --data FOLDER",
        "method": f"ridge (alpha {STRENGTH}) on hashed word 1- and 2-grams, byte 5-grams and surface counts; "
        f"Platt calibration on out-of-fold values; {fitting.FOLDS} folds, grouped; gram weights in 8 bits",
        "metric": {"cross_validated_on_graded_rows": figures},
        "data": {
            "RouteLLM's evaluation of MMLU and GSM8K": "Apache-2.0",
            "LLMRouter (ulab), without trivia_qa and natural_qa": "MIT",
            "RouterBench: ARC-C, Winogrande, MBPP": "MIT",
            "Big-Math solve rates": "Apache-2.0",
            "MATH levels (difficulty by level is assumed)": "MIT",
            "arena bench scores": "Apache-2.0",
            "CLINC150, BANKING77 (assumed easy: 0.06)": "CC BY",
            "classifiers/training/everyday.jsonl, authored.py (difficulty assigned by us)": "this project",
        },
        "rows": dict(sorted(Counter(row.source.split("/")[0] for row in rows).items())),
        "limits": "mostly English benchmark text; real traffic is not. Ends of the scale (everyday requests, proofs, "
        "designs) rest on assigned difficulties.",
    }


if __name__ == "__main__":
    main()
