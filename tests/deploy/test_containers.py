"""The image and the compose file, as far as they can be checked without a container engine: structure and exposure."""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from typer.main import get_command

from router.cli.main import build

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def load(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe").load((DEPLOY / name).read_text("utf-8"))
    return loaded


def instructions() -> list[tuple[str, str]]:
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#")).replace("\\\n", " ")
    return [
        (word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines.splitlines() if line.strip())
    ]


def copied() -> list[str]:
    """What the image takes from the repository."""
    sources = [rest.split() for word, rest in instructions() if word == "COPY" and not rest.startswith("--from")]
    return [source for words in sources for source in words[:-1]]


def reaches_the_builder(name: str) -> bool:
    """What .dockerignore lets through: its last matching line decides."""
    allowed = True
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        pattern = line.lstrip("!").rstrip("/")
        if pattern and not line.startswith("#") and (fnmatch.fnmatch(name, pattern) or name.startswith(pattern + "/")):
            allowed = line.startswith("!")
    return allowed


@pytest.mark.parametrize("source", copied())
def test_what_the_image_copies_exists_and_reaches_the_builder(source: str) -> None:
    found = list(ROOT.glob(source.rstrip("/")))
    assert found, f"{source} is not in the repository"
    assert all(reaches_the_builder(str(path.relative_to(ROOT))) for path in found)


@pytest.mark.parametrize(
    "name", [".git/config", ".venv/bin/python", "tests/deploy/test_locks.py", "deploy/compose.yaml", ".env"]
)
def test_what_the_image_does_not_need_never_reaches_the_builder(name: str) -> None:
    assert not reaches_the_builder(name)


def test_every_stage_that_is_named_exists() -> None:
    stages = [rest.split(" AS ")[1] for word, rest in instructions() if word == "FROM"]
    assert stages == ["build", "runtime"]
    named = re.findall(r"--from=(\S+)", (DEPLOY / "Dockerfile").read_text("utf-8"))
    assert set(named) <= set(stages)


def test_the_image_runs_as_a_user_who_is_not_root_and_is_asked_for_its_health() -> None:
    words = dict(instructions())
    assert int(words["USER"].split(":")[0]) > 0
    assert "/healthz" in words["HEALTHCHECK"]
    assert words["ENTRYPOINT"] == '["gatehouse"]'


def test_the_image_compiles_for_any_processor_of_its_architecture() -> None:
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    assert "deploy.bootstrap image" in text
    assert "native" not in text


@pytest.mark.parametrize("name", ["gateway", "engine", "redis", "collector"])
def test_every_service_is_confined(name: str) -> None:
    service = load("compose.yaml")["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not service.get("privileged")


def test_only_the_gateway_is_published_and_only_on_loopback() -> None:
    services = load("compose.yaml")["services"]
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert published == {"gateway": ["127.0.0.1:8080:8080"]}


def test_redis_and_the_collector_stand_in_a_network_without_a_way_out() -> None:
    compose = load("compose.yaml")
    assert compose["networks"]["inside"]["internal"] is True
    assert [compose["services"][name]["networks"] for name in ("redis", "collector")] == [["inside"], ["inside"]]


def test_the_engine_alone_has_no_network_and_shares_its_socket_with_the_gateway() -> None:
    compose = load("compose.yaml")
    engine, gateway = compose["services"]["engine"], compose["services"]["gateway"]
    assert engine["network_mode"] == "none"
    assert engine["profiles"] == ["engine"]
    assert engine["image"] == gateway["image"]
    socket = engine["command"][engine["command"].index("--socket") + 1]
    assert socket in (DEPLOY / "compose.yaml").read_text("utf-8").split("services:")[0]
    assert f"'{socket}'" in engine["healthcheck"]["test"][-1]
    folder = socket.rpartition("/")[0]
    assert f"engine:{folder}" in engine["volumes"]
    assert f"engine:{folder}" in gateway["volumes"]
    made = [rest for word, rest in instructions() if word == "RUN" and "install -d" in rest]
    assert any(folder in rest for rest in made), "a volume takes the rights of the image's folder"
    assert not [volume for volume in engine["volumes"] if volume.startswith("state:")], "the state folder holds keys"


def test_the_compose_files_engine_command_is_one_that_the_command_line_takes() -> None:
    name, *arguments = load("compose.yaml")["services"]["engine"]["command"]
    command: Any = get_command(build([name]))
    context = command.commands[name].make_context(name, list(arguments))
    assert str(context.params["socket"]).endswith("engine.sock")


def test_what_compose_refers_to_exists() -> None:
    compose = load("compose.yaml")
    gateway = compose["services"]["gateway"]
    assert (DEPLOY / gateway["build"]["context"] / gateway["build"]["dockerfile"]).is_file()
    for service in compose["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (DEPLOY / source).exists() if source.startswith(".") else source in compose["volumes"]


def test_the_gateway_is_told_where_redis_and_the_collector_are() -> None:
    variables = load("compose.yaml")["services"]["gateway"]["environment"]
    assert variables["GATEHOUSE_REDIS_URL"].startswith("redis://redis:")
    collector = load("otel-collector.yaml")
    port = collector["receivers"]["otlp"]["protocols"]["http"]["endpoint"].rsplit(":", 1)[1]
    assert variables["OTEL_EXPORTER_OTLP_ENDPOINT"] == f"http://collector:{port}"


def test_every_part_that_the_collectors_pipelines_name_is_defined() -> None:
    collector = load("otel-collector.yaml")
    for pipeline in collector["service"]["pipelines"].values():
        for kind in ("receivers", "processors", "exporters"):
            assert set(pipeline[kind]) <= set(collector[kind])
