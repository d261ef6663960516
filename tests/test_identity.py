"""Who asks is known from the key alone; on loopback none is needed; a web page's origin must be listed."""

from __future__ import annotations

from pathlib import Path

import pytest

from router.api_keys.key import new_key_id, new_key_text
from router.api_keys.store import KEYS_FILE, KeyStore
from router.errors import Denied, Unauthenticated, Unavailable
from router.identity import NOBODY, Identity, ensure_start_key, is_loopback
from router.keys import StateFolderError, ensure_private_folder
from router.settings import Settings, from_environment
from router.types import Principal

KEY = "gh-right-key"


def settings(tmp_path: Path, **environment: str) -> Settings:
    return from_environment({"HOME": str(tmp_path), **{f"GATEHOUSE_{k.upper()}": v for k, v in environment.items()}})


def with_key(key: str | None = KEY, *origins: str) -> Identity:
    """On loopback, where only a configured key is asked for."""
    return Identity(Settings(api_key=key, allowed_origins=origins))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("localhost", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("192.168.1.5", False),
        ("10.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("fe80::1%eth0", False),
        ("127.0.0.1.example.com", False),
        ("localhost.example.com", False),
        ("127.1", False),
    ],
)
def test_only_an_address_of_this_machine_is_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_on_loopback_anybody_is_the_default_tenant_whatever_key_a_client_sends(tmp_path: Path) -> None:
    identity = Identity(settings(tmp_path))
    assert identity.authenticate([]) == NOBODY
    assert identity.authenticate([(b"authorization", b"Bearer sk-none")]) == NOBODY
    assert Principal(scopes=frozenset({"infer", "read"})) == NOBODY, "everybody on this machine changes nothing"
    assert not (tmp_path / ".local").exists()


def test_the_first_key_closes_the_door_with_the_next_request(tmp_path: Path) -> None:
    """Nobody has told this worker of it."""
    identity = Identity(settings(tmp_path))
    folder = settings(tmp_path).state_dir
    with KeyStore(folder) as store:
        assert identity.authenticate([]) == NOBODY, "a file without any key closes nothing"
        assert identity.authenticate([]) == NOBODY
        _, text = store.create("first")
        with pytest.raises(Unauthenticated):
            identity.authenticate([])
        assert identity.authenticate([(b"x-api-key", text.encode())]).scopes == {"infer"}
    (folder / KEYS_FILE).unlink()
    with pytest.raises(Unauthenticated):
        identity.authenticate([])


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\x00" + bytes(100)])
def test_a_file_of_keys_that_cannot_be_read_closes_the_door_too(tmp_path: Path, content: bytes) -> None:
    identity = Identity(settings(tmp_path))
    assert identity.authenticate([]) == NOBODY
    folder = ensure_private_folder(settings(tmp_path).state_dir)
    (folder / KEYS_FILE).write_bytes(content)
    with pytest.raises(Unauthenticated):
        identity.authenticate([])
    with pytest.raises(Unavailable):
        identity.authenticate([(b"x-api-key", new_key_text(new_key_id()).encode())])
    (folder / KEYS_FILE).unlink()
    with KeyStore(folder) as store:
        _, text = store.create("first")
    assert identity.authenticate([(b"x-api-key", text.encode())]).scopes == {"infer"}, "without being told either"


@pytest.mark.parametrize(
    "headers",
    [
        [(b"authorization", b"Bearer gh-right-key")],
        [(b"authorization", b"bearer   gh-right-key ")],
        [(b"x-api-key", b"gh-right-key")],
        [(b"x-api-key", b"gh-right-key"), (b"authorization", b"Bearer gh-right-key")],
        [(b"x-api-key", b""), (b"authorization", b"Bearer gh-right-key")],
    ],
)
def test_the_right_key_is_taken_from_either_header(headers: list[tuple[bytes, bytes]]) -> None:
    assert with_key().authenticate(headers) == Principal(key_id="configured")


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"authorization", b"")],
        [(b"authorization", b"Bearer")],
        [(b"authorization", b"Bearer ")],
        [(b"authorization", b"Bearer gh-right-ke")],
        [(b"authorization", b"Bearer gh-right-key2")],
        [(b"authorization", b"Basic gh-right-key")],
        [(b"authorization", b"Bearer \xff\xfe")],
        [(b"x-api-key", b"GH-RIGHT-KEY")],
        [(b"cookie", b"x-api-key=gh-right-key")],
        [(b"x-api-key", b"gh-right-key"), (b"authorization", b"Bearer wrong")],
        [(b"x-api-key", b"gh-right-key"), (b"x-api-key", b"wrong")],
    ],
)
def test_anything_else_is_401_and_shows_no_key(headers: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(Unauthenticated) as caught:
        with_key().authenticate(headers)
    assert caught.value.status == 401
    assert "right" not in caught.value.message


def test_a_configured_key_is_needed_on_loopback_too(tmp_path: Path) -> None:
    identity = Identity(settings(tmp_path, api_key=KEY))
    with pytest.raises(Unauthenticated):
        identity.authenticate([])
    assert identity.authenticate([(b"x-api-key", KEY.encode())]).key_id == "configured"


def test_on_an_open_address_the_first_start_makes_a_key_that_its_owner_can_read(tmp_path: Path) -> None:
    open_to_all = settings(tmp_path, host="0.0.0.0")
    start = ensure_start_key(open_to_all)
    assert start is not None
    key = start.path.read_text().strip()
    assert start.how_to_read == f"cat {start.path}"
    assert start.path.stat().st_mode & 0o777 == 0o600
    assert len(key) > 40
    assert key not in repr(start)
    identity = Identity(open_to_all)
    assert identity.authenticate([(b"authorization", b"Bearer " + key.encode())]) == Principal(key_id="start")
    with pytest.raises(Unauthenticated):
        identity.authenticate([])


def test_every_worker_and_every_later_start_takes_the_same_key(tmp_path: Path) -> None:
    open_to_all = settings(tmp_path, host="::")
    first, second = ensure_start_key(open_to_all), ensure_start_key(open_to_all)
    assert first == second


def test_no_key_is_made_where_none_is_needed(tmp_path: Path) -> None:
    assert ensure_start_key(settings(tmp_path)) is None
    assert ensure_start_key(settings(tmp_path, host="0.0.0.0", api_key=KEY)) is None


def test_an_empty_configured_key_counts_as_none_and_never_opens_the_door(tmp_path: Path) -> None:
    identity = Identity(settings(tmp_path, host="0.0.0.0", api_key=""))
    for headers in ([], [(b"x-api-key", b"")], [(b"authorization", b"Bearer ")]):
        with pytest.raises(Unauthenticated):
            identity.authenticate(headers)


@pytest.mark.parametrize("content", ["", "\n"])
def test_an_emptied_key_file_refuses_to_start(tmp_path: Path, content: str) -> None:
    open_to_all = settings(tmp_path, host="0.0.0.0")
    start = ensure_start_key(open_to_all)
    assert start is not None
    start.path.write_text(content)
    with pytest.raises(StateFolderError, match="empty"):
        Identity(open_to_all)


def test_a_key_file_that_others_can_read_refuses_to_start(tmp_path: Path) -> None:
    open_to_all = settings(tmp_path, host="0.0.0.0")
    start = ensure_start_key(open_to_all)
    assert start is not None
    start.path.chmod(0o644)
    with pytest.raises(StateFolderError, match="chmod 600"):
        Identity(open_to_all)


@pytest.mark.parametrize(
    "origin", [b"https://evil.example", b"null", b"", b"http://localhost:3000", b"https://app.example.evil"]
)
@pytest.mark.parametrize("key", [None, KEY])
def test_an_origin_that_is_not_listed_is_403_with_or_without_a_key(origin: bytes, key: str | None) -> None:
    identity = with_key(key, "https://app.example")
    with pytest.raises(Denied) as caught:
        identity.authenticate([(b"x-api-key", KEY.encode()), (b"origin", origin)])
    assert (caught.value.status, caught.value.code) == (403, "origin_not_allowed")
    assert b"evil" not in caught.value.message.encode()


def test_a_listed_origin_passes_and_a_second_one_that_is_not_does_not() -> None:
    identity = with_key(None, "https://app.example")
    assert identity.authenticate([(b"origin", b"https://app.example")]) == NOBODY
    with pytest.raises(Denied):
        identity.authenticate([(b"origin", b"https://app.example"), (b"origin", b"https://evil.example")])


def test_no_header_but_the_key_says_anything_about_who_asks() -> None:
    headers = [(b"x-tenant", b"other"), (b"x-user", b"root"), (b"openai-organization", b"org")]
    assert with_key(None).authenticate(headers) == NOBODY
