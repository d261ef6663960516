"""The served model: what training fitted is what is served, and an altered artifact never scores."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifiers.features import BUCKETS, SURFACE_COUNT, extract
from classifiers.linear import ArtifactError, LinearModel, load, sigmoid
from classifiers.training.corpus import DataMissing, Row, complexity_rows, distinct
from classifiers.training.fitting import Fit, Table, calibration_error, write

SHIPPED = files("classifiers.artifacts")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of one shipped artifact and its card, to be altered."""
    for name in ("injection.npz", "injection.json"):
        (tmp_path / name).write_bytes((SHIPPED / name).read_bytes())
    return tmp_path


def replace_arrays(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Alter the arrays and make the card agree, so that only the arrays themselves can be refused."""
    with np.load(folder / "injection.npz") as archive:
        arrays = dict(archive)
    change(arrays)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    replace_bytes(folder, buffer.getvalue())


def replace_bytes(folder: Path, data: bytes) -> None:
    (folder / "injection.npz").write_bytes(data)
    card = json.loads((folder / "injection.json").read_text())
    card["sha256"] = hashlib.sha256(data).hexdigest()
    (folder / "injection.json").write_text(json.dumps(card))


@pytest.mark.parametrize("name", ["injection"])
def test_a_shipped_artifact_loads_and_its_card_says_where_it_comes_from(name: str) -> None:
    model = load(name)
    card = json.loads((SHIPPED / f"{name}.json").read_text("utf-8"))
    assert model.digest == card["sha256"]
    assert {"what", "data", "languages", "metric", "date", "command", "method", "limits"} <= card.keys()


def test_one_flipped_byte_is_refused(folder: Path) -> None:
    data = bytearray((folder / "injection.npz").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "injection.npz").write_bytes(data)
    with pytest.raises(ArtifactError, match="SHA-256 differs"):
        load("injection", folder)


@pytest.mark.parametrize("data", [b"", b"not an archive", b"PK\x03\x04broken", pickle.dumps({"grams": 1})])
def test_bytes_that_are_no_archive_are_refused(folder: Path, data: bytes) -> None:
    replace_bytes(folder, data)
    with pytest.raises(ArtifactError, match="not a readable archive"):
        load("injection", folder)


def test_an_object_that_would_have_to_be_unpickled_is_refused(folder: Path) -> None:
    replace_arrays(folder, lambda arrays: arrays.update(surface=np.array([object()] * SURFACE_COUNT)))
    with pytest.raises(ArtifactError, match="not a readable archive"):
        load("injection", folder)


@pytest.mark.parametrize(
    "change",
    [
        {"grams": np.zeros(7, dtype=np.int8)},
        {"grams": np.zeros(BUCKETS, dtype=np.float64)},
        {"surface": np.full(SURFACE_COUNT, np.nan)},
        {"deviation": np.zeros(SURFACE_COUNT)},
        {"constants": np.array([1.0])},
        {"constants": np.array([1.0, np.inf])},
    ],
)
def test_arrays_of_another_shape_or_with_impossible_numbers_are_refused(folder: Path, change: dict[str, Any]) -> None:
    replace_arrays(folder, lambda arrays: arrays.update(change))
    with pytest.raises(ArtifactError):
        load("injection", folder)


@pytest.mark.parametrize("card", ["", "[]", "{}", '{"sha256": 3}'])
def test_a_broken_card_is_refused(folder: Path, card: str) -> None:
    (folder / "injection.json").write_text(card)
    with pytest.raises(ArtifactError):
        load("injection", folder)


def test_an_artifact_made_for_other_features_is_refused(folder: Path) -> None:
    card = json.loads((folder / "injection.json").read_text())
    (folder / "injection.json").write_text(json.dumps({**card, "surface": card["surface"][1:]}))
    with pytest.raises(ArtifactError, match="other features"):
        load("injection", folder)


def test_features_do_not_count_a_repeated_word_twice() -> None:
    once, often = extract("quorum"), extract("quorum quorum quorum")
    assert set(once.buckets) <= set(often.buckets)
    assert len(often.buckets) == len(set(often.buckets.tolist()))


def test_features_are_those_of_the_lower_case_text() -> None:
    assert extract("Prove It").buckets.tolist() == extract("prove it").buckets.tolist()


@pytest.mark.parametrize("logit", [-800.0, -3.0, 0.0, 3.0, 800.0])
def test_the_sigmoid_never_overflows(logit: float) -> None:
    assert sigmoid(logit) == pytest.approx(1 - sigmoid(-logit))


def small_fit() -> tuple[list[Row], Table, LinearModel]:
    texts = [(f"say hello to person {n}", 0.05) for n in range(40)]
    texts += [(f"prove lemma {n} about operators", 0.95) for n in range(40)]
    rows = [Row(text, target, 1.0, "made") for text, target in texts]
    table = Table(rows)
    return rows, table, Fit(table, np.arange(len(rows)), 0.1).quantised(6.0, -3.0)


def test_what_is_served_agrees_with_what_was_fitted(tmp_path: Path) -> None:
    """Eight bits a weight move a score by less than 0.02."""
    rows, table, model = small_fit()
    write(model, "made", tmp_path, {"what": "a test"})
    served = load("made", tmp_path)
    fitted = Fit(table, np.arange(len(rows)), 0.1).values(table, np.arange(len(rows)))
    for row, value in zip(rows, fitted, strict=True):
        assert served.score(row.text) == pytest.approx(sigmoid(6.0 * value - 3.0), abs=0.02)
    assert served.score("say hello") < 0.4 < 0.6 < served.score("prove lemma 3")


def test_the_same_training_writes_the_same_bytes(tmp_path: Path) -> None:
    digests = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write(small_fit()[2], "made", tmp_path / name, {})
        digests.add((tmp_path / name / "made.npz").read_bytes())
    assert len(digests) == 1


def test_the_calibration_error_is_the_mean_gap_between_promise_and_outcome() -> None:
    assert calibration_error(np.array([0.9, 0.9, 0.1, 0.1]), np.array([1.0, 0.0, 0.0, 0.0])) == pytest.approx(0.25)


def test_questions_that_differ_in_case_space_or_options_alone_are_one() -> None:
    texts = ("What is  it?\nA. this\nB. that", "what is it?", "What is it?\n(A) x", "What else?")
    assert [row.text for row in distinct(Row(text, 0.0, 1.0, "s") for text in texts)] == [texts[0], texts[3]]


def test_a_missing_data_folder_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match=r"mmlu_2000\.jsonl\.gz is not in the data folder"):
        complexity_rows(tmp_path)
