"""Writes GGUF bytes piece by piece, wrong ones as readily as right ones."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

KINDS = {"u8": 0, "i8": 1, "u16": 2, "i16": 3, "u32": 4, "i32": 5, "f32": 6, "bool": 7, "str": 8, "u64": 10, "f64": 12}
FORMS = {
    "u8": "<B", "i8": "<b", "u16": "<H", "i16": "<h", "u32": "<I", "i32": "<i", "f32": "<f", "bool": "<?", "u64": "<Q",
    "f64": "<d",
}  # fmt: skip


def text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(raw)) + raw


def item(kind: str, value: Any) -> bytes:
    return text(value) if kind == "str" else struct.pack(FORMS[kind], value)


def value(kind: str, content: Any) -> bytes:
    """A typed value; a list makes an array."""
    if isinstance(content, list):
        head = struct.pack("<IIQ", 9, KINDS[kind], len(content))
        return head + b"".join(item(kind, each) for each in content)
    return struct.pack("<I", KINDS[kind]) + item(kind, content)


@dataclass
class RawTensor:
    name: str
    shape: tuple[int, ...]
    kind: int = 0
    size: int | None = None  # bytes of data; None: what float32 needs
    offset: int | None = None  # None: behind the tensor before it


@dataclass
class RawGguf:
    """`pairs` are keys and their typed values as bytes."""

    pairs: list[tuple[str | bytes, bytes]] = field(default_factory=list)
    tensors: list[RawTensor] = field(default_factory=list)
    magic: bytes = b"GGUF"
    version: int = 3
    claimed_tensors: int | None = None
    claimed_pairs: int | None = None
    alignment: int = 32

    def set(self, key: str, kind: str, content: Any) -> RawGguf:
        return self.put(key, value(kind, content))

    def put(self, key: str, raw: bytes) -> RawGguf:
        """Replace `key`'s value, or add it."""
        self.pairs = [*(pair for pair in self.pairs if pair[0] != key), (key, raw)]
        return self

    def drop(self, key: str) -> RawGguf:
        self.pairs = [pair for pair in self.pairs if pair[0] != key]
        return self

    def header(self) -> bytes:
        tensors = len(self.tensors) if self.claimed_tensors is None else self.claimed_tensors
        pairs = len(self.pairs) if self.claimed_pairs is None else self.claimed_pairs
        parts = [self.magic, struct.pack("<IQQ", self.version, tensors, pairs)]
        parts += [text(key) + raw for key, raw in self.pairs]
        offset = 0
        for tensor in self.tensors:
            own = offset if tensor.offset is None else tensor.offset
            shape = struct.pack(f"<{len(tensor.shape)}Q", *tensor.shape)
            parts.append(text(tensor.name) + struct.pack("<I", len(tensor.shape)) + shape)
            parts.append(struct.pack("<IQ", tensor.kind, own))
            offset += self._padded(self._size(tensor))
        return b"".join(parts)

    def build(self) -> bytes:
        raw = self.header()
        data = sum(self._padded(self._size(tensor)) for tensor in self.tensors)
        return raw + bytes(self._padded(len(raw)) - len(raw) + data)

    def _size(self, tensor: RawTensor) -> int:
        if tensor.size is not None:
            return tensor.size
        size = 4
        for dimension in tensor.shape:
            size *= dimension
        return size

    def _padded(self, size: int) -> int:
        return -(-size // self.alignment) * self.alignment


def small_model() -> RawGguf:
    """A header that is right in everything; no weights that anything could compute with."""
    tokens = [f"<0x{byte:02X}>" for byte in range(256)] + ["<unk>", "<s>", "</s>", "canary-zanzibar"]
    raw = RawGguf()
    raw.set("general.architecture", "str", "llama").set("general.type", "str", "model")
    raw.set("general.name", "str", "Small").set("general.file_type", "u32", 0)
    for key, number in {
        "context_length": 512,
        "embedding_length": 8,
        "block_count": 2,
        "feed_forward_length": 16,
        "attention.head_count": 4,
        "attention.head_count_kv": 2,
        "rope.dimension_count": 2,
        "vocab_size": len(tokens),
    }.items():
        raw.set(f"llama.{key}", "u32", number)
    raw.set("llama.attention.layer_norm_rms_epsilon", "f32", 1e-5)
    raw.set("tokenizer.ggml.model", "str", "llama").set("tokenizer.ggml.tokens", "str", tokens)
    raw.set("tokenizer.ggml.scores", "f32", [0.0] * len(tokens))
    raw.set("tokenizer.ggml.token_type", "i32", [1] * len(tokens))
    raw.set("tokenizer.ggml.bos_token_id", "u32", 257).set("tokenizer.ggml.eos_token_id", "u32", 258)
    raw.set("tokenizer.chat_template", "str", "{% for m in messages %}{{ m.content }}canary-zanzibar{% endfor %}")
    raw.tensors = [RawTensor("token_embd.weight", (8, len(tokens))), RawTensor("output_norm.weight", (8,))]
    return raw


def small_adapter() -> RawGguf:
    raw = RawGguf()
    raw.set("general.architecture", "str", "llama").set("general.type", "str", "adapter")
    raw.set("adapter.type", "str", "lora").set("adapter.lora.alpha", "f32", 8.0)
    raw.tensors = [
        RawTensor("blk.0.attn_q.weight.lora_a", (8, 2)),
        RawTensor("blk.0.attn_q.weight.lora_b", (2, 8)),
    ]
    return raw
