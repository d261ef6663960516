"""The predicted wait of the real engine, as `/v1/route` and the decision records tell it."""

from __future__ import annotations

import httpx
from openai import OpenAI

from router.records.store import RECORDS_FILE, RecordReader
from tests.support.gateway import Gateway, until


def wait_of(house: Gateway, limit: int, text: str = "What is the capital of France?") -> float | None:
    body = {"model": "auto", "messages": [{"role": "user", "content": text}], "max_tokens": limit}
    signals = (
        httpx.post(f"{house.url}/route", json=body, trust_env=False, timeout=60).raise_for_status().json()["signals"]
    )
    value = signals["local_wait_ms"].get("value")
    return None if value is None else float(value)


def test_the_wait_is_foretold_once_the_engine_has_decoded_and_grows_with_what_is_asked(
    client: OpenAI, house: Gateway
) -> None:
    messages = [{"role": "user", "content": "Count from one to five."}]
    client.chat.completions.create(model="local", messages=messages, max_tokens=16)  # type: ignore[arg-type]
    until(lambda: wait_of(house, 16) is not None)
    short, long = wait_of(house, 1), wait_of(house, 256)
    assert short is not None
    assert long is not None
    assert 0 < short < long
    read = wait_of(house, 1, "The river is wide. " * 400)
    assert read is not None
    assert read > short


def test_the_record_says_what_was_foretold_and_nothing_of_a_model_outside(client: OpenAI, house: Gateway) -> None:
    until(lambda: wait_of(house, 16) is not None)
    messages = [{"role": "user", "content": "Name three colours."}]
    raw = client.chat.completions.with_raw_response.create(model="auto", messages=messages, max_tokens=16)  # type: ignore[arg-type]
    request_id = raw.headers["x-gatehouse-request-id"]

    def waits() -> dict[str, float] | None:
        with RecordReader(house.state_dir / RECORDS_FILE) as reader:
            record = reader.get_record(request_id)
        return None if record is None else record["facts"]["waits"]

    until(lambda: waits() is not None)
    told = waits()
    assert told is not None
    assert set(told) == {"home"}
    assert told["home"] > 0
