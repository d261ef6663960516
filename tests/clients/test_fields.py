"""Every field that the official clients know is mapped, ignored by name, or refused by name: none is a stranger here.

A new version of a client that brings a new field fails this test, so that somebody decides what it means.
"""

from __future__ import annotations

from typing import Any, get_type_hints

import httpx
import pytest
from anthropic.types import message_count_tokens_params, message_create_params
from anthropic.types.beta import message_create_params as beta_message_create_params
from openai.types.chat import completion_create_params
from openai.types.responses import response_create_params

from router.api import anthropic_messages, openai_responses
from router.fields import FIELDS
from tests.clients.conftest import House

OF_HEADERS = {"betas"}  # the client sends it as a header
# Refused by name, or (chat completions) for a model outside alone, where it is scanned as all of a body is.
FORBIDDEN = {name for name, field in FIELDS.items() if field.kind == "forbidden"}
OUTSIDE_ALONE = {"moderation"}


@pytest.mark.parametrize("params", [
    message_create_params.MessageCreateParamsBase,
    beta_message_create_params.MessageCreateParamsBase,
    message_count_tokens_params.MessageCountTokensParams,
])  # fmt: skip
def test_anthropics_client(params: Any) -> None:
    known = anthropic_messages.USED | anthropic_messages.IDLE | FORBIDDEN | OF_HEADERS
    assert set(get_type_hints(params)) <= known


def test_openais_client_of_responses() -> None:
    known = openai_responses.USED | openai_responses.IDLE | FORBIDDEN
    assert set(get_type_hints(response_create_params.ResponseCreateParamsBase)) <= known


def test_openais_client_of_chat_completions() -> None:
    params = completion_create_params.CompletionCreateParamsBase
    assert set(get_type_hints(params)) <= set(FIELDS) | OUTSIDE_ALONE


@pytest.mark.parametrize(("path", "field", "value"), [
    ("messages", "container", "container_1"),
    ("messages", "mcp_servers", [{"type": "url", "url": "https://x.example", "name": "x"}]),
    ("messages", "thread", {"type": "create"}),
    ("messages", "compaction", {"type": "auto"}),
    ("responses", "moderation", {"model": "m"}),
])  # fmt: skip
def test_what_the_provider_would_hold_or_run_is_refused_by_name(
    house: House, path: str, field: str, value: Any
) -> None:
    body = {"model": "auto", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
    asked = body if path == "messages" else {"model": "auto", "input": "x"}
    answer = httpx.post(f"{house.gateway.url}/{path}", json={**asked, field: value}, trust_env=False, timeout=60)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "unsupported_field")
    assert error["message"].startswith(f"`{field}` is not supported here")
    assert not house.home.exchanges


@pytest.mark.parametrize(("path", "fields"), [
    ("messages", {"cache_control": {"type": "ephemeral"}, "user_profile_id": "u", "diagnostics": {}}),
    ("responses", {"client_metadata": {"x-codex-installation-id": "x"}, "prompt_cache_options": {"ttl": "1h"}}),
])  # fmt: skip
def test_what_has_no_meaning_here_is_named_and_goes_no_further(house: House, path: str, fields: dict[str, Any]) -> None:
    body = {"model": "auto", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
    asked = body if path == "messages" else {"model": "auto", "input": "x"}
    answer = httpx.post(f"{house.gateway.url}/{path}", json={**asked, **fields}, trust_env=False, timeout=60)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-gatehouse-ignored"] == ",".join(sorted(fields))
    assert not set(fields) & set(house.asked())
