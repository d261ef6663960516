"""Typed and bounded access to a GGUF's metadata. Errors name keys, which come from the caller, never from the file."""

from __future__ import annotations

import math
from typing import TypeVar

from router.engine.gguf_layout import BOOL, FLOAT32, INT32, STRING, UINT32, Array, BadModelError, Value

T = TypeVar("T")


class Metadata:
    """llama.cpp takes each key in one type alone, and so does this. Every method raises BadModelError."""

    def __init__(self, values: dict[str, Value]) -> None:
        self._values = values

    def has(self, key: str) -> bool:
        """Whether the file has this key."""
        return key in self._values

    def integer(self, key: str, least: int, most: int, default: int | None = None, *, kind: int = UINT32) -> int:
        """A whole number. Without a default it must be there; so it is below."""
        value = self._values.get(key)
        if value is None:
            return _or_default(key, default)
        if value.kind != kind or not isinstance(value.item, int) or not least <= value.item <= most:
            raise BadModelError(f"`{key}` is not a whole number from {least} to {most}")
        return value.item

    def of_layers(self, key: str, layers: int, most: int, default: tuple[int, ...] | None = None) -> tuple[int, ...]:
        """A number from 1 for each layer; in the file it may be one for all."""
        value = self._values.get(key)
        if value is None:
            return _or_default(key, default)
        if not isinstance(value.item, Array):
            return (self.integer(key, 1, most),) * layers
        items = value.item.items or ()
        numbers = tuple(item for item in items if isinstance(item, int) and 1 <= item <= most)
        is_right = value.item.kind in (UINT32, INT32) and value.item.count == len(numbers) == layers
        if not is_right:
            raise BadModelError(f"`{key}` is not a number from 1 to {most} for each layer")
        return numbers

    def flags(self, key: str) -> tuple[bool, ...] | None:
        """What an array of flags says of the first layers; None when the file has no array there."""
        value = self._values.get(key)
        if value is None or not isinstance(value.item, Array):
            return None
        if value.item.kind not in (BOOL, UINT32, INT32) or value.item.items is None:
            raise BadModelError(f"`{key}` is not a flag for each layer")
        return tuple(bool(item) for item in value.item.items)

    def real(self, key: str, least: float, most: float, default: float | None = None) -> float:
        """A finite number."""
        value = self._values.get(key)
        if value is None:
            return _or_default(key, default)
        if value.kind != FLOAT32 or not isinstance(value.item, float) or not least <= value.item <= most:
            raise BadModelError(f"`{key}` is not a number from {least:g} to {most:g}")
        return value.item

    def boolean(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self._values.get(key)
        if value is None:
            return default
        if value.kind != BOOL:
            raise BadModelError(f"`{key}` is neither true nor false")
        return bool(value.item)

    def text(self, key: str, default: str | None = None) -> str:
        """A text whose key was among those that `read_layout` was to keep."""
        value = self._values.get(key)
        if value is None:
            return _or_default(key, default)
        if value.kind != STRING or not isinstance(value.item, bytes):
            raise BadModelError(f"`{key}` is not a text")
        try:
            return value.item.decode("utf-8")
        except UnicodeDecodeError:
            raise BadModelError(f"`{key}` is not UTF-8") from None

    def array(self, key: str, kinds: tuple[int, ...]) -> Array | None:
        """An array whose items have one of these types; None when the file has none."""
        value = self._values.get(key)
        if value is None:
            return None
        if not isinstance(value.item, Array) or value.item.kind not in kinds:
            raise BadModelError(f"`{key}` is not an array of the right type")
        return value.item

    def check_finite(self, prefix: str) -> None:
        """No number whose key begins with `prefix` is infinite or none at all."""
        for key, value in self._values.items():
            if key.startswith(prefix) and isinstance(value.item, float) and not math.isfinite(value.item):
                raise BadModelError("a number of the model's metadata is not finite")


def _or_default(key: str, default: T | None) -> T:
    if default is None:
        raise BadModelError(f"`{key}` is missing")
    return default
