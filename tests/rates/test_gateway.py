"""Requests and tokens a minute, as callers of a gateway with two workers meet them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from policies.allowances import Rate
from router.api_keys.store import KeyStore
from router.backends.scripted_replies import Script
from router.records.store import RECORDS_FILE, RecordReader
from router.types import SCOPES, JsonObject
from tests.support.gateway import POLICY, Gateway, local_server, until
from tests.support.recorder import Recorder, RecorderThread

KEYS = {
    **dict.fromkeys(("five", "free", "streams", "anthropic", "explains")),
    **{name: Rate(None, 600) for name in ("tokens", "gone", "dead", "embeds")},
    "own": Rate(2, None),
}
PROMPT, WORDS = 30, 20
VECTORS = """
  vectors: {locality: local, backend: openai, base_url: "http://127.0.0.1:9", model: v, capabilities: [embeddings]}
defaults"""


def says(exchange: Any) -> Script:
    is_slow = "slowly" in str(exchange.json.get("messages"))
    return Script(answer=" ".join(["word"] * WORDS), prompt_tokens=PROMPT, chunk_delay=0.05 if is_slow else 0.0)


@pytest.fixture(scope="module")
def home() -> Iterator[Recorder]:
    with RecorderThread(says) as recorder:
        yield recorder


@pytest.fixture(scope="module")
def house(home: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("rates")
    ids, texts = {}, {}
    with KeyStore(folder / "state") as store:
        for name, rate in KEYS.items():
            key, texts[name] = store.create(name, scopes=SCOPES, rate=rate)
            ids[name] = key.id
    limits = {"five": 5, "streams": 100, "anthropic": 3, "explains": 1, "own": 50}
    keys = ", ".join(f"{ids[name]}: {{requests_per_minute: {limit}}}" for name, limit in limits.items())
    policy = POLICY.format(home=local_server(home.url), cloud="http://127.0.0.1:9") + f"rates: {{keys: {{{keys}}}}}\n"
    policy = policy.replace("\ndefaults", VECTORS)
    with Gateway(folder, policy, "--workers", "2") as gateway:
        gateway.keys = texts  # type: ignore[attr-defined]  # for `post`
        yield gateway


def body(**more: Any) -> JsonObject:
    return {"model": "local", "messages": [{"role": "user", "content": "Say hello."}], **more}


def post(house: Gateway, key: str, asked: JsonObject, path: str = "/v1/chat/completions") -> httpx.Response:
    headers = {"x-api-key": house.keys[key]}  # type: ignore[attr-defined]  # put there by the fixture
    return httpx.post(house.root + path, headers=headers, json=asked, trust_env=False, timeout=60)


def records(house: Gateway, key: str) -> list[JsonObject]:
    ids = {}
    with KeyStore(house.state_dir) as store:
        ids = {each.name: each.id for each in store.list()}
    with RecordReader(house.state_dir / RECORDS_FILE) as reader:
        return [each for each in reader.decisions_since("2000") if each["principal"]["key_id"] == ids[key]]


def asked_of(home: Recorder) -> int:
    """Without the gateway's own tests of whether it answers."""
    return sum("Say hello." in str(each.json.get("messages")) for each in home.exchanges if each.body)


def left(answer: httpx.Response, kind: str = "tokens") -> int:
    return int(answer.headers[f"x-ratelimit-remaining-{kind}"])


async def at_once(house: Gateway, key: str, count: int) -> list[httpx.Response]:
    headers = {"x-api-key": house.keys[key]}  # type: ignore[attr-defined]  # put there by the fixture
    async with httpx.AsyncClient(trust_env=False, timeout=60, headers=headers) as client:
        calls = (client.post(f"{house.url}/chat/completions", json=body()) for _ in range(count))
        return list(await asyncio.gather(*calls))


def test_of_twelve_at_once_the_five_that_may_are_answered(house: Gateway, home: Recorder) -> None:
    before = asked_of(home)
    answers = asyncio.run(at_once(house, "five", 12))
    assert sorted(each.status_code for each in answers) == [200] * 5 + [429] * 7
    assert asked_of(home) == before + 5
    assert sorted(left(each, "requests") for each in answers) == [0] * 8 + [1, 2, 3, 4]
    for each in answers:
        assert each.headers["x-ratelimit-limit-requests"] == "5"
        assert 1 <= int(each.headers["x-ratelimit-reset-requests"].removesuffix("s")) <= 61
        assert "x-ratelimit-limit-tokens" not in each.headers
    refused = next(each for each in answers if each.status_code == 429)
    assert 1 <= int(refused.headers["retry-after"]) <= 61
    error = refused.json()["error"]
    assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")
    assert error["message"].startswith("The limit of 5 requests a minute of this API key is reached. Retry in ")
    assert (refused.headers["x-gatehouse-route"], refused.headers["x-gatehouse-reason"]) == ("refused", "rate_limit")
    until(lambda: len(records(house, "five")) == 12)
    kept = [each["rates"]["refused_by"] for each in records(house, "five")]
    assert sorted(map(str, kept)) == ["None"] * 5 + ["key:requests"] * 7
    page = post_metrics(house)
    assert 'gatehouse_rate_refusals_total{kind="requests",scope="key"} 7.0' in page


def post_metrics(house: Gateway) -> str:
    headers = {"x-api-key": house.keys["free"]}  # type: ignore[attr-defined]  # put there by the fixture
    return httpx.get(f"{house.root}/metrics", headers=headers, trust_env=False).text


def test_who_is_not_limited_is_told_of_no_limit(house: Gateway) -> None:
    answer = post(house, "free", body())
    assert answer.status_code == 200
    assert not [name for name in answer.headers if "ratelimit" in name]
    assert "rates" not in until_recorded(house, "free")


def until_recorded(house: Gateway, key: str, count: int = 1) -> JsonObject:
    until(lambda: len(records(house, key)) >= count)
    return records(house, key)[-1]


def test_a_keys_own_limit_counts_where_the_policy_gives_more(house: Gateway) -> None:
    assert [post(house, "own", body()).status_code for _ in range(3)] == [200, 200, 429]


def test_a_stream_tells_its_limits_before_it_begins(house: Gateway) -> None:
    answer = post(house, "streams", body(stream=True))
    assert answer.status_code == 200
    assert answer.headers["x-ratelimit-limit-requests"] == "100"
    assert left(answer, "requests") == 99


def test_messages_speak_of_limits_in_their_own_words(house: Gateway) -> None:
    asked = {**body(max_tokens=5), "model": "local"}
    answers = [post(house, "anthropic", asked, "/v1/messages") for _ in range(4)]
    assert [each.status_code for each in answers] == [200, 200, 200, 429]
    for each, remaining in zip(answers, (2, 1, 0, 0), strict=True):
        assert each.headers["anthropic-ratelimit-requests-limit"] == "3"
        assert each.headers["anthropic-ratelimit-requests-remaining"] == str(remaining)
        assert each.headers["anthropic-ratelimit-requests-reset"].endswith("Z")
        assert "x-ratelimit-limit-requests" not in each.headers
    assert answers[3].json()["type"] == "error"
    assert answers[3].json()["error"]["type"] == "rate_limit_error"
    assert int(answers[3].headers["retry-after"]) >= 1


def test_what_is_explained_or_counted_is_a_request_too(house: Gateway) -> None:
    assert post(house, "explains", body(), "/v1/route").status_code == 200
    assert post(house, "explains", body(), "/v1/messages/count_tokens").status_code == 429


def test_tokens_are_held_before_a_call_and_settled_with_what_it_used(house: Gateway, home: Recorder) -> None:
    """Each answer takes 50: as many are given as fit beside what the next one may need."""
    before = asked_of(home)
    first = post(house, "tokens", body(max_tokens=WORDS))
    held = 600 - left(first)
    answers = [first]
    while answers[-1].status_code == 200:
        answers.append(post(house, "tokens", body(max_tokens=WORDS)))
    given = len(answers) - 1
    assert given == (600 - held) // (PROMPT + WORDS) + 1
    assert asked_of(home) == before + given
    assert left(answers[-1]) == 600 - given * (PROMPT + WORDS)
    assert answers[-1].json()["error"]["message"].startswith("The limit of 600 tokens a minute of this API key")
    too_much = post(house, "tokens", body(max_tokens=601))
    assert too_much.status_code == 429
    assert too_much.headers["x-should-retry"] == "false"
    record = until_recorded(house, "tokens", given + 2)
    assert record["rates"]["refused_by"] == "key:tokens"
    used = [each["rates"]["tokens"] for each in records(house, "tokens")[:given]]
    assert used == [{"reserved": held, "used": PROMPT + WORDS}] * given


def test_who_leaves_in_mid_stream_is_counted_with_what_came(house: Gateway) -> None:
    asked = {"role": "user", "content": "Say hello slowly."}
    headers = {"x-api-key": house.keys["gone"]}  # type: ignore[attr-defined]  # put there by the fixture
    more = {"messages": [asked], "stream": True, "max_tokens": 500}
    with httpx.stream(
        "POST", f"{house.url}/chat/completions", json=body(**more), headers=headers, trust_env=False, timeout=60
    ) as answer:
        assert left(answer) < 100
        next(answer.iter_lines())
    tokens = until_recorded(house, "gone")["rates"]["tokens"]
    assert tokens["reserved"] > 500
    assert 0 < tokens["used"] < 100
    after = post(house, "gone", body(max_tokens=1))
    assert left(after) > 450


def test_an_upstream_that_was_never_reached_has_used_nothing(house: Gateway) -> None:
    answer = post(house, "dead", {**body(max_tokens=500), "model": "cloud"})
    assert answer.status_code in (502, 503)
    assert until_recorded(house, "dead")["rates"]["tokens"]["used"] == 0
    assert left(post(house, "dead", body(max_tokens=1))) > 550


def test_the_inputs_of_embeddings_are_tokens_too(house: Gateway) -> None:
    asked = {"model": "vectors", "input": ["word " * 200, "word " * 180]}
    answer = post(house, "embeds", asked, "/v1/embeddings")
    assert answer.status_code == 429
    assert "may need 635 tokens" in answer.json()["error"]["message"]
