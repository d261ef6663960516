"""Headers that are wrong in one thing: each is refused in one plain sentence that says in which."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from router.engine.gguf_layout import MAX_ITEMS, MAX_PAIRS, MAX_STRING_BYTES, MAX_TENSORS
from router.engine.sandbox import MAX_TEMPLATE_BYTES
from tests.engine.headers import CANARY, inspected, refusal
from tests.support.raw_gguf import RawGguf, RawTensor, small_adapter, small_model, value

FRAMES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "cut short"),
    "another format": (b"PK\x03\x04" + bytes(60), "not a GGUF"),
    "version 1": (RawGguf(version=1).build(), "version"),
    "version 4": (RawGguf(version=4).build(), "version"),
    "big-endian": (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big-endian"),
    "2^63 tensors": (RawGguf(claimed_tensors=2**63).header(), f"more than {MAX_TENSORS} tensors"),
    "2^64 - 1 keys": (RawGguf(claimed_tensors=1, claimed_pairs=2**64 - 1).header(), f"more than {MAX_PAIRS} keys"),
    "no tensors": (RawGguf().build(), "no tensors"),
    "keys that are not there": (RawGguf(claimed_tensors=1, claimed_pairs=9).header(), "cut short in its header"),
}


@pytest.mark.parametrize("case", FRAMES)
def test_a_frame_that_is_wrong_is_refused(tmp_path: Path, case: str) -> None:
    content, expected = FRAMES[case]
    assert expected in refusal(tmp_path, content)


def of_pair(key: str | bytes, raw: bytes) -> bytes:
    """A file whose one key is this."""
    return RawGguf(pairs=[(key, raw)], claimed_tensors=1).header()


STRUCTURES: dict[str, tuple[bytes, str]] = {
    "a string of 4 GB": (of_pair("k", struct.pack("<IQ", 8, 2**32)), f"longer than {MAX_STRING_BYTES}"),
    "a string of 2^64 - 1": (of_pair("k", struct.pack("<IQ", 8, 2**64 - 1)), f"longer than {MAX_STRING_BYTES}"),
    "a string beyond the end": (of_pair("k", struct.pack("<IQ", 8, 9) + b"short"), "cut short"),
    "an array of 2^40": (of_pair("k", struct.pack("<IIQ", 9, 4, 2**40)), f"more than {MAX_ITEMS} items"),
    "an array beyond the end": (of_pair("k", struct.pack("<IIQ", 9, 4, 2**20)), "cut short"),
    "strings beyond the end": (of_pair("k", struct.pack("<IIQ", 9, 8, 2**20)), "cut short"),
    "tokens beyond the end": (of_pair("tokenizer.ggml.tokens", struct.pack("<IIQ", 9, 8, 2**20)), "cut short"),
    "2^21 tokens": (of_pair("tokenizer.ggml.tokens", struct.pack("<IIQ", 9, 8, 2**21)), "more than 1048576 tokens"),
    "an array of arrays": (of_pair("k", struct.pack("<IIQ", 9, 9, 1) * 50), "an array holds arrays"),
    "a type that is not known": (of_pair("k", struct.pack("<I", 13)), "type that is not known"),
    "items of no known type": (of_pair("k", struct.pack("<IIQ", 9, 77, 1)), "type that is not known"),
    "a key without a letter": (of_pair("", value("u8", 1)), "printable ASCII"),
    "a key with an end mark": (of_pair(b"a\0b", value("u8", 1)), "printable ASCII"),
    "a key that is no text": (of_pair(b"\xff\xfe", value("u8", 1)), "printable ASCII"),
    "a long key": (of_pair("k" * 300, value("u8", 1)), "a key is longer"),
    "a key twice": (
        RawGguf(pairs=[(CANARY, value("u8", 1)), (CANARY, value("u8", 2))], claimed_tensors=1).header(),
        "a key occurs twice",
    ),
}


@pytest.mark.parametrize("case", STRUCTURES)
def test_a_header_whose_structure_is_wrong_is_refused(tmp_path: Path, case: str) -> None:
    content, expected = STRUCTURES[case]
    assert expected in refusal(tmp_path, content)


def with_tensors(*tensors: RawTensor) -> RawGguf:
    raw = small_model()
    raw.tensors = [*raw.tensors, *tensors]
    return raw


TENSORS: dict[str, tuple[RawGguf, str]] = {
    "no dimension": (with_tensors(RawTensor("x", (), size=0)), "no dimensions"),
    "five dimensions": (with_tensors(RawTensor("x", (1, 1, 1, 1, 1), size=4)), "more than 4"),
    "a dimension of zero": (with_tensors(RawTensor("x", (4, 0), size=0)), "zero or too large"),
    "a negative dimension": (with_tensors(RawTensor("x", (2**64 - 4, 4), size=0)), "zero or too large"),
    "a product that overflows": (with_tensors(RawTensor("x", (2**31, 2**31, 4), size=0)), "too large"),
    "a type that is not known": (with_tensors(RawTensor("x", (32, 32), kind=4, size=64)), "weights cannot have"),
    "whole numbers as weights": (with_tensors(RawTensor("x", (32, 32), kind=26, size=4096)), "weights cannot have"),
    "half a block": (with_tensors(RawTensor("x", (40, 4), kind=8, size=170)), "whole blocks"),
    "a vector in half precision": (with_tensors(RawTensor("x", (32,), kind=1, size=64)), "32-bit floating point"),
    "one name for two": (with_tensors(RawTensor("output_norm.weight", (8,))), "two tensors have one name"),
    "a name that is too long": (with_tensors(RawTensor("x" * 64, (8,))), "name is longer"),
    "a name with an end mark": (with_tensors(RawTensor("x\0y", (8,))), "printable ASCII"),
    "no name": (with_tensors(RawTensor("", (8,))), "printable ASCII"),
    "an offset that is not aligned": (with_tensors(RawTensor("x", (8,), offset=8321)), "does not begin where"),
    "an offset over another tensor": (with_tensors(RawTensor("x", (8,), offset=0)), "does not begin where"),
    "an offset of 2^63": (with_tensors(RawTensor("x", (8,), offset=2**63)), "does not begin where"),
    "no embeddings": (RawGguf(small_model().pairs, [RawTensor("x", (8,))]), "embeddings is missing"),
    "embeddings of another width": (
        RawGguf(small_model().pairs, [RawTensor("token_embd.weight", (16, 260))]),
        "another shape",
    ),
}


@pytest.mark.parametrize("case", TENSORS)
def test_a_tensor_that_is_wrong_is_refused(tmp_path: Path, case: str) -> None:
    raw, expected = TENSORS[case]
    assert expected in refusal(tmp_path, raw)


def test_a_file_that_is_cut_short_is_said_to_be(tmp_path: Path) -> None:
    content = small_model().build()
    assert f"it has {len(content) - 33} bytes" in refusal(tmp_path, content[:-33])


def test_the_padding_behind_the_last_tensor_may_be_missing_and_nothing_may_follow_it(tmp_path: Path) -> None:
    raw = with_tensors(RawTensor("x", (1,)))
    assert inspected(tmp_path, raw.build()[:-28]).kind == "model"
    assert "cut short" in refusal(tmp_path, raw.build()[:-29])
    assert "its header accounts for" in refusal(tmp_path, raw.build() + b"\0")


def with_head(raw: RawGguf, length: int) -> RawGguf:
    for key in ("attention.key_length", "attention.value_length", "rope.dimension_count"):
        raw.set(f"llama.{key}", "u32", length)
    return raw


META: dict[str, tuple[Callable[[RawGguf], RawGguf], str]] = {
    "no architecture": (lambda raw: raw.drop("general.architecture"), "`general.architecture` is missing"),
    "an architecture that is a number": (lambda raw: raw.set("general.architecture", "u32", 1), "is not a text"),
    "an architecture that is no text": (lambda raw: raw.set("general.architecture", "str", b"\xff"), "not UTF-8"),
    "an architecture that is not served": (
        lambda raw: raw.set("general.architecture", "str", CANARY),
        "not one that the engine serves",
    ),
    "a projector of images": (lambda raw: raw.set("general.type", "str", "mmproj"), "neither a model nor an adapter"),
    "a type that is a number": (lambda raw: raw.set("general.type", "u32", 1), "`general.type` is not a text"),
    "a part of a split model": (lambda raw: raw.set("split.count", "u16", 3), "one part of a split model"),
    "no context": (lambda raw: raw.drop("llama.context_length"), "`llama.context_length` is missing"),
    "a context of zero": (lambda raw: raw.set("llama.context_length", "u32", 0), "`llama.context_length`"),
    "a context of 2^32 - 1": (lambda raw: raw.set("llama.context_length", "u32", 2**32 - 1), "`llama.context_length`"),
    "a context in 64 bits": (lambda raw: raw.set("llama.context_length", "u64", 512), "`llama.context_length`"),
    "a width of zero": (lambda raw: raw.set("llama.embedding_length", "u32", 0), "`llama.embedding_length`"),
    "600 layers": (lambda raw: raw.set("llama.block_count", "u32", 600), "`llama.block_count`"),
    "no layers": (lambda raw: raw.set("llama.block_count", "u32", 0), "`llama.block_count`"),
    "no heads": (lambda raw: raw.set("llama.attention.head_count", "u32", 0), "`llama.attention.head_count`"),
    "heads of too few layers": (lambda raw: raw.set("llama.attention.head_count", "u32", [4]), "for each layer"),
    "heads below zero": (lambda raw: raw.set("llama.attention.head_count", "i32", [4, -4]), "for each layer"),
    "heads in halves": (lambda raw: raw.set("llama.attention.head_count", "f32", [4.0, 4.0]), "for each layer"),
    "3 key-value heads of 4": (lambda raw: raw.set("llama.attention.head_count_kv", "u32", 3), "not a multiple"),
    "more heads than width": (lambda raw: raw.set("llama.attention.head_count", "u32", 16), "is empty"),
    "a rotation of a part": (lambda raw: raw.set("llama.rope.dimension_count", "u32", 1), "from 2 to 2"),
    "a rotation beyond the head": (lambda raw: raw.set("llama.rope.dimension_count", "u32", 4), "from 2 to 2"),
    "a head of 3": (lambda raw: with_head(raw, 3), "is odd"),
    "a value of another length": (lambda raw: raw.set("llama.attention.value_length", "u32", 4), "of two lengths"),
    "another length behind the window": (
        lambda raw: raw.set("llama.attention.key_length_swa", "u32", 4),
        "`llama.attention.key_length_swa`",
    ),
    "a scaling that is not known": (
        lambda raw: raw.set("llama.rope.scaling.type", "str", CANARY),
        "`llama.rope.scaling.type` is not known",
    ),
    "an epsilon below zero": (
        lambda raw: raw.set("llama.attention.layer_norm_rms_epsilon", "f32", -1.0),
        "`llama.attention.layer_norm_rms_epsilon`",
    ),
    "a number that is none": (lambda raw: raw.set("llama.rope.freq_base", "f32", float("nan")), "not finite"),
    "more experts used than there are": (
        lambda raw: raw.set("llama.expert_count", "u32", 4).set("llama.expert_used_count", "u32", 5),
        "`llama.expert_used_count`",
    ),
    "experts used that are not there": (
        lambda raw: raw.set("llama.expert_used_count", "u32", 2),
        "`llama.expert_used_count`",
    ),
    "groups of no experts": (lambda raw: raw.set("llama.expert_group_count", "u32", 1), "`llama.expert_group_count`"),
    "a pooling that is not known": (lambda raw: raw.set("llama.pooling_type", "u32", 4), "`llama.pooling_type`"),
    "no tokenizer": (lambda raw: raw.drop("tokenizer.ggml.model"), "`tokenizer.ggml.model` is missing"),
    "a tokenizer that is not served": (lambda raw: raw.set("tokenizer.ggml.model", "str", CANARY), "does not serve"),
    "no tokens": (lambda raw: raw.drop("tokenizer.ggml.tokens"), "missing or empty"),
    "tokens that are numbers": (lambda raw: raw.set("tokenizer.ggml.tokens", "u32", [1] * 260), "right type"),
    "a token twice": (
        lambda raw: raw.set("tokenizer.ggml.tokens", "str", [CANARY] * 260),
        "`tokenizer.ggml.tokens` has a token twice",
    ),
    "a byte without a token": (
        lambda raw: raw.set("tokenizer.ggml.tokens", "str", [f"{CANARY}{number}" for number in range(260)]),
        "lacks a token for some byte",
    ),
    "a vocabulary of another size": (lambda raw: raw.set("llama.vocab_size", "u32", 261), "is 261, but there are 260"),
    "too few types": (lambda raw: raw.set("tokenizer.ggml.token_type", "i32", [1] * 259), "has 259 entries"),
    "types that are no numbers": (lambda raw: raw.set("tokenizer.ggml.token_type", "f32", [1.0] * 260), "right type"),
    "too few scores": (lambda raw: raw.set("tokenizer.ggml.scores", "f32", [0.0] * 2), "has 2 entries"),
    "byte pairs without merges": (lambda raw: raw.set("tokenizer.ggml.model", "str", "gpt2"), "merges` is missing"),
    "an end beyond the vocabulary": (
        lambda raw: raw.set("tokenizer.ggml.eos_token_id", "u32", 260),
        "`tokenizer.ggml.eos_token_id`",
    ),
    "an end below zero": (lambda raw: raw.set("tokenizer.ggml.eos_token_id", "i32", -1), "eos_token_id`"),
    "a beginning that is wanted and unknown": (
        lambda raw: (
            raw.drop("tokenizer.ggml.bos_token_id")
            .set("tokenizer.ggml.model", "str", "t5")
            .set("tokenizer.ggml.add_bos_token", "bool", True)
        ),
        "bos_token_id` is missing",
    ),
    "a wish that is neither true nor false": (
        lambda raw: raw.set("tokenizer.ggml.add_bos_token", "u32", 1),
        "neither true nor false",
    ),
    "an alignment of 3": (lambda raw: raw.set("general.alignment", "u32", 24), "not a power of two"),
    "an alignment of zero": (lambda raw: raw.set("general.alignment", "u32", 0), "`general.alignment`"),
    "an alignment of 2^31": (lambda raw: raw.set("general.alignment", "u32", 2**31), "`general.alignment`"),
    "an alignment in 64 bits": (lambda raw: raw.set("general.alignment", "u64", 32), "`general.alignment`"),
}


@pytest.mark.parametrize("case", META)
def test_metadata_that_is_wrong_is_refused_by_the_keys_name(tmp_path: Path, case: str) -> None:
    change, expected = META[case]
    assert expected in refusal(tmp_path, change(small_model()))


@pytest.mark.parametrize("pattern", [1, [0, 0], [0, 0, 1]])
def test_a_sliding_window_that_no_layer_uses_is_refused(tmp_path: Path, pattern: int | list[int]) -> None:
    raw = small_model().set("general.architecture", "str", "gemma3").set("gemma3.attention.sliding_window", "u32", 64)
    raw.pairs = [(key.replace("llama.", "gemma3.") if isinstance(key, str) else key, each) for key, each in raw.pairs]
    assert inspected(tmp_path, raw).sliding_window == 64
    raw.set("gemma3.attention.sliding_window_pattern", "u32", pattern)
    assert "leaves no layer its sliding window" in refusal(tmp_path, raw)
    assert inspected(tmp_path, raw.set("gemma3.attention.sliding_window_pattern", "bool", [False, True])).layers == 2


def test_the_embeddings_of_tokens_that_bert_assumes_must_exist(tmp_path: Path) -> None:
    raw = small_model().set("general.architecture", "str", "bert").set("tokenizer.ggml.model", "str", "bert")
    raw.pairs = [(key.replace("llama.", "bert.") if isinstance(key, str) else key, each) for key, each in raw.pairs]
    assert inspected(tmp_path, raw).kind == "embedding"
    tokens = [f"t{number}" for number in range(50)]
    raw.set("tokenizer.ggml.tokens", "str", tokens).set("bert.vocab_size", "u32", 50)
    raw.drop("tokenizer.ggml.scores").drop("tokenizer.ggml.token_type")
    raw.set("tokenizer.ggml.bos_token_id", "u32", 0).set("tokenizer.ggml.eos_token_id", "u32", 0)
    raw.tensors[0] = RawTensor("token_embd.weight", (8, 50))
    assert "`tokenizer.ggml.seperator_token_id` is missing" in refusal(tmp_path, raw)
    raw.set("tokenizer.ggml.seperator_token_id", "u32", 1).set("tokenizer.ggml.unknown_token_id", "u32", 2)
    assert inspected(tmp_path, raw).vocabulary_size == 50


TEMPLATES: dict[str, tuple[str | bytes, str]] = {
    "an end that is missing": ("{% for m in messages %}" + CANARY, "does not compile"),
    "a filter that is not there": ("{{ messages | " + CANARY.replace("-", "_") + " }}", "does not compile"),
    "a bracket too many": ("{{ (((( }}", "does not compile"),
    "brackets without end": ("{{ " + "(" * 20_000 + "1" + ")" * 20_000 + " }}", "does not compile"),
    "ifs without end": ("{% if a %}" * 3000 + "{% endif %}" * 3000, "does not compile"),
    "loops without end": ("{% for a in b %}" * 500 + "{% endfor %}" * 500, "does not compile"),
    "a number without end": ("{{ " + "9" * 10_000 + " }}", "does not compile"),
    "too long": ("x" * (MAX_TEMPLATE_BYTES + 1), f"longer than {MAX_TEMPLATE_BYTES}"),
    "no text": (b"\xff\xfe", "`tokenizer.chat_template` is not UTF-8"),
}


@pytest.mark.parametrize("case", TEMPLATES)
def test_a_template_that_does_not_compile_or_is_too_long_is_refused(tmp_path: Path, case: str) -> None:
    source, expected = TEMPLATES[case]
    assert expected in refusal(tmp_path, small_model().set("tokenizer.chat_template", "str", source))


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'a' * 9999999999 }}",
        "{{ 9 ** 9 ** 9 ** 9 }}",
        "{% set x = 'b' * 99999 * 99999 %}",
        "{{ '%9999999999d' % 1 }}",
    ],
)
def test_nothing_of_a_template_is_computed_while_it_is_checked(tmp_path: Path, source: str) -> None:
    tracemalloc.start()
    try:
        assert inspected(tmp_path, small_model().set("tokenizer.chat_template", "str", source)).has_template
        assert tracemalloc.get_traced_memory()[1] < 32_000_000
    finally:
        tracemalloc.stop()


ADAPTERS: dict[str, tuple[Callable[[RawGguf], RawGguf], str]] = {
    "no kind": (lambda raw: raw.drop("adapter.type"), "`adapter.type` is missing"),
    "a kind that is a number": (lambda raw: raw.set("adapter.type", "u32", 1), "`adapter.type` is not a text"),
    "another kind": (lambda raw: raw.set("adapter.type", "str", CANARY), "not a LoRA"),
    "an alpha in 64 bits": (lambda raw: raw.set("adapter.lora.alpha", "f64", 1.0), "`adapter.lora.alpha`"),
    "an alpha that is none": (lambda raw: raw.set("adapter.lora.alpha", "f32", float("nan")), "`adapter.lora.alpha`"),
    "one that waits for its words": (
        lambda raw: raw.set("adapter.alora.invocation_tokens", "u32", [1]),
        "activated LoRA",
    ),
}


@pytest.mark.parametrize("case", ADAPTERS)
def test_an_adapter_that_is_wrong_is_refused(tmp_path: Path, case: str) -> None:
    change, expected = ADAPTERS[case]
    assert expected in refusal(tmp_path, change(small_adapter()))


@pytest.mark.parametrize(
    ("tensors", "expected"),
    [
        ([RawTensor("a.weight.lora_a", (8, 2))], "not one of a pair"),
        ([RawTensor("a.weight.lora_a", (8, 2)), RawTensor("a.weight", (2, 8))], "not one of a pair"),
        ([RawTensor("a.weight.lora_a", (8, 2)), RawTensor("a.weight.lora_b", (3, 8))], "does not share one rank"),
        ([RawTensor("a.weight.lora_a", (8,)), RawTensor("a.weight.lora_b", (2, 8))], "not one of a pair"),
        ([RawTensor("a.weight.lora_a", (1, 2000)), RawTensor("a.weight.lora_b", (2000, 1))], "too large"),
        ([RawTensor("attn_norm.weight", (8,))], "changes nothing"),
    ],
)
def test_an_adapters_matrices_come_in_pairs(tmp_path: Path, tensors: list[RawTensor], expected: str) -> None:
    raw = small_adapter()
    raw.tensors = tensors
    assert expected in refusal(tmp_path, raw)
