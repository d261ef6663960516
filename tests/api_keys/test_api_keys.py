"""A key is shown once and kept as a digest; what is wrong with one is told apart; changes reach a running gateway."""

from __future__ import annotations

import base64
import sqlite3
from pathlib import Path

import pytest

from policies.allowances import Rate
from router.api_keys.key import KeyRing, digest_of_key, is_whole, new_key_id, new_key_text
from router.api_keys.store import KEYS_FILE, KeyStore, NoSuchKey, read_generation, read_ring
from router.api_keys.watch import KeyWatch
from router.errors import Denied, InvalidRequest, Unauthenticated, Unavailable
from router.identity import NOBODY, Identity, require, subject_of
from router.keys import load_keys
from router.settings import Settings
from router.types import SCOPES, KeyScope, Principal

DAY = 86_400.0


class Clock:
    """A time that a test moves."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def store(folder: Path, clock: Clock) -> KeyStore:
    return KeyStore(folder, clock)


def identity(folder: Path, clock: Clock, **settings: str) -> Identity:
    return Identity(Settings(state_dir=folder, **settings), clock=clock)  # type: ignore[arg-type]


def bearer(text: str, *more: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    return [(b"authorization", b"Bearer " + text.encode()), *more]


def test_a_key_names_its_id_and_holds_32_random_bytes_and_a_checksum() -> None:
    texts = {new_key_text("abcdefghjkmn") for _ in range(200)}
    assert len(texts) == 200
    assert {len(text) for text in texts} == {65}
    assert all(text.startswith("gh-abcdefghjkmn-") and is_whole(text.encode()) for text in texts)
    assert len({new_key_id() for _ in range(200)}) == 200


def test_every_slip_in_one_place_breaks_the_checksum() -> None:
    text = new_key_text(new_key_id())
    for at in range(16, len(text)):
        other = "B" if text[at] != "B" else "C"
        assert not is_whole((text[:at] + other + text[at + 1 :]).encode()), at
    assert not is_whole(text[:-1].encode())
    assert not is_whole((text + "A").encode())


def test_what_is_kept_holds_neither_a_key_nor_a_part_of_its_secret(store: KeyStore, folder: Path) -> None:
    key, text = store.create("app")
    store.rotate(key.id, DAY)
    content = b"".join(path.read_bytes() for path in folder.iterdir())
    secret = text.rsplit("-", 1)[1].encode()
    assert not [secret[at : at + 12] for at in range(len(secret) - 12) if secret[at : at + 12] in content]
    assert base64.b64encode(secret) not in content
    assert (folder / KEYS_FILE).stat().st_mode & 0o777 == 0o600


def test_a_key_says_tenant_groups_and_scopes_of_whoever_asks(store: KeyStore, folder: Path, clock: Clock) -> None:
    key, text = store.create("app", tenant="acme", scopes=["infer", "read"], groups=["nurses"])
    who = identity(folder, clock).authenticate(bearer(text))
    assert who == Principal("acme", key.id, None, ("nurses",), frozenset({"infer", "read"}))
    assert identity(folder, clock).authenticate([(b"x-api-key", text.encode())]) == who


def test_once_there_is_a_key_one_is_needed_on_loopback_too_even_when_it_is_revoked(
    store: KeyStore, folder: Path, clock: Clock
) -> None:
    house = identity(folder, clock)
    assert house.authenticate([]) == NOBODY
    key, _ = store.create("app")
    house.reload()
    with pytest.raises(Unauthenticated, match="is needed"):
        house.authenticate([])
    store.revoke(key.id)
    for each in (house, identity(folder, clock)):
        each.reload()
        with pytest.raises(Unauthenticated, match="is needed"):
            each.authenticate([])


def test_the_configured_key_goes_on_with_all_scopes(store: KeyStore, folder: Path, clock: Clock) -> None:
    _, text = store.create("app")
    house = identity(folder, clock, api_key="gh-configured")
    assert house.authenticate(bearer("gh-configured")) == Principal(key_id="configured", scopes=frozenset(SCOPES))
    assert house.authenticate(bearer(text)).scopes == {"infer"}


def test_on_an_open_address_the_start_key_is_made_only_while_there_is_no_other(
    store: KeyStore, folder: Path, clock: Clock
) -> None:
    house = identity(folder, clock, host="0.0.0.0")
    start = (folder / "api.key").read_text().strip()
    _, text = store.create("app")
    house.reload()
    assert house.authenticate(bearer(start)).key_id == "start"
    assert house.authenticate(bearer(text)).tenant == "default"
    (folder / "api.key").unlink()
    later = identity(folder, clock, host="0.0.0.0")
    assert not (folder / "api.key").exists()
    for headers in ([], bearer(start)):
        with pytest.raises(Unauthenticated):
            later.authenticate(headers)


@pytest.mark.parametrize(
    ("change", "message", "code"),
    [
        (lambda text: text[:-1], "cut short", "invalid_api_key"),
        (lambda text: text[:20] + "ä" + text[21:], "cut short", "invalid_api_key"),
        (lambda text: text[:30] + ("B" if text[30] != "B" else "C") + text[31:], "cut short", "invalid_api_key"),
        (lambda text: new_key_text(text.split("-")[1]), "not valid", "invalid_api_key"),
        (lambda text: new_key_text(new_key_id()), "not valid", "invalid_api_key"),
        (lambda text: "sk-something-else", "not valid", "invalid_api_key"),
        (lambda text: text.upper(), "cut short", "invalid_api_key"),
    ],
)
def test_another_key_is_401_and_says_what_is_wrong(
    store: KeyStore, folder: Path, clock: Clock, change: object, message: str, code: str
) -> None:
    _, text = store.create("app")
    wrong = change(text)  # type: ignore[operator]
    with pytest.raises(Unauthenticated, match=message) as caught:
        identity(folder, clock).authenticate(bearer(wrong))
    assert (caught.value.status, caught.value.code) == (401, code)
    assert text[20:] not in caught.value.message


def test_a_key_ends_at_its_expiry_and_at_its_revocation(store: KeyStore, folder: Path, clock: Clock) -> None:
    _, text = store.create("app", expires=clock.now + 90 * DAY)
    gone, other = store.create("other")
    house = identity(folder, clock)
    clock.now += 90 * DAY - 1
    assert house.authenticate(bearer(text)).tenant == "default"
    clock.now += 1
    with pytest.raises(Unauthenticated) as caught:
        house.authenticate(bearer(text))
    assert caught.value.code == "expired_api_key"
    store.revoke(gone.id)
    assert house.authenticate(bearer(other)), "not before it is told"
    house.reload()
    with pytest.raises(Unauthenticated) as caught:
        house.authenticate(bearer(other))
    assert caught.value.code == "revoked_api_key"


def test_a_rotated_key_goes_on_with_its_old_secret_for_the_overlap_alone(
    store: KeyStore, folder: Path, clock: Clock
) -> None:
    key, first = store.create("app", tenant="acme")
    same, second = store.rotate("app", overlap=3600)
    assert same.id == key.id
    house = identity(folder, clock)
    assert house.authenticate(bearer(first)) == house.authenticate(bearer(second))
    clock.now += 3600
    with pytest.raises(Unauthenticated, match="not valid"):
        house.authenticate(bearer(first))
    assert house.authenticate(bearer(second)).tenant == "acme"
    _, third = store.rotate(key.id, overlap=0)
    house.reload()
    assert house.authenticate(bearer(third)).tenant == "acme"
    for old in (first, second):
        with pytest.raises(Unauthenticated):
            house.authenticate(bearer(old))
    assert len(store.get(key.id).secrets) == 1


def test_an_overlap_never_gives_an_old_secret_more_time_than_it_had(store: KeyStore, clock: Clock) -> None:
    key, first = store.create("app")
    store.rotate(key.id, overlap=10)
    store.rotate(key.id, overlap=1000)
    until = {secret.digest: secret.until for secret in store.get(key.id).secrets}
    assert until[digest_of_key(first.encode())] == clock.now + 10


def test_a_key_is_named_by_its_id_or_by_a_name_that_only_one_in_use_has(store: KeyStore) -> None:
    first, _ = store.create("app")
    store.create("app")
    with pytest.raises(NoSuchKey, match="2 keys"):
        store.revoke("app")
    store.revoke(first.id)
    assert store.get("app").id != first.id
    with pytest.raises(NoSuchKey, match="no key"):
        store.get("other")
    with pytest.raises(NoSuchKey, match="revoked"):
        store.rotate(first.id, 0)


def test_only_the_header_that_the_key_names_says_for_whom_it_asks(store: KeyStore, folder: Path, clock: Clock) -> None:
    _, named = store.create("app", tenant="acme", subject_header="x-user")
    _, other = store.create("app", tenant="acme")
    house = identity(folder, clock)
    anna = (b"x-user", b"anna@example.org")
    subject = house.authenticate(bearer(named, anna)).subject
    assert subject == subject_of(load_keys(folder), "acme", b"anna@example.org")
    assert subject is not None
    assert "anna" not in subject
    assert house.authenticate(bearer(named, (b"x-user", b" anna@example.org "))).subject == subject
    assert house.authenticate(bearer(named, (b"x-user", b"ben"))).subject not in (subject, None)
    for headers in (
        bearer(other, anna),
        bearer(named),
        bearer(named, (b"x-user", b" ")),
        bearer(named, (b"x-us", b"a")),
    ):
        assert house.authenticate(headers).subject is None
    for headers in (bearer(named, anna, (b"x-user", b"ben")), bearer(named, (b"x-user", b"a" * 257))):
        with pytest.raises(InvalidRequest) as caught:
            house.authenticate(headers)
        assert "anna" not in caught.value.message


def test_one_person_has_another_pseudonym_at_each_tenant_and_each_installation(tmp_path: Path) -> None:
    here, there = load_keys(tmp_path / "a"), load_keys(tmp_path / "b")
    assert len({subject_of(here, "a", b"anna"), subject_of(here, "b", b"anna"), subject_of(there, "a", b"anna")}) == 3


@pytest.mark.parametrize("scope", SCOPES)
def test_a_scope_is_had_or_refused(scope: KeyScope) -> None:
    require(Principal(scopes=frozenset({scope})), scope)
    require(Principal(scopes=frozenset({scope})), *SCOPES)
    with pytest.raises(Denied, match=scope) as caught:
        require(Principal(scopes=frozenset(SCOPES) - {scope}), scope)
    assert (caught.value.status, caught.value.code) == (403, "insufficient_scope")


def test_nobody_may_change_anything_without_a_key() -> None:
    require(NOBODY, "infer")
    require(NOBODY, "read")
    with pytest.raises(Denied):
        require(NOBODY, "admin")


@pytest.mark.parametrize("break_it", ["damage", "remove"])
def test_while_keys_cannot_be_read_none_is_good_and_one_is_needed(
    store: KeyStore, folder: Path, clock: Clock, break_it: str
) -> None:
    _, text = store.create("app")
    store.close()
    house = identity(folder, clock)
    whole = (folder / KEYS_FILE).read_bytes()
    if break_it == "damage":
        (folder / KEYS_FILE).write_bytes(b"no database" * 100)
    else:
        (folder / KEYS_FILE).unlink()
    house.reload()
    assert house.is_failing
    with pytest.raises(Unauthenticated):
        house.authenticate([])
    with pytest.raises(Unavailable) as caught:
        house.authenticate(bearer(text))
    assert (caught.value.status, caught.value.code) == (503, "keys_unavailable")
    (folder / KEYS_FILE).write_bytes(whole)
    house.reload()
    assert house.authenticate(bearer(text)).tenant == "default"


def test_every_change_shows_in_the_generation_and_nothing_else_does(store: KeyStore, folder: Path) -> None:
    watch = KeyWatch(folder)
    watch.look()
    assert not watch.has_keys
    key, _ = store.create("app")
    assert watch.look()
    assert not watch.look()
    store.list()
    assert not watch.look()
    for change in (lambda: store.rotate(key.id, 0), lambda: store.revoke(key.id)):
        change()
        assert watch.look()
    assert watch.has_keys
    (folder / KEYS_FILE).write_bytes(b"no database" * 100)
    assert watch.look()
    assert watch.has_keys, "what cannot be read may hold keys"


def test_where_no_key_was_made_nothing_is_created_by_looking(folder: Path) -> None:
    assert read_generation(folder) == ""
    assert read_ring(folder).is_empty
    assert not folder.exists()


def test_a_change_that_fails_leaves_everything_as_it_was(store: KeyStore, folder: Path) -> None:
    key, _ = store.create("app")
    before = read_generation(folder), store.list()
    with sqlite3.connect(folder / KEYS_FILE) as database:
        database.execute("CREATE TRIGGER stop BEFORE UPDATE ON generation BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(Exception, match="SQLITE"):
        store.revoke(key.id)
    assert (read_generation(folder), store.list()) == before


def test_a_ring_without_keys_is_empty_unless_it_could_not_be_read() -> None:
    assert KeyRing().is_empty
    assert not KeyRing(is_unreadable=True).is_empty


def test_a_file_of_the_first_version_is_read_and_then_brought_forward(folder: Path, clock: Clock) -> None:
    with KeyStore(folder, clock) as store:
        _, old = store.create("old")
    database = sqlite3.connect(folder / KEYS_FILE)
    database.execute("DROP TABLE rates")
    database.execute("DELETE FROM schema_version WHERE version > 1")
    database.commit()
    database.close()
    assert identity(folder, clock).authenticate(bearer(old)).rate is None
    with KeyStore(folder, clock) as store:
        _, new = store.create("new", rate=Rate(5, None))
    assert identity(folder, clock).authenticate(bearer(new)).rate == Rate(5, None)
    assert identity(folder, clock).authenticate(bearer(old)).rate is None
