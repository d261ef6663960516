"""Makes tiny models with random weights, a GGUF for each architecture that the engine serves.

Metadata, tensor names and shapes are those that llama.cpp expects; the tokenizers have a few hundred tokens and a
token for every byte, so that any text can be said; the chat templates follow their families' own, in our words.
The same seed gives the same file.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from tests.support.tiny_templates import TEMPLATES
from tests.support.tiny_vocabulary import BPE, SPM, WPM, Vocabulary

EMBEDDING = 64
HEADS = 4
KV_HEADS = 2
HEAD = EMBEDDING // HEADS
FEED_FORWARD = 128
LAYERS = 2
CONTEXT = 1024
RANK = 4

Shape = tuple[int, ...]  # rows first, as numpy has them
Tensors = dict[str, Shape]


@dataclass(frozen=True)
class Family:
    """One kind of model of the catalogue. `template` names one of TEMPLATES; None: a base model without one."""

    architecture: str
    vocabulary: Callable[[], Vocabulary]
    tensors: Callable[[int], Tensors]
    template: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    seed: int = 0  # one with which few answers hang on a rounding
    loudness: float = 4.0  # of what the layers add, against the token's own embedding


def _norms(names: tuple[str, ...], *, bias: bool = False) -> Tensors:
    parts = ("weight", "bias") if bias else ("weight",)
    return {f"{name}.{part}": (EMBEDDING,) for name in names for part in parts}


def _frame(tokens: int, *, output: bool = True) -> Tensors:
    head: Tensors = {"output.weight": (tokens, EMBEDDING)} if output else {}
    return {"token_embd.weight": (tokens, EMBEDDING), "output_norm.weight": (EMBEDDING,), **head}


def _layers(block: Tensors) -> Tensors:
    return {f"blk.{layer}.{name}": shape for layer in range(LAYERS) for name, shape in block.items()}


def _attention(heads: int = HEADS, kv_heads: int = KV_HEADS, head: int = HEAD) -> Tensors:
    return {
        "attn_q.weight": (heads * head, EMBEDDING),
        "attn_k.weight": (kv_heads * head, EMBEDDING),
        "attn_v.weight": (kv_heads * head, EMBEDDING),
        "attn_output.weight": (EMBEDDING, heads * head),
    }


_GATED: Tensors = {
    "ffn_gate.weight": (FEED_FORWARD, EMBEDDING),
    "ffn_up.weight": (FEED_FORWARD, EMBEDDING),
    "ffn_down.weight": (EMBEDDING, FEED_FORWARD),
}
_BLOCK: Tensors = {**_norms(("attn_norm", "ffn_norm")), **_attention(), **_GATED}
_QK_NORMS: Tensors = {"attn_q_norm.weight": (HEAD,), "attn_k_norm.weight": (HEAD,)}


def _llama(tokens: int) -> Tensors:
    return {**_frame(tokens), **_layers(_BLOCK)}


def _tied(tokens: int) -> Tensors:
    return {**_frame(tokens, output=False), **_layers(_BLOCK)}


def _qwen2(tokens: int) -> Tensors:
    biases = {"attn_q.bias": (EMBEDDING,), "attn_k.bias": (KV_HEADS * HEAD,), "attn_v.bias": (KV_HEADS * HEAD,)}
    return {**_frame(tokens), **_layers({**_BLOCK, **biases})}


def _qwen3(tokens: int) -> Tensors:
    return {**_frame(tokens), **_layers({**_BLOCK, **_QK_NORMS})}


def _experts(tokens: int) -> Tensors:
    experts: Tensors = {
        "ffn_gate_inp.weight": (4, EMBEDDING),
        "ffn_gate_exps.weight": (4, FEED_FORWARD, EMBEDDING),
        "ffn_up_exps.weight": (4, FEED_FORWARD, EMBEDDING),
        "ffn_down_exps.weight": (4, EMBEDDING, FEED_FORWARD),
    }
    return {**_frame(tokens), **_layers({**_norms(("attn_norm", "ffn_norm")), **_attention(), **experts})}


def _qwen3_experts(tokens: int) -> Tensors:
    return {**_experts(tokens), **_layers(_QK_NORMS)}


def _phi2(tokens: int) -> Tensors:
    block: Tensors = {
        **_norms(("attn_norm",), bias=True),
        **_attention(kv_heads=HEADS),
        **{f"attn_{part}.bias": (EMBEDDING,) for part in ("q", "k", "v", "output")},
        "ffn_up.weight": (FEED_FORWARD, EMBEDDING),
        "ffn_up.bias": (FEED_FORWARD,),
        "ffn_down.weight": (EMBEDDING, FEED_FORWARD),
        "ffn_down.bias": (EMBEDDING,),
    }
    biases = {"output_norm.bias": (EMBEDDING,), "output.bias": (tokens,)}
    return {**_frame(tokens), **biases, **_layers(block)}


def _phi3(tokens: int) -> Tensors:
    block: Tensors = {
        **_norms(("attn_norm", "ffn_norm")),
        "attn_qkv.weight": ((HEADS + 2 * KV_HEADS) * HEAD, EMBEDDING),
        "attn_output.weight": (EMBEDDING, EMBEDDING),
        "ffn_up.weight": (2 * FEED_FORWARD, EMBEDDING),
        "ffn_down.weight": (EMBEDDING, FEED_FORWARD),
    }
    return {**_frame(tokens), **_layers(block)}


def _gemma2(tokens: int) -> Tensors:
    block: Tensors = {**_BLOCK, **_norms(("post_attention_norm", "post_ffw_norm"))}
    return {**_frame(tokens, output=False), **_layers(block)}


def _gemma3(tokens: int) -> Tensors:
    return {**_gemma2(tokens), **_layers(_QK_NORMS)}


def _olmo2(tokens: int) -> Tensors:
    block: Tensors = {
        **_attention(kv_heads=HEADS),
        **_GATED,
        **_norms(("attn_q_norm", "attn_k_norm", "post_attention_norm", "post_ffw_norm")),
    }
    return {**_frame(tokens), **_layers(block)}


def _gptneox(tokens: int) -> Tensors:
    block: Tensors = {
        **_norms(("attn_norm", "ffn_norm"), bias=True),
        "attn_qkv.weight": (3 * EMBEDDING, EMBEDDING),
        "attn_qkv.bias": (3 * EMBEDDING,),
        "attn_output.weight": (EMBEDDING, EMBEDDING),
        "attn_output.bias": (EMBEDDING,),
        "ffn_up.weight": (FEED_FORWARD, EMBEDDING),
        "ffn_up.bias": (FEED_FORWARD,),
        "ffn_down.weight": (EMBEDDING, FEED_FORWARD),
        "ffn_down.bias": (EMBEDDING,),
    }
    return {**_frame(tokens), "output_norm.bias": (EMBEDDING,), **_layers(block)}


# OpenELM's layers differ: heads, key-value heads and feed-forward length of each.
_OPENELM = ((2, 1, 64), (4, 2, 128))


def _openelm(tokens: int) -> Tensors:
    tensors = _frame(tokens, output=False)
    for layer, (heads, kv_heads, length) in enumerate(_OPENELM):
        block: Tensors = {
            **_norms(("attn_norm", "ffn_norm")),
            **_QK_NORMS,
            "attn_qkv.weight": ((heads + 2 * kv_heads) * HEAD, EMBEDDING),
            "attn_output.weight": (EMBEDDING, heads * HEAD),
            "ffn_gate.weight": (length, EMBEDDING),
            "ffn_up.weight": (length, EMBEDDING),
            "ffn_down.weight": (EMBEDDING, length),
        }
        tensors |= {f"blk.{layer}.{name}": shape for name, shape in block.items()}
    return tensors


def _bert(tokens: int) -> Tensors:
    block: Tensors = {
        **_attention(kv_heads=HEADS),
        **{f"attn_{part}.bias": (EMBEDDING,) for part in ("q", "k", "v", "output")},
        **_norms(("attn_output_norm", "layer_output_norm"), bias=True),
        "ffn_up.weight": (FEED_FORWARD, EMBEDDING),
        "ffn_up.bias": (FEED_FORWARD,),
        "ffn_down.weight": (EMBEDDING, FEED_FORWARD),
        "ffn_down.bias": (EMBEDDING,),
    }
    frame = {
        "token_embd.weight": (tokens, EMBEDDING),
        "token_types.weight": (2, EMBEDDING),
        "position_embd.weight": (CONTEXT, EMBEDDING),
        **_norms(("token_embd_norm",), bias=True),
    }
    return {**frame, **_layers(block)}


def _nomic_bert(tokens: int) -> Tensors:
    block: Tensors = {
        "attn_qkv.weight": (3 * EMBEDDING, EMBEDDING),
        "attn_output.weight": (EMBEDDING, EMBEDDING),
        **_norms(("attn_output_norm", "layer_output_norm"), bias=True),
        **_GATED,
    }
    frame = {
        "token_embd.weight": (tokens, EMBEDDING),
        "token_types.weight": (2, EMBEDDING),
        **_norms(("token_embd_norm",), bias=True),
    }
    return {**frame, **_layers(block)}


_RMS = {"attention.layer_norm_rms_epsilon": 1e-5}
_LAYER_NORM = {"attention.layer_norm_epsilon": 1e-5}
_QUERY_KEY = {**_RMS, "attention.key_length": HEAD, "attention.value_length": HEAD}
_EXPERTS = {"expert_count": 4, "expert_used_count": 2}
_GRANITE = {**_RMS, "logit_scale": 0.5, "residual_scale": 0.9, "embedding_scale": 4.0, "attention.scale": 0.25}
_GEMMA = ("<pad>", "<eos>", "<bos>", "<unk>"), ("<start_of_turn>", "<end_of_turn>")
_CHATML = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")

FAMILIES: dict[str, Family] = {
    "llama-3.2": Family(
        "llama",
        lambda: BPE(
            "llama-bpe",
            ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
            bos="<|begin_of_text|>",
            eos="<|eot_id|>",
            add_bos=True,
        ),
        _llama,
        "llama-3.2",
        {**_RMS, "rope.dimension_count": HEAD, "rope.freq_base": 500000.0},
        seed=2,
    ),
    "smollm2": Family(
        "llama",
        lambda: BPE("smollm", _CHATML, bos="<|im_start|>", eos="<|im_end|>"),
        _tied,
        "chatml",
        _RMS,
        seed=3,
    ),
    "tinyllama": Family(
        "llama",
        lambda: SPM(("<unk>", "<s>", "</s>"), (), bos="<s>", eos="</s>", add_bos=True),
        _llama,
        "zephyr",
        {**_RMS, "rope.dimension_count": HEAD},
        seed=1,
    ),
    "ministral": Family(
        "mistral3",
        lambda: BPE(
            "tekken",
            ("<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"),
            bos="<s>",
            eos="</s>",
            add_bos=True,
        ),
        _llama,
        "mistral",
        {**_QUERY_KEY, "rope.dimension_count": HEAD, "rope.freq_base": 1000000.0},
        seed=3,
    ),
    "phi-2": Family(
        "phi2",
        lambda: BPE("gpt-2", ("<|endoftext|>",), bos="<|endoftext|>", eos="<|endoftext|>"),
        _phi2,
        None,
        {**_LAYER_NORM, "attention.head_count_kv": HEADS, "rope.dimension_count": HEAD // 2},
        seed=5,
    ),
    "phi-3": Family(
        "phi3",
        lambda: SPM(
            ("<unk>", "<s>", "</s>"),
            ("<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"),
            bos="<s>",
            eos="<|endoftext|>",
        ),
        _phi3,
        "phi-3",
        {**_RMS, "rope.dimension_count": HEAD, "rope.scaling.original_context_length": CONTEXT},
        seed=1,
    ),
    "gemma": Family(
        "gemma",
        lambda: SPM(*_GEMMA, bos="<bos>", eos="<eos>", add_bos=True),
        _tied,
        "gemma",
        _QUERY_KEY,
        loudness=30.0,
        seed=3,
    ),
    "gemma-2": Family(
        "gemma2",
        lambda: SPM(*_GEMMA, bos="<bos>", eos="<eos>", add_bos=True),
        _gemma2,
        "gemma",
        {**_QUERY_KEY, "attention.sliding_window": 64, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0},
        loudness=30.0,
        seed=2,
    ),
    "gemma-3": Family(
        "gemma3",
        lambda: SPM(*_GEMMA, bos="<bos>", eos="<eos>", add_bos=True),
        _gemma3,
        "gemma",
        {
            **_QUERY_KEY,
            "attention.sliding_window": 64,
            "attention.sliding_window_pattern": 2,
            "rope.freq_base": 1000000.0,
        },
        loudness=30.0,
        seed=3,
    ),
    "qwen2.5": Family(
        "qwen2",
        lambda: BPE("qwen2", _CHATML, bos="<|endoftext|>", eos="<|im_end|>"),
        _qwen2,
        "chatml-tools",
        _RMS,
        seed=3,
    ),
    "qwen3": Family(
        "qwen3",
        lambda: BPE("qwen2", _CHATML, bos="<|endoftext|>", eos="<|im_end|>"),
        _qwen3,
        "chatml-tools",
        _QUERY_KEY,
    ),
    "qwen3-moe": Family(
        "qwen3moe",
        lambda: BPE("qwen2", _CHATML, bos="<|endoftext|>", eos="<|im_end|>"),
        _qwen3_experts,
        "chatml-tools",
        {**_QUERY_KEY, **_EXPERTS, "expert_feed_forward_length": FEED_FORWARD},
    ),
    "granite-3": Family(
        "granite",
        lambda: BPE(
            "refact",
            ("<|end_of_text|>", "<|start_of_role|>", "<|end_of_role|>", "<|tool_call|>"),
            bos="<|end_of_text|>",
            eos="<|end_of_text|>",
        ),
        _llama,
        "granite",
        {**_GRANITE, "rope.dimension_count": HEAD},
        seed=2,
    ),
    "granite-3-moe": Family(
        "granitemoe",
        lambda: BPE(
            "refact",
            ("<|end_of_text|>", "<|start_of_role|>", "<|end_of_role|>", "<|tool_call|>"),
            bos="<|end_of_text|>",
            eos="<|end_of_text|>",
        ),
        _experts,
        "granite",
        {**_GRANITE, **_EXPERTS, "rope.dimension_count": HEAD},
        seed=3,
    ),
    "pythia": Family(
        "gptneox",
        lambda: BPE("olmo", ("<|endoftext|>", "<|padding|>"), bos="<|endoftext|>", eos="<|endoftext|>"),
        _gptneox,
        None,
        {
            **_LAYER_NORM,
            "attention.head_count_kv": HEADS,
            "use_parallel_residual": True,
            "rope.dimension_count": HEAD // 2,
        },
        seed=2,
    ),
    "openelm": Family(
        "openelm",
        lambda: SPM(("<unk>", "<s>", "</s>"), (), bos="<s>", eos="</s>", add_bos=True),
        _openelm,
        None,
        {
            **_QUERY_KEY,
            "attention.head_count": [heads for heads, _, _ in _OPENELM],
            "attention.head_count_kv": [kv_heads for _, kv_heads, _ in _OPENELM],
            "feed_forward_length": [length for _, _, length in _OPENELM],
            "rope.dimension_count": HEAD,
        },
        loudness=8.0,
        seed=2,
    ),
    "smollm3": Family(
        "smollm3",
        lambda: BPE("smaug-bpe", _CHATML, bos="<|endoftext|>", eos="<|im_end|>"),
        _llama,
        "chatml-tools",
        {**_RMS, "rope.dimension_count": HEAD},
        seed=1,
    ),
    "olmo-2": Family(
        "olmo2",
        lambda: BPE("olmo", _CHATML, bos="<|endoftext|>", eos="<|im_end|>"),
        _olmo2,
        "chatml",
        {**_RMS, "attention.head_count_kv": HEADS},
    ),
}

EMBEDDERS: dict[str, Family] = {
    "bert": Family(
        "bert",
        WPM,
        _bert,
        None,
        {**_LAYER_NORM, "attention.head_count_kv": HEADS, "attention.causal": False, "pooling_type": 1},
    ),
    "nomic-bert": Family(
        "nomic-bert",
        WPM,
        _nomic_bert,
        None,
        {
            **_LAYER_NORM,
            "attention.head_count_kv": HEADS,
            "attention.causal": False,
            "pooling_type": 1,
            "rope.freq_base": 1000.0,
        },
    ),
    "qwen3-embedding": Family(
        "qwen3",
        lambda: BPE("qwen2", _CHATML, bos="<|endoftext|>", eos="<|endoftext|>"),
        _qwen3,
        None,
        {**_QUERY_KEY, "pooling_type": 3},
    ),
}


def make_model(name: str, folder: Path, *, seed: int = 0, quantised: bool = False) -> Path:
    """The GGUF of FAMILIES or EMBEDDERS called `name`, in `folder`: in half precision, or quantised to Q8_0.

    It is made once a folder; other seeds give other weights.
    """
    path = folder / f"tiny-{name}-{seed}{'-q8' if quantised else ''}.gguf"
    if path.exists():
        return path
    family = {**FAMILIES, **EMBEDDERS}[name]
    vocabulary = family.vocabulary()
    writer = gguf.GGUFWriter(path, family.architecture)
    writer.add_type("model")
    writer.add_name(f"Tiny {name}")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0 if quantised else gguf.LlamaFileType.MOSTLY_F16)
    common = {
        "context_length": CONTEXT,
        "embedding_length": EMBEDDING,
        "block_count": LAYERS,
        "feed_forward_length": FEED_FORWARD,
        "attention.head_count": HEADS,
        "attention.head_count_kv": KV_HEADS,
        "vocab_size": len(vocabulary.tokens),
    }
    for key, value in {**common, **family.metadata}.items():
        _add(writer, f"{family.architecture}.{key}", value)
    vocabulary.write(writer)
    if family.template is not None:
        writer.add_chat_template(TEMPLATES[family.template])
    for tensor, values in _weights(family, vocabulary, (seed + family.seed) ^ zlib.crc32(name.encode())):
        _add_tensor(writer, tensor, values, quantised=quantised)
    _finish(writer)
    return path


def make_adapter(folder: Path, *, seed: int = 1, scale: float = 1.0, base: str = "llama-3.2") -> Path:
    """A LoRA adapter for `make_model(base)`, strong enough to change what that model says."""
    path = folder / f"tiny-{base}-lora-{seed}-{scale:g}.gguf"
    if path.exists():
        return path
    family = FAMILIES[base]
    writer = gguf.GGUFWriter(path, family.architecture)
    writer.add_type("adapter")
    writer.add_name(f"Tiny {base} adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(RANK) * scale)
    random = np.random.default_rng(seed)
    shapes = family.tensors(len(family.vocabulary().tokens))
    for layer in range(LAYERS):
        for part in ("attn_q", "attn_v", "ffn_down"):
            name = f"blk.{layer}.{part}.weight"
            rows, columns = shapes[name]
            writer.add_tensor(f"{name}.lora_a", random.normal(0, columns**-0.5, (RANK, columns)).astype(np.float32))
            writer.add_tensor(f"{name}.lora_b", random.normal(0, 1, (rows, RANK)).astype(np.float32))
    _finish(writer)
    return path


def _finish(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    if isinstance(value, list):
        writer.add_array(key, value)
    elif isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    else:
        writer.add_uint32(key, value)


def _add_tensor(writer: gguf.GGUFWriter, name: str, values: np.ndarray[Any, Any], *, quantised: bool) -> None:
    """Vectors, the router of experts and bert's small tables stay in float32: llama.cpp adds or compares with them."""
    is_plain = values.ndim == 1 or any(part in name for part in ("ffn_gate_inp", "token_types", "position_embd"))
    if is_plain:
        writer.add_tensor(name, values)
    elif quantised:
        kind = gguf.GGMLQuantizationType.Q8_0
        writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
    else:
        writer.add_tensor(name, values.astype(np.float16))


def _weights(family: Family, vocabulary: Vocabulary, seed: int) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """Weights whose logits are far apart, so that no answer hangs on a rounding."""
    random = np.random.default_rng(seed)
    shapes = family.tensors(len(vocabulary.tokens))
    for name, shape in shapes.items():
        part = name.rpartition(".")[0].rpartition(".")[2]
        if name.endswith(".bias"):
            values = random.normal(0, 0.1, shape)
        elif part.startswith("post_"):
            values = random.uniform(0.8, 1.2, shape) * family.loudness
        elif part.endswith("norm"):
            values = random.uniform(0.8, 1.2, shape)
        elif part in ("token_embd", "output"):
            values = random.normal(0, 1, shape)
            if part == "output" or "output.weight" not in shapes:
                values[vocabulary.unspoken] *= 0.02
        else:
            # Branches louder than the stream they are added to: what is said depends on all that came before.
            is_last = part in ("attn_output", "ffn_down", "ffn_down_exps")
            values = random.normal(0, (family.loudness if is_last else 1.5) * shape[-1] ** -0.5, shape)
        yield name, values.astype(np.float32)
