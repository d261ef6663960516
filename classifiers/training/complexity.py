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

from classifiers.embedding import Embedding
from classifiers.forms import FORMS
from classifiers.training import corpus, experts, fitting


def measure(rows: Sequence[corpus.Row], table: experts.Table, scores: fitting.Floats) -> dict[str, Any]:
    """Figures on the rows whose targets were measured, from out-of-fold scores, calibrated on the other half."""
    measured = table.measured
    target, chance = table.target[measured], experts.halves(table, scores)[measured]
    lengths = [len(row.text) for row in rows if row.measured]
    return {
        "auroc_of_failure": round(float(roc_auc_score(target >= 0.5, chance)), 4),
        "auroc_of_prompt_length": round(float(roc_auc_score(target >= 0.5, lengths)), 4),
        "calibration_error_10_bins": round(fitting.calibration_error(chance, target), 4),
        "rows": int(measured.sum()),
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder with routing/ and traffic/")
    parser.add_argument("--out", type=Path, default=Path(str(files("classifiers.artifacts"))))
    arguments = parser.parse_args()
    rows = corpus.complexity_rows(arguments.data)
    embedding = Embedding.load()
    table = experts.Table(rows, embedding)
    scores = experts.cross_validate(table)
    everything = np.arange(len(rows))
    lines = experts.calibrate(table, scores, everything)
    arrays = experts.arrays(table, experts.fit(table, everything), lines)
    card = {**_card(rows, measure(rows, table, scores)), "forms": list(FORMS), "embedding": embedding.digest}
    fitting.write_arrays(arrays, "complexity", arguments.out, card)


def _card(rows: Sequence[corpus.Row], figures: dict[str, Any]) -> dict[str, Any]:
    return {
        "what": "the predicted chance in [0, 1] that a small local model's answer will not be good enough",
        "stands_for": "models of 7 to 13 thousand million parameters (and Mixtral on MMLU and GSM8K rows); "
        "a smaller model fails more often than this says",
        "bands": {"easy": "< 0.4", "medium": "< 0.7", "hard": ">= 0.7"},
        "languages": ["en"],
        "command": "python -m classifiers.training.complexity --data FOLDER",
        "method": "ridge on hashed word 1- and 2-grams, byte 5-grams, surface counts and the static embedding; "
        "questions with options add a ridge on what a strong model gained, word problems their length; Platt "
        f"calibration for each form on out-of-fold values; {fitting.FOLDS} folds, grouped; gram weights in 8 bits",
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
