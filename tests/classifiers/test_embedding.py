"""The static embedding: the same texts near each other, the quick mean is the slow one, altered tables refused."""

from __future__ import annotations

import hashlib
import io
import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from classifiers.artifact import ArtifactError, read
from classifiers.embedding import Embedding
from classifiers.wordpiece import WordPiece

SHIPPED = files("classifiers.artifacts")
NEAR = (
    ("What is the capital of France?", "Which city is the seat of government of France?", "Solve 3x + 4 = 10 for x."),
    ("I lost my credit card", "my bank card was stolen", "Tell me a joke about cats"),
    ("Write a Python function that sorts a list", "how do I sort an array in Java", "book a table for two at noon"),
)


@pytest.fixture(scope="module")
def embedding() -> Embedding:
    return Embedding.load()


@pytest.mark.parametrize(("text", "like", "unlike"), NEAR)
def test_texts_alike_are_nearer_than_others(embedding: Embedding, text: str, like: str, unlike: str) -> None:
    vector = embedding.vector(text)
    assert float(vector @ embedding.vector(like)) > float(vector @ embedding.vector(unlike)) + 0.2


@pytest.mark.parametrize(
    "text", [each for row in NEAR for each in row] + ["Zürich, naïve antidisestablishmentarians: 1,234"]
)
def test_the_quick_mean_is_the_slow_one(embedding: Embedding, text: str) -> None:
    artifact = read("embedding", ("table", "scale", "vocabulary"))
    vocabulary = artifact.arrays["vocabulary"].tobytes().decode().split("\n")
    total = np.zeros(embedding.width)
    for row in WordPiece(vocabulary).rows(text):
        total += artifact.arrays["table"][row].astype(np.float64) * float(artifact.arrays["scale"][row])
    assert np.allclose(embedding.vector(text), total / np.linalg.norm(total), atol=1e-5)


def test_a_vector_has_length_one_is_read_only_and_the_last_is_remembered(embedding: Embedding) -> None:
    vector = embedding.vector("The cat sat on the mat.")
    assert (vector.shape, vector.dtype) == ((embedding.width,), np.float32)
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)
    assert embedding.vector("The cat sat on the mat.") is vector
    assert embedding.vector("The cat sat on the sofa.") is not vector
    with pytest.raises(ValueError, match="read-only"):
        vector[0] = 1.0


@pytest.mark.parametrize("text", ["", " \n", "漢字", "\ud800", "\x00"])
def test_a_text_without_a_known_piece_is_zeros(embedding: Embedding, text: str) -> None:
    assert not embedding.vector(text).any()


def test_all_signals_share_one_table() -> None:
    assert Embedding.load() is Embedding.load(None) is Embedding.load(folder=None)


def test_the_card_names_source_licence_and_digest() -> None:
    card = json.loads((SHIPPED / "embedding.json").read_text("utf-8"))
    assert card["source"]["licence"] == "Apache-2.0"
    assert card["source"]["model.safetensors_sha256"].startswith("53aa51172d14")
    assert {"what", "data", "languages", "date", "command", "method"} <= card.keys()
    assert len((SHIPPED / "embedding.npz").read_bytes()) < 5_000_000


def test_a_table_that_was_altered_is_refused(tmp_path: Path) -> None:
    data = bytearray((SHIPPED / "embedding.npz").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "embedding.npz").write_bytes(data)
    (tmp_path / "embedding.json").write_bytes((SHIPPED / "embedding.json").read_bytes())
    with pytest.raises(ArtifactError, match="SHA-256 differs"):
        Embedding.load(tmp_path)


def test_a_table_of_another_size_than_its_vocabulary_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    words = np.frombuffer(b"one\ntwo\nthree", np.uint8)
    np.savez(buffer, table=np.ones((2, 4), np.int8), scale=np.ones(2, np.float32), vocabulary=words)
    (tmp_path / "embedding.npz").write_bytes(buffer.getvalue())
    (tmp_path / "embedding.json").write_text(json.dumps({"sha256": hashlib.sha256(buffer.getvalue()).hexdigest()}))
    with pytest.raises(ArtifactError, match="do not belong together"):
        Embedding.load(tmp_path)
