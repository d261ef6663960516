"""A grammar's state within one answer, and the question which tokens it allows next, put to as few tokens as will do.

A token that it forbids is never returned, nor one that the answer's text would not show.
"""

from __future__ import annotations

import ctypes
import weakref
from typing import Any

import llama_cpp.llama_cpp as llama
import numpy as np

from router.engine.native import Logits, NativeModel
from router.engine.types import Sampling

_CANDIDATE = np.dtype([("id", "<i4"), ("logit", "<f4"), ("p", "<f4")])
_FIRST_LOOK = 1024

Tokens = np.ndarray[Any, np.dtype[np.integer[Any]]]


class GrammarError(Exception):
    """llama.cpp does not accept the grammar."""


class DeadEndError(Exception):
    """The grammar leaves no token to go on with."""


class Constraint:
    """llama.cpp's grammar sampler for one sequence. Freed with the last reference to it."""

    def __init__(self, model: NativeModel, grammar: str, shown: frozenset[int]) -> None:
        """`shown` are control tokens whose text belongs to the answer. Raises GrammarError."""
        self._model = model
        self._shown = shown
        self._sampler = llama.llama_sampler_init_grammar(model.vocab, grammar.encode(), b"root")
        if not self._sampler:
            raise GrammarError
        weakref.finalize(self, llama.llama_sampler_free, self._sampler).atexit = False
        self._spelling = model.spelling
        self._others = np.array(sorted({*model.ends, *shown}), np.int32)

    @classmethod
    def of(cls, model: NativeModel, sampling: Sampling) -> Constraint | None:
        """The constraint that `sampling` asks for. Raises GrammarError."""
        return None if sampling.grammar is None else cls(model, sampling.grammar, sampling.shown)

    def accept(self, token: int) -> None:
        """Go on behind `token`, which must be allowed."""
        llama.llama_sampler_accept(self._sampler, token)

    def allows(self, token: int) -> bool:
        """Whether `token` may come next."""
        # llama.cpp takes a control token for its text, but an answer does not show it.
        is_visible = self._model.piece(token) or token in self._shown or self._model.is_end(token)
        return bool(is_visible and self._check(np.array([token]))[0])

    def allowed(self, logits: Logits, span: float) -> Tokens:
        """The tokens that may come next and lie at most `span` below the best of them. Raises DeadEndError.

        Asking about all of 49,152 tokens takes 4 to 12 ms.
        """
        tokens = self._plausible()
        if len(tokens) > _FIRST_LOOK:
            order = np.argpartition(-logits[tokens], _FIRST_LOOK)
            tokens, rest = tokens[order[:_FIRST_LOOK]], tokens[order[_FIRST_LOOK:]]
        else:
            rest = tokens[:0]
        found = tokens[self._check(tokens)]
        if len(found) and len(rest):
            rest = rest[logits[rest] >= logits[found].max() - np.float32(span)]
        found = np.concatenate([found, rest[self._check(rest)]])
        if not len(found):
            raise DeadEndError
        return found

    def _plausible(self) -> Tokens:
        """All tokens but those whose first byte, or first two, are forbidden already."""
        spelling = self._spelling
        forbidden = np.zeros(len(spelling.first), np.bool_)
        for beginnings in (spelling.first, spelling.second):
            asked = np.unique(beginnings[~forbidden & (beginnings >= 0)])
            forbidden |= np.isin(beginnings, asked[~self._check(asked)])
        return np.concatenate([self._others, spelling.tokens[~forbidden[spelling.families]]])

    def _check(self, tokens: Tokens) -> np.ndarray[Any, np.dtype[np.bool_]]:
        candidates = np.zeros(len(tokens), _CANDIDATE)
        candidates["id"] = tokens
        array = llama.llama_token_data_array()
        array.data = candidates.ctypes.data_as(type(array.data))
        array.size = len(tokens)
        array.selected = -1
        array.sorted = False
        llama.llama_sampler_apply(self._sampler, ctypes.byref(array))
        allowed: np.ndarray[Any, np.dtype[np.bool_]] = np.isfinite(candidates["logit"])
        return allowed
