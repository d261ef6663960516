"""The bytes of a GGUF: key-value pairs and tensor places, read with a bound on everything that the file claims.

Nothing is allocated because a file says so, and nothing but names from a fixed list comes back in an error.
Source: the GGUF specification (ggml/docs/gguf.md) and the reader of llama.cpp, whose limits are wider.
"""

from __future__ import annotations

import os
import stat
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

MAX_HEADER_BYTES = 64 * 1024 * 1024  # the largest vocabularies in use (262,144 tokens, 514,906 merges) need 15 MB
MAX_PAIRS = 4096
MAX_TENSORS = 16384
MAX_KEY_BYTES = 256
MAX_STRING_BYTES = 1024 * 1024
MAX_ITEMS = 2 * 1024 * 1024  # of an array
MAX_KEPT_ITEMS = 1024  # of an array of numbers: one for each layer
MAX_TOKENS = 1024 * 1024
MAX_TOKEN_BYTES = 16 * 1024
MAX_TENSOR_NAME_BYTES = 63  # GGML_MAX_NAME, with its end mark
MAX_DIMENSION = 2**32
MAX_ELEMENTS = 2**42
MAX_ALIGNMENT = 64 * 1024

UINT16, UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY = 2, 4, 5, 6, 7, 8, 9
_NUMBERS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_SIZES = {kind: struct.calcsize(form) for kind, form in _NUMBERS.items()}
_READERS = {kind: struct.Struct(form) for kind, form in _NUMBERS.items()}

TOKENS_KEY = "tokenizer.ggml.tokens"
TEMPLATE_KEY = "tokenizer.chat_template"
ALIGNMENT_KEY = "general.alignment"


class BadModelError(Exception):
    """The file cannot be served: one plain sentence without anything of its content."""


@dataclass(frozen=True, slots=True)
class TensorType:
    """How a tensor's numbers are packed: `block` elements of a row in `size` bytes."""

    name: str
    block: int
    size: int


# The types that weights may have. Those that llama.cpp uses only inside a computation (Q8_1, Q8_K), integers and
# doubles are left out: some of its operations end the process when they meet one.
TENSOR_TYPES = {
    0: TensorType("F32", 1, 4), 1: TensorType("F16", 1, 2), 30: TensorType("BF16", 1, 2),
    2: TensorType("Q4_0", 32, 18), 3: TensorType("Q4_1", 32, 20), 6: TensorType("Q5_0", 32, 22),
    7: TensorType("Q5_1", 32, 24), 8: TensorType("Q8_0", 32, 34), 10: TensorType("Q2_K", 256, 84),
    11: TensorType("Q3_K", 256, 110), 12: TensorType("Q4_K", 256, 144), 13: TensorType("Q5_K", 256, 176),
    14: TensorType("Q6_K", 256, 210), 16: TensorType("IQ2_XXS", 256, 66), 17: TensorType("IQ2_XS", 256, 74),
    18: TensorType("IQ3_XXS", 256, 98), 19: TensorType("IQ1_S", 256, 50), 20: TensorType("IQ4_NL", 32, 18),
    21: TensorType("IQ3_S", 256, 110), 22: TensorType("IQ2_S", 256, 82), 23: TensorType("IQ4_XS", 256, 136),
    29: TensorType("IQ1_M", 256, 56), 34: TensorType("TQ1_0", 256, 54), 35: TensorType("TQ2_0", 256, 66),
    39: TensorType("MXFP4", 32, 17),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Array:
    """An array of the metadata. `items` are its numbers when they are few, the tokens of TOKENS_KEY, else None."""

    kind: int
    count: int
    items: tuple[int | float | bytes, ...] | None = None


@dataclass(frozen=True, slots=True)
class Value:
    """A value of the metadata with its type's number. Strings that nobody asks for are not kept: `item` is None."""

    kind: int
    item: int | float | bytes | Array | None


@dataclass(frozen=True, slots=True)
class Tensor:
    """Where a tensor lies. `shape` has the innermost dimension first, as in the file."""

    name: str
    shape: tuple[int, ...]
    type: TensorType
    elements: int
    size: int  # bytes, without the padding behind them


@dataclass(frozen=True, slots=True)
class Layout:
    """Everything that a file's header says, checked against the file's size."""

    values: dict[str, Value]
    tensors: dict[str, Tensor]


def open_regular(path: str | Path) -> BinaryIO:
    """Open `path` if it is a file of bytes; a pipe or a device is not waited for. Raises BadModelError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "its name is not one"
        raise BadModelError(f"the file cannot be opened: {reason}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise BadModelError("this is not a regular file")
    return os.fdopen(descriptor, "rb", buffering=1024 * 1024)


def read_layout(file: BinaryIO, kept: frozenset[str]) -> Layout:
    """The layout of an open GGUF; `kept` names the keys whose strings are wanted. Raises BadModelError."""
    size = os.fstat(file.fileno()).st_size
    reader = _Reader(file, size)
    pairs, tensors = _counts(reader)
    values = _pairs(reader, pairs, kept)
    alignment = _alignment(values)
    found = _tensors(reader, tensors, alignment)
    start = _padded(reader.position, alignment)
    ends = start
    last = 0
    for tensor in found.values():
        last = ends + tensor.size
        ends = _padded(last, alignment)
    if size < last:
        raise BadModelError(f"the file is cut short: it has {size} bytes, and its header promises at least {last}")
    if size > ends:
        raise BadModelError(f"the file has {size} bytes, and its header accounts for {ends}")
    return Layout(values, found)


def _padded(size: int, alignment: int) -> int:
    return (size + alignment - 1) // alignment * alignment


class _Reader:
    """Takes bytes from the header, never beyond the file's end or the header's bound."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self.position = 0

    def take(self, count: int) -> bytes:
        self._advance(count)
        taken = self._file.read(count)
        if len(taken) != count:
            raise BadModelError("the file is cut short in its header")
        return taken

    def skip(self, count: int) -> None:
        self._advance(count)
        self._file.seek(count, os.SEEK_CUR)

    def _advance(self, count: int) -> None:
        self.position += count
        if self.position > self._size:
            raise BadModelError("the file is cut short in its header")
        if self.position > MAX_HEADER_BYTES:
            raise BadModelError(f"the header is larger than {MAX_HEADER_BYTES} bytes")

    def number(self, kind: int) -> int | float:
        (number,) = _READERS[kind].unpack(self.take(_SIZES[kind]))
        return number  # type: ignore[no-any-return]  # struct does not say what a format gives

    def count(self) -> int:
        return int.from_bytes(self.take(8), "little")

    def small(self) -> int:
        return int.from_bytes(self.take(4), "little")

    def string(self, most: int, what: str) -> bytes:
        return self.take(self._string_size(most, what))

    def skip_string(self, most: int, what: str) -> None:
        self.skip(self._string_size(most, what))

    def _string_size(self, most: int, what: str) -> int:
        size = self.count()
        if size > most:
            raise BadModelError(f"{what} is longer than {most} bytes")
        return size


def _counts(reader: _Reader) -> tuple[int, int]:
    """How many pairs and tensors follow."""
    if reader.take(4) != b"GGUF":
        raise BadModelError("this is not a GGUF file")
    version = reader.small()
    if version & 0xFFFF == 0:
        raise BadModelError("this GGUF is written in big-endian byte order")
    if version not in (2, 3):
        raise BadModelError("this version of GGUF is not known: 2 and 3 are")
    tensors, pairs = reader.count(), reader.count()
    if tensors > MAX_TENSORS:
        raise BadModelError(f"the file has more than {MAX_TENSORS} tensors")
    if pairs > MAX_PAIRS:
        raise BadModelError(f"the file has more than {MAX_PAIRS} keys")
    if tensors == 0:
        raise BadModelError("the file has no tensors")
    return pairs, tensors


def _pairs(reader: _Reader, count: int, kept: frozenset[str]) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for _ in range(count):
        raw = reader.string(MAX_KEY_BYTES, "a key")
        if not raw or not raw.isascii() or not raw.decode("ascii").isprintable():
            raise BadModelError("a key is not made of printable ASCII characters")
        key = raw.decode("ascii")
        if key in values:
            raise BadModelError("a key occurs twice")
        values[key] = _value(reader, key, kept)
    return values


def _value(reader: _Reader, key: str, kept: frozenset[str]) -> Value:
    kind = reader.small()
    if kind in _NUMBERS:
        return Value(kind, reader.number(kind))
    if kind == STRING:
        if key in kept:
            return Value(kind, reader.string(MAX_STRING_BYTES, "a string"))
        reader.skip_string(MAX_STRING_BYTES, "a string")
        return Value(kind, None)
    if kind == ARRAY:
        return Value(kind, _array(reader, key))
    raise BadModelError("a value has a type that is not known")


def _array(reader: _Reader, key: str) -> Array:
    kind, count = reader.small(), reader.count()
    if kind == ARRAY:
        raise BadModelError("an array holds arrays")
    if kind != STRING and kind not in _NUMBERS:
        raise BadModelError("an array's items have a type that is not known")
    if count > MAX_ITEMS:
        raise BadModelError(f"an array has more than {MAX_ITEMS} items")
    if kind == STRING and key == TOKENS_KEY:
        if count > MAX_TOKENS:
            raise BadModelError(f"the vocabulary has more than {MAX_TOKENS} tokens")
        return Array(kind, count, tuple(reader.string(MAX_TOKEN_BYTES, "a token") for _ in range(count)))
    if kind == STRING:
        for _ in range(count):
            reader.skip_string(MAX_STRING_BYTES, "a string")
        return Array(kind, count)
    if count > MAX_KEPT_ITEMS:
        reader.skip(count * _SIZES[kind])
        return Array(kind, count)
    return Array(kind, count, tuple(reader.number(kind) for _ in range(count)))


def _alignment(values: dict[str, Value]) -> int:
    value = values.get(ALIGNMENT_KEY)
    if value is None:
        return 32
    alignment = value.item
    if value.kind != UINT32 or not isinstance(alignment, int) or not 8 <= alignment <= MAX_ALIGNMENT:
        raise BadModelError(f"`{ALIGNMENT_KEY}` is not a number from 8 to {MAX_ALIGNMENT}")
    if alignment & (alignment - 1):
        raise BadModelError(f"`{ALIGNMENT_KEY}` is not a power of two")
    return alignment


def _tensors(reader: _Reader, count: int, alignment: int) -> dict[str, Tensor]:
    """The tensors in their order. Each begins where the one before it ends, as llama.cpp demands: none overlaps."""
    tensors: dict[str, Tensor] = {}
    expected = 0
    for _ in range(count):
        tensor = _tensor(reader)
        if tensor.name in tensors:
            raise BadModelError("two tensors have one name")
        if reader.count() != expected:
            raise BadModelError("a tensor does not begin where the one before it ends")
        tensors[tensor.name] = tensor
        expected = _padded(expected + tensor.size, alignment)
    return tensors


def _tensor(reader: _Reader) -> Tensor:
    raw = reader.string(MAX_TENSOR_NAME_BYTES, "a tensor's name")
    if not raw or not raw.isascii() or not raw.decode("ascii").isprintable():
        raise BadModelError("a tensor's name is not made of printable ASCII characters")
    rank = reader.small()
    if not 1 <= rank <= 4:
        raise BadModelError("a tensor has no dimensions, or more than 4")
    shape = tuple(reader.count() for _ in range(rank))
    elements = 1
    for dimension in shape:
        if not 1 <= dimension <= MAX_DIMENSION:
            raise BadModelError("a tensor's dimension is zero or too large")
        elements *= dimension
    if elements > MAX_ELEMENTS:
        raise BadModelError("a tensor is too large")
    kind = TENSOR_TYPES.get(reader.small())
    if kind is None:
        raise BadModelError("a tensor has a type that weights cannot have, or that is not known")
    if shape[0] % kind.block:
        raise BadModelError("a tensor's rows are not whole blocks of its type")
    if rank == 1 and kind.name != "F32":
        raise BadModelError("a vector is not in 32-bit floating point")
    return Tensor(raw.decode("ascii"), shape, kind, elements, elements // kind.block * kind.size)
