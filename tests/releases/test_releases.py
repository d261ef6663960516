"""Releases: a token counts for one request, once, and for nothing that differs from it by anything."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.types import Level, Policy, Release
from router.cache.redis_releases import RedisReleases
from router.errors import Denied, GatehouseError, Unavailable
from router.keys import Keys, load_keys
from router.releases.board import ReleaseBoard, shared_releases
from router.releases.listing import ReleaseList
from router.releases.releases import Releases
from router.releases.store import (
    MOST_WAITING,
    RELEASES_FILE,
    WAITS_SECONDS,
    About,
    Entry,
    NoSuchRelease,
    NotWaiting,
    ReleaseStore,
    ReleaseStoreError,
)
from router.releases.tokens import BadToken, ReleaseTokens, bound_of
from router.settings import Settings
from router.types import ChatRequest, Principal
from tests.policies.worlds import base
from tests.support.redis_server import RedisServer

KEYS = Keys(b"k" * 32)
TOKENS = ReleaseTokens(KEYS, "host")
POLICY = base("release")
APPROVED = base("release-pseudonymized")
ALICE = Principal("default", "key1", "sub1")
BODY: dict[str, Any] = {"model": "auto", "messages": [{"role": "user", "content": "Write to bob@corp-mail.com."}]}


def ask(body: dict[str, Any] = BODY, principal: Principal = ALICE, **more: Any) -> ChatRequest:
    asked = {"model": "auto", "stream": False, "task": "chat", **more}
    return ChatRequest("gh-1", body, principal=principal, include_usage=False, local_only=False, no_store=False,
                       received=0.0, **asked)  # fmt: skip


def consent(seconds: float = 60.0, **changes: Any) -> Release:
    return replace(Release("rl-0123456789abcdef", "eu", Level.CONFIDENTIAL, round(time.time() + seconds, 3)), **changes)


def said(text: str) -> dict[str, Any]:
    return {**BODY, "messages": [{"role": "user", "content": text}]}


# -- the token ---------------------------------------------------------------------------------------------------------


def test_a_token_says_again_what_it_was_made_of() -> None:
    release, bound = consent(), bound_of(ask(), "digest")
    token = TOKENS.make(release, bound)
    assert TOKENS.read(token, bound) == release
    assert token.isascii()
    assert len(token) < 128
    assert "bob" not in token


def test_how_an_answer_is_sent_and_the_order_of_keys_are_no_part_of_what_was_asked() -> None:
    token = TOKENS.make(consent(), bound_of(ask(), "digest"))
    other = {"stream": True, "stream_options": {"include_usage": True}, **dict(reversed(list(BODY.items())))}
    assert TOKENS.read(token, bound_of(ask(other, stream=True), "digest")).model == "eu"


@pytest.mark.parametrize(
    "other",
    [
        ask(said("Write to bob@corp-mail.com!")),
        ask(said("write to bob@corp-mail.com.")),
        ask(said("Write to bob@corp-mail.com. ")),
        ask({**BODY, "temperature": 0.5}),
        ask({**BODY, "messages": [*BODY["messages"], {"role": "user", "content": ""}]}),
        ask({**BODY, "user": "x"}),
        ask(model="eu"),
        ask(task="embeddings"),
        ask(principal=replace(ALICE, tenant="lab")),
        ask(principal=replace(ALICE, key_id="key2")),
        ask(principal=replace(ALICE, key_id=None)),
        ask(principal=replace(ALICE, subject="sub2")),
        ask(principal=replace(ALICE, subject=None)),
        ask(principal=Principal("default", "key1sub1", "")),
    ],
)
def test_one_change_of_the_request_or_of_its_caller_voids_it(other: ChatRequest) -> None:
    token = TOKENS.make(consent(), bound_of(ask(), "digest"))
    with pytest.raises(BadToken):
        TOKENS.read(token, bound_of(other, "digest"))


@pytest.mark.parametrize(
    "tokens", [ReleaseTokens(Keys(b"o" * 32), "host"), ReleaseTokens(KEYS, "elsewhere")], ids=["secret", "host"]
)
def test_another_state_folder_voids_it(tokens: ReleaseTokens) -> None:
    bound = bound_of(ask(), "digest")
    with pytest.raises(BadToken):
        TOKENS.read(tokens.make(consent(), bound), bound)


def test_another_version_of_the_policy_voids_it() -> None:
    with pytest.raises(BadToken):
        TOKENS.read(TOKENS.make(consent(), bound_of(ask(), "digest")), bound_of(ask(), "digesu"))


@pytest.mark.parametrize(
    "change", [{"model": "us"}, {"level": Level.RESTRICTED}, {"until": 9e9}, {"id": "rl-" + "1" * 16}]
)
def test_what_it_says_itself_cannot_be_put_into_another_one(change: dict[str, Any]) -> None:
    bound = bound_of(ask(), "digest")
    mine, other = TOKENS.make(consent(), bound), ReleaseTokens(Keys(b"o" * 32), "host").make(consent(**change), bound)
    with pytest.raises(BadToken):
        TOKENS.read(other[:-43] + mine[-43:], bound)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_no_token_that_was_not_made_is_ever_read(data: st.DataObject) -> None:
    bound = bound_of(ask(), "digest")
    token = TOKENS.make(consent(), bound)
    at = data.draw(st.integers(0, len(token) - 1))
    forged = data.draw(
        st.one_of(
            st.text(max_size=300),
            st.just(token[:at]),
            st.just(token[at:][1:]),
            st.characters().map(lambda char: token[:at] + char + token[at + 1 :]),
            st.text(min_size=1, max_size=3).map(lambda more: token + more),
        )
    )
    if forged != token:
        with pytest.raises(BadToken):
            TOKENS.read(forged, bound)


# -- the store ---------------------------------------------------------------------------------------------------------


def used(release_id: str = "rl-1", by: str = "gh-1", until: float | None = None) -> Entry:
    return Entry(
        release_id, "used", time.time() + 60 if until is None else until, by, "default", "key1", time.time(), 60, None
    )


def waiting(release_id: str = "rl-1", tenant: str = "default", until: float | None = None) -> Entry:
    about = About("eu", "confidential", "hard", ("EMAIL_ADDRESS",), 120, "gh-1")
    end = time.time() + WAITS_SECONDS if until is None else until
    return Entry(release_id, "waiting", end, None, tenant, "key1", time.time(), 60, about)


def test_one_of_many_workers_uses_it_and_a_restart_does_not_forget(tmp_path: Path) -> None:
    stores = [ReleaseStore(tmp_path) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        wins = list(pool.map(lambda n: stores[n].use(used(by=f"gh-{n}"), time.time(), approved=False), range(8)))
    assert sum(wins) == 1
    winner = f"gh-{wins.index(True)}"
    for store in stores:
        store.close()
    with ReleaseStore(tmp_path) as again:
        assert again.host == stores[0].host
        assert not again.use(used(by="gh-9"), time.time(), approved=False)
        assert again.use(used(by=winner), time.time(), approved=False), "a second try of the very request"


def test_what_must_be_approved_can_be_used_only_then_only_in_time_and_once(tmp_path: Path) -> None:
    now = time.time()
    with ReleaseStore(tmp_path) as store:
        assert not store.use(used(), now, approved=True), "nobody asked"
        assert store.ask(waiting(), now)
        assert not store.use(used(), now, approved=True), "it waits"
        entry = store.decide("rl-1", "approved", "user admin", "the patient agreed", now)
        assert (entry.state, entry.until, entry.about) == ("approved", now + 60, waiting().about)
        assert not store.use(used(), now + 61, approved=True), "too late"
        assert store.use(used(by="gh-1"), now, approved=True)
        assert not store.use(used(by="gh-2"), now, approved=True)
        with pytest.raises(NotWaiting) as caught:
            store.decide("rl-1", "approved", "user admin", "again", now)
        assert caught.value.state == "used"


def test_what_was_denied_or_waited_too_long_is_never_used(tmp_path: Path) -> None:
    now = time.time()
    with ReleaseStore(tmp_path) as store:
        store.ask(waiting("rl-1"), now)
        store.ask(waiting("rl-2", until=now + 5), now)
        assert store.decide("rl-1", "denied", "user admin", "no", now).state == "denied"
        for release_id in ("rl-1", "rl-2"):
            assert not store.use(used(release_id), now + 6, approved=True)
            assert not store.use(used(release_id), now + 6, approved=False)
            with pytest.raises(NotWaiting):
                store.decide(release_id, "approved", "user admin", "yes after all", now + 6)
        with pytest.raises(NoSuchRelease):
            store.decide("rl-3", "approved", "user admin", "which?", now)
        assert {entry.id: entry.state for entry in store.entries(now + 6)} == {"rl-1": "denied", "rl-2": "expired"}


def test_a_tenant_cannot_fill_the_list_and_what_is_long_over_goes(tmp_path: Path) -> None:
    now = time.time()
    with ReleaseStore(tmp_path) as store:
        store._database.execute("PRAGMA synchronous=OFF")
        assert all(store.ask(waiting(f"rl-{n}", "lab"), now) for n in range(MOST_WAITING))
        assert not store.ask(waiting("rl-more", "lab"), now)
        assert store.ask(waiting("rl-other", "ward"), now)
        assert len(store.entries(now, "lab")) == MOST_WAITING
        later = now + WAITS_SECONDS + 8 * 24 * 3600
        assert store.ask(waiting("rl-late", "lab", until=later + 60), later)
        assert [entry.id for entry in store.entries(later)] == ["rl-late"]


def test_a_file_that_is_none_is_an_error(tmp_path: Path) -> None:
    (tmp_path / RELEASES_FILE).write_bytes(b"no database at all" * 100)
    tmp_path.chmod(0o700)
    with pytest.raises(ReleaseStoreError):
        ReleaseStore(tmp_path)


# -- the worker --------------------------------------------------------------------------------------------------------


@pytest.fixture
def house(tmp_path: Path) -> tuple[Path, Keys]:
    folder = tmp_path / "state"
    return folder, load_keys(folder)


def with_token(
    house: tuple[Path, Keys], policy: Policy, seconds: float = 60.0, release_id: str = "rl-" + "a" * 16
) -> ChatRequest:
    folder, keys = house
    with ReleaseStore(folder) as store:
        tokens = ReleaseTokens(keys, store.host)
    token = tokens.make(consent(seconds, id=release_id), bound_of(ask(), policy.digest))
    return replace(ask(), release=token)


async def refused(releases: Releases, request: ChatRequest, policy: Policy) -> str:
    with pytest.raises(GatehouseError) as caught:
        await releases.admit(request, policy)
    assert caught.value.code in ("release_refused", "release_unavailable")
    assert "bob" not in caught.value.message
    return caught.value.message


async def test_a_token_is_admitted_until_it_ends_and_not_past_a_clock_that_was_set_back(
    house: tuple[Path, Keys],
) -> None:
    releases = Releases(*house)
    ticket = await releases.admit(with_token(house, POLICY), POLICY)
    assert ticket is not None
    assert (ticket.is_open, ticket.release.model, ticket.release.level) == (True, "eu", Level.CONFIDENTIAL)
    assert "time is over" in await refused(releases, with_token(house, POLICY, -1.0), POLICY)
    assert "time is over" in await refused(releases, with_token(house, POLICY, 400.0), POLICY)
    assert await releases.admit(ask(), POLICY) is None
    await releases.close()


async def test_where_the_policy_releases_nothing_or_not_to_this_key_the_token_is_refused(
    house: tuple[Path, Keys],
) -> None:
    releases = Releases(*house)
    request = with_token(house, POLICY)
    assert "does not let you release" in await refused(releases, request, replace(POLICY, release=None))
    assert POLICY.release is not None
    groups = replace(POLICY, release=replace(POLICY.release, groups=frozenset({"doctors"})))
    assert "does not let you release" in await refused(releases, request, groups)
    doctor = replace(request, principal=replace(ALICE, groups=("doctors",)))
    assert await releases.admit(doctor, groups) is not None
    await releases.close()


async def test_an_approver_opens_it_for_the_time_from_then_on(house: tuple[Path, Keys]) -> None:
    folder, _ = house
    releases = Releases(*house)
    request = with_token(house, APPROVED)
    ticket = await releases.admit(request, APPROVED)
    assert ticket is not None
    assert not ticket.is_open
    now = time.time()
    with ReleaseStore(folder) as store:
        store.ask(waiting(ticket.release.id), now)
        ticket = await releases.admit(request, APPROVED)
        assert ticket is not None
        assert not ticket.is_open
        store.decide(ticket.release.id, "approved", "user admin", "agreed", now)
        opened = await releases.admit(request, APPROVED)
        assert opened is not None
        assert (opened.is_open, opened.release.until) == (True, pytest.approx(now + 60))
        store.use(used(opened.release.id), now, approved=True)
        assert "used already" in await refused(releases, request, APPROVED)
        other = with_token(house, APPROVED, release_id="rl-" + "b" * 16)
        store.ask(waiting("rl-" + "b" * 16), now)
        store.decide("rl-" + "b" * 16, "denied", "user admin", "no", now)
        assert "denied" in await refused(releases, other, APPROVED)
    await releases.close()


async def test_what_this_worker_did_not_use_for_the_request_is_not_written(house: tuple[Path, Keys]) -> None:
    releases = Releases(*house)
    with pytest.raises(Denied):
        releases.require_used(consent(), "gh-1")
    await releases.close()


async def test_a_store_that_fails_releases_nothing(house: tuple[Path, Keys], caplog: pytest.LogCaptureFixture) -> None:
    folder, _ = house
    request = with_token(house, POLICY)
    for left in folder.glob(RELEASES_FILE + "*"):
        left.unlink()
    (folder / RELEASES_FILE).mkdir()
    releases = Releases(*house)
    with pytest.raises(Unavailable) as caught:
        await releases.admit(request, POLICY)
    assert caught.value.code == "release_unavailable"
    assert request.release is not None
    assert request.release not in caplog.text
    await releases.close()


async def test_a_store_that_was_lost_voids_every_token_before_it(house: tuple[Path, Keys]) -> None:
    folder, _ = house
    request = with_token(house, POLICY)
    for left in folder.glob(RELEASES_FILE + "*"):
        left.unlink()
    releases = Releases(*house)
    assert "not given for this" in await refused(releases, request, POLICY)
    await releases.close()


def test_a_token_is_in_no_representation_of_a_request() -> None:
    assert "secret-token" not in repr(replace(ask(), release="secret-token"))


# -- several hosts -----------------------------------------------------------------------------------------------------


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


class Hosts:
    """Two hosts with one Redis and one root secret, each with a store of its own."""

    def __init__(self, folder: Path, redis: RedisServer) -> None:
        self.both = [Releases(folder / f"{n}", KEYS, RedisReleases(redis.url, 30_000)) for n in range(2)]
        self.redis = RedisReleases(redis.url, 30_000)

    async def token(self, policy: Policy = POLICY) -> str:
        name, release = await self.redis.name(), consent(id=f"rl-{secrets.token_hex(8)}")
        assert name is not None
        return ReleaseTokens(KEYS, name).make(release, bound_of(ask(), policy.digest))

    async def use(self, host: int, token: str, request_id: str = "gh-1", policy: Policy = POLICY) -> str:
        """What comes of repeating the request with the token on that host."""
        request = replace(ask(release=token), id=request_id)
        try:
            ticket = await self.both[host].admit(request, policy)
            assert ticket is not None
            if not ticket.is_open:
                return "waits"
            exchange = SimpleNamespace(policy=policy, request=request, outcome=SimpleNamespace())
            await self.both[host].use(cast(Any, exchange), ticket.release)
        except GatehouseError as error:
            return error.code
        return "used"

    async def close(self) -> None:
        for each in (*self.both, self.redis):
            await each.close()


async def test_a_users_token_counts_on_every_host_and_once_on_all_of_them(tmp_path: Path, redis: RedisServer) -> None:
    hosts = Hosts(tmp_path, redis)
    token = await hosts.token()
    assert await hosts.use(1, token) == "used"
    assert await hosts.use(0, token, "gh-2") == "release_refused"
    assert await hosts.use(1, token, "gh-2") == "release_refused"
    token = await hosts.token()
    found = await asyncio.gather(*(hosts.use(n % 2, token, f"gh-{n}") for n in range(20)))
    assert found.count("used") == 1
    name = await hosts.redis.name()
    assert name is not None
    for who, used in (("gh-1", True), ("gh-1", True), ("gh-2", False)):  # a retry of the very request may use it again
        assert await hosts.redis.use(name, "rl-" + "e" * 16, who, 60.0) is used
    assert await hosts.redis.use("another", "rl-" + "f" * 16, "gh-1", 60.0) is False
    await hosts.close()


async def test_a_redis_that_has_forgotten_voids_every_token_before_it(tmp_path: Path, redis: RedisServer) -> None:
    hosts = Hosts(tmp_path, redis)
    tokens = [await hosts.token() for _ in range(2)]
    redis.command("FLUSHALL")
    assert await hosts.use(0, tokens[0]) == "release_refused"
    assert await hosts.use(0, await hosts.token()) == "used"
    again = await hosts.token()
    redis.kill()
    assert await hosts.use(0, again) == "release_unavailable"
    redis.start()
    for _ in range(600):
        if await hosts.redis.name() is not None:
            break
        await asyncio.sleep(0.05)
    found = [await hosts.use(1, again) for _ in range(3)]
    assert "used" not in found
    assert found[-1] in ("release_refused", "release_unavailable")
    await hosts.close()


async def test_a_redis_that_may_forget_by_itself_is_not_relied_on(tmp_path: Path, redis: RedisServer) -> None:
    hosts = Hosts(tmp_path, redis)
    token = await hosts.token()
    redis.command("CONFIG", "SET", "maxmemory", "100mb")
    assert await hosts.redis.name() is not None, "it refuses to write before it forgets"
    redis.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    assert await hosts.redis.name() is None
    assert await hosts.use(0, token) == "release_unavailable"
    await hosts.close()


# -- what somebody must approve, on several hosts ----------------------------------------------------------------------


@pytest.fixture
async def boards(redis: RedisServer) -> AsyncIterator[list[ReleaseBoard]]:
    """Of two hosts of one fleet, and of a stranger with another root secret who writes to the same list."""
    links = [RedisReleases(redis.url, 30_000) for _ in range(3)]
    yield [ReleaseBoard(link, keys) for link, keys in zip(links, (KEYS, KEYS, Keys(b"s" * 32)), strict=True)]
    for link in links:
        await link.close()


async def test_every_host_sees_what_waits_and_one_word_decides_for_all(boards: list[ReleaseBoard]) -> None:
    one, two, _ = boards
    now = time.time()
    assert await one.ask(waiting("rl-1", "lab"), now)
    assert await two.ask(waiting("rl-1", "lab"), now), "asked again it is the same"
    assert await one.ask(waiting("rl-2", "ward"), now)
    assert {entry.id for entry in await two.entries(now)} == {"rl-1", "rl-2"}
    assert [entry.id for entry in await two.entries(now, "ward")] == ["rl-2"]
    found = await asyncio.gather(
        *(board.decide("rl-1", "approved", f"user {n}", "agreed") for n, board in enumerate((one, two) * 4)),
        return_exceptions=True,
    )
    assert sum(isinstance(each, Entry) for each in found) == 1
    assert all(isinstance(each, Entry | NotWaiting) for each in found)
    decided = await two.get("rl-1", now)
    assert decided is not None
    assert (decided.state, decided.until) == ("approved", pytest.approx(time.time() + 60, abs=30))
    over = await two.get("rl-1", now + 3600)
    assert over is not None
    assert over.state == "expired"
    with pytest.raises(NoSuchRelease):
        await one.decide("rl-3", "denied", "user 1", "which?")


async def test_whoever_can_write_to_redis_can_approve_nothing_and_read_nothing(
    boards: list[ReleaseBoard], redis: RedisServer
) -> None:
    one, two, stranger = boards
    now = time.time()
    await one.ask(waiting("rl-1"), now)
    await one.ask(waiting("rl-2"), now)
    content = redis.content()
    assert all(word not in content for word in (b"EMAIL_ADDRESS", b"key1", b"gh-1", b"confidential"))
    await two.decide("rl-1", "approved", "user admin", "agreed")
    approved = await one._shared.entry("rl-1")
    waits = await one._shared.entry("rl-2")
    assert approved is not None
    assert waits is not None
    assert await one._shared.put_entry("rl-2", waits, approved)
    assert await two.get("rl-2", now) is None, "what was sealed for another id does not open"
    with pytest.raises(NoSuchRelease):
        await stranger.decide("rl-1", "denied", "user stranger", "no")


async def test_a_redis_that_was_emptied_or_is_gone_approves_nothing(
    boards: list[ReleaseBoard], redis: RedisServer
) -> None:
    one, two, _ = boards
    now = time.time()
    await one.ask(waiting("rl-1"), now)
    kept = await one._shared.entry("rl-1")
    assert kept is not None
    redis.command("FLUSHALL")
    assert await two.get("rl-1", now) is None
    assert await one._shared.put_entry("rl-1", b"", kept)
    assert await two.get("rl-1", now) is None, "the name that it was sealed under is another one now"
    assert await two.entries(now) == []
    redis.kill()
    for call in (two.get("rl-1", now), two.entries(now), one.ask(waiting("rl-9"), now)):
        with pytest.raises(ReleaseStoreError, match="Redis does not answer"):
            await call


async def test_a_tenant_cannot_fill_the_list_of_all_hosts(boards: list[ReleaseBoard]) -> None:
    one, _, _ = boards
    now = time.time()
    many = {f"rl-{n}": waiting(f"rl-{n}", "lab") for n in range(MOST_WAITING)}
    for release_id, entry in many.items():
        assert await one._put(release_id, b"", entry)
    assert not await one.ask(waiting("rl-more", "lab"), now)
    assert await one.ask(waiting("rl-other", "ward"), now)


async def test_what_is_approved_on_one_host_is_used_on_another_and_once(tmp_path: Path, redis: RedisServer) -> None:
    hosts, board = Hosts(tmp_path, redis), ReleaseBoard(RedisReleases(redis.url, 30_000), KEYS)
    token = await hosts.token(APPROVED)
    request = ask(release=token)
    first = await hosts.both[0].admit(request, APPROVED)
    assert first is not None
    assert not first.is_open
    release_id = first.release.id
    await board.ask(waiting(release_id), time.time())
    assert await hosts.use(1, token, policy=APPROVED) == "waits"
    await board.decide(release_id, "approved", "user admin", "agreed")
    found = await asyncio.gather(*(hosts.use(n % 2, token, f"gh-{n}", APPROVED) for n in range(10)))
    assert found.count("used") == 1
    assert set(found) <= {"used", "release_refused"}
    entry = await board.get(release_id, time.time())
    assert entry is not None
    assert (entry.state, entry.used_by) == ("used", f"gh-{found.index('used')}")
    other = await hosts.token(APPROVED)
    denied = await hosts.both[0].admit(ask(release=other), APPROVED)
    assert denied is not None
    await board.ask(waiting(denied.release.id), time.time())
    await board.decide(denied.release.id, "denied", "user admin", "no")
    assert await hosts.use(1, other, policy=APPROVED) == "release_refused"
    await board._shared.close()
    await hosts.close()


async def test_an_approver_sees_both_lists_and_decides_on_either(
    tmp_path: Path, redis: RedisServer, boards: list[ReleaseBoard]
) -> None:
    folder = tmp_path / "state"
    keys = load_keys(folder)
    settings = Settings(state_dir=folder, redis_url=redis.url, redis_timeout_ms=30_000)
    shared = shared_releases(settings, keys)
    assert shared is not None
    now, board, desk = time.time(), ReleaseBoard(shared, keys), ReleaseList(settings)
    await board.ask(waiting("rl-everywhere", "lab"), now)
    with ReleaseStore(folder) as store:
        store.ask(waiting("rl-here", "lab"), now)
    found, is_whole = await desk.entries("lab")
    assert ({entry.id for entry in found}, is_whole) == ({"rl-here", "rl-everywhere"}, True)
    for release_id in ("rl-here", "rl-everywhere"):
        entry = await desk.decide(release_id, "approved", "user admin", "agreed")
        assert (entry.state, entry.decided_by) == ("approved", "user admin")
        with pytest.raises(NotWaiting):
            await desk.decide(release_id, "denied", "user admin", "no")
    with pytest.raises(NoSuchRelease):
        await desk.decide("rl-nowhere", "denied", "user admin", "no")
    redis.kill()
    found, is_whole = await desk.entries("lab")
    assert ([entry.id for entry in found], is_whole) == (["rl-here"], False)
    with pytest.raises(ReleaseStoreError):
        await desk.decide("rl-everywhere", "denied", "user admin", "no")
    await shared.close()
