"""What the check of a header lets through does not end the process that loads it, however damaged the file is."""

from __future__ import annotations

import random
import subprocess
import sys
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


@pytest.mark.parametrize("name", ["llama-3.2", "gemma-2", "qwen3-moe"])
def test_a_damaged_file_that_is_let_through_is_loaded_or_refused_by_llama_cpp(tmp_path: Path, name: str) -> None:
    content = make_model(name, tmp_path).read_bytes()
    end = content.index(b"blk.1.")  # the weights begin a little further on
    choose = random.Random(f"native {name}")
    passed: list[Path] = []
    for number in range(FILES):
        raw = bytearray(content)
        for _ in range(choose.randrange(1, 4)):
            raw[choose.randrange(end)] = choose.randrange(256)
        path = tmp_path / f"damaged-{number}.gguf"
        path.write_bytes(raw)
        try:
            inspect(path)
        except BadModelError:
            continue
        passed.append(path)
    assert len(passed) >= 10
    done = subprocess.run(
        [sys.executable, "-c", LOADER],
        input="\n".join(map(str, passed)).encode(),
        env=child_environment(),
        capture_output=True,
        timeout=120,
        check=False,
    )
    results = done.stdout.decode().split("\n")[:-1]
    assert done.returncode == 0, f"{passed[len(results)]} ended it with {done.returncode}"
    assert len(results) == len(passed)
    assert results.count("decoded") >= 10
