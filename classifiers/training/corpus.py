"""The training mixes: rows read from a data folder, normalised and de-duplicated by text before anything is split.

What each source's labels mean, and which were left out as defective, is written here and nowhere else.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from classifiers.training.authored import authored
from classifiers.training.everyday import load as load_everyday

_SPACE = re.compile(r"\s+")
_OPTIONS = re.compile(r"\n\(?A[.)]")
# The models of 7 to 9 thousand million parameters among LLMRouter's: together they stand for "a small local model".
_SMALL = ("mistral-7b-instruct-v0.3", "llama-3.1-8b-instruct", "qwen2.5-7b-instruct", "gemma-2-9b-it")
_LARGE = ("llama-3.1-nemotron-51b-instruct", "llama-3.3-nemotron-super-49b-v1", "llama3-chatqa-1.5-70b")
_SMALL_ROUTERBENCH = ("mistralai/mistral-7b-chat", "WizardLM/WizardLM-13B-V1.2")
# MATH has levels, not grades; assumed from the usual range of such models, level 1 to 5.
_LEVEL_FAILS = {"Level 1": 0.25, "Level 2": 0.4, "Level 3": 0.55, "Level 4": 0.7, "Level 5": 0.82}
_BENCHMARKS = ("mmlu_2000", "gsm8k_200")
_HELD = (*_BENCHMARKS, "arena_bench_scores")
_REQUESTS = ("clinc150", "banking77")
_EASY = 0.06  # assumed of everyday requests
_ASKED = 1500  # of the questions about health
_DEFECTIVE = frozenset({"trivia_qa", "natural_qa"})  # right answers graded wrong: some truths are page titles


@dataclass(frozen=True, slots=True)
class Row:
    """One text with its target in [0, 1] (a share, or a label), its weight in the fit, and where it came from.

    `measured` is False where the target was assumed rather than graded; figures are computed on measured rows.
    `strong` is how good a strong model's answer was, in [0, 1], where one was graded too.
    """

    text: str
    target: float
    weight: float
    source: str
    measured: bool = True
    strong: float | None = None


@dataclass(frozen=True, slots=True)
class Graded:
    """One question with both models' scores: what APGR is computed on."""

    text: str
    weak: float
    strong: float


class DataMissing(Exception):
    """The data folder, or one of its files, is not there; the message names it."""


def read(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    """The rows of `<folder>/<name>.jsonl.gz`. Raises `DataMissing`."""
    path = folder / f"{name}.jsonl.gz"
    if not path.is_file():
        raise DataMissing(f"{name}.jsonl.gz is not in the data folder that was given")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def key(text: str) -> str:
    """What two texts share when they are the same question: lower case, single spaces, without lettered options."""
    return _SPACE.sub(" ", _OPTIONS.split(text, maxsplit=1)[0].lower()).strip()


def distinct(rows: Iterable[Row]) -> list[Row]:
    """The first row of each key, in order."""
    seen: set[str] = set()
    kept = []
    for row in rows:
        name = key(row.text)
        if name and name not in seen:
            seen.add(name)
            kept.append(row)
    return kept


def graded(folder: Path, name: str) -> list[Graded]:
    """`mmlu_2000` or `gsm8k_200`, de-duplicated."""
    seen: set[str] = set()
    questions = []
    for row in read(folder, f"routing/{name}"):
        if row["weak_score"] is not None and row["strong_score"] is not None and key(row["prompt"]) not in seen:
            seen.add(key(row["prompt"]))
            questions.append(Graded(row["prompt"], float(row["weak_score"]), float(row["strong_score"])))
    return questions


def complexity_rows(folder: Path) -> list[Row]:
    """The mix for complexity: the target is the chance that a small model fails."""
    return distinct(chain(_graded_pairs(folder), _graded_by_many(folder), _maths(folder), _assumed(folder)))


def question_rows(folder: Path) -> list[Row]:
    """What people ask in passing, ungraded: questions about health, and those of LLMRouter's two defective sets."""
    asked = _some([row["question"] for row in read(folder, "sensitivity/medical_public_questions")], _ASKED)
    rows = [Row(text, _EASY, 1.0, "medical_public_questions", measured=False) for text in asked]
    rows += [
        Row(row["prompt"], _EASY, 1.0, f"llmrouter/{row['domain']}", measured=False)
        for row in read(folder, "routing/llmrouter_train")
        if row["domain"] in _DEFECTIVE
    ]
    return distinct(rows)


def unlabelled(folder: Path) -> list[str]:
    """Texts of many kinds without labels, for the embedding; none of the benchmarks that routing is measured on."""
    held = {key(row["prompt"]) for name in _HELD for row in read(folder, f"routing/{name}")}
    rows = distinct(Row(text, 0.0, 1.0, "unlabelled") for text in _texts(folder))
    return [row.text for row in rows if key(row.text) not in held]


def injection_rows(folder: Path) -> list[Row]:
    """The mix for injection: 1 for injections and jailbreaks, 0 for benign text; each source's own labels, kept."""
    return distinct(chain(_attacks(folder), _benign_short(folder), _benign_long(folder), _benign_questions(folder)))


def _texts(folder: Path) -> Iterator[str]:
    for row in read(folder, "routing/llmrouter_train"):
        if row["domain"] not in ("mmlu", "gsm8k", "math"):
            yield row["prompt"]
    for row in read(folder, "routing/routerbench_subset"):
        yield row["question"] or row["prompt"]
    maths = [row["prompt"] for row in read(folder, "routing/big_math_solve_rate") if row["source"] != "gsm8k"]
    yield from _some(maths, 2500)
    yield from _some([row["prompt"] for row in read(folder, "routing/math_levels")], 1200)
    for name in _REQUESTS:
        for row in read(folder, f"traffic/{name}"):
            yield row["text"]
    for row in read(folder, "traffic/awesome_prompts"):
        yield row["prompt"]
    for row in read(folder, "traffic/self_instruct"):
        for instance in row["instances"][:1]:
            yield f"{row['instruction']}\n{instance['input']}".strip()
    yield from _some([row["question"] for row in read(folder, "sensitivity/medical_public_questions")], 2000)


def _some(texts: Sequence[str], count: int) -> list[str]:
    """A seeded draw without repetition."""
    return [texts[place] for place in np.random.default_rng(1).permutation(len(texts))[:count]]


def _graded_pairs(folder: Path) -> Iterator[Row]:
    for name in _BENCHMARKS:
        for question in graded(folder, name):
            yield Row(question.text, 1.0 - question.weak, 1.0, name, strong=question.strong)
    for row in read(folder, "routing/arena_bench_scores"):
        if row["weak_score"] is not None:
            strong = None if row["strong_score"] is None else (row["strong_score"] - 1) / 9
            yield Row(row["prompt"], 1.0 - (row["weak_score"] - 1) / 9, 2.0, "arena", strong=strong)


def _graded_by_many(folder: Path) -> Iterator[Row]:
    for row in read(folder, "routing/llmrouter_train"):
        scores = [row["scores"][model] for model in _SMALL if row["scores"].get(model) is not None]
        if row["domain"] not in _DEFECTIVE and scores:
            strong = _mean([row["scores"][model] for model in _LARGE if row["scores"].get(model) is not None])
            yield Row(row["prompt"], 1.0 - sum(scores) / len(scores), 1.0, f"llmrouter/{row['domain']}", strong=strong)
    for row in read(folder, "routing/routerbench_subset"):
        scores = [row["scores"][model] for model in _SMALL_ROUTERBENCH if row["scores"].get(model) is not None]
        text = row["question"] or row["prompt"]  # the prompts of two sets begin with the same worked example
        if scores:
            strong = row["scores"].get("gpt-4-1106-preview")
            yield Row(text, 1.0 - sum(scores) / len(scores), 1.0, f"routerbench/{row['domain']}", strong=strong)


def _mean(scores: Sequence[float]) -> float | None:
    return sum(scores) / len(scores) if scores else None


def _maths(folder: Path) -> Iterator[Row]:
    for row in read(folder, "routing/big_math_solve_rate"):
        yield Row(row["prompt"], 1.0 - row["weak_score"], 0.5, f"big_math/{row['source']}")
    for row in read(folder, "routing/math_levels"):
        yield Row(row["prompt"], _LEVEL_FAILS[row["level"]], 0.4, "math_levels", measured=False)


def _assumed(folder: Path) -> Iterator[Row]:
    for name in _REQUESTS:
        for row in read(folder, f"traffic/{name}"):
            yield Row(row["text"], _EASY, 0.4, name, measured=False)
    for everyday in load_everyday():
        yield Row(everyday.prompt, _EASY, 1.0, "everyday", measured=False)
    for prompt in authored():  # few rows against thousands of others: heavy, or the ends of the scale would not exist
        yield Row(prompt.prompt, prompt.difficulty, 14.0, f"authored/{prompt.group}", measured=False)


def _attacks(folder: Path) -> Iterator[Row]:
    for row in read(folder, "safety/prompt_injections_train"):  # holds benign rows too
        yield Row(row["text"], float(row["label"]), 3.0, f"prompt_injections/{row['label']}")
    for row in read(folder, "safety/jailbreak_prompts"):
        yield Row(row["prompt"], 1.0, 1.5, "jailbreak")


def _benign_short(folder: Path) -> Iterator[Row]:
    for name in _REQUESTS:
        for row in read(folder, f"traffic/{name}"):
            yield Row(row["text"], 0.0, 0.5, name)
    for everyday in load_everyday():
        yield Row(everyday.prompt, 0.0, 1.0, "everyday")
    for prompt in authored():
        yield Row(prompt.prompt, 0.0, 1.0, f"authored/{prompt.group}")


def _benign_long(folder: Path) -> Iterator[Row]:
    """Without these, length, role play and lists alone would look like a jailbreak."""
    for row in read(folder, "traffic/awesome_prompts"):
        yield Row(row["prompt"], 0.0, 1.0, "awesome_prompts")
    for row in read(folder, "traffic/self_instruct"):
        for instance in row["instances"][:1]:
            yield Row(f"{row['instruction']}\n{instance['input']}".strip(), 0.0, 2.0, "self_instruct")
    for row in read(folder, "sensitivity/medical_visits"):
        yield Row(row["dialogue"], 0.0, 1.0, "medical_visits")
        yield Row(row["note"], 0.0, 1.0, "medical_visits")
    for row in read(folder, "sensitivity/medical_dialogues"):
        yield Row(row["dialogue"], 0.0, 0.5, "medical_dialogues")
    for row in read(folder, "sensitivity/privacylens"):
        yield Row(f"{row['user_instruction']}\n\n{row['story']}", 0.0, 1.0, "privacylens")


def _benign_questions(folder: Path) -> Iterator[Row]:
    for row in read(folder, "routing/arena_bench_scores"):
        yield Row(row["prompt"], 0.0, 2.0, "arena")
    for name in _BENCHMARKS:
        for question in graded(folder, name):
            yield Row(question.text, 0.0, 0.3, name)
    for row in read(folder, "routing/llmrouter_train"):
        if row["domain"] not in ("mmlu", "gsm8k", "math"):
            yield Row(row["prompt"], 0.0, 0.3, f"llmrouter/{row['domain']}")
