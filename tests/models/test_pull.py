"""Pulling a model from a hub on loopback: what is asked, resumed, pinned, refused, and what stays when it fails."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from router.models.catalogue import CatalogueModel, ModelFileError, catalogue, embedded_model
from router.models.install import pull, remove
from router.models.local import resolve
from router.models.registry import Registry
from tests.support.hub import COMMIT, Faults, Hub
from tests.support.tiny_gguf import make_model

PIECE = 10 * 1024 * 1024


def quiet(_done: int, _total: int) -> None:
    pass


def pinned(model: CatalogueModel, sha256: str) -> CatalogueModel:
    """The same model with a digest and a commit that the catalogue knows."""
    return replace(model, sha256=sha256, revision=COMMIT)


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def leftovers(state: Path) -> list[str]:
    """Every file of the models folder that no record names."""
    registry = Registry(state)
    known = {entry.file for entry in registry.read().models.values()} | {"registry.json", ".lock"}
    return sorted(path.name for path in registry.folder.iterdir() if path.name not in known)


def test_a_model_without_a_known_digest_is_pinned_at_its_first_pull(
    state: Path, tiny: Path, entry: CatalogueModel, hub: Hub
) -> None:
    counts: list[tuple[int, int]] = []
    done = pull(entry, state, lambda *count: counts.append(count), endpoint=hub.url)
    assert done.pinned
    model = resolve(entry.name, state)
    assert (model.sha256, model.size, model.context) == (sha(tiny), tiny.stat().st_size, 1024)
    assert model.path.read_bytes() == tiny.read_bytes()
    assert model.path.stat().st_mode & 0o777 == 0o600
    assert Registry(state).read().pins[entry.name].revision == COMMIT
    assert counts[-1] == (model.size, model.size)
    assert leftovers(state) == []


def test_the_hub_is_asked_for_the_file_and_for_nothing_else(state: Path, entry: CatalogueModel, hub: Hub) -> None:
    """No telemetry, no list of programs that may be calling, no other file; the bytes are those of one commit."""
    pull(entry, state, quiet, endpoint=hub.url)
    assert [(each.method, each.path) for each in hub.asked] == [
        ("HEAD", f"/{entry.repository}/resolve/main/{entry.file}"),
        ("GET", f"/{entry.repository}/resolve/{COMMIT}/{entry.file}"),
    ]
    assert all(each.authorization is None for each in hub.asked)
    again = pull(entry, state, quiet, endpoint=hub.url)
    assert again.was_here
    assert len(hub.asked) == 2, "a model that is here and right is not asked for again"


@pytest.fixture
def large(hub: Hub, entry: CatalogueModel) -> Path:
    """The hub has the real SmolLM2, 98 MB: what has arrived is written in pieces of 10 MB."""
    assert entry.repository is not None
    path = embedded_model()
    hub.files[(entry.repository, entry.file)] = path.read_bytes()
    return path


def test_a_transfer_that_breaks_goes_on_where_it_broke(
    state: Path, large: Path, entry: CatalogueModel, hub: Hub
) -> None:
    hub.faults = Faults(break_after=25_000_000, breaks=1)
    pull(entry, state, quiet, endpoint=hub.url)
    assert [each.range for each in hub.bodies_asked()] == [None, f"bytes={2 * PIECE}-"]
    assert resolve(entry.name, state).sha256 == sha(large)


def test_a_later_command_goes_on_where_an_earlier_one_gave_up(
    state: Path, large: Path, entry: CatalogueModel, hub: Hub
) -> None:
    hub.faults = Faults(break_after=25_000_000, breaks=1, then_refuses=True)
    with pytest.raises(ModelFileError, match="the hub answered 500") as failure:
        pull(entry, state, quiet, endpoint=hub.url)
    assert "to go on where it stopped" in str(failure.value)
    assert Registry(state).read().models == {}
    hub.faults = Faults()
    hub.asked.clear()
    counts: list[tuple[int, int]] = []
    pull(entry, state, lambda *count: counts.append(count), endpoint=hub.url)
    assert [each.range for each in hub.bodies_asked()] == [f"bytes={2 * PIECE}-"]
    assert counts[0] == (2 * PIECE, large.stat().st_size)
    assert resolve(entry.name, state).sha256 == sha(large)
    assert leftovers(state) == []


def test_removing_a_half_pulled_model_removes_what_came_and_no_others(
    state: Path, large: Path, entry: CatalogueModel, hub: Hub
) -> None:
    hub.faults = Faults(break_after=25_000_000, breaks=1, then_refuses=True)
    with pytest.raises(ModelFileError):
        pull(entry, state, quiet, endpoint=hub.url)
    (part,) = [name for name in leftovers(state) if name.endswith(".part")]
    with pytest.raises(ModelFileError, match="no model 'tinyllama' was pulled"):
        remove("tinyllama", state)
    assert part in leftovers(state)
    remove(entry.name, state)
    assert part not in leftovers(state)


def test_a_hub_that_sends_the_whole_file_again_is_not_appended_to_the_part(
    state: Path, large: Path, entry: CatalogueModel, hub: Hub
) -> None:
    hub.faults = Faults(break_after=25_000_000, breaks=1, ignores_ranges=True)
    pull(entry, state, quiet, endpoint=hub.url)
    assert [each.range for each in hub.bodies_asked()] == [None, f"bytes={2 * PIECE}-"]
    assert resolve(entry.name, state).sha256 == sha(large)


def test_bytes_with_another_digest_are_thrown_away_and_the_model_before_stays(
    state: Path, tmp_path: Path, tiny: Path, entry: CatalogueModel, hub: Hub
) -> None:
    pull(entry, state, quiet, endpoint=hub.url)
    newer = make_model("llama-3.2", tmp_path, seed=7)
    assert entry.repository is not None
    hub.files[(entry.repository, entry.file)] = newer.read_bytes()
    hub.faults = Faults(corrupts=True)
    with pytest.raises(ModelFileError, match="it was thrown away"):
        pull(pinned(entry, sha(newer)), state, quiet, repin=True, endpoint=hub.url)
    assert leftovers(state) == []
    assert resolve(entry.name, state).sha256 == sha(tiny)


def test_a_file_that_the_hub_has_changed_is_refused_before_a_byte_of_it_comes(
    state: Path, tmp_path: Path, tiny: Path, entry: CatalogueModel, hub: Hub
) -> None:
    """A digest of the catalogue and one that a first pull pinned hold alike, even after the model's removal."""
    assert entry.repository is not None
    newer = make_model("llama-3.2", tmp_path, seed=7)
    pull(entry, state, quiet, endpoint=hub.url)
    remove(entry.name, state)
    hub.files[(entry.repository, entry.file)] = newer.read_bytes()
    hub.asked.clear()
    for model in (entry, pinned(entry, sha(tiny))):
        with pytest.raises(ModelFileError, match="--repin") as failure:
            pull(model, state, quiet, endpoint=hub.url)
        assert sha(newer) in str(failure.value)
        assert sha(tiny) in str(failure.value)
    assert hub.bodies_asked() == []
    pull(entry, state, quiet, repin=True, endpoint=hub.url)
    assert resolve(entry.name, state).sha256 == sha(newer)
    assert Registry(state).read().pins[entry.name].sha256 == sha(newer)


def test_a_known_digest_is_enough_when_the_commit_is_gone(
    state: Path, tiny: Path, entry: CatalogueModel, hub: Hub
) -> None:
    gone = replace(entry, revision="f" * 40)
    with pytest.raises(ModelFileError, match="does not have the commit"):
        pull(gone, state, quiet, endpoint=hub.url)
    done = pull(replace(gone, sha256=sha(tiny)), state, quiet, endpoint=hub.url)
    assert not done.pinned
    assert done.entry.source["revision"] == COMMIT


def test_a_damaged_model_is_pulled_again(state: Path, tiny: Path, entry: CatalogueModel, hub: Hub) -> None:
    pull(entry, state, quiet, endpoint=hub.url)
    path = resolve(entry.name, state).path
    path.write_bytes(b"GGUF, once")
    with pytest.raises(ModelFileError, match=f"run: gatehouse models pull {entry.name}"):
        resolve(entry.name, state)
    assert not pull(entry, state, quiet, endpoint=hub.url).was_here
    assert resolve(entry.name, state).sha256 == sha(tiny)


def test_a_file_that_is_no_model_or_another_kind_of_model_is_not_kept(
    state: Path, tmp_path: Path, entry: CatalogueModel, hub: Hub
) -> None:
    assert entry.repository is not None
    for content, complaint in (
        (b"<html>sign in, please</html>" * 1000, "not a usable GGUF"),
        (make_model("phi-3", tmp_path).read_bytes(), "architecture is 'phi3', not 'llama'"),
    ):
        hub.files[(entry.repository, entry.file)] = content
        with pytest.raises(ModelFileError, match=complaint):
            pull(entry, state, quiet, endpoint=hub.url)
        assert leftovers(state) == []
    assert Registry(state).read().models == {}


@pytest.mark.parametrize(
    ("faults", "file", "complaint"),
    [
        (Faults(), "another.gguf", "the hub does not have another.gguf"),
        (Faults(gated=True), None, "is gated: accept its licence"),
    ],
)
def test_a_hub_that_does_not_give_the_file_is_explained_with_the_other_ways(
    state: Path, entry: CatalogueModel, hub: Hub, faults: Faults, file: str | None, complaint: str
) -> None:
    hub.faults = faults
    with pytest.raises(ModelFileError, match=complaint) as failure:
        pull(replace(entry, file=file or entry.file), state, quiet, endpoint=hub.url)
    assert f"gatehouse models add FILE --name {entry.name}" in str(failure.value)
    assert "--local-url" in str(failure.value)


def test_without_a_hub_the_other_ways_are_named(state: Path, entry: CatalogueModel) -> None:
    with pytest.raises(ModelFileError, match="the hub cannot be reached") as failure:
        pull(entry, state, quiet, endpoint="http://127.0.0.1:9")
    assert f"gatehouse models add FILE --name {entry.name}" in str(failure.value)


def test_what_answers_but_is_no_hub_is_named(state: Path, entry: CatalogueModel, hub: Hub) -> None:
    hub.commit = ""  # no commit in its answers
    with pytest.raises(ModelFileError, match="not answer as a model hub"):
        pull(entry, state, quiet, endpoint=hub.url)


def test_the_embedded_model_is_not_pulled(state: Path) -> None:
    with pytest.raises(ModelFileError, match="comes with a Python package"):
        pull(catalogue()["smollm2-135m-instruct"], state, quiet)
