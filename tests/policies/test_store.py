"""The store follows its file through all that editors and orchestrators do to it, and keeps the last good policy."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from policies.errors import PolicyError
from policies.store import PolicyStore
from policies.text.chain import Chain
from policies.text.document import MAX_BYTES
from policies.types import Policy
from tests.policies.worlds import OFFLINE

SECOND = OFFLINE.replace("version: 1", "version: 2")
BROKEN = OFFLINE.replace("backend: engine", "backend: motor")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(OFFLINE)
    return path


class Watched:
    """A store whose changes are collected; `next` waits for one."""

    def __init__(self, store: PolicyStore) -> None:
        self.store = store
        self._changes: asyncio.Queue[Policy | None] = asyncio.Queue()

    async def take(self, policy: Policy | None) -> None:
        self._changes.put_nowait(policy)

    async def next(self) -> Policy | None:
        return await asyncio.wait_for(self._changes.get(), 60)

    async def quiet(self, seconds: float = 0.4) -> bool:
        await asyncio.sleep(seconds)
        return self._changes.empty()


@asynccontextmanager
async def watching(path: Path, settle_seconds: float = 0.05) -> AsyncIterator[Watched]:
    store = PolicyStore(str(path))
    store.load()
    watched = Watched(store)
    task = asyncio.create_task(store.watch(watched.take, poll_seconds=0.05, settle_seconds=settle_seconds))
    try:
        yield watched
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def rename_over(path: Path, text: str) -> None:
    """As editors save: a new file beside it, then a rename over it."""
    beside = path.with_name(".policy.yaml.swp")
    beside.write_text(text)
    beside.rename(path)


def write_in_place(path: Path, text: str) -> None:
    """As `cat > file` does: truncated first, written after."""
    path.write_text(text)


def remove_and_create(path: Path, text: str) -> None:
    path.unlink()
    path.write_text(text)


@pytest.mark.parametrize("save", [rename_over, write_in_place, remove_and_create])
async def test_a_saved_file_comes_into_force(file: Path, save: Callable[[Path, str], None]) -> None:
    async with watching(file) as watched:
        save(file, SECOND)
        policy = await watched.next()
        assert policy is watched.store.current
        assert policy.version == 2
        assert await watched.quiet()


async def test_the_swap_of_a_symbolic_link_is_seen(tmp_path: Path) -> None:
    """As Kubernetes does it: policy.yaml -> ..data/policy.yaml, ..data -> ..2026_1, then ..data leads to ..2026_2."""
    for number, text in ((1, OFFLINE), (2, SECOND)):
        (tmp_path / f"..2026_{number}").mkdir()
        (tmp_path / f"..2026_{number}" / "policy.yaml").write_text(text)
    (tmp_path / "..data").symlink_to("..2026_1")
    (tmp_path / "policy.yaml").symlink_to("..data/policy.yaml")
    async with watching(tmp_path / "policy.yaml") as watched:
        (tmp_path / "..data_tmp").symlink_to("..2026_2")
        os.replace(tmp_path / "..data_tmp", tmp_path / "..data")
        policy = await watched.next()
        assert policy is not None
        assert policy.version == 2


async def test_a_broken_file_keeps_the_last_good_policy_and_says_so_once(file: Path) -> None:
    async with watching(file) as watched:
        before = watched.store.current
        rename_over(file, BROKEN)
        assert await watched.next() is None
        assert watched.store.current is before
        status = watched.store.status
        assert status.last_error == f"{file}:3:36: 'motor' is not one of engine, openai, litellm"
        assert status.file_digest == hashlib.sha256(BROKEN.encode()).hexdigest()
        assert status.running_digest == before.digest
        assert not status.is_current
        assert watched.store.text == OFFLINE
        assert await watched.quiet()


async def test_the_good_file_again_clears_the_error(file: Path) -> None:
    async with watching(file) as watched:
        rename_over(file, BROKEN)
        assert await watched.next() is None
        rename_over(file, OFFLINE)
        assert await watched.next() is not None
        assert watched.store.status.last_error is None
        assert watched.store.status.is_current


async def test_a_file_that_is_gone_keeps_the_last_good_policy_and_may_come_back(file: Path) -> None:
    async with watching(file) as watched:
        os.unlink(file)
        assert await watched.next() is None
        status = watched.store.status
        assert status.file_digest is None
        assert "there is no such file" in (status.last_error or "")
        assert await watched.quiet()
        write_in_place(file, SECOND)
        policy = await watched.next()
        assert policy is not None
        assert policy.version == 2


async def test_a_file_in_the_middle_of_being_written_is_not_taken(file: Path) -> None:
    """Half of a policy can be a valid, looser one: it counts only once the file has stopped changing."""
    async with watching(file, settle_seconds=0.5) as watched:
        written = ""
        with file.open("w") as target:
            for line in [*SECOND.splitlines(keepends=True), *(f"# {number}\n" for number in range(60))]:
                target.write(line)
                target.flush()
                written += line
                await asyncio.sleep(0.02)
        assert await watched.quiet(0)
        assert await watched.next() is watched.store.current
        assert watched.store.text == written


async def test_a_file_that_is_too_long_is_told_once(file: Path) -> None:
    async with watching(file) as watched:
        rename_over(file, OFFLINE + "#" * MAX_BYTES)
        assert await watched.next() is None
        assert "a policy may have" in (watched.store.status.last_error or "")
        assert await watched.quiet()


async def test_a_touched_file_is_no_change(file: Path) -> None:
    async with watching(file) as watched:
        os.utime(file)
        rename_over(file, OFFLINE)
        assert await watched.quiet()


def test_a_bad_file_at_the_start_is_no_start(file: Path) -> None:
    file.write_text(BROKEN)
    store = PolicyStore(str(file))
    with pytest.raises(PolicyError, match="motor"):
        store.load()
    with pytest.raises(LookupError):
        _ = store.current


def test_reload_by_signal_reads_again_whether_changed_or_not(file: Path) -> None:
    store = PolicyStore(str(file))
    first = store.load()
    again = store.reload()
    assert again is not None
    assert (again == first, again is first) == (True, False)
    file.write_text(BROKEN)
    assert store.reload() is None
    assert store.current is again
    file.unlink()
    assert store.reload() is None
    assert store.status.file_digest is None


def test_a_reader_keeps_the_version_that_it_took(file: Path) -> None:
    store = PolicyStore(str(file))
    taken = store.load()
    file.write_text(SECOND)
    store.reload()
    assert (taken.version, store.current.version) == (1, 2)


def test_a_recipe_is_a_source_like_any_other() -> None:
    store = PolicyStore("offline")
    policy = store.load()
    assert store.status.source == policy.source == "offline"
    assert store.reload() == policy


def test_loading_and_refusing_are_logged_with_the_place(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = PolicyStore(str(file))
    file.write_text(OFFLINE + "escalation: {threshold: 0.5}\n")
    with caplog.at_level(logging.INFO, "gatehouse.policy"):
        store.load()
        file.write_text(BROKEN)
        store.reload()
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == f"{file}:5:1: no cloud model can be reached, so nothing will escalate"
    assert lines[1].startswith(f"policy {store.current.label} in force")
    assert f"{store.current.label} stays in force: {file}:3:36: 'motor'" in lines[2]


class Writing:
    """A file that somebody is writing: each look at it finds the next of these texts, and at the end the last."""

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)

    def __call__(self) -> Chain:
        text = self.texts.pop(0) if len(self.texts) > 1 else self.texts[0]
        return Chain((("policy.yaml", text.encode()),))


async def test_a_reload_that_is_asked_for_waits_until_the_file_has_stopped_changing() -> None:
    """The half is a good policy by itself, and a looser one."""
    half = SECOND.replace("version: 2", "version: 7")
    taken: list[int] = []
    writing = Writing(OFFLINE)
    store = PolicyStore("policy.yaml", check=lambda policy: taken.append(policy.version), read=writing)
    store.load()
    writing.texts = [OFFLINE, half, half + "#", SECOND, SECOND]
    policy = await store.reload_settled(settle_seconds=0.001)
    assert policy is store.current
    assert (store.current.version, taken) == (2, [1, 2])


async def test_a_file_that_never_stops_changing_is_not_taken(caplog: pytest.LogCaptureFixture) -> None:
    writing = Writing(OFFLINE)
    store = PolicyStore("policy.yaml", read=writing)
    first = store.load()
    writing.texts = [f"{SECOND}# {number}\n" for number in range(200)]
    assert await store.reload_settled(settle_seconds=0.0) is None
    assert store.current is first
    assert "does not stop changing" in caplog.text


async def test_a_bad_file_that_has_settled_is_refused_at_a_reload(file: Path) -> None:
    store = PolicyStore(str(file))
    first = store.load()
    write_in_place(file, BROKEN)
    assert await store.reload_settled(settle_seconds=0.001) is None
    assert store.current is first
    assert store.status.last_error is not None
