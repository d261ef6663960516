"""Published vulnerabilities of servers like this one, each tried here: its identifier, what it was, what must be.

Those whose cause does not exist here (no forms, no ranges, no templates, no commands, no SQL of a caller's) are tried
all the same: somebody may add it one day.
"""

from __future__ import annotations

import gzip
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import psutil
import pytest

from router.backends.scripted import Exchange
from router.backends.scripted_replies import Script
from tests.hostile.places import CANARY, Place

ROOT = Path(__file__).resolve().parents[2]
ASKING = orjson.dumps({"model": "local", "messages": [{"role": "user", "content": "hello"}]})
CHAT = b"/v1/chat/completions"


def raw(place: Place, *pieces: bytes, seconds: float = 30.0) -> bytes:
    """Bytes in, and everything that comes back until the gateway closes."""
    address = urlsplit(place.gateway.root)
    with socket.create_connection((address.hostname, address.port), timeout=seconds) as connection:
        received = b""
        try:
            for piece in pieces:
                connection.sendall(piece)
            while chunk := connection.recv(65536):
                received += chunk
        except ConnectionError:
            pass
        return received


def request(target: bytes, *headers: bytes, method: bytes = b"GET", body: bytes = b"") -> bytes:
    lines = [method + b" " + target + b" HTTP/1.1", *headers, b"connection: close"]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def statuses(received: bytes) -> list[int]:
    """Of all responses in the bytes."""
    return [int(status) for status in re.findall(rb"(?:^|\r\n|[}\n])HTTP/1\.1 (\d{3}) ", received)]


# -- CVE-2026-48710 (Starlette, "BadHost"), CVE-2026-54282 (Starlette), CVE-2026-49468 (litellm) -----------------------
# The path that was decided on was rebuilt from the Host header, or from a target that does not begin with a slash.

HOSTS = (
    b"x/#@a",
    b"x/healthz?",
    b"localhost/v1/models#",
    b"/healthz",
    b"@google.com",
    b"evil.example:99999",
    b"[::1",
    b"x\\y",
    b"",
)


@pytest.mark.parametrize("host", HOSTS, ids=range(len(HOSTS)))
def test_the_host_header_decides_nothing(hostile: Place, host: bytes) -> None:
    for target, method, body, status in (
        (b"/healthz", b"GET", b"", 200),
        (b"/admin/v1/policy", b"GET", b"", 404),
        (b"/v1/unknown", b"GET", b"", 404),
        (CHAT, b"GET", b"", 405),
        (CHAT, b"POST", ASKING, 200),
    ):
        length = b"content-length: %d" % len(body)
        plain = raw(hostile, request(target, b"host: x", length, method=method, body=body))
        odd = raw(hostile, request(target, b"host: " + host, length, method=method, body=body))
        assert statuses(plain) == statuses(odd) == [status], (target, plain, odd)
        assert not host or len(host) < 4 or host not in odd


def test_two_hosts_decide_nothing_either(hostile: Place) -> None:
    received = raw(hostile, request(b"/admin/v1/policy", b"host: x", b"host: y/healthz"))
    assert statuses(received) in ([404], [400])


@pytest.mark.parametrize(
    ("target", "allowed"),
    [
        (b"http://evil.example/healthz", [200]),  # the absolute form: its path counts, its host does not
        (b"http://evil.example/admin/v1/policy", [404]),
        (b"http://evil.example", [400, 404]),
        (b"@google.com/healthz", [400, 404]),
        (b"healthz", [400, 404]),
        (b"*", [400, 404]),
        (b"//evil.example/healthz", [404]),
        (b"/healthz#/v1/models", [200, 400, 404]),
        (b"/%2e%2e/healthz", [404]),
        (b"/healthz%00", [404]),
        (b"/healthz%0d%0ax: y", [400, 404]),
    ],
)
def test_a_target_is_its_path_and_nothing_else(hostile: Place, target: bytes, allowed: list[int]) -> None:
    received = raw(hostile, request(target, b"host: x"))
    assert statuses(received)[0] in allowed, received
    assert b"\r\nx: y" not in received


def test_no_source_of_ours_reads_the_url_that_is_rebuilt_from_the_host_header() -> None:
    """`request.url`, `request.base_url` and `url_for` are made of it."""
    for path in (ROOT / "router").rglob("*.py"):
        if "backends" in path.parts:  # guard.py looks at the URL of requests that we make ourselves
            continue
        found = re.findall(r"request\.(?:url|base_url)\b|\burl_for\(", path.read_text("utf-8"))
        assert not found, path


# -- CVE-2025-43859 (h11), CVE-2024-6827 (gunicorn), CVE-2025-53643 (aiohttp): request smuggling -----------------------

SMUGGLED = request(b"/v1/smuggled", b"host: x")
POSTED = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
CHUNKED = POSTED + b"transfer-encoding: chunked\r\n\r\n"
SIZE = b"%x" % len(ASKING)
SMUGGLING = {
    "a chunk that does not end where it says": CHUNKED + b"5\r\nAAAAAXX2\r\n0\r\n\r\n" + SMUGGLED,
    "a chunk that ends with a bare LF": CHUNKED + SIZE + b"\r\n" + ASKING + b"\n0\r\n\r\n" + SMUGGLED,
    "a size that ends with a bare LF": CHUNKED + SIZE + b"\n" + ASKING + b"\r\n0\r\n\r\n" + SMUGGLED,
    "a negative size": CHUNKED + b"-1\r\n" + ASKING + b"\r\n0\r\n\r\n" + SMUGGLED,
    "a size with 0x": CHUNKED + b"0x" + SIZE + b"\r\n" + ASKING + b"\r\n0\r\n\r\n" + SMUGGLED,
    "a size that overflows": CHUNKED + b"f" * 17 + b"\r\n" + ASKING + b"\r\n0\r\n\r\n" + SMUGGLED,
    "length and chunks": POSTED + b"content-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunks and length": POSTED + b"transfer-encoding: chunked\r\ncontent-length: 6\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunked, then not": POSTED + b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "an encoding that is nearly chunked": POSTED + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "a tab before chunked": POSTED + b"transfer-encoding:\x0bchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "two lengths": POSTED + b"content-length: 0\r\ncontent-length: 44\r\n\r\n" + SMUGGLED,
    "a list of lengths": POSTED + b"content-length: 0, 44\r\n\r\n" + SMUGGLED,
    "a length with a sign": POSTED + b"content-length: +0\r\n\r\n" + SMUGGLED,
    "a length with an underscore": POSTED + b"content-length: 1_0\r\n\r\n" + SMUGGLED,
    "a length that overflows": POSTED + b"content-length: 18446744073709551616\r\n\r\n" + SMUGGLED,
    "a folded header": POSTED + b"x: y\r\n transfer-encoding: chunked\r\ncontent-length: 0\r\n\r\n" + SMUGGLED,
    "a blank before the colon": POSTED + b"content-length : 0\r\n\r\n" + SMUGGLED,
    "a header that ends with a bare CR": POSTED + b"x: y\rcontent-length: 0\r\n\r\n" + SMUGGLED,
    "a name with a NUL": POSTED + b"content-length\x00: 0\r\n\r\n" + SMUGGLED,
}


def test_bytes_behind_a_request_that_is_not_clear_are_no_second_request(hostile: Place) -> None:
    """All at once: a connection stays open for a while after a refusal, so that its caller can read why."""
    with ThreadPoolExecutor(len(SMUGGLING)) as threads:
        answers = dict(zip(SMUGGLING, threads.map(lambda sent: raw(hostile, sent), SMUGGLING.values()), strict=True))
    assert {name: statuses(received) for name, received in answers.items()} == {name: [400] for name in SMUGGLING}
    assert not any(b"unknown_path" in received for received in answers.values())  # what `/v1/smuggled` is answered with
    assert hostile.send(b"", "/healthz", "GET").status == 200


def test_what_stands_behind_a_whole_request_takes_nothing_from_its_answer(hostile: Place) -> None:
    whole = POSTED + b"content-length: %d\r\n\r\n" % len(ASKING) + ASKING
    for behind in (
        b"no HTTP at all\r\n\r\n",
        b"POST / HTTP/1.1\r\nx : y\r\n\r\n",
        b"GET / HTTP/1.1\r\nx: " + b"a" * 300_000,
    ):
        received = raw(hostile, whole + behind)
        assert statuses(received) == [200], received
        assert received.endswith(b"}}")


def test_the_same_search_finds_a_second_request_that_is_one(hostile: Place) -> None:
    received = raw(hostile, POSTED + b"content-length: %d\r\n\r\n" % len(ASKING) + ASKING + SMUGGLED)
    assert statuses(received) == [200, 404], received


# -- Forms and ranges: CVE-2025-54121, CVE-2026-54283, CVE-2025-62727 (Starlette); python-multipart's denials of service


def test_nothing_here_reads_forms(hostile: Place) -> None:
    """GHSA-mj87-hwqh-73pj, GHSA-pp6c-gr5w-3c5g: a megabyte of a boundary's prefix, and of parts without an end."""
    kind = {"Content-Type": "multipart/form-data; boundary=" + "a" * 60}
    for body in (b"\r\n" * 500_000, b"--" + b"a" * 1_000_000, (b"--" + b"a" * 60 + b"\r\n\r\nx\r\n") * 10_000):
        used = processor_s(hostile)
        for path in ("/v1/chat/completions", "/v1/feedback", "/v1/files", "/healthz"):
            assert hostile.send(body, path, headers=kind).status in (400, 404, 405, 413)
        assert processor_s(hostile) - used < 5.0  # of processor time: quadratic work would take minutes
    for lock in ROOT.glob("requirements*.lock"):
        assert lock.name == "requirements-dev.lock" or "python-multipart==" not in lock.read_text("utf-8"), lock


def processor_s(place: Place) -> float:
    worker = psutil.Process(place.gateway.children()["router.app"])
    return float(sum(worker.cpu_times()[:2]))


def test_nothing_here_serves_ranges(hostile: Place) -> None:
    used = processor_s(hostile)
    for path in ("/healthz", "/v1/models", "/metrics"):
        answer = hostile.send(b"", path, "GET", {"Range": "bytes=" + ",".join(["0-"] * 12_000)})
        assert answer.status == 200
        assert "content-range" not in answer.headers
    assert processor_s(hostile) - used < 5.0


# -- litellm: what its proxy let callers do ----------------------------------------------------------------------------

# CVE-2024-6587, CVE-2026-24952, -25906, -28246: a body that says where the call goes, and with what key.
STEERING: dict[str, Any] = {
    "api_base": "http://169.254.169.254/",
    "base_url": "http://[::ffff:127.0.0.1]/",
    "api_key": f"sk-{CANARY}",
    "api_version": "2024-01-01",
    "extra_headers": {"authorization": CANARY},
    "extra_body": {"api_base": "http://x"},
    "custom_llm_provider": "openai",
    "aws_secret_access_key": CANARY,
    "vertex_credentials": CANARY,
    "litellm_params": {"api_base": "http://x"},
    "mock_response": CANARY,
    "callbacks": ["http://x"],
    "success_callback": ["http://x"],
}
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "hi"}]},
    "/v1/route": {"messages": [{"role": "user", "content": "hi"}]},
    "/v1/messages": {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]},
    "/v1/responses": {"input": "hi"},
    "/v1/completions": {"prompt": "hi"},
    "/v1/embeddings": {"input": "hi"},
}


@pytest.mark.parametrize("path", BODIES)
def test_no_body_says_where_a_call_goes_nor_with_what_key(hostile: Place, path: str) -> None:
    hostile.home.forget()
    hostile.cloud.forget()
    for name, value in STEERING.items():
        answer = hostile.send({"model": "local", **BODIES[path], name: value}, path)
        assert answer.status == 400, (name, answer)
        assert CANARY.encode() not in answer.body
    assert not hostile.home.exchanges
    assert not hostile.cloud.exchanges


# CVE-2026-42271 (a command of a caller's is run), -42203 (a template of a caller's), -35029 (the config is changed),
# -40217 (code of a caller's): no such path, whatever the method.
PATHS = (
    *("/mcp-rest/test/connection", "/mcp-rest/test/tools/list", "/prompts/test", "/config/update", "/config/yaml"),
    *("/guardrails/test_custom_code", "/key/generate", "/user/new", "/model/new", "/v1/mcp/server", "/sso/callback"),
    *(
        "/debug/asyncio-tasks",
        "/spend/logs",
        "/cache/flushall",
        "/openai/v1/chat/completions",
        "/anthropic/v1/messages",
    ),
)


@pytest.mark.parametrize("path", PATHS)
def test_what_litellm_s_proxy_had_there_is_not_here(hostile: Place, path: str) -> None:
    template = {"template": "{{ 7 * 7 }}", "command": "touch", "args": ["/tmp/x"], "code": "1"}
    for method in ("GET", "POST"):
        assert hostile.send(template, path, method).error["code"] == "unknown_path"


INJECTED = (
    "' OR '1'='1",
    "sk-1234'; DROP TABLE keys;--",
    "sk-" + "a" * 20_000,
    "sk-\x00",
    "{{ 7 * 7 }}",
    "${jndi:ldap://x}",
    "gh-x-%s%n",
    '" UNION SELECT digest FROM keys --',
)


@pytest.mark.parametrize("key", INJECTED, ids=range(len(INJECTED)))
def test_a_key_is_only_ever_compared(hostile: Place, key: str) -> None:
    """CVE-2026-42208: the key stood in an SQL text. On loopback, without keys, any key is as good as none."""
    for name in ("authorization", "x-api-key"):
        value = f"Bearer {key}" if name == "authorization" else key
        raw_key = value.encode()
        line = name.encode() + b": " + raw_key
        received = raw(hostile, request(b"/v1/models", b"host: x", line))
        assert statuses(received) in ([200], [400], [401]), received


# -- llama.cpp CVE-2026-21869: `n_discard` of a request became an index. Only fields that are known reach a local model.

NATIVE: dict[str, Any] = {
    "n_discard": -1,
    "n_keep": -1,
    "id_slot": 0,
    "cache_prompt": True,
    "grammar": 'root ::= "' + "a" * 1000 + '"',
    "samplers": ["x"],
    "lora": [{"id": 0, "scale": 1e300}],
    "cache_salt": "x",
    "tenant": "other",
}


@pytest.mark.parametrize("name", NATIVE)
def test_no_field_of_a_native_server_reaches_a_local_model(hostile: Place, name: str) -> None:
    hostile.home.forget()
    assert hostile.send({"model": "local", **BODIES["/v1/chat/completions"], name: NATIVE[name]}).status == 400
    assert not hostile.home.exchanges


# -- aiohttp as a client: CVE-2025-69223 (a compressed answer that grows), and headers without an end ------------------


def bomb(exchange: Exchange) -> Script:
    body = gzip.compress(b" " * 100_000_000)
    return Script(raw_body=body, headers=(("Content-Encoding", "gzip"),), model=exchange.method)


def test_a_compressed_answer_that_grows_without_end_costs_a_bounded_amount_of_memory(hostile: Place) -> None:
    before = hostile.home.script
    worker = psutil.Process(hostile.gateway.children()["router.app"])
    resting = worker.memory_info().rss
    hostile.home.script = bomb
    try:
        answer = hostile.send({"model": "local", "messages": [{"role": "user", "content": "grow"}]})
    finally:
        hostile.home.script = before
    assert answer.status in (502, 503), answer
    assert worker.memory_info().rss - resting < 90_000_000
    assert hostile.send({"model": "local", "messages": [{"role": "user", "content": "hello"}]}).status == 200


def test_an_upstream_whose_headers_have_no_end_is_a_502(hostile: Place) -> None:
    before = hostile.home.script
    hostile.home.script = Script(headers=(("X-Long", "a" * 100_000),))
    try:
        answer = hostile.send({"model": "local", "messages": [{"role": "user", "content": "talk"}]})
    finally:
        hostile.home.script = before
    assert answer.status in (502, 503), answer


# -- uvicorn CVE-2020-7694 and -7695: lines of a caller's in the log, and headers of a caller's in a response ----------


def test_no_caller_writes_a_line_of_the_log_or_a_header_of_an_answer(hostile: Place) -> None:
    word = f"{CANARY}-line"
    for target in (f"/v1/%0a{word}", f"/v1/models/%0d%0a{word}: x", f"/%1b[31m{word}"):
        received = raw(hostile, request(target.encode(), b"host: x"))
        assert word.encode() not in received
    body = {"model": f"auto\r\n{word}: x", "messages": [{"role": "user", "content": "hi"}]}
    assert word.lower() not in str(hostile.send(body).headers).lower()
    assert word not in hostile.gateway.log()


# -- what is asked without a body --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/v1/models", "/v1/models/auto"])
def test_a_head_is_a_get_without_its_body(hostile: Place, path: str) -> None:
    received = raw(hostile, request(path.encode(), b"host: x", method=b"HEAD"))
    headers, _, rest = received.partition(b"\r\n\r\n")
    assert headers.startswith(b"HTTP/1.1 200 ")
    assert b"content-length: " in headers
    assert rest == b""


@pytest.mark.parametrize("path", [*BODIES, "/v1/feedback"])
@pytest.mark.parametrize("method", [b"HEAD", b"OPTIONS", b"GET"])
def test_what_is_only_posted_to_says_so(hostile: Place, path: str, method: bytes) -> None:
    received = raw(hostile, request(path.encode(), b"host: x", method=method))
    headers, _, rest = received.partition(b"\r\n\r\n")
    assert headers.startswith(b"HTTP/1.1 405 "), received
    assert b"allow: POST" in headers
    assert (rest == b"") is (method == b"HEAD")
