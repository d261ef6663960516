"""The manifest: what may stand in it, when it is read anew, and that a bad one changes nothing."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from router.engine.manifest import LOOK_S, MAX_BYTES, Entry, Manifest, ManifestError, parse

BASE = {"name": "a", "path": "/m/a.gguf"}


def text(*models: Any, version: Any = 1) -> bytes:
    return json.dumps({"version": version, "models": list(models)}).encode()


def test_an_entry_has_defaults_and_a_relative_path_is_beside_the_manifest() -> None:
    full = {
        "name": "b",
        "path": "b.gguf",
        "context": 512,
        "adapter_of": "a",
        "embedding": False,
        "sha256": "0" * 64,
    }
    assert parse(text(BASE, full), Path("/state")) == (
        Entry("a", "/m/a.gguf"),
        Entry("b", "/state/b.gguf", 512, "a", False, "0" * 64),
    )


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (b"", "JSON"),
        (b"[" * 100_000, "JSON"),
        (b"[]", "version"),
        (text(BASE, version=2), "version"),
        (text(), "models"),
        (text(*[{**BASE, "name": f"m{n}"} for n in range(257)]), "models"),
        (text("a"), r"models\[0\]"),
        (text({**BASE, "pathh": "x"}), r"models\[0\]"),
        (text({**BASE, "name": ""}), "`name`"),
        (text({**BASE, "name": "a b"}), "`name`"),
        (text({**BASE, "name": "x" * 129}), "`name`"),
        (text({**BASE, "path": ""}), "`path`"),
        (text({**BASE, "path": "a\0b"}), "`path`"),
        (text({"name": "a"}), "`path`"),
        (text({**BASE, "context": 0}), "`context`"),
        (text({**BASE, "context": True}), "`context`"),
        (text({**BASE, "embedding": 1}), "`embedding`"),
        (text({**BASE, "sha256": "XY"}), "`sha256`"),
        (text(BASE, BASE), "name of an entry before it"),
        (text({**BASE, "adapter_of": "z"}), "adapter_of"),
        (text({**BASE, "adapter_of": "a"}), "adapter_of"),
        (text(BASE, {**BASE, "name": "b", "adapter_of": "a"}, {**BASE, "name": "c", "adapter_of": "b"}), "adapter_of"),
        (text({**BASE, "embedding": True}, {**BASE, "name": "b", "adapter_of": "a"}), "adapter_of"),
    ],
)
def test_what_is_not_a_manifest_is_refused_by_place(raw: bytes, place: str) -> None:
    with pytest.raises(ManifestError, match=place):
        parse(raw, Path("/"))


class File:
    """A manifest on disk, and what was said about it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "engine.json"
        self.said: list[str] = []

    def write(self, raw: bytes) -> None:
        draft = self.path.with_suffix(".new")
        draft.write_bytes(raw)
        os.replace(draft, self.path)

    def open(self) -> Manifest:
        return Manifest(self.path, self.said.append)


def look(manifest: Manifest) -> bool:
    time.sleep(LOOK_S)
    return manifest.refresh()


def test_a_change_is_seen_at_the_next_look_and_only_then(tmp_path: Path) -> None:
    file = File(tmp_path)
    file.write(text(BASE))
    manifest = file.open()
    assert not look(manifest)
    file.write(text(BASE, {**BASE, "name": "b"}))
    assert look(manifest)
    assert [entry.name for entry in manifest.entries] == ["a", "b"]
    assert not look(manifest)
    file.write(text(BASE))
    assert not manifest.refresh()  # the last look was just now
    assert len(manifest.entries) == 2
    assert look(manifest)


def test_who_asks_for_a_new_name_need_not_wait_for_the_next_look(tmp_path: Path) -> None:
    file = File(tmp_path)
    file.write(text(BASE))
    manifest = file.open()
    assert not look(manifest)
    file.write(text(BASE, {**BASE, "name": "b"}))
    assert manifest.refresh(at_once=True)
    assert [entry.name for entry in manifest.entries] == ["a", "b"]


def test_a_file_written_anew_with_the_same_entries_is_no_change(tmp_path: Path) -> None:
    file = File(tmp_path)
    file.write(text(BASE))
    manifest = file.open()
    file.write(text(BASE) + b"\n")
    assert not look(manifest)


def test_a_bad_or_missing_file_keeps_the_last_good_entries_and_is_said_once(tmp_path: Path) -> None:
    file = File(tmp_path)
    file.write(text(BASE))
    manifest = file.open()
    file.write(b"{")
    assert not look(manifest)
    assert not look(manifest)
    assert len(file.said) == 1
    assert manifest.entries[0].name == "a"
    file.path.unlink()
    assert not look(manifest)
    assert not look(manifest)
    assert len(file.said) == 2
    file.write(text({**BASE, "name": "b"}))
    assert look(manifest)
    assert manifest.entries[0].name == "b"


def test_a_first_reading_that_fails_raises(tmp_path: Path) -> None:
    file = File(tmp_path)
    with pytest.raises(ManifestError, match="cannot be read"):
        file.open()
    file.write(b" " * (MAX_BYTES + 1))
    with pytest.raises(ManifestError, match="larger"):
        file.open()
