"""Forms of prompts, and the model with an expert for each: it serves what was fitted and refuses what was altered."""

from __future__ import annotations

import hashlib
import io
import json
import math
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifiers.artifact import ArtifactError
from classifiers.embedding import Embedding
from classifiers.experts import load
from classifiers.features import BUCKETS, extract
from classifiers.forms import CHOICE, FORMS, OPEN, SUM, form_of
from classifiers.training.apgr import apgr, recovered

SHIPPED = files("classifiers.artifacts")
OPTIONS = "Which planet is the largest?\nA. Mars\nB. Jupiter\nC. Venus\nD. Earth\nAnswer:"
PROBLEM = "Tom has 12 apples and gives 5 of them to Ann, who eats two. How many apples do they have together?"


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (OPTIONS, CHOICE),
        ("Pick one:\nA) yes\nB) no", CHOICE),
        ("Pick one:\n(A) yes\n(B) no", CHOICE),
        (PROBLEM, SUM),
        ("Plan A. or plan B. is fine", OPEN),
        ("What is 12 + 5?", OPEN),
        ("Tom has 12 apples and gives 5 of them to Ann, who eats two. Tell it as a story for children, please.", OPEN),
        ("What is the value of $x^{2}$ when \\frac{12}{5} is subtracted from 17, and why is that the case here?", OPEN),
        ("Could you tell me what the weather will be in Lisbon tomorrow morning, and what I should wear?", OPEN),
        ("", OPEN),
    ],
)
def test_the_form_of_a_prompt_is_told_by_its_marks(text: str, form: int) -> None:
    assert FORMS[form_of(text)] == FORMS[form]


@pytest.mark.parametrize("blank", ["\n", "{\n ", " \t\n", "{ "])
@pytest.mark.parametrize("letter", ["e", "é"])
def test_the_form_of_blank_lines_is_told_in_linear_time(blank: str, letter: str) -> None:
    """Four thousand line ends once took 0.4 s."""

    def seconds(size: int) -> float:
        text = f"{letter} 1 2 ? " + blank * (size // len(blank))
        began = time.thread_time()
        for _ in range(5):
            form_of(text[:size])
        return time.thread_time() - began

    assert min(seconds(3900) for _ in range(3)) < 0.05


@pytest.mark.parametrize("text", [OPTIONS, PROBLEM, "Hello", "", "漢字 \ud800", "Prove that every group is a group."])
def test_the_served_value_is_the_sum_of_the_arrays_written_out(text: str) -> None:
    with np.load(io.BytesIO((SHIPPED / "complexity.npz").read_bytes())) as archive:
        arrays = dict(archive)
    form, features = form_of(text), extract(text)
    value = float(arrays["bias"][form])
    for bucket in features.buckets:
        value += float(arrays["grams"][form, bucket]) * float(arrays["steps"][form]) / math.sqrt(len(features.buckets))
    for count, mean, deviation, weight in zip(
        features.surface, arrays["mean"], arrays["deviation"], arrays["surface"][form], strict=True
    ):
        value += max(-4.0, min(4.0, (count - mean) / deviation)) * weight
    value += float(np.dot(Embedding.load().vector(text).astype(float), arrays["vector"][form].astype(float)))
    assert load("complexity").logit(text) == pytest.approx(value, abs=1e-4)


def altered(folder: Path, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> Path:
    """The shipped artifact after a change of its arrays or card, the digest made to agree."""
    with np.load(io.BytesIO((SHIPPED / "complexity.npz").read_bytes())) as archive:
        arrays = dict(archive)
    card = json.loads((SHIPPED / "complexity.json").read_text("utf-8"))
    change(arrays, card)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    (folder / "complexity.npz").write_bytes(buffer.getvalue())
    card["sha256"] = hashlib.sha256(buffer.getvalue()).hexdigest()
    (folder / "complexity.json").write_text(json.dumps(card))
    return folder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays, _: arrays.update(grams=arrays["grams"][:2]), "grams has the wrong shape"),
        (lambda arrays, _: arrays.update(grams=arrays["grams"].astype(np.int16)), "not bytes"),
        (lambda arrays, _: arrays.update(vector=arrays["vector"][:, :9]), "vector has the wrong shape"),
        (lambda arrays, _: arrays.update(bias=arrays["bias"] * np.nan), "not finite"),
        (lambda arrays, _: arrays.update(deviation=arrays["deviation"] * 0), "not positive"),
        (lambda arrays, _: arrays.pop("steps"), "not a readable archive"),
        (lambda _, card: card.update(forms=["open"]), "made for other features"),
        (lambda _, card: card.update(embedding="0" * 64), "made for another embedding"),
    ],
)
def test_an_altered_model_is_refused(tmp_path: Path, change: Callable[..., None], message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        load("complexity", altered(tmp_path, change))


def test_the_card_names_its_data_metric_and_embedding() -> None:
    card = json.loads((SHIPPED / "complexity.json").read_text("utf-8"))
    assert {"what", "data", "languages", "metric", "date", "command", "method", "limits"} <= card.keys()
    assert (card["embedding"], card["buckets"]) == (Embedding.load().digest, BUCKETS)


def test_apgr_is_half_for_a_score_that_knows_nothing_and_more_for_one_that_knows() -> None:
    gap = np.array([1.0, 0.0, 0.0, 0.0])
    draw = np.random.default_rng(5)
    blind = np.mean([apgr(np.zeros(4), gap, draw.random(4)) for _ in range(2000)])
    assert blind == pytest.approx(0.5, abs=0.02)
    assert apgr(gap, gap, np.zeros(4)) == pytest.approx(0.875)
    assert apgr(-gap, gap, np.zeros(4)) == pytest.approx(0.125)
    assert recovered(gap, gap, np.zeros(4)).tolist() == [0.0, 1.0, 1.0, 1.0, 1.0]
