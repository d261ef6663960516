"""From a name to a file: added models, adapters and their bases, damage, and what the engine's manifest says."""

from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path

import pytest

from router.models.catalogue import EMBEDDED, ModelFileError, embedded_model
from router.models.install import add, remove, verify
from router.models.local import manifest_entries, resolve
from router.models.registry import Contents, Registry, check_name
from tests.support.tiny_gguf import make_adapter, make_model


def test_an_added_file_is_copied_checked_and_found_by_its_name(state: Path, tiny: Path) -> None:
    added = add(tiny, state, name="ours")
    assert (added.kind, added.architecture, added.context, added.tools) == ("model", "llama", 1024, True)
    model = resolve("ours", state)
    assert model.sha256 == hashlib.sha256(tiny.read_bytes()).hexdigest()
    assert model.path.parent == state / "models"
    assert model.path.stat().st_mode & 0o777 == 0o600
    assert (state / "models").stat().st_mode & 0o777 == 0o700
    assert verify("ours", state).pinned_by == "when it was added"


def test_a_name_is_taken_from_the_file_when_none_is_given(state: Path, tmp_path: Path, tiny: Path) -> None:
    file = tmp_path / "My Model (v2).GGUF"
    file.write_bytes(tiny.read_bytes())
    assert add(file, state).name == "my-model-v2"


@pytest.mark.parametrize("name", ["", "Upper", "../x", "a/b", ".hidden", "a b", "x" * 65, "name\n"])
def test_a_name_cannot_lead_out_of_the_folder(name: str) -> None:
    with pytest.raises(ModelFileError, match="cannot be a model's name"):
        check_name(name)


def test_a_registry_that_names_a_path_is_not_followed(state: Path, tiny: Path) -> None:
    add(tiny, state, name="ours")
    path = state / "models" / "registry.json"
    document = json.loads(path.read_text())
    document["models"]["ours"]["file"] = "../../elsewhere.gguf"
    path.write_text(json.dumps(document))
    with pytest.raises(ModelFileError, match="is damaged"):
        resolve("ours", state)


def test_the_embedded_model_needs_no_registry_and_creates_none(state: Path) -> None:
    model = resolve(EMBEDDED, state)
    assert model.path == embedded_model()
    assert model.context == 8192
    assert not state.exists()


def test_an_adapter_brings_its_base_into_the_manifest_once(state: Path, tmp_path: Path, tiny: Path) -> None:
    add(tiny, state, name="base")
    add(make_adapter(tmp_path), state, name="law", adapter_of="base")
    add(make_adapter(tmp_path, seed=2), state, name="tax", adapter_of="base")
    entries = manifest_entries(["law", EMBEDDED, "tax", "law"], state)
    assert [(entry["name"], entry["adapter_of"]) for entry in entries] == [
        ("law", "base"),
        (EMBEDDED, None),
        ("tax", "base"),
        ("base", None),
    ]
    assert all(entry["embedding"] is False for entry in entries)
    assert (resolve("law", state).context, resolve("law", state).tools) == (1024, True)
    for entry in entries:
        assert hashlib.sha256(Path(entry["path"]).read_bytes()).hexdigest() == entry["sha256"]


def test_an_adapter_needs_a_base_of_its_own_kind(state: Path, tmp_path: Path, tiny: Path) -> None:
    adapter = make_adapter(tmp_path)
    with pytest.raises(ModelFileError, match="say of which model"):
        add(adapter, state, name="law")
    with pytest.raises(ModelFileError, match="no model is called 'base'"):
        add(adapter, state, name="law", adapter_of="base")
    add(tiny, state, name="base")
    with pytest.raises(ModelFileError, match="a whole model, not an adapter"):
        add(tiny, state, name="law", adapter_of="base")
    add(make_model("phi-3", tmp_path), state, name="phi")
    with pytest.raises(ModelFileError, match="for 'llama' models, and phi is 'phi3'"):
        add(adapter, state, name="law", adapter_of="phi")
    add(adapter, state, name="law", adapter_of="base")
    with pytest.raises(ModelFileError, match="name its base, base"):
        add(adapter, state, name="tax", adapter_of="law")
    for name, base in (("base", "base"), ("base", EMBEDDED)):
        with pytest.raises(ModelFileError, match="must stay a whole model"):
            add(adapter, state, name=name, adapter_of=base)


def test_a_base_stays_while_an_adapter_needs_it(state: Path, tmp_path: Path, tiny: Path) -> None:
    add(tiny, state, name="base")
    add(make_adapter(tmp_path), state, name="law", adapter_of="base")
    with pytest.raises(ModelFileError, match="is the base of law"):
        remove("base", state)
    remove("law", state)
    remove("base", state)
    assert sorted(path.name for path in (state / "models").iterdir()) == [".lock", "registry.json"]


def test_an_embedding_model_is_known_as_one(state: Path, tmp_path: Path, tiny: Path) -> None:
    assert add(make_model("bert", tmp_path), state, name="vectors").embedding
    assert not add(tiny, state, name="talker").embedding
    assert add(tiny, state, name="both", embedding=True).embedding


def test_a_file_that_changed_is_never_served_and_one_that_was_only_touched_is(state: Path, tiny: Path) -> None:
    path = resolve(add(tiny, state, name="ours").name, state).path
    path.touch()
    assert resolve("ours", state).path == path
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match="is not the file that was recorded"):
        resolve("ours", state)
    with pytest.raises(ModelFileError, match="is not the file that was recorded"):
        verify("ours", state)
    path.unlink()
    with pytest.raises(ModelFileError, match="gatehouse models add FILE --name ours"):
        resolve("ours", state)


def test_another_file_under_the_same_name_takes_its_place_whole(state: Path, tmp_path: Path, tiny: Path) -> None:
    """The old file is another file until the end: an engine that has it open, or a manifest that names it, is safe."""
    before = resolve(add(tiny, state, name="ours").name, state)
    after = resolve(add(make_model("llama-3.2", tmp_path, seed=9), state, name="ours").name, state)
    assert after.path != before.path
    assert not before.path.exists()
    assert after.path.exists()


def test_what_is_no_model_is_refused_and_leaves_nothing(state: Path, tmp_path: Path) -> None:
    text = tmp_path / "notes.gguf"
    text.write_text("Not a model.")
    with pytest.raises(ModelFileError, match="not a usable GGUF: this is not a GGUF file"):
        add(text, state)
    with pytest.raises(ModelFileError, match="is not a file"):
        add(tmp_path / "missing.gguf", state)
    assert not (state / "models").exists()


def test_a_catalogue_name_is_kept_for_the_catalogues_file(state: Path, tmp_path: Path, tiny: Path) -> None:
    with pytest.raises(ModelFileError, match="the embedded model's name"):
        add(tiny, state, name=EMBEDDED)
    with pytest.raises(ModelFileError, match="is not the file that the catalogue means"):
        add(tiny, state, name="llama-3.2-1b-instruct")
    with pytest.raises(ModelFileError, match="the file's architecture is 'llama', not 'gptneox'"):
        add(tiny, state, name="pythia-410m")
    assert add(make_model("pythia", tmp_path), state, name="pythia-410m").architecture == "gptneox"


def test_what_is_not_here_is_named_with_what_to_do(state: Path) -> None:
    with pytest.raises(ModelFileError, match=r"run: gatehouse models pull qwen3-0\.6b"):
        resolve("qwen3-0.6b", state)
    with pytest.raises(ModelFileError, match=r"did you mean 'qwen3-0\.6b'"):
        resolve("qwen3-06b", state)
    with pytest.raises(ModelFileError, match="gatehouse models list"):
        remove("nothing", state)
    with pytest.raises(ModelFileError, match="stays with it"):
        remove(EMBEDDED, state)


def test_changes_at_the_same_moment_are_all_kept(state: Path, tiny: Path) -> None:
    entry = add(tiny, state, name="first")
    registry = Registry(state)

    def note(number: int) -> None:
        registry.change(lambda contents: Contents({**contents.models, f"m{number}": entry}, contents.pins))

    threads = [threading.Thread(target=note, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(registry.read().models) == {"first", *(f"m{number}" for number in range(16))}


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"version": 2}', '{"version": 1, "models": {"a": {}}, "pins": {}}']
)
def test_a_damaged_record_is_named_and_left_alone(state: Path, content: str) -> None:
    folder = Registry(state).prepare()
    (folder / "registry.json").write_text(content)
    with pytest.raises(ModelFileError, match="move it away"):
        resolve("ours", state)
    assert (folder / "registry.json").read_text() == content
