"""What a model is reckoned to take: never less than llama.cpp then asks for, and no more slots than fit."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from router.engine.gguf import Header, inspect
from router.engine.sizing import MOST_SLOTS, Limits, plan_chat, plan_embedder
from router.models.catalogue import embedded_model

GIGABYTE = 1 << 30
LIMITS = Limits(budget=12 * GIGABYTE, usable=24 * GIGABYTE, context=8192, slots=0)


@pytest.fixture(scope="module")
def header() -> Header:
    return inspect(embedded_model())


def test_the_slots_take_an_eighth_of_the_memory_at_most_and_are_one_at_least(header: Header) -> None:
    one = plan_chat(header, 0, replace(LIMITS, slots=1)).cache
    assert one == header.kv_bytes_per_token * 8192
    for usable, slots in [(8 * one, 1), (16 * one, 2), (40 * one, 5), (1000 * one, MOST_SLOTS), (one, 1)]:
        plan = plan_chat(header, 0, replace(LIMITS, usable=usable))
        assert (plan.slots, plan.cache) == (slots, slots * one)


def test_slots_are_left_out_before_a_model_is_too_large(header: Header) -> None:
    size = os.path.getsize(embedded_model())
    wide = plan_chat(header, size, LIMITS)
    narrow = plan_chat(header, size, replace(LIMITS, budget=wide.total - 1))
    assert (wide.slots, narrow.slots) == (MOST_SLOTS, MOST_SLOTS - 1)
    assert narrow.total < wide.total


def test_slots_that_were_asked_for_are_not_changed(header: Header) -> None:
    assert plan_chat(header, 0, replace(LIMITS, slots=3, budget=1)).slots == 3


def test_the_context_is_what_was_asked_for_within_what_was_trained(header: Header) -> None:
    assert plan_chat(header, 0, LIMITS, 512).context == 512
    assert plan_chat(header, 0, LIMITS, 1_000_000).context == header.context_length
    assert plan_chat(header, 0, replace(LIMITS, context=100)).context == 100


def test_an_embedder_has_no_slots_and_a_cache_of_one_context(header: Header) -> None:
    plan = plan_embedder(header, 7, LIMITS, 512)
    assert (plan.slots, plan.cache, plan.weights) == (0, 512 * header.kv_bytes_per_token, 7)
    assert plan.total == plan.weights + plan.cache + plan.overhead


def test_the_real_models_buffers_are_within_what_was_reckoned(
    header: Header, capfd: pytest.CaptureFixture[str]
) -> None:
    """llama.cpp's own log says what it allocated."""
    from router.engine.native import NativeContext, NativeModel
    from router.engine.sizing import BATCH

    plan = plan_chat(header, os.path.getsize(embedded_model()), replace(LIMITS, slots=2, context=1024))
    model = NativeModel(str(embedded_model()), verbose=True)
    context = NativeContext(model, context=plan.context, batch=BATCH, sequences=plan.slots, threads=1)
    context.close()
    model.close()
    lines = capfd.readouterr().err.splitlines()
    sizes = {
        word: sum(float(line.split("=")[1].split()[0]) for line in lines if word in line and "size =" in line)
        for word in ("compute buffer", "output buffer", "KV buffer")
    }
    assert sizes["KV buffer"] * 2**20 == plan.cache
    assert 0 < (sizes["compute buffer"] + sizes["output buffer"]) * 2**20 <= plan.overhead
