"""Two requests share a cached answer exactly when nothing that the answer depends on differs."""

from __future__ import annotations

from typing import Any

import pytest

from router.cache.key import CacheKeys
from router.keys import Keys

PARTS: dict[str, Any] = {
    "tenant": "default",
    "level": "public",
    "policy_digest": "p" * 64,
    "artifact_digest": "a" * 64,
    "requested": "auto",
    "planned": "local/home",
    "body": {"model": "auto", "messages": [{"role": "user", "content": "canary-question"}], "temperature": 0.5},
}


@pytest.fixture
def made(keys: Keys) -> CacheKeys:
    return CacheKeys(keys)


@pytest.mark.parametrize("part", [name for name in PARTS if name != "body"])
def test_every_part_counts(made: CacheKeys, part: str) -> None:
    assert made.key(**PARTS) != made.key(**{**PARTS, part: PARTS[part] + "x"})


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0.6},
        {"temperature": None},
        {"seed": 1},
        {"user": "somebody"},
        {"messages": [{"role": "user", "content": "canary-question "}]},
        {"messages": [{"role": "user", "content": "canary-question"}, {"role": "user", "content": ""}]},
        {"tools": []},
    ],
)
def test_every_field_of_the_request_counts(made: CacheKeys, change: dict[str, Any]) -> None:
    assert made.key(**PARTS) != made.key(**{**PARTS, "body": {**PARTS["body"], **change}})


def test_streaming_and_the_order_of_members_do_not_count(made: CacheKeys) -> None:
    streamed = {**PARTS["body"], "stream": True, "stream_options": {"include_usage": True}}
    turned = dict(reversed(streamed.items()))
    assert made.key(**PARTS) == made.key(**{**PARTS, "body": streamed}) == made.key(**{**PARTS, "body": turned})


def test_the_order_of_messages_counts(made: CacheKeys) -> None:
    first, second = {"role": "user", "content": "a"}, {"role": "user", "content": "b"}
    keys = {made.key(**{**PARTS, "body": {"messages": order}}) for order in ([first, second], [second, first])}
    assert len(keys) == 2


def test_moving_a_character_from_one_part_to_the_next_changes_the_key(made: CacheKeys) -> None:
    one = {**PARTS, "tenant": "ab", "level": "c"}
    other = {**PARTS, "tenant": "a", "level": "bc"}
    assert made.key(**one) != made.key(**other)


def test_another_installation_makes_another_key_of_the_same_request(made: CacheKeys) -> None:
    key = made.key(**PARTS)
    assert len(key) == 32
    assert key != CacheKeys(Keys(b"z" * 32)).key(**PARTS)
