"""Trains `artifacts/injection`: the chance that a text tries to override the instructions of a model.

`python -m classifiers.training.injection --data FOLDER` writes the artifact and its card.
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
from sklearn.model_selection import GroupKFold

from classifiers.injection import highest_logit
from classifiers.training import corpus, fitting

STRENGTH = 1.0
ALARM = 0.8  # what the documented policy example forbids at


def cross_validate(rows: Sequence[corpus.Row], table: fitting.Table) -> fitting.Floats:
    """Out-of-fold values as they are served: of the most suspicious piece, by quantised models; groups never split."""
    values = np.zeros(len(rows))
    splitter = GroupKFold(n_splits=fitting.FOLDS, shuffle=True, random_state=fitting.SEED)
    for train, test in splitter.split(table.surface, groups=table.groups):
        model = fitting.Fit(table, train, STRENGTH).quantised(1.0, 0.0)
        values[test] = [highest_logit(model, rows[place].text) for place in test]
    return values


def measure(rows: Sequence[corpus.Row], table: fitting.Table, values: fitting.Floats) -> dict[str, Any]:
    """Figures on calibrated out-of-fold values: recall and false alarms at 0.8 by source."""
    slope, shift = fitting.calibrate(values, table.target, table.weight)
    chance = fitting.sigmoid(slope * values + shift)
    alarms: dict[str, list[bool]] = {}
    for row, value in zip(rows, chance, strict=True):
        source = row.source if row.source.startswith("prompt") else row.source.split("/")[0]
        alarms.setdefault(source, []).append(bool(value >= ALARM))
    benign = table.target == 0
    return {
        "auroc": round(float(roc_auc_score(table.target, chance)), 4),
        "calibration_error_10_bins": round(fitting.calibration_error(chance, table.target), 4),
        "benign_below_0.8": round(float((chance[benign] < ALARM).mean()), 5),
        "share_at_or_above_0.8": {name: round(float(np.mean(found)), 4) for name, found in sorted(alarms.items())},
        "rows": len(rows),
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, required=True, help="the folder with safety/, traffic/, routing/, sensitivity/"
    )
    parser.add_argument("--out", type=Path, default=Path(str(files("classifiers.artifacts"))))
    arguments = parser.parse_args()
    rows = corpus.injection_rows(arguments.data)
    table = fitting.Table(rows)
    values = cross_validate(rows, table)
    slope, shift = fitting.calibrate(values, table.target, table.weight)
    model = fitting.Fit(table, np.arange(len(rows)), STRENGTH).quantised(slope, shift)
    fitting.write(model, "injection", arguments.out, _card(rows, measure(rows, table, values)))


def _card(rows: Sequence[corpus.Row], figures: dict[str, Any]) -> dict[str, Any]:
    return {
        "what": "the chance in [0, 1] that a text tries to override the instructions of a model",
        "languages": ["en", "de"],
        "command": "python -m classifiers.training.injection --data FOLDER",
        "method": f"ridge (alpha {STRENGTH}) on hashed word 1- and 2-grams, byte 5-grams and surface counts; the most "
        f"suspicious piece counts; Platt calibration on out-of-fold values; {fitting.FOLDS} folds, grouped",
        "metric": {"cross_validated": figures},
        "data": {
            "prompt injections (deepset)": "Apache-2.0",
            "jailbreak prompts seen in the wild": "MIT",
            "awesome ChatGPT prompts": "CC0",
            "self-instruct": "Apache-2.0",
            "CLINC150, BANKING77": "CC BY",
            "arena bench prompts; MMLU and GSM8K questions": "Apache-2.0",
            "LLMRouter prompts; PrivacyLens": "MIT",
            "clinical dialogues and notes": "CC BY 4.0",
            "router/calibration/everyday.jsonl, authored.py": "this project",
        },
        "rows": dict(sorted(Counter(row.source.split("/")[0] for row in rows).items())),
        "limits": "a signal for routing, not a defence: attackers who try will get past a linear model.",
    }


if __name__ == "__main__":
    main()
