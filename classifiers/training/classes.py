"""Trains `artifacts/task` and `artifacts/domain`: what a request wants done, and what it is about.

    python -m classifiers.training.classes --data FOLDER [--only task]

writes the artifacts and their cards. Figures come from models that have not seen what they are measured on: whole
sources of prompts by people, labelled by hand.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, hstack  # type: ignore[import-untyped]  # scipy ships no types
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from classifiers.classes import EDGE, FAR, ClassModel, edges_of
from classifiers.embedding import Embedding
from classifiers.features import BUCKETS, SURFACE_NAMES, extract
from classifiers.training import prompts
from classifiers.training.prompts import Prompt
from classifiers.vocabulary import DOMAINS, OTHER, TASKS

SEED = 20261128
DATE = "2026-11-28"
LABELS = {"task": TASKS, "domain": DOMAINS}
LEAST = 0.4  # of the best class's chance; below it the signal says `other`
STRENGTH = 3.0  # inverse of the penalty
_ITERATIONS = 30
_SURFACE_SCALE = 0.1  # a text's hashed part has length 1, and so has its vector
_BY_HAND = 4.0  # weight of a prompt of people beside one of a template
_RESAMPLES = 1000


def matrix(texts: Sequence[str], vectors: Embedding, mean: Any = None, deviation: Any = None) -> tuple[Any, Any, Any]:
    """The rows as the model reads them, side by side: n-grams, edges, surface counts, vector; the surface's scale."""
    surface = np.array([extract(text).surface for text in texts])
    if mean is None:
        mean, deviation = surface.mean(axis=0), np.maximum(surface.std(axis=0), 1e-6)
    standard = np.clip((surface - mean) / deviation, -FAR, FAR) * _SURFACE_SCALE
    meant = csr_matrix(np.array([vectors.vector(text) for text in texts]))
    edges = [edges_of(text) for text in texts]
    together = hstack((_bags(texts), _bags(edges), csr_matrix(standard), meant), format="csr", dtype=np.float32)
    return together, mean, deviation


def _bags(texts: Sequence[str]) -> Any:
    found = [extract(text).buckets for text in texts]
    sizes = [len(each) for each in found]
    values = np.repeat(1 / np.sqrt(np.maximum(sizes, 1)), sizes)
    ends = np.concatenate(([0], np.cumsum(sizes)))
    return csr_matrix((values, np.concatenate(found), ends), shape=(len(texts), BUCKETS))


def weights(labels: Sequence[str], learned: Sequence[Prompt]) -> npt.NDArray[np.float64]:
    """Every class weighs the same; within a class, many rows of one source weigh less than as many sources would."""
    pairs = [(label, _family(row)) for label, row in zip(labels, learned, strict=True)]
    often = Counter(pairs)
    single = np.array([often[pair] ** -0.5 for pair in pairs])
    totals: Counter[str] = Counter()
    for label, weight in zip(labels, single, strict=True):
        totals[label] += weight
    shared = np.array([weight / totals[label] for label, weight in zip(labels, single, strict=True)])
    return np.asarray(shared * len(labels) / shared.sum(), dtype=np.float64)


def _family(row: Prompt) -> str:
    return row.source.partition("/")[0]


class Learner:
    """The rows of one signal, read once; fits as often as there are sources to leave out."""

    def __init__(self, learned: Sequence[Prompt], by_hand: Sequence[Prompt], signal: str, vectors: Embedding) -> None:
        """Rows whose label of this signal is known."""
        rows = [*learned, *by_hand]
        self.labels = np.array([getattr(row, signal) for row in rows])
        self.sources = np.array(["" for _ in learned] + [row.source for row in by_hand])
        self.table, self.mean, self.deviation = matrix([row.text for row in rows], vectors)
        own = weights([str(label) for label in self.labels[: len(learned)]], learned)
        self.weight = np.concatenate((own, np.full(len(by_hand), _BY_HAND)))
        self.vectors = vectors

    def fit(self, without: str | None = None) -> ClassModel:
        """Softmax regression on all rows but those of one source by hand; tables quantised to bytes."""
        kept = np.flatnonzero(self.sources != without) if without else np.arange(len(self.labels))
        model = LogisticRegression(C=STRENGTH, max_iter=_ITERATIONS, tol=1e-3)
        model.fit(self.table[kept], self.labels[kept], sample_weight=self.weight[kept])
        return _model(model, self.mean, self.deviation, self.vectors)


def _model(model: Any, mean: Any, deviation: Any, vectors: Embedding) -> ClassModel:
    parts = np.split(model.coef_.T, np.cumsum((BUCKETS, BUCKETS, len(SURFACE_NAMES))))
    steps = [float(np.abs(part).max() / 127) or 1.0 for part in parts[:2]]
    return ClassModel(
        labels=tuple(str(label) for label in model.classes_),
        grams=np.round(parts[0] / steps[0]).astype(np.int8),
        edges=np.round(parts[1] / steps[1]).astype(np.int8),
        surface=(parts[2] * _SURFACE_SCALE).astype(np.float32),
        embedding=parts[3].astype(np.float32),
        mean=mean.astype(np.float32),
        deviation=deviation.astype(np.float32),
        bias=model.intercept_.astype(np.float32),
        steps=(steps[0], steps[1]),
        vectors=vectors,
        least=LEAST,
    )


def measure(model: ClassModel, tested: Sequence[Prompt], signal: str, usual: str) -> list[tuple[str, str, str, float]]:
    """For each row: the label, the most likely class, what a model would say that always says `usual`, the chance."""
    found = []
    for row in tested:
        chances = model.chances(row.text)
        place = int(chances.argmax())
        found.append((getattr(row, signal), model.labels[place], usual, float(chances[place])))
    return found


def figures(found: Sequence[tuple[str, str, str, float]]) -> dict[str, Any]:
    """Accuracy and macro F1 with bootstrap 95 % intervals beside the majority class; and where the signal is told."""
    truth, said, usual, chance = (np.array(each) for each in zip(*found, strict=True))
    told = chance >= LEAST
    draw = np.random.default_rng(SEED)
    samples = [draw.integers(0, len(truth), len(truth)) for _ in range(_RESAMPLES)]
    right = said == truth
    names = sorted(set(truth))

    def macro(index: Any) -> float:
        return float(f1_score(truth[index], said[index], labels=names, average="macro", zero_division=0))

    return {
        "accuracy": _figure(float(right.mean()), [float(right[index].mean()) for index in samples]),
        "macro_f1": _figure(macro(np.arange(len(truth))), [macro(index) for index in samples]),
        "majority_class": {
            "accuracy": round(float((usual == truth).mean()), 4),
            "macro_f1": round(float(f1_score(truth, usual, labels=names, average="macro", zero_division=0)), 4),
        },
        "told": round(float(told.mean()), 4),
        "accuracy_where_told": round(float(right[told].mean()), 4),
        "rows": len(truth),
        "classes": len(names),
    }


def _figure(value: float, samples: Sequence[float]) -> dict[str, float]:
    low, high = np.percentile(samples, (2.5, 97.5))
    return {"value": round(value, 4), "low": round(float(low), 4), "high": round(float(high), 4)}


def report(learner: Learner, by_hand: Sequence[Prompt], signal: str) -> dict[str, Any]:
    """What the card says: of prompts of people, with their whole source left out."""
    found = []
    for source in sorted({row.source for row in by_hand}):
        tested = [row for row in by_hand if row.source == source]
        usual = Counter(getattr(row, signal) for row in tested).most_common(1)[0][0]
        found += measure(learner.fit(source), tested, signal, usual)
    by_class: dict[str, list[bool]] = {}
    for truth, said, _, _ in found:
        by_class.setdefault(truth, []).append(truth == said)
    return {
        "prompts_of_people_source_left_out": figures(found),
        "recall_by_class": {
            name: {"share": round(float(np.mean(each)), 4), "n": len(each)} for name, each in sorted(by_class.items())
        },
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder with routing/, traffic/, sensitivity/")
    parser.add_argument("--out", type=Path, default=Path(str(files("classifiers.artifacts"))))
    parser.add_argument("--only", choices=sorted(LABELS), help="train one of them")
    given = parser.parse_args()
    vectors = Embedding.load()
    learned, by_hand = prompts.rows(given.data), prompts.hand_labelled(given.data)
    for signal in (given.only,) if given.only else sorted(LABELS):
        rows = [row for row in learned if getattr(row, signal)]
        hand = [row for row in by_hand if getattr(row, signal)]
        learner = Learner(rows, hand, signal, vectors)
        card = _card(signal, rows, hand, vectors, report(learner, hand, signal))
        write(learner.fit(), signal, given.out, card)


def write(model: ClassModel, signal: str, folder: Path, card: dict[str, Any]) -> str:
    """`<signal>.npz` and its card; equal models give equal bytes. The digest."""
    if missing := set(LABELS[signal]) - {OTHER} - set(model.labels):
        raise ValueError(f"no row stands for {', '.join(sorted(missing))}")
    buffer = io.BytesIO()
    arrays = {
        key: getattr(model, key) for key in ("grams", "edges", "surface", "embedding", "mean", "deviation", "bias")
    }
    np.savez_compressed(buffer, steps=np.array(model.steps), **arrays)
    model = replace(model, digest=hashlib.sha256(buffer.getvalue()).hexdigest())
    full = {**card, "labels": list(model.labels), "least": model.least, "sha256": model.digest}
    (folder / f"{signal}.npz").write_bytes(buffer.getvalue())
    (folder / f"{signal}.json").write_text(json.dumps(full, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return model.digest


_WHAT = {
    "task": "what the last user message wants done; `other` where no class has a chance of 0.4",
    "domain": "what the last user message is about; `other` where no class has a chance of 0.4",
}


def _card(
    signal: str, rows: Sequence[Prompt], by_hand: Sequence[Prompt], vectors: Embedding, found: dict[str, Any]
) -> dict[str, Any]:
    return {
        "name": signal,
        "date": DATE,
        "what": _WHAT[signal],
        "languages": ["en"],
        "buckets": BUCKETS,
        "surface": list(SURFACE_NAMES),
        "embedding": vectors.digest,
        "command": "python -m classifiers.training.classes --data FOLDER",
        "method": f"softmax regression (C {STRENGTH:g}) on hashed word 1- and 2-grams and byte 5-grams of the text and "
        f"of its first and last {EDGE} characters, surface counts and the static embedding; tables in 8 bits",
        "metric": found,
        "data": {
            "classifiers/training/prompts.toml, asking.json, meaning_texts (ours; asking and meaning in six languages)":
            "this project",
            "MMLU subjects, Big-Math; arena prompts and self-instruct, labelled by hand": "Apache-2.0",
            "LLMRouter (ulab) task families, MATH": "MIT",
            "CLINC150, BANKING77; medical public questions": "CC BY",
            "awesome ChatGPT prompts": "CC0",
        },
        "rows": dict(sorted(Counter(getattr(row, signal) for row in rows).items())),
        "rows_by_hand": len(by_hand),
        "limits": "the hand labels are one person's, who also wrote the templates after reading some of those prompts; "
        "requests in other languages than English were not measured; two things in one request get one label.",
    }  # fmt: skip


if __name__ == "__main__":
    main()
