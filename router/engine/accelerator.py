"""What llama.cpp computes on: the processor, or the devices of an accelerator that was built in."""

from __future__ import annotations

import ctypes
from functools import cache

import llama_cpp.llama_cpp as llama

PROCESSOR = "CPU"
_GPU_KINDS = (1, 2)  # GGML_BACKEND_DEVICE_TYPE_GPU, _IGPU


def accelerator(gpu_layers: int | None) -> str:
    """The devices' names, or CPU when none is built in or no layer may go there. `gpu_layers` None: all layers."""
    if gpu_layers == 0 or not llama.llama_supports_gpu_offload():
        return PROCESSOR
    return ", ".join(_devices()) or PROCESSOR


@cache
def _devices() -> tuple[str, ...]:
    """Source: ggml-backend.h, whose functions llama-cpp-python does not bind."""
    library = llama._lib
    library.ggml_backend_dev_count.restype = ctypes.c_size_t
    library.ggml_backend_dev_get.argtypes, library.ggml_backend_dev_get.restype = [ctypes.c_size_t], ctypes.c_void_p
    for function in (library.ggml_backend_dev_name, library.ggml_backend_dev_description):
        function.argtypes, function.restype = [ctypes.c_void_p], ctypes.c_char_p
    library.ggml_backend_dev_type.argtypes, library.ggml_backend_dev_type.restype = [ctypes.c_void_p], ctypes.c_int
    devices = [library.ggml_backend_dev_get(index) for index in range(library.ggml_backend_dev_count())]
    return tuple(
        f"{library.ggml_backend_dev_name(device).decode()} ({library.ggml_backend_dev_description(device).decode()})"
        for device in devices
        if library.ggml_backend_dev_type(device) in _GPU_KINDS
    )
