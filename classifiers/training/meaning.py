"""Trains `artifacts/meaning`: whether a whole text is confidential by its meaning, and which meaning it is.

`python -m classifiers.training.meaning --data FOLDER` writes the artifact and its card.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import random
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from classifiers.meaning import DIGITS, MeaningModel, chance, is_code
from classifiers.training import meaning_corpus as corpus
from classifiers.training.fitting import calibrate
from classifiers.training.meaning_network import fit

SEED = 20261127
FOLDS = 3
DATE = "2026-11-28"
_HARD = 0.15  # share of our own hard negatives that the shipped threshold may flag
_TRAFFIC = 0.015  # share of any set of harmless traffic that it may flag: it is one detector of several
_CODE = 0.005  # of parts of files and results of tools: an agent sends dozens, and one is enough to be held at home
# What pii_spans hold is found by others anyway; odd rows of our own would set a threshold that only they need.
# Parts of code have a threshold of their own; what people post (WNUT) may well be somebody's illness or dismissal,
# what programs say is often about orders and accounts, and injections ask for passwords.
_UNASKED = corpus.EASY | {"pii_spans", "wnut17", "code", "messages", "prompt_injections"}
# What a keyword list would say: the baseline that stands in every table.
_KEYWORDS = re.compile(
    r"(?i)\b(confidential|proprietary|internal|trade secret|nda|do not (share|distribute|forward)|password|"
    r"credentials?|patients?|diagnos\w+|salary|severance|lawsuit|attorney|privileged|customers?|clients?|revenue|forecast|"
    r"acquisition|merger|source code|our company)\b"
)

_Floats = npt.NDArray[np.float64]


def folds_of(rows: Sequence[corpus.Row]) -> npt.NDArray[np.intp]:
    """The fold of each row: whole groups (template families, frames, texts that begin alike) stay together."""
    draw = random.Random(SEED)  # noqa: S311  # reproducible folds, not a secret
    places: dict[str, int] = {}
    by_label: Counter[str] = Counter()
    for group, label in sorted({(row.group, row.label) for row in rows}):
        if group not in places:
            places[group] = (by_label[label] + draw.randrange(2)) % FOLDS
            by_label[label] += 1
    return np.array([places[row.group] for row in rows])


def out_of_fold(rows: Sequence[corpus.Row]) -> _Floats:
    """Log-odds of every class for every row, by networks that saw nothing of its group."""
    fold = folds_of(rows)
    values = np.zeros((len(rows), len(corpus.LABELS)))
    for each in range(FOLDS):
        train = [row for row, place in zip(rows, fold, strict=True) if place != each]
        test = (fold == each).nonzero()[0]
        values[test] = fit(train, SEED + each, say).logits([rows[place].text for place in test])
        say(f"fold {each} done")
    return values


def odds_of(values: _Floats) -> _Floats:
    """Log-odds of any confidential meaning against none."""
    return np.asarray(np.log(np.exp(values[:, 1:]).sum(axis=1)) - values[:, 0], dtype=np.float64)


def threshold(rows: Sequence[corpus.Row], odds: _Floats) -> float:
    """The lowest odds at which no set of harmless traffic, and few of our hard negatives, are flagged too often."""
    by_source: dict[str, list[float]] = defaultdict(list)
    for row, value in zip(rows, odds, strict=True):
        if row.label == corpus.BENIGN and row.source not in _UNASKED:
            by_source["own" if row.is_judged else row.source].append(float(value))
    return max(
        float(np.quantile(values, 1 - (_HARD if source == "own" else _TRAFFIC)))
        for source, values in by_source.items()
        if len(values) >= 200
    )


def threshold_in_code(rows: Sequence[corpus.Row], odds: _Floats, prose: float) -> float:
    """The odds, not below those of prose, from which a text full of marks is flagged."""
    values = [float(value) for row, value in zip(rows, odds, strict=True) if row.source == "code" and looks(row)]
    return max(prose, float(np.quantile(values, 1 - _CODE)))


def looks(row: corpus.Row) -> bool:
    """Whether a row looks like code."""
    return is_code(row.text.encode("utf-8", "replace"))


def free_texts() -> dict[str, list[corpus.Row]]:
    """Texts written freely, by another process than the templates, by language; never trained on."""
    rows: dict[str, list[corpus.Row]] = defaultdict(list)
    lines = (files("classifiers.training.meaning_texts") / "free.txt").read_text("utf-8").splitlines()
    for line in lines:
        language, label, text = line.split("\t")
        rows[language].append(corpus.Row(text.replace("\\n", "\n"), label, 1.0, f"free/{language}", "free"))
    return rows


def measure(rows: Sequence[corpus.Row], values: _Floats, cut: float, in_code: float) -> dict[str, Any]:
    """Shares flagged by source and class, recall at 5 % false positives, the baseline, the confusion of classes."""
    odds = odds_of(values)
    flagged = odds >= np.array([in_code if looks(row) else cut for row in rows])
    keyword = np.array([bool(_KEYWORDS.search(row.text)) for row in rows])
    positive = np.array([row.label != corpus.BENIGN for row in rows])
    own = np.array([row.is_judged for row in rows])
    by_source: dict[str, list[bool]] = defaultdict(list)
    for row, hit in zip(rows, flagged, strict=True):
        by_source[f"{row.label}: {row.source}" if row.label != corpus.BENIGN else row.source].append(bool(hit))
    named = values[:, 1:].argmax(axis=1) + 1
    right = [corpus.LABELS[place] == row.label for place, row in zip(named, rows, strict=True)]
    at_five = float(np.quantile(odds[own & ~positive], 0.95))
    return {
        "recall_at_5_percent_false_positives": round(float((odds[own & positive] > at_five).mean()), 4),
        "shipped_recall": round(float(flagged[own & positive].mean()), 4),
        "shipped_false_positives": round(float(flagged[own & ~positive].mean()), 4),
        "right_class_of_flagged": round(
            float(np.mean([r for r, f, p in zip(right, flagged, positive, strict=True) if f and p])), 4
        ),
        "keyword_list_recall": round(float(keyword[own & positive].mean()), 4),
        "keyword_list_false_positives": round(float(keyword[own & ~positive].mean()), 4),
        "share_flagged": {name: round(float(np.mean(hits)), 4) for name, hits in sorted(by_source.items())},
        "confusion": confusion(rows, named, flagged),
        "rows": len(rows),
    }


def confusion(
    rows: Sequence[corpus.Row], named: npt.NDArray[np.intp], flagged: npt.NDArray[np.bool_]
) -> dict[str, Any]:
    """True class -> what was said -> rows."""
    table: dict[str, Counter[str]] = {label: Counter() for label in corpus.LABELS}
    for row, place, hit in zip(rows, named, flagged, strict=True):
        table[row.label][corpus.LABELS[place] if hit else corpus.BENIGN] += 1
    return {label: dict(said.most_common()) for label, said in table.items() if said}


def write(model: MeaningModel, words: Sequence[bytes], folder: Path, card: dict[str, Any]) -> None:
    """`meaning.npz` and its card `meaning.json`; equal models give equal bytes."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        rows=model.rows,
        steps=model.steps,
        inner=model.inner,
        outer=model.outer,
        bias=model.bias,
        words=np.frombuffer(b"\n".join(words), dtype=np.uint8),
    )
    data = buffer.getvalue()
    full = {
        "name": "meaning",
        "date": DATE,
        **card,
        "classes": model.labels,
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    (folder / "meaning.npz").write_bytes(data)
    (folder / "meaning.json").write_text(json.dumps(full, indent=2, ensure_ascii=False) + "\n", "utf-8")


def say(line: str) -> None:
    """Progress, for the one who waits."""
    sys.stderr.write(line + "\n")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, required=True, help="the folder with safety/, traffic/, routing/, sensitivity/"
    )
    parser.add_argument("--out", type=Path, default=Path(str(files("classifiers.artifacts"))))
    arguments = parser.parse_args()
    rows = corpus.rows(arguments.data, SEED)
    values = out_of_fold(rows)
    odds = odds_of(values)
    cut = threshold(rows, odds)
    in_code = threshold_in_code(rows, odds, cut)
    truth = np.array([float(row.label != corpus.BENIGN) for row in rows])
    slope, _ = calibrate(odds, truth, np.where(truth > 0, 1 / truth.sum(), 1 / (1 - truth).sum()) * len(rows))
    network = fit(rows, SEED, say)
    figures = {"held_out_families": measure(rows, values, cut, in_code)}
    for language, free in free_texts().items():
        free_values = network.logits([row.text for row in free]).astype(np.float64)
        figures[f"free_texts_{language}"] = measure(free, free_values, cut, in_code)
    card = _card(rows, figures) | {"least_in_code": round(chance((in_code - cut) * slope), DIGITS)}
    write(network.quantised(slope, -cut * slope), network.words, arguments.out, card)
    say(json.dumps(figures, indent=1))


def _card(rows: Sequence[corpus.Row], figures: dict[str, Any]) -> dict[str, Any]:
    return {
        "what": "whether a whole text is confidential by its meaning, and which meaning; 0.5 is the shipped decision",
        "languages": ["de", "en", "es", "fr", "it", "nl"],
        "command": "python -m classifiers.training.meaning --data FOLDER",
        "method": "words (each with a part common to all words, from a language model's word vectors), word pairs "
        "(neighbours and next but one, hashed), beginnings and endings of unknown words; "
        f"one layer of rectified units, softmax; {FOLDS} folds grouped by template family, frame and source; the "
        f"threshold is the lowest at which no harmless set is flagged above {_TRAFFIC:.1%}, our hard negatives "
        f"not above {_HARD:.0%}; texts full of marks (code, listings, records) need more: parts of code are flagged in "
        f"at most {_CODE:.1%}",
        "metric": figures,
        "data": {
            "meaning_texts, meaning_snippets.py, authored.py, asking.json, everyday.jsonl": "this project",
            "files of Python's standard library": "PSF-2.0",
            "files of numpy, scikit-learn, pygments, cryptography, starlette": "BSD",
            "files of botocore, aiohttp, cryptography, openai": "Apache-2.0",
            "files of litellm, redis": "MIT",
            "translations of Django, Wagtail and Oscar": "BSD-3-Clause",
            "clinical dialogues and notes; public medical questions": "CC BY 4.0",
            "PrivacyLens; LLMRouter; RouterBench; presidio-research": "MIT",
            "CLINC150, BANKING77": "CC BY",
            "word vectors of SmolLM2-135M-Instruct": "Apache-2.0",
            "self-instruct, arena bench prompts, MMLU and GSM8K questions, Big-Math": "Apache-2.0",
            "prompt injections (deepset)": "Apache-2.0",
            "awesome ChatGPT prompts": "CC0",
            "jailbreak prompts seen in the wild; paraphrases (GPTCache)": "MIT",
            "WNUT17": "CC BY 4.0",
        },
        "rows": dict(sorted(Counter(row.source for row in rows).items())),
        "free_texts": "en-first and en-second were read again while templates were written, so their figures flatter; "
        "en and the other languages (20 texts each) were not",
        "limits": "trained on templates of one author: a text that names neither owner nor secrecy may pass, and a "
        "harmless one that speaks like an office may be held.",
    }


if __name__ == "__main__":
    main()
