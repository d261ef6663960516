"""Receipts: what was decided about a request, of whatever came from the gateway, and never before it is final."""

from __future__ import annotations

import json

import openai
import pytest
from gatehouse import Gatehouse, Receipt, receipt_of

from tests.sdk.stand_in import Gateway

MESSAGES = [{"role": "user", "content": "capital of France?"}]
WHOLE = Receipt(
    request_id="req-7",
    route="local",
    model="home",
    rule="sensitivity",
    sensitivity="restricted",
    policy_version="1",
    policy_digest="f540ddff5012",
    held="hard-questions",
)


@pytest.fixture(autouse=True)
def _policy(gateway: Gateway) -> None:
    gateway.headers = {"x-gatehouse-policy": "1-f540ddff5012"}


def test_a_reply_a_raw_response_and_an_error_have_one(client: Gatehouse, gateway: Gateway) -> None:
    reply = client.chat.completions.create(model="auto", messages=MESSAGES)  # type: ignore[call-overload]
    assert receipt_of(reply) == WHOLE
    raw = client.chat.completions.with_raw_response.create(model="auto", messages=MESSAGES)  # type: ignore[call-overload]
    assert receipt_of(raw) == WHOLE
    gateway.status = 403
    with pytest.raises(openai.PermissionDeniedError) as refused:
        client.chat.completions.create(model="auto", messages=MESSAGES)  # type: ignore[call-overload]
    assert receipt_of(refused.value) == WHOLE


def test_it_can_be_written_down_and_holds_no_content(client: Gatehouse) -> None:
    reply = client.chat.completions.create(model="auto", messages=MESSAGES)  # type: ignore[call-overload]
    written = json.dumps(receipt_of(reply).to_dict())
    assert Receipt(**json.loads(written)) == WHOLE
    assert "France" not in written
    assert "Paris" not in written


def test_a_stream_has_none_until_its_route_is_final(client: Gatehouse) -> None:
    stream = client.chat.completions.create(model="auto", messages=MESSAGES, stream=True)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="to its end"):
        receipt_of(stream)
    list(stream)
    assert (receipt_of(stream).route, receipt_of(stream).rule) == ("cloud", "escalation")


def test_what_came_from_no_gateway_has_none() -> None:
    with pytest.raises(TypeError):
        receipt_of("hello")
