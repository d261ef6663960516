"""What a GGUF may say: right files are described, wrong ones refused in one plain sentence, whatever they claim."""

from __future__ import annotations

import json
import os
import random
import struct
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest

from router.engine.gguf import ARCHITECTURES, BadModelError, inspect
from router.engine.gguf_layout import MAX_HEADER_BYTES, MAX_PAIRS, MAX_STRING_BYTES
from router.models.catalogue import catalogue, embedded_model
from tests.engine.driver import child_environment
from tests.engine.headers import CANARY, inspected
from tests.support.raw_gguf import small_adapter, small_model, text
from tests.support.tiny_gguf import EMBEDDERS, FAMILIES, LAYERS, RANK, make_adapter, make_model


def test_the_embedded_model_is_described_as_it_is() -> None:
    header = inspect(embedded_model())
    assert (header.architecture, header.kind, header.context_length, header.layers) == ("llama", "model", 8192, 30)
    assert (header.heads, header.kv_heads, header.key_length, header.value_length) == (9, 3, 64, 64)
    assert (header.vocabulary_size, header.parameters, header.file_type) == (49152, 134_515_008, "Q4_1")
    assert header.quantisation == "Q4_1"
    assert (header.has_template, header.has_tools) == (True, False)
    assert header.kv_bytes_per_token == 30 * 3 * (64 + 64) * 2
    assert header.tensor_bytes < embedded_model().stat().st_size


@pytest.mark.parametrize("name", [*FAMILIES, *EMBEDDERS])
def test_every_tiny_model_is_served_and_described(tmp_path: Path, name: str) -> None:
    header = inspect(make_model(name, tmp_path))
    family = {**FAMILIES, **EMBEDDERS}[name]
    assert header.architecture == family.architecture
    assert header.kind == ("embedding" if name in EMBEDDERS else "model")
    assert header.layers == LAYERS
    assert header.has_template == (family.template is not None)
    assert header.has_tools == (family.template in ("chatml-tools", "llama-3.2", "granite"))
    assert header.parameters == sum(
        rows * columns
        for rows, columns in (
            (shape[0], 1 if len(shape) == 1 else shape[1] * (shape[2] if len(shape) == 3 else 1))
            for shape in family.tensors(header.vocabulary_size).values()
        )
    )


def test_a_quantised_model_says_in_what(tmp_path: Path) -> None:
    header = inspect(make_model("llama-3.2", tmp_path, quantised=True))
    assert (header.file_type, header.quantisation) == ("Q8_0", "Q8_0")
    assert header.tensor_bytes < inspect(make_model("llama-3.2", tmp_path)).tensor_bytes


def test_every_architecture_that_is_served_has_a_tiny_model() -> None:
    assert {family.architecture for family in [*FAMILIES.values(), *EMBEDDERS.values()]} == ARCHITECTURES


def test_every_architecture_of_the_catalogue_is_served() -> None:
    assert {model.architecture for model in catalogue().values()} <= ARCHITECTURES


def test_heads_that_differ_from_layer_to_layer_are_summed_for_the_cache(tmp_path: Path) -> None:
    header = inspect(make_model("openelm", tmp_path))
    assert (header.heads, header.kv_heads) == (4, 2)
    assert header.kv_bytes_per_token == (1 + 2) * (16 + 16) * 2


def test_an_adapter_is_recognised(tmp_path: Path) -> None:
    header = inspect(make_adapter(tmp_path))
    assert (header.kind, header.architecture, header.adapter_rank) == ("adapter", "llama", RANK)
    assert header.context_length == header.kv_bytes_per_token == 0


def test_the_small_models_are_right_so_that_each_refusal_below_has_one_cause(tmp_path: Path) -> None:
    assert inspected(tmp_path, small_model()).vocabulary_size == 260
    assert inspected(tmp_path, small_adapter()).adapter_rank == 2


def test_the_version_before_and_keys_that_nobody_knows_are_fine(tmp_path: Path) -> None:
    raw = small_model().set("unheard.of", "f64", [1.0] * 2000).set("another", "str", [CANARY, ""])
    raw.version = 2
    assert inspected(tmp_path, raw).kind == "model"


def test_a_layer_pattern_and_a_larger_alignment_are_read(tmp_path: Path) -> None:
    raw = small_model().set("llama.attention.head_count_kv", "i32", [1, 4]).set("general.alignment", "u32", 64)
    raw.alignment = 64
    header = inspected(tmp_path, raw)
    assert header.kv_bytes_per_token == (1 + 4) * (2 + 2) * 2


def test_a_name_is_shown_without_what_a_terminal_would_obey(tmp_path: Path) -> None:
    header = inspected(tmp_path, small_model().set("general.name", "str", "a\x1b[31mb\n" + "c" * 500))
    assert header.name == "a[31mb" + "c" * 122


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(BadModelError, match="not a regular file"):
            inspect(path)
    for missing in (tmp_path / "missing", str(tmp_path / "\0")):
        with pytest.raises(BadModelError, match="cannot be opened"):
            inspect(missing)


def test_a_header_without_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    """A sparse file of 8 GB whose header is all strings: reading stops at the bound."""
    path = tmp_path / "vast.gguf"
    with path.open("wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQ", 3, 1, MAX_PAIRS))
        for number in range(MAX_PAIRS):
            file.write(text(f"k{number}") + struct.pack("<IQ", 8, MAX_STRING_BYTES))
            file.seek(MAX_STRING_BYTES, os.SEEK_CUR)
        file.truncate(8 * 2**30)
    tracemalloc.start()
    began = time.monotonic()
    try:
        with pytest.raises(BadModelError, match=f"header is larger than {MAX_HEADER_BYTES}"):
            inspect(path)
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("name", ["llama-3.2", "gemma-3", "bert"])
def test_damage_of_any_kind_is_either_harmless_or_refused(tmp_path: Path, name: str) -> None:
    """Bytes flipped, cut out, doubled and replaced by extreme numbers, seeded: never another exception, never much."""
    content = make_model(name, tmp_path).read_bytes()
    choose = random.Random(f"damage {name}")
    refusals: list[str] = []
    tracemalloc.start()
    try:
        for _ in range(300):
            try:
                inspected(tmp_path, damaged(content, choose))
            except BadModelError as error:
                refusals.append(str(error))
        assert tracemalloc.get_traced_memory()[1] < 64_000_000
    finally:
        tracemalloc.stop()
    assert 100 < len(refusals) < 300
    assert max(map(len, refusals)) < 200


def damaged(content: bytes, choose: random.Random) -> bytes:
    raw = bytearray(content)
    # Most of the file is weights, which nobody looks at: the damage goes to the header.
    end = min(len(raw), 16_000)
    way = choose.randrange(4)
    if way == 0:
        for _ in range(choose.randrange(1, 8)):
            raw[choose.randrange(end)] ^= 1 << choose.randrange(8)
    elif way == 1:
        del raw[choose.randrange(len(raw)) :]
    elif way == 2:
        at = choose.randrange(end - 8)
        raw[at : at + 8] = struct.pack("<Q", choose.choice((0, 1, 2**31, 2**32 - 1, 2**40, 2**63, 2**64 - 1)))
    else:
        at, size = choose.randrange(end), choose.randrange(1, 64)
        raw[at : at + size] = raw[at : at + size] * choose.randrange(3)
    return bytes(raw)


def ask_process(path: Path) -> subprocess.CompletedProcess[bytes]:
    argv = [sys.executable, "-P", "-X", "importtime", "-m", "router.engine", "--inspect", str(path)]
    return subprocess.run(argv, env=child_environment(), capture_output=True, timeout=60, check=False)


def test_the_command_prints_the_facts_and_loads_no_native_code(tmp_path: Path) -> None:
    done = ask_process(make_model("qwen3", tmp_path))
    assert done.returncode == 0
    assert done.stdout.count(b"\n") == 1
    facts = json.loads(done.stdout)
    assert facts["architecture"] == "qwen3"
    assert facts["has_tools"] is True
    imported = done.stderr.decode()
    assert "router.engine.gguf" in imported
    assert "llama_cpp" not in imported


def test_the_command_refuses_in_one_plain_line(tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"GGUF" + CANARY.encode() * 9)
    done = ask_process(tmp_path / "bad.gguf")
    assert done.returncode == 3
    assert done.stdout == b""
    said = [line for line in done.stderr.decode().splitlines() if not line.startswith("import time:")]
    assert said == ["this version of GGUF is not known: 2 and 3 are"]
