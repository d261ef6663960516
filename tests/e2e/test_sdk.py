"""The SDK against the real gateway: the official client, tightened, explained, with the route of each reply."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from gatehouse import Gatehouse, GatewayUnreachable, receipt_of
from typer.testing import CliRunner

from router.cli.records import records
from tests.e2e.conftest import HARD
from tests.support.gateway import Gateway, until
from tests.support.recorder import Recorder


@pytest.fixture
def sdk(house: Gateway) -> Iterator[Gatehouse]:
    with Gatehouse(base_url=house.url) as client:
        yield client


def test_a_reply_carries_its_route_as_typed_fields(sdk: Gatehouse) -> None:
    reply = sdk.chat.completions.create(
        model="auto", messages=[{"role": "user", "content": "What is the capital of Spain?"}], max_tokens=8
    )
    assert reply.gatehouse.route == "local"
    assert reply.gatehouse.sensitivity == "public"
    assert reply.gatehouse.policy.startswith("1-")
    assert reply.gatehouse.confidence is not None
    assert reply.choices[0].message.content


def test_local_only_keeps_a_hard_question_at_home(sdk: Gatehouse, cloud: Recorder) -> None:
    messages = [{"role": "user", "content": f"{HARD} Answer for the SDK."}]
    out = sdk.chat.completions.create(model="auto", messages=messages, max_tokens=8)  # type: ignore[arg-type]
    assert out.gatehouse.route == "cloud"
    kept = sdk.chat.completions.create(
        model="auto",
        messages=messages,  # type: ignore[arg-type]
        max_tokens=8,
        privacy="local-only",
    )
    assert kept.gatehouse.route == "local"
    assert len(cloud.exchanges) == 1


def test_explain_says_where_a_request_would_go(sdk: Gatehouse, cloud: Recorder) -> None:
    plan = sdk.explain(messages=[{"role": "user", "content": f"{HARD} Ask bob@corp-mail.com."}])
    assert plan.route == "local"
    assert plan.sensitivity == "confidential"
    assert [finding.entity_type for finding in plan.findings] == ["EMAIL_ADDRESS"]
    assert not cloud.exchanges


def test_feedback_on_an_answer_is_kept_and_on_a_strangers_is_not(sdk: Gatehouse) -> None:
    reply = sdk.chat.completions.create(
        model="local", messages=[{"role": "user", "content": "Say good day."}], max_tokens=4
    )
    assert sdk.feedback(reply.gatehouse.request_id, "bad", "incorrect").verdict == "bad"
    with pytest.raises(openai.NotFoundError) as unknown:
        sdk.feedback("gh-" + "0" * 24, "good")
    assert unknown.value.code == "unknown_request"


def test_a_stream_has_its_route_too(sdk: Gatehouse) -> None:
    stream = sdk.chat.completions.create(
        model="local", messages=[{"role": "user", "content": "Say hi."}], max_tokens=4, stream=True
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    assert stream.gatehouse.route == "local"


def test_no_gateway_is_an_error_that_names_the_address() -> None:
    with (
        Gatehouse(base_url="http://127.0.0.1:9/v1") as client,
        pytest.raises(GatewayUnreachable, match=r"127\.0\.0\.1:9"),
    ):
        client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "hi"}])


def test_a_receipt_is_checked_against_the_chained_record(sdk: Gatehouse, house: Gateway, tmp_path: Path) -> None:
    """It is not signed: what it says counts where the record says the same."""
    reply = sdk.chat.completions.create(model="auto", messages=[{"role": "user", "content": "Hello?"}], max_tokens=4)
    file = tmp_path / "receipt.json"

    def check(receipt: object) -> tuple[int, str]:
        file.write_text(json.dumps(receipt), "utf-8")
        done = CliRunner().invoke(records, ["receipt", str(file), "--state-dir", str(house.state_dir)])
        return done.exit_code, done.output

    receipt = receipt_of(reply).to_dict()
    until(lambda: "no record" not in check(receipt)[1])
    assert check(receipt) == (0, "The receipt says what the record says, and the chain is whole.\n")
    code, told = check({**receipt, "route": "cloud", "sensitivity": "restricted"})
    assert code == 1
    assert "route: the receipt says 'cloud', the record 'local'" in told
    assert "sensitivity: the receipt says 'restricted', the record 'public'" in told
    for wrong in ({}, [], {"request_id": "gh-nobody"}, {"request_id": receipt["request_id"]}):
        code, told = check(wrong)
        assert (code, "cannot be checked" in told) == (1, True)
