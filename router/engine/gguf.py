"""What a GGUF says about itself, checked before native code sees the file.

llama.cpp ends the whole process on some of what is refused here (a layer count, a repeated token, a missing byte). It
reads the header alone, never weights, and errors hold nothing of the file but names from a fixed list.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from router.engine.gguf_layout import TEMPLATE_KEY, UINT16, BadModelError, Layout, open_regular, read_layout
from router.engine.gguf_metadata import Metadata
from router.engine.gguf_vocabulary import check_vocabulary
from router.engine.sandbox import TemplateSandbox, TemplateSourceError

__all__ = ["ARCHITECTURES", "BadModelError", "Header", "inspect"]

MAX_CONTEXT = 16 * 1024 * 1024
MAX_WIDTH = 65536
MAX_LAYERS = 512  # LLAMA_MAX_LAYERS
MAX_HEADS = 1024
MAX_HEAD_LENGTH = 4096
MAX_FEED_FORWARD = 1024 * 1024
MAX_EXPERTS = 1024  # LLAMA_MAX_EXPERTS
MAX_ADAPTER_RANK = 1024
MAX_NAME_LENGTH = 128  # characters of `general.name` that are shown

# Every one has a tiny model in tests/support/tiny_gguf.py, which the engine's tests load and ask.
_GENERATORS = (
    "llama", "mistral3", "phi2", "phi3", "gemma", "gemma2", "gemma3", "qwen2", "qwen3", "qwen3moe", "granite",
    "granitemoe", "gptneox", "openelm", "smollm3", "olmo2",
)  # fmt: skip
_EMBEDDERS = ("bert", "nomic-bert")
ARCHITECTURES = frozenset({*_GENERATORS, *_EMBEDDERS})

_ROTATED_IN_PART = ("phi2", "phi3", "gptneox")
_WINDOWED = ("gemma2", "gemma3")
_ROPE_SCALINGS = ("none", "linear", "yarn", "longrope")
_POOLINGS = ("none", "mean", "cls", "last")
_FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
    13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS",
    21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S",
    29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4",
}  # fmt: skip
_GENERAL_TEXTS = ("general.architecture", "general.name", "general.type", "adapter.type", "tokenizer.ggml.model")


@dataclass(frozen=True, slots=True)
class Header:
    """The facts of one GGUF. Of an adapter the sizes of a model are 0, as is `adapter_rank` of a model."""

    architecture: str
    name: str
    kind: str  # model | adapter | embedding
    context_length: int  # tokens that the model was trained for
    embedding_length: int
    layers: int
    heads: int  # the most that any layer has; so of the next
    kv_heads: int
    key_length: int  # of one head
    value_length: int
    sliding_window: int  # tokens; 0: every layer sees the whole context
    experts: int
    vocabulary_size: int
    file_type: str  # what the file says of itself, as Q4_K_M; "" when it says nothing known
    quantisation: str  # the type that holds most of the weights' bytes
    parameters: int
    tensor_bytes: int
    has_template: bool
    has_tools: bool
    pooling: str  # none | mean | cls | last; "" when the file says nothing
    kv_bytes_per_token: int  # of all layers, in 16-bit floating point; an upper bound with a sliding window
    adapter_rank: int


def inspect(path: str | Path) -> Header:
    """Read and check the header of the GGUF at `path`. Raises BadModelError."""
    kept = frozenset({*_GENERAL_TEXTS, TEMPLATE_KEY, *(f"{name}.rope.scaling.type" for name in ARCHITECTURES)})
    with open_regular(path) as file:
        try:
            layout = read_layout(file, kept)
        except OSError as error:
            raise BadModelError(f"the file cannot be read: {error.strerror}") from None
    facts = Metadata(layout.values)
    if facts.integer("split.count", 0, 65535, 0, kind=UINT16) > 1:
        raise BadModelError("this is one part of a split model: join the parts with llama-gguf-split --merge")
    architecture = facts.text("general.architecture")
    if architecture not in ARCHITECTURES:
        raise BadModelError("this model's architecture is not one that the engine serves")
    kind = facts.text("general.type", "model")
    if kind == "adapter":
        return _adapter(layout, facts, architecture)
    if kind != "model":
        raise BadModelError("this GGUF is neither a model nor an adapter")
    return _model(layout, facts, architecture)


@dataclass(frozen=True, slots=True)
class _Attention:
    """Heads and key-value heads of each layer, and what one head holds."""

    heads: tuple[int, ...]
    kv_heads: tuple[int, ...]
    key_length: int
    value_length: int

    @property
    def cached_numbers(self) -> int:
        """What the KV cache keeps of one token."""
        return sum(self.kv_heads) * (self.key_length + self.value_length)


def _model(layout: Layout, facts: Metadata, architecture: str) -> Header:
    facts.check_finite(f"{architecture}.")
    context = facts.integer(f"{architecture}.context_length", 1, MAX_CONTEXT)
    width = facts.integer(f"{architecture}.embedding_length", 1, MAX_WIDTH)
    layers = facts.integer(f"{architecture}.block_count", 1, MAX_LAYERS)
    attention = _attention(facts, architecture, width, layers)
    facts.of_layers(f"{architecture}.feed_forward_length", layers, MAX_FEED_FORWARD, (1,) * layers)
    experts = _experts(facts, architecture, layers)
    _check_window(facts, architecture, layers)
    _check_rest(facts, architecture)
    tokens = check_vocabulary(facts, architecture)
    embedding = layout.tensors.get("token_embd.weight")
    if embedding is None or embedding.shape != (width, tokens):
        raise BadModelError("the tensor of the tokens' embeddings is missing or has another shape than the metadata")
    pooling = ""
    if facts.has(f"{architecture}.pooling_type"):
        pooling = _POOLINGS[facts.integer(f"{architecture}.pooling_type", 0, len(_POOLINGS) - 1)]
    is_causal = facts.boolean(f"{architecture}.attention.causal", architecture not in _EMBEDDERS)
    is_embedder = architecture in _EMBEDDERS or not is_causal or pooling in _POOLINGS[1:]
    template = _template(facts)
    return Header(
        architecture=architecture,
        name=_name(facts),
        kind="embedding" if is_embedder else "model",
        context_length=context,
        embedding_length=width,
        layers=layers,
        heads=max(attention.heads),
        kv_heads=max(attention.kv_heads),
        key_length=attention.key_length,
        value_length=attention.value_length,
        sliding_window=facts.integer(f"{architecture}.attention.sliding_window", 0, MAX_CONTEXT, 0),
        experts=experts,
        vocabulary_size=tokens,
        has_template=template is not None,
        has_tools=template is not None and re.search(r"\btools\b", template) is not None,
        pooling=pooling,
        kv_bytes_per_token=0 if architecture in _EMBEDDERS else 2 * attention.cached_numbers,
        adapter_rank=0,
        **_weights(layout, facts),
    )


def _attention(facts: Metadata, architecture: str, width: int, layers: int) -> _Attention:
    heads = facts.of_layers(f"{architecture}.attention.head_count", layers, MAX_HEADS)
    kv_heads = facts.of_layers(f"{architecture}.attention.head_count_kv", layers, MAX_HEADS, heads)
    if any(all_heads % shared for all_heads, shared in zip(heads, kv_heads, strict=True)):
        raise BadModelError("the attention heads are not a multiple of the key-value heads")
    share = width // heads[0]
    key_length = facts.integer(f"{architecture}.attention.key_length", 1, MAX_HEAD_LENGTH, share)
    value_length = facts.integer(f"{architecture}.attention.value_length", 1, MAX_HEAD_LENGTH, share)
    if key_length != value_length or not 1 <= key_length <= MAX_HEAD_LENGTH:
        raise BadModelError("an attention head is empty, too wide, or has a key and a value of two lengths")
    _check_rotation(facts, architecture, key_length)
    return _Attention(heads, kv_heads, key_length, value_length)


def _check_rotation(facts: Metadata, architecture: str, length: int) -> None:
    """llama.cpp asserts that all of a head is rotated, but for a few architectures, and that layers do not differ."""
    least = 2 if architecture in _ROTATED_IN_PART else length
    rotated = facts.integer(f"{architecture}.rope.dimension_count", least, length, length)
    if rotated % 2:
        raise BadModelError(f"`{architecture}.rope.dimension_count` is odd")
    for key in ("attention.key_length_swa", "attention.value_length_swa"):
        facts.integer(f"{architecture}.{key}", length, length, length)
    facts.integer(f"{architecture}.rope.dimension_count_swa", rotated, rotated, rotated)


def _experts(facts: Metadata, architecture: str, layers: int) -> int:
    """How many experts there are; llama.cpp asserts that the other counts go with it."""
    experts = facts.integer(f"{architecture}.expert_count", 0, MAX_EXPERTS, 0)
    if experts:
        facts.of_layers(f"{architecture}.expert_used_count", layers, experts)
    else:
        facts.integer(f"{architecture}.expert_used_count", 0, 0, 0)
    facts.integer(f"{architecture}.expert_group_count", 0, min(1, max(0, experts - 1)), 0)
    return experts


def _check_window(facts: Metadata, architecture: str, layers: int) -> None:
    """llama.cpp asserts that some layer of a model with a sliding window uses it."""
    key = f"{architecture}.attention.sliding_window_pattern"
    if architecture not in _WINDOWED:
        return
    flags = facts.flags(key)
    if not any(flags[:layers]) if flags is not None else facts.integer(key, 0, MAX_LAYERS, 0) == 1:
        raise BadModelError(f"`{key}` leaves no layer its sliding window")


def _check_rest(facts: Metadata, architecture: str) -> None:
    """What llama.cpp asserts, or divides by."""
    for key in ("attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon"):
        facts.real(f"{architecture}.{key}", 0.0, 1.0, 0.0)
    facts.integer(f"{architecture}.nextn_predict_layers", 0, 0, 0)
    if facts.text(f"{architecture}.rope.scaling.type", "none") not in _ROPE_SCALINGS:
        raise BadModelError(f"`{architecture}.rope.scaling.type` is not known")


def _template(facts: Metadata) -> str | None:
    if not facts.has(TEMPLATE_KEY):
        return None
    source = facts.text(TEMPLATE_KEY)
    try:
        TemplateSandbox().compile_source(source)
    except TemplateSourceError as error:
        raise BadModelError(str(error)) from None
    return source


def _adapter(layout: Layout, facts: Metadata, architecture: str) -> Header:
    if facts.text("adapter.type") != "lora":
        raise BadModelError("this adapter is not a LoRA")
    if facts.has("adapter.alora.invocation_tokens"):
        raise BadModelError("this is an activated LoRA, which the engine does not serve")
    facts.real("adapter.lora.alpha", -1e6, 1e6, 0.0)
    return Header(
        architecture=architecture,
        name=_name(facts),
        kind="adapter",
        context_length=0,
        embedding_length=0,
        layers=0,
        heads=0,
        kv_heads=0,
        key_length=0,
        value_length=0,
        sliding_window=0,
        experts=0,
        vocabulary_size=0,
        has_template=False,
        has_tools=False,
        pooling="",
        kv_bytes_per_token=0,
        adapter_rank=_rank(layout),
        **_weights(layout, facts),
    )


def _rank(layout: Layout) -> int:
    """The largest rank of the adapter's pairs: of each, A is rank x inputs and B outputs x rank (Hu et al., 2021)."""
    rank = 0
    for name, tensor in layout.tensors.items():
        base, _, part = name.rpartition(".")
        if name.endswith("_norm.weight"):
            continue  # llama.cpp passes over them
        other = layout.tensors.get(f"{base}.lora_{'b' if part == 'lora_a' else 'a'}")
        if part not in ("lora_a", "lora_b") or other is None or len(tensor.shape) != 2 or len(other.shape) != 2:
            raise BadModelError("a tensor of the adapter is not one of a pair of matrices")
        if part == "lora_a":
            # The pair of the tokens' embeddings is stored the other way around.
            own = tensor.shape[0] if base == "token_embd.weight" else tensor.shape[1]
            if own != other.shape[0] or own > MAX_ADAPTER_RANK:
                raise BadModelError("a pair of the adapter's matrices does not share one rank, or it is too large")
            rank = max(rank, own)
    if rank == 0:
        raise BadModelError("the adapter changes nothing")
    return rank


def _name(facts: Metadata) -> str:
    return "".join(letter for letter in facts.text("general.name", "") if letter.isprintable())[:MAX_NAME_LENGTH]


class _Weights(TypedDict):
    file_type: str
    quantisation: str
    parameters: int
    tensor_bytes: int


def _weights(layout: Layout, facts: Metadata) -> _Weights:
    bytes_of: Counter[str] = Counter()
    for tensor in layout.tensors.values():
        bytes_of[tensor.type.name] += tensor.size
    return {
        "file_type": _FILE_TYPES.get(facts.integer("general.file_type", 0, 2**32 - 1, 2**32 - 1), ""),
        "quantisation": bytes_of.most_common(1)[0][0],
        "parameters": sum(tensor.elements for tensor in layout.tensors.values()),
        "tensor_bytes": bytes_of.total(),
    }
