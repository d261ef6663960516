"""litellm as a client, in both dialects, and curl by the README's words."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest

from router.backends.scripted_replies import Script
from tests.clients.conftest import HOME, House

WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
HELLO = [{"role": "user", "content": "Hello."}]


@pytest.fixture(scope="module")
def litellm() -> Any:
    import litellm  # takes seconds, and only these tests need it here

    litellm.telemetry = False
    litellm.num_retries = 0
    return litellm


def arguments(house: House, dialect: str) -> dict[str, Any]:
    if dialect == "openai":
        return {"model": "openai/auto", "api_base": house.gateway.url, "api_key": "none", "messages": HELLO}
    base = {"model": "anthropic/auto", "api_base": house.gateway.root, "api_key": "none", "messages": HELLO}
    return {**base, "max_tokens": 50}


DIALECT = pytest.mark.parametrize("dialect", ["openai", "anthropic"])


@DIALECT
def test_a_text_whole_and_streamed(house: House, litellm: Any, dialect: str) -> None:
    answer = litellm.completion(**arguments(house, dialect))
    assert answer.choices[0].message.content == HOME
    assert answer.usage.prompt_tokens == 7
    chunks = litellm.completion(**arguments(house, dialect), stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == HOME


@DIALECT
def test_heartbeats_amid_a_stream_change_nothing(house: House, litellm: Any, dialect: str) -> None:
    house.script(Script(answer=HOME, chunk_delay=0.4))
    chunks = litellm.completion(**arguments(house, dialect), stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == HOME


@DIALECT
def test_a_call_of_a_tool(house: House, litellm: Any, dialect: str) -> None:
    house.script(Script(answer="", tool_calls=(CALL,), finish_reason="tool_calls"))
    # Else litellm imports `mcp`, which it does not itself depend on, to look for tools of that kind.
    answer = litellm.completion(**arguments(house, dialect), tools=[WEATHER], _skip_mcp_handler=True)
    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.choices[0].message.tool_calls[0].function.name == "get_weather"


@DIALECT
def test_a_refusal_is_the_clients_own_error(house: House, litellm: Any, dialect: str) -> None:
    asked = {**arguments(house, dialect), "model": f"{dialect}/cloud"}
    asked["messages"] = [{"role": "user", "content": "Charge 4012 8888 8888 1881 please."}]
    with pytest.raises((litellm.PermissionDeniedError, litellm.APIError, litellm.BadRequestError)) as refused:
        litellm.completion(**asked)
    assert "policy_denied" in str(refused.value) or refused.value.status_code == 403
    assert not house.cloud.exchanges


def test_curl_gets_json_and_the_headers(house: House) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed here")
    body = json.dumps({"messages": HELLO})
    url = f"{house.gateway.url}/chat/completions"
    command = [curl, "-si", "--noproxy", "*", url, "-H", "content-type: application/json", "-d", body]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    head, _, answer = told.replace("\r\n", "\n").partition("\n\n")
    assert "x-gatehouse-route: local" in head
    assert json.loads(answer)["choices"][0]["message"]["content"] == HOME
