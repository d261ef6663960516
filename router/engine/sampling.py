"""Chooses the next token from logits: greedy, or temperature then top-p (the order of OpenAI, vLLM and transformers).

A token that the grammar forbids is never returned.
"""

from __future__ import annotations

import ctypes
import weakref
from typing import Any

import llama_cpp.llama_cpp as llama
import numpy as np

from router.engine.native import Logits, NativeModel
from router.engine.types import Sampling, TokenLogprob

_GREEDY_BELOW = 0.01  # below it dividing by the temperature only adds overflow: the largest logit wins anyway
# A token whose logit is more than 30 temperatures under the best has less than 1e-13 of its probability: 50,000 of
# them weigh less than float32 can hold. Dropping them makes top-p sort hundreds of candidates instead of all.
_NEGLIGIBLE = 30.0
_CANDIDATE = np.dtype([("id", "<i4"), ("logit", "<f4"), ("p", "<f4")])


class GrammarError(Exception):
    """llama.cpp does not accept the grammar."""


class DeadEndError(Exception):
    """The grammar leaves no token to go on with."""


def _owned(owner: object, sampler: Any) -> Any:
    weakref.finalize(owner, llama.llama_sampler_free, sampler).atexit = False
    return sampler


class Sampler:
    """The random state and the grammar's state of one sequence. Freed with the last reference to it."""

    def __init__(self, model: NativeModel, sampling: Sampling) -> None:
        """Raises GrammarError."""
        self._greedy = sampling.temperature < _GREEDY_BELOW
        self._span = _NEGLIGIBLE * sampling.temperature
        self._chain = None if self._greedy else _owned(self, _random_chain(sampling))
        self._grammar = None
        if sampling.grammar is not None:
            self._grammar = llama.llama_sampler_init_grammar(model.vocab, sampling.grammar.encode(), b"root")
            if not self._grammar:
                raise GrammarError
            _owned(self, self._grammar)

    def pick(self, logits: Logits) -> int:
        """The next token. Raises DeadEndError."""
        token = self._draw(logits)
        if self._grammar is None:
            return token
        if not self._allows(token):
            # The usual token fits, so the whole vocabulary is put to the grammar only when one did not.
            token = self._draw(self._masked(logits))
        llama.llama_sampler_accept(self._grammar, token)
        return token

    def _draw(self, logits: Logits) -> int:
        if self._chain is None:
            return int(logits.argmax())
        kept = np.flatnonzero(logits >= logits.max() - self._span)
        candidates, array = _candidates(kept, logits[kept])
        llama.llama_sampler_apply(self._chain, ctypes.byref(array))
        return int(candidates["id"][array.selected])

    def _allows(self, token: int) -> bool:
        candidates, array = _candidates(np.array([token]), np.zeros(1, np.float32))
        llama.llama_sampler_apply(self._grammar, ctypes.byref(array))
        return bool(np.isfinite(candidates["logit"][0]))

    def _masked(self, logits: Logits) -> Logits:
        candidates, array = _candidates(np.arange(len(logits)), logits)
        llama.llama_sampler_apply(self._grammar, ctypes.byref(array))
        masked = candidates["logit"]
        if not np.isfinite(masked.max()):
            raise DeadEndError
        return np.ascontiguousarray(masked)


def _random_chain(sampling: Sampling) -> Any:
    chain = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
    llama.llama_sampler_chain_add(chain, llama.llama_sampler_init_temp(sampling.temperature))
    if sampling.top_p < 1.0:
        llama.llama_sampler_chain_add(chain, llama.llama_sampler_init_top_p(sampling.top_p, 1))
    llama.llama_sampler_chain_add(chain, llama.llama_sampler_init_dist(sampling.seed))
    return chain


def _candidates(ids: Any, logits: Logits) -> tuple[Any, Any]:
    """llama.cpp's view of candidates, over memory that the first value keeps alive."""
    candidates = np.zeros(len(ids), _CANDIDATE)
    candidates["id"] = ids
    candidates["logit"] = logits
    array = llama.llama_token_data_array()
    array.data = candidates.ctypes.data_as(type(array.data))
    array.size = len(ids)
    array.selected = -1
    array.sorted = False
    return candidates, array


def log_probabilities(logits: Logits) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Natural log-softmax, summed in float64."""
    shifted = logits.astype(np.float64) - float(logits.max())
    result: np.ndarray[Any, np.dtype[np.float64]] = shifted - np.log(np.exp(shifted).sum())
    return result


def describe(model: NativeModel, logits: Logits, token: int, top: int) -> TokenLogprob:
    """The chosen token's log-probability and the `top` most probable ones, best first."""
    values = log_probabilities(logits)
    best = np.argpartition(values, -top)[-top:] if top else np.array([], np.int64)
    ranked = sorted(best.tolist(), key=lambda index: (-values[index], index))
    return TokenLogprob(
        model.piece(token), float(values[token]), tuple((model.piece(index), float(values[index])) for index in ranked)
    )
