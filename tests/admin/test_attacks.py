"""What a web page, a name that was bound anew, and a hostile process of the same machine try at the admin API."""

from __future__ import annotations

import socket
import time
from urllib.parse import urlsplit

import httpx
import pytest

from router.admin.gate import Failures, host_names
from router.settings import Settings
from tests.admin.conftest import AdminHouse


def raw(admin: AdminHouse, request: bytes, *, whole: bool = True, seconds: float = 30.0) -> bytes:
    """Bytes out, bytes back, until the other side closes."""
    parts = urlsplit(admin.root)
    with socket.create_connection((parts.hostname, parts.port), timeout=seconds) as connection:
        connection.sendall(request)
        answer = b""
        while data := connection.recv(65536):
            answer += data
            if whole and b"\r\n\r\n" in answer:
                break
        return answer


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:{port}", "localhost", "localhost:1", "127.0.0.1.evil.example:{port}", ""),
        *("127.0.0.1:{port}.", "[::2]:{port}", "0.0.0.0:{port}", "127.1:{port}", "2130706433:{port}"),
    ],
)
def test_a_name_that_is_not_ours_is_refused_with_the_right_key_too(admin: AdminHouse, host: str) -> None:
    """DNS rebinding: the page's own name leads to loopback, and the browser says that name in `Host`."""
    name = host.format(port=urlsplit(admin.root).port)
    answer = admin.ask("GET", "/status", Host=name)
    assert answer.status_code in (403, 429)


@pytest.mark.parametrize("name", ["127.0.0.1", "LOCALHOST", "[::1]"])
def test_the_listeners_own_names_are_good(admin: AdminHouse, name: str) -> None:
    assert admin.ask("GET", "/status", Host=f"{name}:{urlsplit(admin.root).port}").status_code == 200


@pytest.mark.parametrize("hosts", [b"", b"Host: localhost:%d\r\nHost: evil.example\r\n"])
def test_no_host_or_two_are_refused(admin: AdminHouse, hosts: bytes) -> None:
    lines = hosts % urlsplit(admin.root).port if b"%d" in hosts else hosts
    key = f"Authorization: Bearer {admin.key}\r\n".encode()
    answer = raw(admin, b"GET /admin/v1/status HTTP/1.1\r\n" + lines + key + b"\r\n")
    assert answer.split(b" ", 2)[1] in (b"400", b"403", b"429")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "{root}", "http://localhost:3000"])
def test_an_origin_that_is_not_listed_is_refused(admin: AdminHouse, origin: str) -> None:
    """The listener serves no page, so no page, its own address included, has to ask it anything."""
    answer = admin.ask("POST", "/policy/reload", json={}, Origin=origin.format(root=admin.root))
    assert answer.status_code in (403, 429)


def test_a_preflight_gets_no_leave(admin: AdminHouse) -> None:
    headers = {"Origin": "https://evil.example", "Access_Control_Request_Method": "POST"}
    answer = admin.ask("OPTIONS", "/policy/reload", None, **headers)
    assert answer.status_code in (403, 429)
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_a_form_is_no_json(admin: AdminHouse, kind: str) -> None:
    """What a page's form can send without asking first is never taken for JSON."""
    headers = {"authorization": f"Bearer {admin.key}", "content-type": kind}
    url = f"{admin.root}/admin/v1/policy/reload"
    assert httpx.post(url, content=b"{}", headers=headers, trust_env=False, timeout=60).status_code == 415


def test_nothing_is_changed_by_get(admin: AdminHouse) -> None:
    for path in ("/policy/reload", "/keys/x/revoke", "/keys/x/rotate"):
        answer = admin.ask("GET", path)
        assert answer.status_code == 405
        assert answer.headers["allow"] == "POST"


def test_a_huge_body_and_a_deep_one_are_refused(admin: AdminHouse) -> None:
    huge = admin.ask("POST", "/policy/validate", json={"policy": "x" * (4 * 1024 * 1024)})
    assert huge.json()["error"]["code"] == "body_too_large"
    deep: object = {}
    for _ in range(50):
        deep = {"policy": deep}
    assert admin.ask("POST", "/policy/validate", json=deep).status_code == 400


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"recipe": "offline", "recipe": "default"}', "invalid_json"),
        (b"[]", "invalid_json"),
        (b'{"recipe": "offline", "path": "/etc/passwd"}', "unknown_field"),
        (b'{"recipe": "/etc/passwd"}', "invalid_request"),
        (b'{"policy": 5}', "invalid_request"),
        (b"{}", "invalid_request"),
    ],
)
def test_a_body_is_strict(admin: AdminHouse, body: bytes, code: str) -> None:
    headers = {"authorization": f"Bearer {admin.key}", "content-type": "application/json"}
    url = f"{admin.root}/admin/v1/policy/diff"
    assert httpx.post(url, content=body, headers=headers, trust_env=False, timeout=60).json()["error"]["code"] == code


@pytest.mark.parametrize(
    "path", ["/records?limit=0", "/records?limit=5&limit=6", "/records?path=x", "/records?limit=%C0"]
)
def test_a_query_is_strict(admin: AdminHouse, path: str) -> None:
    assert admin.ask("GET", path).status_code == 400


def test_a_candidate_reads_no_file_of_the_machine(admin: AdminHouse) -> None:
    told = admin.post("/policy/validate", policy="version: 1\nextends: /etc/passwd\n")
    assert told["good"] is False
    assert "root:" not in str(told)


def test_a_slow_body_ends_and_holds_nobody_up(admin: AdminHouse) -> None:
    """Eight callers that never finish what they send: the API and the gateway answer meanwhile; they are cut off."""
    parts = urlsplit(admin.root)
    head = (
        f"POST /admin/v1/policy/validate HTTP/1.1\r\nHost: 127.0.0.1:{parts.port}\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {admin.key}\r\nContent-Length: 1000\r\n\r\n{{"
    )
    slow = [socket.create_connection((parts.hostname, parts.port), timeout=60) for _ in range(8)]
    silent = socket.create_connection((parts.hostname, parts.port), timeout=60)
    try:
        for connection in slow:
            connection.sendall(head.encode())
        assert admin.get("/status")["ready"] is True
        assert admin.chat().status_code == 200
        assert b"408" in slow[0].recv(65536)
        assert silent.recv(65536) == b"", "a connection on which nothing is asked is closed"
    finally:
        for connection in (*slow, silent):
            connection.close()


def test_failures_are_bounded_and_a_right_key_is_never_held_up() -> None:
    now = [0.0]
    failures = Failures(lambda: now[0], most=3)
    assert [failures.note() for _ in range(5)] == [True, True, True, False, False]
    now[0] = 20.0
    assert [failures.note() for _ in range(2)] == [True, False]


def test_wrong_keys_get_429_in_the_end_and_the_right_one_goes_on(admin: AdminHouse) -> None:
    seen = {admin.ask("GET", "/status", "gha-wrong").status_code for _ in range(40)}
    assert seen == {401, 429} or seen == {429}
    assert admin.ask("GET", "/status").status_code == 200


def test_names_of_a_listener() -> None:
    loopback = Settings(admin_host="127.0.0.1")
    assert host_names(loopback, 8081) == {b"127.0.0.1:8081", b"localhost:8081", b"[::1]:8081"}
    open_to_all = Settings(admin_host="0.0.0.0", admin_names=("Admin.example",))  # what is tested
    assert b"admin.example" in host_names(open_to_all, 8081)
    assert b"0.0.0.0:8081" not in host_names(open_to_all, 8081)
    assert b"10.0.0.5" in host_names(Settings(admin_host="10.0.0.5"), 80)


def test_the_key_is_in_no_log(admin: AdminHouse) -> None:
    admin.ask("GET", f"/status?{admin.key}")
    time.sleep(0.2)
    assert admin.key not in admin.gateway.log()
