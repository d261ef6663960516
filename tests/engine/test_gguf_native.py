"""What the check of a header lets through does not end the process that loads it, however damaged the file is."""

from __future__ import annotations

import random
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.engine.gguf import BadModelError, inspect
from tests.engine.driver import child_environment
from tests.support.tiny_gguf import make_model

FILES = 120

# Loads each file that it reads the name of, tokenizes and decodes, and says that it came so far.
LOADER = """
import sys
import llama_cpp.llama_cpp as llama
llama.llama_backend_init()
text = "Hello wörld, 東京 <|im_end|> </s>".encode()
for line in sys.stdin:
    params = llama.llama_model_default_params()
    params.n_gpu_layers = 0
    model = llama.llama_model_load_from_file(line.strip().encode(), params)
    result = "refused"
    if model:
        options = llama.llama_context_default_params()
        options.n_ctx = options.n_batch = options.n_ubatch = 128
        options.n_threads = options.n_threads_batch = 1
        context = llama.llama_init_from_model(model, options)
        if context:
            tokens = (llama.llama_token * 128)()
            vocabulary = llama.llama_model_get_vocab(model)
            count = llama.llama_tokenize(vocabulary, text, len(text), tokens, 128, True, True)
            batch = llama.llama_batch_get_one(tokens, max(1, min(count, 100)))
            result = "decoded" if llama.llama_decode(context, batch) == 0 else "not decoded"
            llama.llama_free(context)
        llama.llama_model_free(model)
    print(result, flush=True)
"""


RESULTS = ("decoded", "not decoded", "refused")
NUMBERS = (0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 64, 255, 356, 4096, 65535, 2**31 - 1, 2**32 - 1)
REALS = (0.0, -0.0, 1e-38, 0.5, 1.0, 1e5, 3e38, -1.0, -3e38)


def with_other_values(content: bytes) -> Iterator[bytes]:
    """The file with each number of its metadata replaced, one at a time, by small, large and extreme ones."""
    for key in sorted(set(re.findall(rb"(?:[a-z0-9_]+\.)+[a-z0-9_]+", content[: content.index(b"token_embd")]))):
        at = content.find(struct.pack("<Q", len(key)) + key) + 8 + len(key)
        kind = content[at]
        if kind == 4:
            values = [struct.pack("<I", number) for number in NUMBERS]
        elif kind == 6:
            values = [struct.pack("<f", number) for number in REALS]
        elif kind == 7:
            values = [b"\0", b"\1", b"\xff"]
        else:
            continue
        yield from (content[: at + 4] + raw + content[at + 4 + len(raw) :] for raw in values)


def with_damage(content: bytes, seed: str) -> Iterator[bytes]:
    """The file with a few bytes of its header replaced, seeded."""
    choose = random.Random(seed)
    end = content.index(b"blk.1.")  # the weights begin a little further on
    for _ in range(FILES):
        raw = bytearray(content)
        for _ in range(choose.randrange(1, 4)):
            raw[choose.randrange(end)] = choose.randrange(256)
        yield bytes(raw)


@pytest.mark.parametrize("name", ["llama-3.2", "gemma-3", "qwen3-moe", "openelm"])
def test_a_file_that_is_let_through_is_loaded_or_refused_by_llama_cpp(tmp_path: Path, name: str) -> None:
    content = make_model(name, tmp_path).read_bytes()
    passed: list[Path] = []
    refused = 0
    for number, raw in enumerate([*with_other_values(content), *with_damage(content, name)]):
        path = tmp_path / f"changed-{number}.gguf"
        path.write_bytes(raw)
        try:
            inspect(path)
        except BadModelError:
            refused += 1
            path.unlink()
        else:
            passed.append(path)
    done = subprocess.run(
        [sys.executable, "-c", LOADER],
        input="\n".join(map(str, passed)).encode(),
        env=child_environment(),
        capture_output=True,
        timeout=120,
        check=False,
    )
    results = [line for line in done.stdout.decode().split("\n") if line in RESULTS]
    assert done.returncode == 0, f"{passed[len(results)].name} ended it with {done.returncode}"
    assert len(results) == len(passed)
    assert min(refused, results.count("decoded")) > 50
