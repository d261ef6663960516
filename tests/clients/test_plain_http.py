"""What clients do beside asking: HEAD and OPTIONS, and a web page's requests where that page is allowed."""

from __future__ import annotations

import httpx
import pytest

from tests.clients.conftest import HOME, PAGE, House

HELLO = {"model": "auto", "messages": [{"role": "user", "content": "Hello."}]}
# What openai-node and the Anthropic client send from a page, beside what every page may send.
OF_CLIENTS = "authorization,content-type,x-stainless-lang,x-stainless-retry-count,anthropic-version,x-api-key"


@pytest.mark.parametrize(("method", "path", "status"), [
    ("HEAD", "/models", 200),
    ("HEAD", "/models/auto", 200),
    ("HEAD", "/chat/completions", 405),
    ("GET", "/chat/completions", 405),
    ("OPTIONS", "/chat/completions", 405),
    ("HEAD", "/nothing", 404),
    ("POST", "/api/tags", 404),
])  # fmt: skip
def test_a_method_is_answered_by_its_own_rules(house: House, method: str, path: str, status: int) -> None:
    answer = httpx.request(method, house.gateway.url + path, trust_env=False)
    assert answer.status_code == status
    assert answer.headers["x-gatehouse-request-id"]
    assert (answer.headers.get("allow") == "POST") is (status == 405)
    assert method != "HEAD" or answer.content == b""
    assert not house.home.exchanges


@pytest.mark.parametrize("path", ["/chat/completions", "/responses", "/messages", "/embeddings", "/models"])
def test_an_allowed_page_may_send_what_clients_in_a_browser_send(house: House, path: str) -> None:
    asks = {"origin": PAGE, "access-control-request-method": "POST", "access-control-request-headers": OF_CLIENTS}
    told = httpx.options(house.gateway.url + path, headers=asks, trust_env=False)
    assert told.status_code == 200
    assert told.headers["access-control-allow-origin"] == PAGE
    assert set(OF_CLIENTS.split(",")) <= set(told.headers["access-control-allow-headers"].split(","))
    assert "access-control-allow-credentials" not in told.headers


def test_an_allowed_page_reads_the_headers_that_its_client_acts_on(house: House) -> None:
    answer = httpx.post(f"{house.gateway.url}/chat/completions", json=HELLO, headers={"origin": PAGE}, trust_env=False)
    assert answer.json()["choices"][0]["message"]["content"] == HOME
    exposed = {name.strip() for name in answer.headers["access-control-expose-headers"].split(",")}
    assert {"retry-after", "x-should-retry", "x-request-id", "x-gatehouse-route", "x-ratelimit-reset-tokens"} <= exposed
    assert {name for name in answer.headers if name.startswith("x-gatehouse-")} <= exposed


@pytest.mark.parametrize("page", ["https://other.example.com", "null", "https://page.example.com.evil.test"])
def test_any_other_page_is_refused(house: House, page: str) -> None:
    answer = httpx.post(f"{house.gateway.url}/chat/completions", json=HELLO, headers={"origin": page}, trust_env=False)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers
    asks = {"origin": page, "access-control-request-method": "POST"}
    told = httpx.options(f"{house.gateway.url}/chat/completions", headers=asks, trust_env=False)
    assert told.status_code == 400
    assert "access-control-allow-origin" not in told.headers
    assert not house.home.exchanges
