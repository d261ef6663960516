"""LoRA adapters of one loaded model: read beside its weights, and switched on for a whole decode call at a time.

A key stands for one load of one file and is never used again: what a cache holds under it is never another's.
"""

from __future__ import annotations

import ctypes
from typing import Any

import llama_cpp.llama_cpp as llama

from router.engine.native import NativeError, NativeModel


class Adapters:
    """`load` may be called from any thread; `apply` and `remove` only where the contexts are decoded."""

    def __init__(self, model: NativeModel) -> None:
        self._model = model
        self._loaded: dict[str, Any] = {}
        self._applied: dict[int, str] = {}  # a context's address -> the key

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that `apply` takes."""
        return tuple(self._loaded)

    def load(self, key: str, path: str) -> None:
        """Read the adapter at `path`. Raises NativeError: the file is no adapter of this model."""
        adapter = llama.llama_adapter_lora_init(self._model.handle, path.encode())
        if not adapter:
            raise NativeError("llama.cpp cannot use this adapter with its base model")
        self._loaded[key] = adapter

    def apply(self, context: Any, key: str | None) -> None:
        """What `context` decodes from now on is changed by the adapter `key`; None: by none. Raises NativeError."""
        if self._applied.get(context) == key:
            return
        if key is None:
            code = llama.llama_set_adapters_lora(context, None, 0, None)
            self._applied.pop(context, None)
        else:
            adapters = (llama.llama_adapter_lora_p_ctypes * 1)(self._loaded[key])
            code = llama.llama_set_adapters_lora(context, adapters, 1, (ctypes.c_float * 1)(1.0))
            self._applied[context] = key
        if code != 0:
            raise NativeError("llama.cpp cannot switch to this adapter")

    def remove(self, key: str) -> None:
        """Free the adapter; contexts that decode with it do so no more. Idempotent."""
        for context in [context for context, applied in self._applied.items() if applied == key]:
            self.apply(context, None)
        adapter = self._loaded.pop(key, None)
        if adapter:
            llama.llama_adapter_lora_free(adapter)

    def forget(self, context: Any) -> None:
        """`context` is about to be freed: another may come to have its address."""
        self._applied.pop(context, None)
