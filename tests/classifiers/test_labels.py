"""The signals `task` and `domain`: a label for any text, `other` where none is likely, an error without a text."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifiers.artifact import ArtifactError
from classifiers.classes import edges_of, load
from classifiers.domain import DomainSignal
from classifiers.task import TaskSignal
from classifiers.vocabulary import DOMAINS, OTHER, TASKS

LABELS = {"task": TASKS, "domain": DOMAINS}


@pytest.fixture(scope="module")
def signals() -> dict[str, TaskSignal | DomainSignal]:
    return {"task": TaskSignal(), "domain": DomainSignal()}


def ask(content: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content}]}


NOTE = "We met the landlord on Tuesday. He will repair the heating by the 3rd of May and lower the rent for two months."
TOLD = (
    ("Hello, how are you today?", "chat", "everyday"),
    ("What are the symptoms of high blood pressure?", "question", "medicine"),
    ("Who was the first emperor of the Roman Empire?", "question", "history"),
    ("Solve the equation x^2 - 5x + 6 = 0.", "maths", "maths"),
    ("Write a Python function that merges two sorted lists.", "code", "computing"),
    (f"Summarize the following text in two sentences.\n\n{NOTE}", "summarise", None),
    (f"Correct the grammar and spelling: {NOTE}", "rewrite", None),
    (f"Translate this into French: {NOTE}", "translate", None),
    ("Write a short poem about the sea.", "write", None),
    ("Give me ten ideas for a birthday party.", "brainstorm", "everyday"),
    (f"Is the following text positive or negative? {NOTE}", "classify", None),
    (f"Extract all dates from this text: {NOTE}", "extract", None),
    ("Can my employer end my contract without notice, and what does labour law say?", None, "law"),
    ("How do interest rates change the price of bonds?", "question", "business"),
    ("Why does a neutron star spin so fast?", "question", "science"),
)


@pytest.mark.parametrize(("text", "task", "domain"), TOLD)
def test_clear_requests_are_told(
    signals: dict[str, TaskSignal | DomainSignal], text: str, task: str | None, domain: str | None
) -> None:
    for name, label in (("task", task), ("domain", domain)):
        if label is not None:
            assert signals[name].measure(ask(text)).value == label


@pytest.mark.parametrize("name", LABELS)
def test_what_is_not_likely_enough_is_not_told(name: str) -> None:
    """The bound is the card's; a text of two meanings has no class that reaches a strict one."""
    model, text = load(name), "Hello, what is the law about Python?"
    assert replace(model, least=0.0).best(text) == model.labels[int(model.chances(text).argmax())]
    assert replace(model, least=0.999).best(text) is None
    assert model.least == 0.4


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize(
    "content", ["\ud800", "a" * 100_000, [{"type": "text", "text": "Hi"}], "日本語の文章です", "{}"]
)
def test_any_text_has_a_label_of_the_list(
    signals: dict[str, TaskSignal | DomainSignal], name: str, content: Any
) -> None:
    assert signals[name].measure(ask(content)).value in LABELS[name]


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("body", [{}, {"messages": None}, ask(""), ask(" \n"), ask([{"type": "image_url"}])])
def test_a_body_without_text_is_not_available(
    signals: dict[str, TaskSignal | DomainSignal], name: str, body: dict[str, Any]
) -> None:
    assert signals[name].measure(body).error == "not_available"


@pytest.mark.parametrize("name", LABELS)
def test_chances_sum_to_one_and_every_class_has_one(name: str) -> None:
    model = load(name)
    assert set(model.labels) | {OTHER} == set(LABELS[name])
    assert float(model.chances("What is the capital of France?").sum()) == pytest.approx(1.0, abs=1e-5)


def test_the_edges_are_the_beginning_and_the_end() -> None:
    assert edges_of("short") == "short"
    assert edges_of("a" * 40 + "b" * 100 + "c" * 40) == "a" * 40 + "\n" + "c" * 40


@pytest.mark.parametrize("name", LABELS)
def test_an_altered_artifact_never_scores(name: str, tmp_path: Path) -> None:
    for part in (f"{name}.npz", f"{name}.json", "embedding.npz", "embedding.json"):
        shutil.copy(str(files("classifiers.artifacts") / part), tmp_path / part)
    load(name, tmp_path)
    card = json.loads((tmp_path / f"{name}.json").read_text("utf-8"))
    (tmp_path / f"{name}.json").write_text(json.dumps({**card, "embedding": "0" * 64}), "utf-8")
    with pytest.raises(ArtifactError, match="another embedding"):
        load(name, tmp_path)
    (tmp_path / f"{name}.json").write_text(json.dumps(card), "utf-8")
    np.savez_compressed(tmp_path / f"{name}.npz", grams=np.zeros(1))
    with pytest.raises(ArtifactError, match="SHA-256 differs"):
        load(name, tmp_path)
