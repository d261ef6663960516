"""The pipeline's promises: all signals, faults that make it stricter, a budget, a memory that cannot mislead."""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from classifiers.entities import ENTITIES
from classifiers.memory import Remembered, ScanMemory
from classifiers.pipeline import INLINE_BYTES, Pipeline
from classifiers.registry import DETECTORS, SIGNALS, SignalSpec, producible_entities
from classifiers.types import Dictionary, Exemption, Pattern, ScanRules, Unknown
from classifiers.vocabulary import DOMAINS, LANGUAGES, TASKS
from tests.classifiers.faulty import Everywhere
from tests.support.patterns import PATTERNS

HERE = "tests.classifiers.faulty:"
RULES = ScanRules()
FACTS = {name: spec for name, spec in SIGNALS.items() if spec.where is None}


def chat(text: str) -> dict[str, Any]:
    return {"model": "auto", "messages": [{"role": "user", "content": text}]}


def large(text: str) -> dict[str, Any]:
    return chat("plain words go on. " * (INLINE_BYTES // 16) + text)


def with_fault(name: str, **settings: Any) -> Pipeline:
    table = {**PATTERNS, name.lower(): HERE + name}
    return Pipeline(detectors=table, signals=FACTS, **{"budget_ms": 5000, **settings})


async def test_every_registered_signal_has_a_value_or_an_error(pipeline: Pipeline) -> None:
    body = {**chat("What is 2 + 2?"), "tools": [{"type": "function", "function": {"name": "f"}}]}
    signals = await pipeline.run(body, RULES, "default")
    assert set(signals.values) == set(SIGNALS)
    for name, value in signals.values.items():
        assert value.name == name
        assert (value.value is None) != (value.error is None)
    assert signals.values["has_tools"].value is True
    assert signals.values["modality"].value == frozenset({"text"})
    assert signals.values["domain"].value in DOMAINS
    assert signals.values["task"].value in TASKS
    assert signals.values["language"].value in LANGUAGES
    assert signals.elapsed_ms > 0


async def test_modality_names_what_is_not_text(pipeline: Pipeline) -> None:
    body = {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,x"}}]}]}
    assert (await pipeline.run(body, RULES, "default")).values["modality"].value == frozenset({"text", "image"})


@pytest.mark.parametrize("text", ["word " * 400, "4111" * 100, "日本語の文章です。" * 50, "{[(;)]}" * 60])
async def test_context_length_errs_high(pipeline: Pipeline, text: str) -> None:
    """At least a quarter of the characters, and a token for each digit, mark or character of a denser script."""
    value = (await pipeline.run(chat(text), RULES, "default")).values["context_length"].value
    dense = sum(1 for character in text if not (character.isascii() and (character.isalpha() or character == " ")))
    assert isinstance(value, int)
    assert dense + (len(text) - dense) / 4 <= value <= 4 * len(text) + 100


async def test_a_detector_that_raises_is_an_unknown_and_the_others_still_report() -> None:
    result = (await with_fault("Raising").run(chat("boom 4111 1111 1111 1111"), RULES, "default")).scan
    assert result.unknowns == (Unknown("detector_error", "", "raising: LookupError"),)
    assert [finding.entity_type for finding in result.findings] == ["CREDIT_CARD"]


async def test_a_detector_that_cannot_be_built_is_an_unknown_of_every_scan() -> None:
    pipeline = with_fault("Unbuildable")
    assert pipeline.broken == {"unbuildable: FileNotFoundError"}
    assert (await pipeline.run(chat("hi"), RULES, "default")).scan.unknowns == (
        Unknown("detector_error", "", "unbuildable: FileNotFoundError"),
    )


@pytest.mark.parametrize("make", [chat, large])
async def test_what_a_detector_cannot_read_is_an_unknown_each_time_it_comes(make: Callable[[str], Any]) -> None:
    """Remembered or not, beside an error or not, in this process or in the other."""
    table = {**PATTERNS, "baffled": HERE + "Baffled", "raising": HERE + "Raising"}
    pipeline = Pipeline(detectors=table, signals=FACTS, budget_ms=5000)
    unread = Unknown("unsupported_language", "/messages/0/content", "baffled")
    for words in ("rhubarb", "rhubarb", "rhubarb boom"):
        assert unread in (await pipeline.run(make("so much text " * 30 + words), RULES, "default")).scan.unknowns
    await pipeline.close()


async def test_an_overrun_is_an_unknown() -> None:
    result = (await with_fault("Slow", budget_ms=50).run(chat("wait"), RULES, "default")).scan
    assert [unknown.kind for unknown in result.unknowns] == ["timeout"]


async def test_policy_terms_that_do_not_compile_are_an_unknown(pipeline: Pipeline) -> None:
    rules = ScanRules(patterns=(Pattern("bad", "a(?=b)"),), digest="bad")
    result = (await pipeline.run(chat("hi"), rules, "default")).scan
    assert [unknown.kind for unknown in result.unknowns] == ["detector_error"]


async def test_a_signal_that_raises_is_an_error_and_the_scan_stands() -> None:
    table = {
        "complexity": SignalSpec("number", HERE + "RaisingSignal"),
        "gone": SignalSpec("number", "no.such:X"),
    }
    signals = await Pipeline(detectors=PATTERNS, signals=table, budget_ms=5000).run(
        chat("jo@example.com"), RULES, "default"
    )
    assert signals.values["complexity"].error == "ZeroDivisionError"
    assert signals.values["gone"].error == "ModuleNotFoundError"
    assert [finding.entity_type for finding in signals.scan.findings] == ["EMAIL_ADDRESS"]


async def test_a_large_body_is_scanned_in_the_scan_process(pipeline: Pipeline) -> None:
    assert pipeline.scan_process_pid is None
    result = (await pipeline.run(large("jo@example.com"), RULES, "default")).scan
    assert [finding.entity_type for finding in result.findings] == ["EMAIL_ADDRESS"]
    assert result.unknowns == ()
    assert pipeline.scan_process_pid is not None


async def test_the_scan_process_knows_the_policys_terms(pipeline: Pipeline) -> None:
    rules = ScanRules((Dictionary("projects", ("Bluebird",)),), (Pattern("own", "EMP-\\d+"),), digest="terms")
    result = (await pipeline.run(large("bluebird EMP-77"), rules, "default")).scan
    assert [finding.entity_type for finding in result.findings] == ["projects", "own"]


async def test_a_killed_scan_process_is_an_unknown_once_and_is_started_again() -> None:
    pipeline = with_fault("Dying")
    try:
        result = (await pipeline.run(large("die now"), RULES, "default")).scan
        assert result.unknowns == (Unknown("detector_error", "", "scan process: ScanProcessDied"),)
        assert (await pipeline.run(large("x"), RULES, "default")).scan.unknowns == ()
        pid = pipeline.scan_process_pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)
        again = (await pipeline.run(large("jo@example.com"), RULES, "default")).scan
        assert again.findings
        assert pipeline.scan_process_pid != pid
    finally:
        await pipeline.close()


async def test_a_scan_process_that_hangs_is_killed_at_the_overrun() -> None:
    pipeline = with_fault("Stuck", budget_ms=300, per_kb_ms=0)
    await pipeline.start()
    pid = pipeline.scan_process_pid
    result = (await pipeline.run(large("forever"), RULES, "default")).scan
    assert [unknown.kind for unknown in result.unknowns] == ["timeout"]
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    await pipeline.close()


async def test_a_large_body_does_not_hold_the_event_loop(pipeline: Pipeline) -> None:
    """While a megabyte is scanned, a task that only sleeps keeps its turns: the usual gap is small beside it."""
    await pipeline.start()
    gaps: list[float] = []

    async def watch() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.001)
            gaps.append(time.perf_counter() - began)

    started = time.perf_counter()
    watcher = asyncio.create_task(watch())
    await pipeline.run(large("jo@example.com, 日本語 " * 20000), RULES, "default")
    took = time.perf_counter() - started
    watcher.cancel()
    await asyncio.gather(watcher, return_exceptions=True)
    assert len(gaps) > 20
    assert sorted(gaps)[len(gaps) // 2] < took / 20


@pytest.mark.parametrize("at", [*range(4060, 4130, 7), *range(3060, 3130, 9), 8190, 20000])
async def test_nothing_hides_at_the_border_of_two_pieces(pipeline: Pipeline, at: int) -> None:
    text = "é" + "a b " * (at // 4) + " jo.doe.with.a.long.name@mail.example.com " + "c d " * 2000
    (finding,) = (await pipeline.run(chat(text), RULES, "default")).scan.findings
    assert text[finding.start : finding.end] == "jo.doe.with.a.long.name@mail.example.com"


async def test_an_exemption_needs_the_whole_match(pipeline: Pipeline) -> None:
    rules = ScanRules(
        exemptions=(
            Exemption("EMAIL_ADDRESS", "public", domains=frozenset({"support.example.com"})),
            Exemption("PHONE_NUMBER", "public", terms=frozenset({"+44 20 7946 0958"})),
            Exemption("SECRET", "never", terms=frozenset({"hunter2x"})),
        ),
        digest="exempt",
    )
    text = "help@Support.Example.com, jo@x.support.example.com, +44 20 7946 0958, +44 20 7946 0959, password: hunter2x"
    findings = (await pipeline.run(chat(text), rules, "default")).scan.findings
    assert [text[finding.start : finding.end] for finding in findings] == [
        "jo@x.support.example.com",
        "+44 20 7946 0959",
        "hunter2x",
    ]


async def test_scan_texts_scans_strings_that_no_body_held(pipeline: Pipeline) -> None:
    result = await pipeline.scan_texts(["fine", "jo@example.com"], RULES, "default")
    assert [(finding.entity_type, finding.pointer) for finding in result.findings] == [("EMAIL_ADDRESS", "/1")]
    assert result.texts == {"fine", "jo@example.com"}


def test_the_registry_says_what_its_detectors_can_find() -> None:
    assert {"EMAIL_ADDRESS", "CREDIT_CARD", "SECRET", "US_SSN", "IBAN_CODE"} <= producible_entities()
    assert "MEDICAL" not in producible_entities({"names": DETECTORS["names"]})
    assert producible_entities({"gone": "no.such.module:X"}) == frozenset()


def test_the_entities_that_policies_are_read_with_are_those_of_the_detectors() -> None:
    built = {}
    for name, where in DETECTORS.items():
        module, _, member = where.partition(":")
        built[name] = getattr(importlib.import_module(module), member).entities
    assert dict(ENTITIES) == built


async def test_an_unchanged_string_is_remembered_for_its_tenant_and_rules_only() -> None:
    pipeline = Pipeline(detectors={"everywhere": HERE + "Everywhere"}, signals={}, budget_ms=5000)
    long_only = ["the same words again " * 50]
    seen = []
    for rules, tenant in ((RULES, "a"), (RULES, "a"), (RULES, "b"), (RULES, "b"), (ScanRules(digest="new"), "b")):
        before = Everywhere.calls
        await pipeline.scan_texts(long_only, rules, tenant)
        seen.append(Everywhere.calls > before)
    assert seen == [True, False, True, False, True]


async def test_remembered_findings_are_the_same_findings(pipeline: Pipeline) -> None:
    text = "filler " * 60 + "jo@example.com and 4111 1111 1111 1111"
    first = (await pipeline.run(chat(text), RULES, "default")).scan
    moved = {"messages": [{"role": "system", "content": "new"}, {"role": "user", "content": text}]}
    second = (await pipeline.run(moved, RULES, "default")).scan
    assert [(f.entity_type, f.start, f.end) for f in first.findings] == [
        (f.entity_type, f.start, f.end) for f in second.findings
    ]
    assert {finding.pointer for finding in second.findings} == {"/messages/1/content"}
    assert text in second.texts


async def test_an_error_is_never_remembered() -> None:
    pipeline = with_fault("Raising")
    body = chat("boom " + "filler " * 60)
    for _ in range(3):
        assert (await pipeline.run(body, RULES, "default")).scan.unknowns


async def test_a_join_is_scanned_anew_when_its_parts_are_remembered(pipeline: Pipeline) -> None:
    first, second = "filler " * 60 + "4111 1111", "1111 1111 " + "filler " * 60
    for text in (first, second):
        assert (await pipeline.run(chat(text), RULES, "default")).scan.findings == ()
    both = {"messages": [{"role": "user", "content": first}, {"role": "user", "content": second}]}
    assert {f.entity_type for f in (await pipeline.run(both, RULES, "default")).scan.findings} == {"CREDIT_CARD"}


def conversation(*texts: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text} for text in texts]}


async def test_neighbours_over_which_nothing_was_found_are_remembered_for_their_tenant_and_rules_only() -> None:
    pipeline = Pipeline(detectors={"card": DETECTORS["card"]}, signals={}, budget_ms=5000)
    scanned: list[int] = []
    scan = pipeline._scanner.scan

    def counting(data: bytes, *rest: Any) -> Any:
        scanned.append(len(data))
        return scan(data, *rest)

    pipeline._scanner.scan = counting  # type: ignore[method-assign]  # what is scanned is the claim
    body = conversation("filler " * 60, "words " * 60)
    sizes = []
    for rules, tenant in ((RULES, "a"), (RULES, "a"), (RULES, "b"), (ScanRules(digest="new"), "b")):
        scanned.clear()
        await pipeline.scan_body(body, rules, tenant)
        sizes.append(sum(scanned))
    assert sizes[1] < 100 < sizes[0] == sizes[2] == sizes[3]


async def test_what_stands_over_two_strings_is_found_each_time(pipeline: Pipeline) -> None:
    """Only neighbours over which nothing at all was said are remembered."""
    body = conversation("filler " * 60 + "4111 1111", "1111 1111 " + "filler " * 60, "more " * 80)
    found = [(await pipeline.run(body, RULES, "default")).scan.findings for _ in range(3)]
    assert {finding.entity_type for finding in found[0]} == {"CREDIT_CARD"}
    assert found[0] == found[1] == found[2]


async def test_neighbours_are_scanned_again_where_they_are_cut_elsewhere(pipeline: Pipeline) -> None:
    """The same characters in a row, parted at another place, are other neighbours."""
    left, right = "filler " * 60 + "4111 1111 1111", " 1111 is it " + "words " * 60
    parted = conversation(left[:-3] + "2", right)
    assert not (await pipeline.run(parted, RULES, "default")).scan.findings
    assert (await pipeline.run(conversation(left, right), RULES, "default")).scan.findings


async def test_a_join_with_an_error_is_never_remembered() -> None:
    pipeline = with_fault("Raising")
    body = conversation("boom " + "filler " * 60, "boom " + "words " * 60)
    for _ in range(3):
        assert (await pipeline.run(body, RULES, "default")).scan.unknowns


async def test_a_long_conversation_that_is_remembered_needs_no_scan_process() -> None:
    pipeline = Pipeline(detectors={"card": DETECTORS["card"]}, signals={}, budget_ms=60_000)
    try:
        body = conversation(*(f"turn {number}: " + "some words " * 200 for number in range(30)))
        assert sum(len(message["content"]) for message in body["messages"]) > INLINE_BYTES
        first = await pipeline.scan_body(body, RULES, "default")
        await pipeline.close()
        again = await pipeline.scan_body(body, RULES, "default")
        assert pipeline.scan_process_pid is None
        assert first == again
    finally:
        await pipeline.close()


def test_the_memory_is_bounded_in_bytes_and_keeps_what_is_asked_for() -> None:
    memory = ScanMemory(max_bytes=2000)
    keys = [memory.key("t", "d", "", str(number)) for number in range(50)]
    for key in keys:
        memory.put(key, (Remembered("X", 0, 1, 1.0, "d"),))
        memory.get(keys[0])
        assert len(memory) * 328 <= 2000
    assert all(memory.get(key) for key in (keys[0], *keys[-3:]))
    assert memory.get(keys[1]) is None
    memory.put(keys[2], tuple(Remembered("X", 0, 1, 1.0, "d") for _ in range(5)))
    assert memory.get(keys[2]) is None, "it alone would take more than its half"


def test_what_is_remembered_takes_about_what_is_counted() -> None:
    tracemalloc.start()
    try:
        memory, before = ScanMemory(max_bytes=1 << 20), tracemalloc.get_traced_memory()[0]
        for number in range(40_000):
            memory.put(number.to_bytes(16, "big"), ())
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(memory) > 4096
    assert taken < 1.2 * (1 << 20)


def test_a_key_depends_on_every_part_and_on_the_process() -> None:
    memory = ScanMemory(1000)
    keys = {
        memory.key(*parts)
        for parts in (("a", "b", "c", "d"), ("ab", "", "c", "d"), ("a", "b", "", "cd"), ("a", "b", "c", "e"))
    }
    assert len(keys) == 4
    assert ScanMemory(1000).key("a", "b", "c", "d") not in keys


async def test_what_nobody_reads_is_not_measured_and_says_so() -> None:
    pipeline = Pipeline(detectors={}, budget_ms=5000)
    body = chat("Translate the sentence into French, please.")
    asked = (await pipeline.run(body, RULES, "default", frozenset({"task"}))).values
    assert asked["task"].error is None
    assert {asked[name].error for name in ("domain", "language")} == {"not_asked"}
    assert asked["complexity"].error is None, "it stands in a header of every answer"
    every = (await pipeline.run(body, RULES, "default")).values
    assert {name for name, signal in every.items() if signal.error is not None} == {"local_wait_ms"}
