"""Whole bodies, turns and what stands beside them are remembered, and never in place of a look at what is new."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from classifiers.memory import ScanMemory
from classifiers.parts import look_up
from classifiers.pipeline import Pipeline
from classifiers.registry import DETECTORS
from classifiers.types import ScanRules
from classifiers.walk import Walker
from tests.support.patterns import PATTERNS

RULES = ScanRules()
TURNS = [f"Turn {number} says: " + "some plain words " * 20 for number in range(12)]
TOOLS = [
    {"type": "function", "function": {"name": f"find_{name}", "description": f"Looks for {name} in a list of towns."}}
    for name in ("rivers", "roads", "hills", "woods", "lakes", "fields")
]


def conversation(*texts: str, **more: Any) -> dict[str, Any]:
    roles = ("user", "assistant")
    return {
        "model": "auto",
        "messages": [{"role": roles[at % 2], "content": text} for at, text in enumerate(texts)],
        **more,
    }


@pytest.fixture
def scanned() -> tuple[Pipeline, Callable[..., Any]]:
    """A pipeline, and what says how many bytes it looked at for a body."""
    pipeline = Pipeline(detectors={"card": DETECTORS["card"]}, signals={}, budget_ms=5000)
    sizes: list[int] = []
    scan = pipeline._scanner.scan

    def counting(data: bytes, *rest: Any) -> Any:
        sizes.append(len(data))
        return scan(data, *rest)

    pipeline._scanner.scan = counting  # type: ignore[method-assign]  # what is scanned is the claim

    async def count(body: Any, rules: ScanRules = RULES, tenant: str = "a") -> int:
        sizes.clear()
        await pipeline.scan_body(body, rules, tenant)
        return sum(sizes)

    return pipeline, count


async def test_a_body_that_comes_again_is_not_scanned_again_however_short_it_is(scanned: Any) -> None:
    _, count = scanned
    body = conversation("Is it far?")
    assert await count(body) > 0
    assert await count(body) == 0
    assert await count(body, tenant="b") > 0
    assert await count(body, rules=ScanRules(digest="new")) > 0
    assert await count({**body, "user": "x"}) > 0


async def test_a_turn_is_scanned_for_what_it_adds(scanned: Any) -> None:
    """The last question and answer, the two borders that they have, and the short strings beside the messages."""
    _, count = scanned
    for turns in range(5, len(TURNS), 2):
        size = await count(conversation(*TURNS[:turns]))
    assert size < len(TURNS[-1]) * 2 + 4 * 300 + 100


async def test_of_a_conversation_with_something_over_a_border_only_that_border_is_looked_at_again(scanned: Any) -> None:
    pipeline, count = scanned
    texts = [*TURNS[:6], "the number is 4111 1111", "1111 1111 is its end", *TURNS[6:]]
    for turns in range(9, len(texts), 2):
        size = await count(conversation(*texts[:turns]))
        findings = (await pipeline.scan_body(conversation(*texts[:turns]), RULES, "a")).findings
        assert {finding.pointer for finding in findings} == {"/messages/6/content", "/messages/7/content"}
    assert size < len(TURNS[-1]) * 2 + 8 * 300 + 100


def test_keys_of_several_ends_are_those_of_each() -> None:
    memory = ScanMemory(1000)
    raw = b"The quick brown fox"
    ends = (0, 3, 9, len(raw))
    each = [memory.key_of_bytes("t", "d", "n", raw[:end]) for end in ends]
    assert memory.keys_of_bytes("t", "d", "n", raw, *ends) == each
    assert len(set(each)) == len(ends)


async def test_tools_that_come_again_are_not_scanned_again(scanned: Any) -> None:
    _, count = scanned
    alone = await count(conversation("One more question, please."))
    first = await count(conversation("Is it far to the lake?", tools=TOOLS))
    again = await count(conversation("Is it near to the town?", tools=TOOLS))
    assert again <= alone < first


async def test_a_changed_turn_is_looked_at(pipeline: Pipeline) -> None:
    for at in range(8):
        await pipeline.run(conversation(*TURNS[:8]), RULES, "default")
        texts = [*TURNS[:at], TURNS[at] + "4111 1111 1111 1111", *TURNS[at + 1 : 8]]
        (finding,) = (await pipeline.run(conversation(*texts), RULES, "default")).scan.findings
        assert finding.pointer == f"/messages/{at}/content"


async def test_a_value_that_goes_on_from_a_known_turn_into_the_next_is_found(pipeline: Pipeline) -> None:
    known = [*TURNS[:5], "the first half is 4111 1111"]
    assert not (await pipeline.run(conversation(*known), RULES, "default")).scan.findings
    for _ in range(3):
        scan = (await pipeline.run(conversation(*known, "1111 1111 is the rest"), RULES, "default")).scan
        assert {finding.entity_type for finding in scan.findings} == {"CREDIT_CARD"}
        assert {finding.pointer for finding in scan.findings} == {"/messages/5/content", "/messages/6/content"}


async def test_an_error_is_never_remembered_with_a_body() -> None:
    table = {**PATTERNS, "raising": "tests.classifiers.faulty:Raising"}
    pipeline = Pipeline(detectors=table, signals={}, budget_ms=5000)
    for _ in range(3):
        assert (await pipeline.scan_body(conversation("boom"), RULES, "default")).unknowns


async def test_what_cannot_be_read_is_said_each_time(pipeline: Pipeline) -> None:
    body = conversation("so much", x={"file_id": "f"}, y=[{"type": "thinking", "thinking": "t", "signature": "c2ln"}])
    told = [(await pipeline.run(body, RULES, "default")).scan.unknowns for _ in range(3)]
    assert told[0]
    assert told[0] == told[1] == told[2]


async def test_a_body_that_is_no_json_is_scanned_each_time(scanned: Any) -> None:
    _, count = scanned
    for body in (conversation("half a \ud83d"), conversation("x", seed=1 << 70)):
        assert await count(body) > 0
        assert await count(body) > 0


def test_keys_tell_turns_from_other_turns() -> None:
    """A key is the serialised turns without the closing bracket: what goes on differently has another one."""
    bodies = [
        conversation("a", "b", "c", "d", "e"),
        conversation("a", "bc", "d", "e", "f"),
        conversation('a"},{"role":"assistant","content":"b', "c", "d", "e", "f"),
        conversation("a", "b", "c", "d", 'e"},{"role":"user","content":"f'),
    ]
    asked: list[bytes] = []

    def keys(kind: str, raw: bytes, *ends: int) -> list[bytes]:
        asked.extend(made := [kind.encode() + b" " + raw[:end] for end in ends])
        return made

    for body in bodies:
        walker = Walker(body)
        walker.step()
        look_up(ScanMemory(1000), keys, body, walker.walk)
    turns = [key for key in asked if key.startswith(b"turns ")]
    assert len(turns) == 16
    ours = [
        key
        for key in turns
        if key.startswith(b'turns [{"role":"user","content":"a"},{"role":"assistant","content":"b"}')
    ]
    assert b'turns [{"role":"user","content":"a"},{"role":"assistant","content":"b"}' in ours
    assert len(set(turns)) == len(turns) - 3, (
        "the first three turns that two of the bodies begin with, and nothing else"
    )


@pytest.mark.parametrize("seed", range(12))
async def test_with_a_memory_the_same_is_found_as_without(seed: int) -> None:
    """Conversations that grow, are cut, changed and come again, with values whole, in parts and over borders."""
    chance = random.Random(seed)  # a reproducible draw, not a secret
    remembering = Pipeline(detectors=PATTERNS, signals={}, budget_ms=60_000)
    forgetting = Pipeline(detectors=PATTERNS, signals={}, budget_ms=60_000, memory_bytes=0)
    texts = [
        *TURNS[:4],
        "yes",
        "4111 1111",
        "1111 1111",
        "jo@example.com",
        "jo@",
        "example.com",
        "card " * 60 + "4111 11",
        "11 1111 1111" + " words" * 60,
        '{"iban": "GB82 WEST 1234 5698 7654 32"}',
        "password is Sample-2468!",
        "Caf\u00e9 \uff14111 1111 1111 1111",
        "\ud83d",
    ]
    messages: list[Any] = []
    for _ in range(30):
        act = chance.random()
        if act < 0.55 or len(messages) < 3:
            messages.append({"role": chance.choice(("user", "assistant")), "content": chance.choice(texts)})
        elif act < 0.7:
            messages.append({"role": "user", "content": [{"type": "text", "text": chance.choice(texts)}]})
        elif act < 0.8:
            messages[chance.randrange(len(messages))] = {"role": "user", "content": chance.choice(texts)}
        elif act < 0.9:
            del messages[chance.randrange(len(messages))]
        body: dict[str, Any] = {"model": "auto", "messages": list(messages)}
        if chance.random() < 0.4:
            body = {"first_part": chance.choice(texts), "tools": TOOLS, **body, "last_part": chance.choice(texts)}
        expected = await forgetting.scan_body(body, RULES, "default")
        for _ in range(2):
            assert await remembering.scan_body(body, RULES, "default") == expected


async def test_a_small_body_that_is_new_is_scanned_and_leaves_nothing_and_says_the_same(scanned: Any) -> None:
    pipeline, count = scanned
    body = conversation("My card is 4111 1111 1111 1111.")
    first = (await pipeline.run(body, RULES, "a", is_new=True)).scan
    assert len(pipeline._memory) == 0
    assert [finding.entity_type for finding in first.findings] == ["CREDIT_CARD"]
    assert await count(body) > 0
    assert await count(body) == 0
    assert (await pipeline.run(body, RULES, "a")).scan == first


async def test_a_long_text_or_a_conversation_is_remembered_however_new_its_body_is(scanned: Any) -> None:
    pipeline, count = scanned
    for body in (conversation(TURNS[0]), conversation("One?", "Two.", "Three?", "Four.")):
        await pipeline.run(body, RULES, "a", is_new=True)
        assert await count(body) == 0
