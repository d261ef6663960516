"""Several models under a memory budget: who is loaded, who goes, who waits, and what a bad file costs."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path

import pytest

from router.models.catalogue import embedded_model
from tests.engine.conftest import Launch
from tests.engine.driver import Body, Client, child_environment, engine_argv, says
from tests.engine.models import entry, loaded, resident_bytes, say, stats, tiny, write_manifest

NAMES = ("one", "two", "three")
LONG = says("Tell me a long story.", temperature=0, max_tokens=900)
# A tiny model is reckoned at some 18 MB: two of them fit.
TWO_FIT = ("--memory", "42", "--slots", "1", "--context", "1024")


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return write_manifest(tmp_path / "m.json", *(entry(name, tiny(tmp_path, seed)) for seed, name in enumerate(NAMES)))


def write_rubbish(manifest: Path) -> None:
    manifest.write_text("{")


async def until_loaded(client: Client, *names: str) -> None:
    for _ in range(250):
        if await loaded(client) == set(names):
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{names} never were what is loaded: {await loaded(client)}")


async def busy(client: Client, *models: str) -> list[asyncio.Task[tuple[int, Body]]]:
    """A long answer of each model, on its way."""
    tasks = [asyncio.create_task(client.ask({**LONG, "model": model})) for model in models]
    await client.until(running=len(models))
    return tasks


async def test_the_first_is_loaded_at_the_start_and_all_names_are_listed(launch: Launch, manifest: Path) -> None:
    async with Client(launch("--manifest", str(manifest), *TWO_FIT).socket) as client:
        async with client.session.get("http://engine/v1/models") as response:
            assert [model["id"] for model in (await response.json())["data"]] == list(NAMES)
        assert await loaded(client) == {"one"}
        health = await client.health()
        assert (health["model"], health["accelerator"], health["loaded"]) == ("one", "CPU", ["one"])


async def test_a_model_can_be_asked_for_as_soon_as_the_manifest_names_it(launch: Launch, tmp_path: Path) -> None:
    """A gateway takes a new policy and asks for its model within a millisecond of the manifest's writing."""
    first, second = (entry(name, tiny(tmp_path, seed)) for seed, name in enumerate(NAMES[:2]))
    path = write_manifest(tmp_path / "m.json", first)
    async with Client(launch("--manifest", str(path), *TWO_FIT).socket) as client:
        await say(client, "one")  # the engine has just looked
        write_manifest(path, first, second)
        assert await say(client, "two")


async def test_the_least_recently_used_idle_model_goes_and_comes_back_the_same(launch: Launch, manifest: Path) -> None:
    async with Client(launch("--manifest", str(manifest), *TWO_FIT).socket) as client:
        first = {name: await say(client, name) for name in ("one", "two")}
        assert await loaded(client) == {"one", "two"}
        await say(client, "one")
        first["three"] = await say(client, "three")
        assert await loaded(client) == {"one", "three"}
        assert len(set(first.values())) == 3
        for name in NAMES:
            assert await say(client, name) == first[name]
        figures = await stats(client)
        assert figures["memory_mb"] <= figures["budget_mb"] == 42
        # Counters go on where an unloading ended them.
        assert {name: model["requests_total"] for name, model in figures["models"].items()} == {
            "one": 3, "two": 2, "three": 2
        }  # fmt: skip


async def test_a_model_in_use_stays_and_whoever_wants_its_memory_is_told_when_to_come_back(
    launch: Launch, manifest: Path
) -> None:
    async with Client(launch("--manifest", str(manifest), *TWO_FIT).socket) as client:
        for name in ("one", "two"):
            await say(client, name)
        tasks = await busy(client, "one", "two")
        async with client.post({**says("Hi"), "model": "three"}) as response:
            assert response.status == 503
            assert int(response.headers["retry-after"]) >= 1
            assert (await response.json())["error"]["code"] == "local_overloaded"
        tasks[1].cancel()
        await client.until(running=1)
        assert await say(client, "three")
        assert await loaded(client) == {"one", "three"}
        status, reply = await tasks[0]
        assert (status, reply["usage"]["completion_tokens"]) == (200, 900)
        await client.until(running=0, waiting=0)
        assert all(model["claims"] == 0 for model in (await stats(client))["loaded"])


async def test_others_go_on_decoding_while_a_model_is_loaded(launch: Launch, manifest: Path) -> None:
    """Two talkers' answers are the same with and without loads beside them."""
    async with Client(launch("--manifest", str(manifest), "--slots", "2").socket) as client:
        alone = await say(client, "one", tokens=400)
        talker = asyncio.create_task(say(client, "one", tokens=400))
        await client.until(running=1)
        assert all(await asyncio.gather(say(client, "two"), say(client, "three")))
        assert await talker == alone


async def test_requests_for_a_model_that_is_loading_wait_and_are_all_answered(launch: Launch, manifest: Path) -> None:
    async with Client(launch("--manifest", str(manifest), *TWO_FIT).socket) as client:
        texts = await asyncio.gather(*(say(client, "two") for _ in range(8)))
        assert len(set(texts)) == 1
        assert await loaded(client) == {"one", "two"}


async def test_the_line_for_a_loading_model_is_bounded(launch: Launch, tmp_path: Path) -> None:
    """The real model takes a good part of a second to load: long enough for the line to fill."""
    manifest = write_manifest(tmp_path / "m.json", entry("one", tiny(tmp_path, 0)), entry("two", embedded_model()))
    async with Client(launch("--manifest", str(manifest), "--queue", "2").socket) as client:
        replies = await asyncio.gather(*(client.ask({**says("Hi", max_tokens=1), "model": "two"}) for _ in range(20)))
        statuses = {status for status, _ in replies}
        assert 200 in statuses
        for status, reply in replies:
            assert status == 200 or (status, reply["error"]["code"]) == (503, "local_overloaded")
        assert 503 in statuses
        await client.until(waiting=0, running=0)


async def test_a_model_that_can_never_fit_is_refused_with_the_numbers(launch: Launch, tmp_path: Path) -> None:
    manifest = write_manifest(
        tmp_path / "m.json", entry("small", tiny(tmp_path, 0), context=64), entry("large", tiny(tmp_path, 1))
    )
    options = ("--manifest", str(manifest), "--memory", "20", "--slots", "64")
    engine = launch(*options)
    async with Client(engine.socket) as client:
        status, reply = await client.ask({**says("Hi"), "model": "large"})
        assert (status, reply["error"]["code"]) == (400, "model_too_large")
        assert "20 MB" in reply["error"]["message"]
        assert await say(client, "small", tokens=4)


async def test_a_bad_file_is_its_own_models_error_until_it_is_replaced(launch: Launch, tmp_path: Path) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"GGUF" + bytes(60))
    manifest = write_manifest(tmp_path / "m.json", entry("good", tiny(tmp_path, 0)), entry("bad", bad))
    engine = launch("--manifest", str(manifest))
    async with Client(engine.socket) as client:
        for _ in range(3):
            status, reply = await client.ask({**says("Hi"), "model": "bad"})
            assert (status, reply["error"]["code"]) == (500, "model_load_failed")
        assert str(tmp_path) not in reply["error"]["message"]
        assert await say(client, "good")
        draft = tmp_path / "draft"
        shutil.copy(tiny(tmp_path, 1), draft)
        draft.replace(bad)
        assert await say(client, "bad")


async def test_entries_come_and_go_without_a_restart(launch: Launch, tmp_path: Path) -> None:
    one, two = entry("one", tiny(tmp_path, 0)), entry("two", tiny(tmp_path, 1))
    manifest = write_manifest(tmp_path / "m.json", one)
    async with Client(launch("--manifest", str(manifest), "--slots", "1").socket) as client:
        before = await say(client, "one")
        write_manifest(manifest, one, two)
        await asyncio.sleep(0.25)
        assert await say(client, "two")
        tasks = await busy(client, "two")
        write_manifest(manifest, one)
        await asyncio.sleep(0.25)
        assert (await client.ask({**says("Hi"), "model": "two"}))[0] == 404
        assert (await tasks[0])[0] == 200  # who was being answered is answered
        await until_loaded(client, "one")
        # Another file under a name that is served: the next request is the new file's.
        write_manifest(manifest, {**two, "name": "one"})
        await asyncio.sleep(0.25)
        after = await say(client, "one")
        assert after != before
        await until_loaded(client, "one")
        assert len((await stats(client))["loaded"]) == 1


async def test_a_bad_manifest_keeps_what_was_served_and_is_said_once(launch: Launch, manifest: Path) -> None:
    engine = launch("--manifest", str(manifest))
    async with Client(engine.socket) as client:
        write_rubbish(manifest)
        for _ in range(3):
            await asyncio.sleep(0.25)
            assert await say(client, "two")
    assert engine.log.read_text().count("the manifest stays as it was") == 1


async def test_a_caller_that_goes_while_its_model_loads_leaves_nothing_behind(launch: Launch, manifest: Path) -> None:
    async with Client(launch("--manifest", str(manifest), *TWO_FIT).socket) as client:
        for name in ("two", "three", "two", "three"):
            task = asyncio.create_task(client.ask({**LONG, "model": name}))
            await asyncio.sleep(0.005)
            task.cancel()
            await asyncio.wait({task})
        await client.until(waiting=0, running=0)
        for _ in range(100):
            if not any(model["claims"] for model in (await stats(client))["loaded"]):
                break
            await asyncio.sleep(0.02)
        else:
            raise AssertionError("a claim stays")
        assert await say(client, "three")


async def test_loading_and_unloading_twenty_times_leaves_memory_level(launch: Launch, manifest: Path) -> None:
    engine = launch("--manifest", str(manifest), *TWO_FIT)
    async with Client(engine.socket) as client:

        async def around(times: int) -> int:
            for _ in range(times):
                for name in NAMES:
                    await say(client, name, tokens=2)
            return resident_bytes(engine)

        settled = await around(3)
        # Two caches of a tiny model are 1 MB: twenty rounds of three loads each would show a leak of one.
        assert await around(20) - settled < 8_000_000
        figures = await stats(client)
        assert sum(model["memory_mb"] for model in figures["loaded"]) == pytest.approx(figures["memory_mb"])


def test_a_manifest_that_cannot_be_read_at_the_start_ends_it_with_three(tmp_path: Path) -> None:
    argv = engine_argv(tmp_path / "s", "--manifest", str(tmp_path / "absent.json"))
    done = subprocess.run(argv, env=child_environment(), capture_output=True, timeout=60, check=False)
    assert done.returncode == 3
    assert done.stderr.decode().count("\n") == 1
    assert "manifest" in done.stderr.decode()
    assert not (tmp_path / "s").exists()


def test_a_first_model_that_can_never_fit_ends_it_with_three(tmp_path: Path, manifest: Path) -> None:
    argv = engine_argv(tmp_path / "s", "--manifest", str(manifest), "--memory", "4")
    done = subprocess.run(argv, env=child_environment(), capture_output=True, timeout=60, check=False)
    assert done.returncode == 3
    assert "4 MB" in done.stderr.decode()
