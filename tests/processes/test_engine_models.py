"""What a policy's engine models can do: from the catalogue, from the registry, and first from the policy itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from policies.errors import PolicyError
from policies.schema import compile_policy
from policies.types import Policy
from router.models.catalogue import EMBEDDED
from router.models.install import add
from router.processes.engine_models import EngineModel, find, known_models, names_of, read_message, with_engine_models
from router.settings import Settings
from tests.support.tiny_gguf import make_adapter, make_model

USUAL = {"json_mode", "json_schema", "logprobs", "n", "embeddings"}


@pytest.fixture(autouse=True)
def _children_find_our_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("tiny")
    return {"llama": make_model("llama-3.2", folder), "adapter": make_adapter(folder)}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path / "state", runtime_dir=tmp_path)


def policy(*models: str, default: str = "home") -> Policy:
    lines = "\n".join(f"  {model}" for model in models)
    return compile_policy(f"version: 1\nmodels:\n{lines}\ndefaults: {{local: {default}}}\n", "test.yaml")


def engine(name: str, model: str, more: str = "") -> str:
    return f"{name}: {{locality: local, backend: engine, model: {model}{more}}}"


def test_a_model_of_the_catalogue_has_tools_if_the_catalogue_says_so() -> None:
    loaded = policy(engine("home", EMBEDDED), engine("able", "qwen3-0.6b"))
    served = with_engine_models(loaded, known_models(loaded, Settings()), Settings())
    assert served.models["home"].capabilities == USUAL
    assert served.models["able"].capabilities == USUAL | {"tools"}


def test_what_the_policy_says_of_capabilities_comes_first() -> None:
    loaded = policy(engine("home", "qwen3-0.6b", ", capabilities: [logprobs]"))
    served = with_engine_models(loaded, known_models(loaded, Settings()), Settings())
    assert served.models["home"].capabilities == {"logprobs"}


def test_the_context_is_the_least_of_what_policy_file_and_operator_allow() -> None:
    loaded = policy(engine("home", "m", ", context: 6000"), engine("usual", "m"))
    for trained, most, expected in ((None, 0, 6000), (4096, 0, 4096), (None, 2048, 2048), (16_384, 32_768, 6000)):
        settings = Settings(engine_context=most)
        served = with_engine_models(loaded, {"m": EngineModel(context=trained)}, settings)
        assert served.models["home"].context == expected
    assert served.models["usual"].context == 8192


def test_other_backends_are_left_as_they_are() -> None:
    server = 'home: {locality: local, backend: openai, base_url: "http://127.0.0.1:1/v1", model: qwen3-0.6b}'
    loaded = policy(server)
    assert names_of(loaded) == []
    assert with_engine_models(loaded, known_models(loaded, Settings()), Settings(engine_context=512)) == loaded


def test_the_default_model_stands_first_in_the_manifest(settings: Settings, tiny: dict[str, Path]) -> None:
    add(tiny["llama"], settings.state_dir, name="tiny")
    loaded = policy(engine("other", "tiny", ", context: 512"), engine("home", EMBEDDED), engine("twin", "tiny"))
    found = find(loaded, settings)
    assert [entry["name"] for entry in found.manifest] == [EMBEDDED, "tiny"]
    assert [entry["context"] for entry in found.manifest] == [8192, 1024]  # the twin's, as far as it was trained
    assert all(Path(entry["path"]).is_file() for entry in found.manifest)


def test_an_adapter_brings_its_base_and_can_do_what_that_can(settings: Settings, tiny: dict[str, Path]) -> None:
    base = add(tiny["llama"], settings.state_dir, name="base")
    add(tiny["adapter"], settings.state_dir, name="legal", adapter_of="base")
    loaded = policy(engine("home", "legal"))
    found = find(loaded, settings)
    assert [(entry["name"], entry["adapter_of"]) for entry in found.manifest] == [("legal", "base"), ("base", None)]
    assert found.known["legal"].tools == base.tools
    assert found.known["legal"].context == 1024


def test_a_file_of_the_operators_own_changes_the_digest_when_it_changes(
    settings: Settings, tiny: dict[str, Path]
) -> None:
    """The name stays; cached answers of the file before must not."""
    loaded = policy(engine("home", "mine"))
    digests = []
    for file in (tiny["llama"], make_model("qwen3", tiny["llama"].parent)):
        add(file, settings.state_dir, name="mine")
        digests.append(with_engine_models(loaded, find(loaded, settings).known, settings).digest)
    assert len({loaded.digest, *digests}) == 3
    catalogued = policy(engine("home", EMBEDDED))
    assert with_engine_models(catalogued, find(catalogued, settings).known, settings).digest == catalogued.digest


def test_a_model_that_is_not_here_is_a_bad_policy_unless_another_engine_serves_it(settings: Settings) -> None:
    loaded = policy(engine("home", "qwen3-0.6b"))
    with pytest.raises(PolicyError, match=r"models\.home: .*gatehouse models pull"):
        find(loaded, settings)
    elsewhere = settings.model_copy(update={"engine_socket_path": Path("/run/engine.sock")})
    found = find(loaded, elsewhere)
    assert found.manifest == ()
    assert found.known["qwen3-0.6b"].tools


def test_a_damaged_registry_is_a_bad_policy_only_for_one_that_needs_it(settings: Settings) -> None:
    (settings.state_dir / "models").mkdir(parents=True)
    (settings.state_dir / "models" / "registry.json").write_text("{")
    with pytest.raises(PolicyError, match="damaged"):
        find(policy(engine("home", "m")), settings)
    server = 'home: {locality: local, backend: openai, base_url: "http://127.0.0.1:1/v1", model: m}'
    assert find(policy(server), settings).known == {}


def test_workers_are_told_what_the_parent_found(settings: Settings) -> None:
    found = find(policy(engine("home", EMBEDDED)), settings)
    assert read_message(found.message()) == found.known
