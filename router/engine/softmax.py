"""The logarithm of a softmax's denominator: what turns logits into log-probabilities.

By ggml's own vector code where the build has it and it agrees with numpy, which takes more than twice as long.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable

import llama_cpp.llama_cpp as llama
import numpy as np

from router.engine.native import Logits
from router.engine.ranking import column_sums, exponentials

Denominator = Callable[[Logits], float]
_SAMPLES = (1, 5, 8, 19, 1024, 5000)  # lengths: with and without a rest behind whole vectors
_AGREE = 1e-5  # nats


def log_denominator(logits: Logits) -> float:
    """log(sum(exp(logits))) of one row, all of them finite, in nats."""
    best = logits.max()
    return float(best) + math.log(column_sums(exponentials(logits, best)).sum())


class NativeDenominator:
    """The same by `ggml_vec_soft_max_f32` (ggml's vec.h), which llama-cpp-python does not bind. For one thread."""

    def __init__(self) -> None:
        """Raises AttributeError where the build does not export it."""
        self._sum = llama._lib.ggml_vec_soft_max_f32
        self._sum.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_float]
        self._sum.restype = ctypes.c_double
        self._weights = np.empty(0, np.float32)  # which it writes, and nobody reads
        self._address = 0

    def __call__(self, logits: Logits) -> float:
        size = len(logits)
        if len(self._weights) < size:
            self._weights = np.empty(size, np.float32)
            self._address = self._weights.ctypes.data
        best = float(logits.max())
        return best + math.log(self._sum(size, self._address, logits.ctypes.data, best))


def make_denominator() -> Denominator:
    """The fastest one that is right on this machine."""
    try:
        native = NativeDenominator()
    except AttributeError:
        return log_denominator
    random = np.random.default_rng(0)
    for size in _SAMPLES:
        sample = (random.standard_normal(size) * 8).astype(np.float32)
        if not abs(native(sample) - log_denominator(sample)) < _AGREE:
            return log_denominator
    return native
