"""Trains `artifacts/everyday`: whether a part of a text, read alone, is (part of) an everyday request.

`python -m classifiers.training.parts --data FOLDER` writes the artifact and its card. It needs `artifacts/complexity`.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Sequence
from importlib.resources import files
from itertools import chain
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, hstack  # type: ignore[import-untyped]  # scipy ships no types
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from classifiers.complexity import NOT_HARD
from classifiers.experts import load
from classifiers.features import BUCKETS, extract
from classifiers.gadgets import PART_WORDS, most, parts
from classifiers.linear import FAR, LinearModel
from classifiers.training import corpus, fitting

Bools = npt.NDArray[np.bool_]

_C: Final = 30.0
_SCALE: Final = 0.1  # of the surface part, beside a hashed part of length one
_KEEP: Final = 0.97  # share of hard texts, held out, that shall stay hard
_SALAD: Final = (10, 20, 30)  # words of the gadgets that figures are made with
_SHORT: Final = 6  # words: of shorter requests no part is taken
_TALK: Final = "arena"  # what people asked in earnest: few, and most like the requests that are simple

# What people write before and after a question, and what is no request: it must not pass for one.
POLITE: Final = (
    "Hello there, I hope you are well.",
    "Hi! I have a question about something that I am working on.",
    "Good morning, could you help me with the following?",
    "Dear assistant, please read this carefully.",
    "Please answer the question below as well as you can.",
    "I am a student and I need some help with this.",
    "This is for my homework, so take your time.",
    "Thank you very much in advance for your help.",
    "Thanks a lot, I really appreciate it.",
    "Let me know if anything is unclear.",
    "Please explain every step and do not skip anything.",
    "My e-mail is anna@example.com if you need it.",
    "Ask bob@example.com if you want to know more.",
    "My card is 4111 1111 1111 1111.",
    "You can reach me on 555 0100 until five.",
    "Write in plain English, please.",
    "Answer in one paragraph.",
    "Keep it short, and give an example.",
    "Here is what I would like to know.",
    "I have been thinking about this for days.",
    "We talked about this in class last week.",
    "Sorry for the long question, and thank you for reading.",
    "Have a nice day!",
    "Can you help me? I am stuck on this one.",
)


class Sets:
    """Everyday requests and texts that complexity calls hard, each with the group that is never split."""

    def __init__(self, rows: Sequence[corpus.Row]) -> None:
        model = load("complexity")
        self.simple = [row for row in rows if row.target <= 0.2 and not row.measured]
        self.hard = [row for row in rows if row.target >= 0.5 and model.logit(row.text) > NOT_HARD]
        names = [fitting.group(row) for row in chain(self.simple, self.hard)]
        self.groups = np.unique(names, return_inverse=True)[1]


def _some_parts(text: str, count: int, draw: random.Random) -> Iterator[str]:
    found = [part for part, _ in parts(text)]
    yield from draw.sample(found, min(count, len(found)))


def _requests(row: corpus.Row, draw: random.Random) -> Iterator[str]:
    yield row.text
    if len(row.text.split()) >= _SHORT:
        yield from _some_parts(row.text, 1, draw)


def _questions(row: corpus.Row, draw: random.Random) -> Iterator[str]:
    yield from _some_parts(row.text, 4, draw)
    yield from _some_parts(f"{draw.choice(POLITE)} {row.text}", 1, draw)
    yield from _some_parts(f"{row.text} {draw.choice(POLITE)}", 1, draw)
    if row.source == _TALK:
        yield from _some_parts(row.text, 12, draw)


def fit(simple: Sequence[corpus.Row], hard: Sequence[corpus.Row]) -> LinearModel:
    """Logistic regression: parts of everyday requests against parts of hard texts, as many of each by weight."""
    draw = random.Random(fitting.SEED)  # noqa: S311  # a reproducible draw, not a secret
    yes = [text for row in simple for text in _requests(row, draw)]
    no = [text for row in hard for text in _questions(row, draw)]
    features = [extract(text) for text in (*yes, *no)]
    sizes = [len(each.buckets) for each in features]
    values = np.repeat(1 / np.sqrt(np.maximum(sizes, 1)), sizes)
    columns = np.concatenate([each.buckets for each in features])
    grams = csr_matrix((values, columns, np.concatenate(([0], np.cumsum(sizes)))), shape=(len(features), BUCKETS))
    surface = np.array([each.surface for each in features])
    mean, deviation = surface.mean(axis=0), np.maximum(surface.std(axis=0), 1e-6)
    standard = np.clip((surface - mean) / deviation, -FAR, FAR) * _SCALE
    label = np.repeat((1, 0), (len(yes), len(no)))
    weight = np.where(label == 1, 1 / len(yes), 1 / len(no)) * len(label) / 2
    model = LogisticRegression(C=_C, max_iter=400)
    model.fit(hstack((grams, csr_matrix(standard)), format="csr"), label, sample_weight=weight)
    found = model.coef_[0]
    step = float(np.abs(found[:BUCKETS]).max() / 127)
    return LinearModel(
        grams=np.round(found[:BUCKETS] / step).astype(np.int8),
        surface=found[BUCKETS:] * _SCALE,
        mean=mean,
        deviation=deviation,
        step=step,
        bias=float(model.intercept_[0]),
    )


def held_out(sets: Sets) -> tuple[list[str], fitting.Floats, dict[int, fitting.Floats]]:
    """Values of hard texts that the fit had not seen, and of everyday ones that random gadgets make hard.

    Hard ones after their sources; the others by the number of words in the gadget. An everyday text that its gadget
    does not make hard has the value infinity.
    """
    draw = random.Random(fitting.SEED)  # noqa: S311  # a reproducible draw, not a secret
    complexity = load("complexity").logit
    words = sorted({word for row in sets.hard for word in row.text.split() if len(word) <= 24})
    sources: list[str] = []
    hard: list[float] = []
    salad: dict[int, list[float]] = {size: [] for size in _SALAD}
    first = len(sets.simple)
    for train, test in GroupKFold(n_splits=fitting.FOLDS, shuffle=True, random_state=fitting.SEED).split(
        sets.groups, groups=sets.groups
    ):
        model = fit([sets.simple[i] for i in train if i < first], [sets.hard[i - first] for i in train if i >= first])
        sources += [sets.hard[i - first].source.split("/")[0] for i in test if i >= first]
        hard += [most(model, complexity, sets.hard[i - first].text) for i in test if i >= first]
        tried = [sets.simple[i].text for i in test if i < first]
        for size in _SALAD:
            for text in draw.sample(tried, min(len(tried), 200)):
                gadget = " ".join(draw.choices(words, k=size))
                both = f"{gadget} {text}" if draw.random() < 0.5 else f"{text} {gadget}"
                is_hard = complexity(both) > NOT_HARD
                salad[size].append(most(model, complexity, both) if is_hard else float("inf"))
    return sources, np.array(hard), {size: np.array(values) for size, values in salad.items()}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder with routing/ and traffic/")
    parser.add_argument("--out", type=Path, default=Path(str(files("classifiers.artifacts"))))
    given = parser.parse_args()
    sets = Sets([*corpus.complexity_rows(given.data), *corpus.question_rows(given.data)])
    sources, hard, salad = held_out(sets)
    bound = float(np.quantile(hard, _KEEP))
    whole = fit(sets.simple, sets.hard)
    model = LinearModel(whole.grams, whole.surface, whole.mean, whole.deviation, whole.step, whole.bias - bound)
    figures = {
        "hard_texts_that_stay_hard": {
            name: round(float((hard[np.array(sources) == name] < bound).mean()), 4) for name in sorted(set(sources))
        },
        "everyday_requests_made_hard_by_random_hard_words": {
            str(size): round(float((values < bound).mean()), 4) for size, values in salad.items()
        },
        "the_same_without_this": {
            str(size): round(float(np.isfinite(values).mean()), 4) for size, values in salad.items()
        },
    }
    fitting.write(model, "everyday", given.out, _card(sets, figures))


def _card(sets: Sets, figures: dict[str, Any]) -> dict[str, Any]:
    return {
        "what": f"how much the first or the last {', '.join(map(str, PART_WORDS))} words of a text, read alone, are an "
        "everyday request, in log-odds; less its complexity and what small words in the rest take off, 0 or more "
        "keeps a text from being hard",
        "languages": ["en"],
        "command": "python -m classifiers.training.parts --data FOLDER",
        "method": f"logistic regression (C {_C:g}) on hashed word 1- and 2-grams, byte 5-grams and surface counts; the "
        f"bound at which {_KEEP:.0%} of hard texts stay hard; {fitting.FOLDS} folds, grouped; gram weights in 8 bits",
        "metric": {"held_out_by_group": figures},
        "data": {
            "CLINC150, BANKING77": "CC BY",
            "LLMRouter (ulab; of trivia_qa and natural_qa the questions alone); RouterBench; MATH": "MIT",
            "public medical questions": "CC BY 4.0",
            "RouteLLM's evaluation of MMLU and GSM8K; Big-Math; arena bench prompts": "Apache-2.0",
            "router/calibration/everyday.jsonl, authored.py, prefaces and thanks of our own": "this project",
        },
        "rows": {"everyday": len(sets.simple), "hard": len(sets.hard)},
        "limits": "English. A request unlike the everyday ones that it learnt from is not known for one.",
    }


if __name__ == "__main__":
    main()
