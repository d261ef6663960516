"""LoRA adapters by model name: each request gets its own, and they come and go without a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.engine.conftest import Launch
from tests.engine.driver import Client, says
from tests.engine.models import entry, loaded, say, stats, tiny, tiny_adapter, write_manifest

NAMES = ("base", "legal", "medical")


@pytest.fixture
def entries(tmp_path: Path) -> list[dict[str, object]]:
    return [
        entry("base", tiny(tmp_path, 0)),
        entry("legal", tiny_adapter(tmp_path, 1), adapter_of="base"),
        entry("medical", tiny_adapter(tmp_path, 2), adapter_of="base"),
    ]


async def test_each_name_answers_with_its_own_adapter_alone_and_all_at_once(
    launch: Launch, tmp_path: Path, entries: list[dict[str, object]]
) -> None:
    engine = launch("--manifest", str(write_manifest(tmp_path / "m.json", *entries)), "--slots", "4")
    async with Client(engine.socket) as client:
        alone = {name: await say(client, name) for name in NAMES}
        assert len(set(alone.values())) == 3
        mixed = [name for _ in range(6) for name in NAMES]
        together = await asyncio.gather(*(say(client, name) for name in mixed))
        assert list(together) == [alone[name] for name in mixed]
        assert await loaded(client) == set(NAMES)
        assert set((await stats(client))["models"]) == {"base"}  # the adapters share its line


async def test_the_same_partition_never_lends_what_another_adapter_wrote(
    launch: Launch, tmp_path: Path, entries: list[dict[str, object]]
) -> None:
    engine = launch("--manifest", str(write_manifest(tmp_path / "m.json", *entries)), "--slots", "1")
    async with Client(engine.socket) as client:
        alone = {name: await say(client, name) for name in NAMES}
        for name in (*NAMES, *reversed(NAMES)):
            assert await say(client, name) == alone[name]


async def test_an_adapter_is_added_replaced_and_removed_while_the_base_serves(
    launch: Launch, tmp_path: Path, entries: list[dict[str, object]]
) -> None:
    base, legal, medical = entries
    manifest = write_manifest(tmp_path / "m.json", base)
    async with Client(launch("--manifest", str(manifest), "--slots", "2").socket) as client:
        plain = await say(client, "base")
        assert (await client.ask({**says("Hi"), "model": "legal"}))[0] == 404
        talker = asyncio.create_task(say(client, "base", tokens=900))
        write_manifest(manifest, base, legal)
        await asyncio.sleep(0.25)
        first = await say(client, "legal")
        assert first != plain
        write_manifest(manifest, base, {**medical, "name": "legal"})  # another file under the same name
        await asyncio.sleep(0.25)
        second = await say(client, "legal")
        assert second not in (first, plain)
        write_manifest(manifest, base)
        await asyncio.sleep(0.25)
        assert (await client.ask({**says("Hi"), "model": "legal"}))[0] == 404
        assert await say(client, "base") == plain
        assert len(await talker) > 0
        while await loaded(client) != {"base"}:  # noqa: ASYNC110 - the event is in another process
            await asyncio.sleep(0.02)


async def test_a_file_that_is_no_adapter_of_the_base_fails_its_own_requests_alone(
    launch: Launch, tmp_path: Path, entries: list[dict[str, object]]
) -> None:
    base = entries[0]
    rubbish = tmp_path / "rubbish.gguf"
    rubbish.write_bytes(b"GGUF" + bytes(60))
    manifest = write_manifest(
        tmp_path / "m.json",
        base,
        entry("rubbish", rubbish, adapter_of="base"),
        entry("model", tiny(tmp_path, 3), adapter_of="base"),
        entry("absent", tmp_path / "absent.gguf", adapter_of="base"),
    )
    async with Client(launch("--manifest", str(manifest)).socket) as client:
        plain = await say(client, "base")
        for name in ("rubbish", "model", "absent"):
            status, reply = await client.ask({**says("Hi"), "model": name})
            assert (status, reply["error"]["code"]) == (500, "model_load_failed")
            assert f"`{name}`" in reply["error"]["message"]
        assert await say(client, "base") == plain
