"""The self-test refuses numbers that make no sense, and measures whether several tokens round as single ones do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from router.engine.loop import DecodeLoop
from router.engine.native import Logits, NativeContext, NativeError, NativeModel
from router.engine.selftest import self_test
from router.engine.template import ChatTemplate
from router.models.catalogue import embedded_model


class _Shaken(NativeContext):
    """Its logits depend on how many tokens were decoded with them, as on some accelerators."""

    def logits(self, rows: int) -> Logits:
        return super().logits(rows) * (1 + rows / 1_000)


class _Broken(NativeContext):
    """A build that computes nonsense from the second token on."""

    def logits(self, rows: int) -> Logits:
        found = super().logits(rows)
        return found if rows == 1 else found * 0


@contextmanager
def decode_loop() -> Iterator[DecodeLoop]:
    loop = DecodeLoop()
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        yield loop
    finally:
        loop.stop()
        thread.join()


def rounds_alike(kind: type[NativeContext]) -> bool:
    model = NativeModel(str(embedded_model()))
    context = kind(model, context=256, batch=64, sequences=1, threads=1)
    try:
        assert model.template is not None
        with decode_loop() as loop:
            return self_test(context, ChatTemplate(model, model.template), loop)
    finally:
        context.close()
        model.close()


def test_the_embedded_model_rounds_several_tokens_as_single_ones() -> None:
    assert rounds_alike(NativeContext)


def test_a_difference_in_the_last_digits_is_seen() -> None:
    assert not rounds_alike(_Shaken)


def test_numbers_that_make_no_sense_are_refused() -> None:
    with pytest.raises(NativeError, match="make no sense"):
        rounds_alike(_Broken)
