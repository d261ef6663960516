"""`gatehouse models` as a person types it: real processes, a hub on loopback, the real SmolLM2 under another name."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from policies.schema import load_policy
from router.models.catalogue import EMBEDDED, catalogue, embedded_model
from tests.support.forked import run_command
from tests.support.gateway import GUARD, ROOT, Gateway, until
from tests.support.hub import Faults, Hub
from tests.support.tiny_gguf import make_adapter, make_model
from tests.support.tiny_templates import TEMPLATES

PYTHIA = catalogue()["pythia-410m"]  # its digest is not known, its commit is
POLICY = """\
version: 3
models:
  # what has always answered here
  home: {locality: local, backend: engine, model: smollm2-135m-instruct}   # weak
defaults:
  local: home   # see the wiki
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """`gatehouse models …` with a state folder of the test's own, and no hub unless one is named."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "GATEHOUSE_TEST_GUARD_FILE")}

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return run_command(
            "models",
            *arguments,
            env={
                **kept,
                "PYTHONPATH": f"{GUARD}{os.pathsep}{ROOT}",
                "GATEHOUSE_STATE_DIR": str(tmp_path / "state"),
                "HF_ENDPOINT": "http://127.0.0.1:9",
                **environment,
            },
            cwd=tmp_path,
        )

    return run


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    return path


def good(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def refused(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_the_list_says_what_runs_here_what_is_here_and_which_digests_are_known(run: Run) -> None:
    table = good(run("list"))
    for name in catalogue():
        assert name in table
    assert "Models are kept in" in table
    document = json.loads(good(run("list", "--json")))
    models = {model["name"]: model for model in document["models"]}
    assert set(models) == set(catalogue())
    assert [name for name, model in models.items() if model["here"]] == [EMBEDDED]
    assert models[EMBEDDED]["runs_here"] in ("well", "slowly", "tight")
    assert models[PYTHIA.name]["sha256"] is None
    assert models[PYTHIA.name]["digest"] == "-"
    assert models["gemma-3-1b-it"]["licence_restricts"]
    assert document["machine"]["cores"] >= 1


def test_a_model_is_pulled_shown_verified_and_removed(run: Run, tmp_path: Path) -> None:
    content = make_model("pythia", tmp_path).read_bytes()
    assert PYTHIA.repository is not None
    assert PYTHIA.revision is not None
    with Hub({(PYTHIA.repository, PYTHIA.file): content}, commit=PYTHIA.revision) as hub:
        pulled = good(run("pull", PYTHIA.name, HF_ENDPOINT=hub.url, HF_TOKEN="hf_for_the_hub_alone"))
        assert "licence: Apache-2.0" in pulled
        assert "this one is pinned from now on" in pulled
        assert all(each.authorization == "Bearer hf_for_the_hub_alone" for each in hub.asked)
        assert {each.path.partition("/resolve/")[0] for each in hub.asked} == {f"/{PYTHIA.repository}"}
        assert "is here already" in good(run("pull", PYTHIA.name, HF_ENDPOINT=hub.url))
    models = {model["name"]: model for model in json.loads(good(run("list", "--json")))["models"]}
    assert models[PYTHIA.name]["here"]
    assert models[PYTHIA.name]["digest"] == "pinned"
    assert models[PYTHIA.name]["installed"]["source"]["revision"] == PYTHIA.revision
    assert "(from: first pull)" in good(run("verify", PYTHIA.name))
    assert f"{EMBEDDED}: good" in good(run("verify"))
    good(run("remove", PYTHIA.name))
    assert "gatehouse models pull pythia-410m" in refused(run("verify", PYTHIA.name))


def test_a_pull_that_fails_says_what_to_do_instead(run: Run) -> None:
    said = refused(run("pull", "llama-3.2-1b-instruct"))
    assert "the hub cannot be reached" in said
    assert "gatehouse models add FILE --name llama-3.2-1b-instruct" in said
    assert "--local-url" in said
    assert "HF_HUB_OFFLINE is set" in refused(run("pull", "qwen3-0.6b", HF_HUB_OFFLINE="1"))
    assert "did you mean 'qwen3-0.6b'" in refused(run("pull", "qwen3-06b"))
    with Hub(faults=Faults(gated=True)) as hub:
        assert "set HF_TOKEN" in refused(run("pull", "gemma-3-1b-it", HF_ENDPOINT=hub.url))


def test_verify_finds_a_file_that_changed(run: Run, tmp_path: Path) -> None:
    good(run("add", str(make_model("llama-3.2", tmp_path)), "--name", "ours"))
    good(run("verify", "ours"))
    path = next((tmp_path / "state" / "models").glob("ours-*.gguf"))
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)[0]
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last ^ 1]))
    done = run("verify")
    assert done.returncode == 1
    assert "ours: WRONG" in done.stderr
    assert f"{EMBEDDED}: good" in done.stdout


def test_an_adapter_is_added_under_its_base(run: Run, tmp_path: Path) -> None:
    good(run("add", str(make_model("llama-3.2", tmp_path)), "--name", "base"))
    adapter = str(make_adapter(tmp_path))
    assert "--adapter-of" in refused(run("add", adapter, "--name", "law"))
    assert "adapter of base" in good(run("add", adapter, "--name", "law", "--adapter-of", "base"))
    assert "with base" in good(run("list"))
    assert "is the base of law" in refused(run("remove", "base"))


def test_an_adapter_is_used_as_a_model_is(run: Run, tmp_path: Path, policy: Path) -> None:
    good(run("add", str(make_model("llama-3.2", tmp_path)), "--name", "base"))
    good(run("add", str(make_adapter(tmp_path)), "--name", "law", "--adapter-of", "base"))
    good(run("use", "law", "--policy", "policy.yaml"))
    assert "  law: {locality: local, backend: engine, model: law, context: 1024}\n" in policy.read_text()


def test_a_model_that_the_policy_names_is_not_removed(run: Run, tmp_path: Path, policy: Path) -> None:
    good(run("add", str(make_model("llama-3.2", tmp_path)), "--name", "ours"))
    policy.write_text(POLICY.replace("smollm2-135m-instruct", "ours"))
    assert "names ours (models.home)" in refused(run("remove", "ours", "--policy", "policy.yaml"))
    assert "names ours (models.home)" in refused(run("remove", "ours", GATEHOUSE_POLICY="policy.yaml"))
    good(run("remove", "ours", "--policy", "policy.yaml", "--force"))
    assert "stays with it" in refused(run("remove", EMBEDDED))


def test_use_tries_the_model_and_changes_the_policy_by_two_lines(run: Run, policy: Path) -> None:
    """The real SmolLM2 under another name: it is started, asked, measured; comments and all else stay."""
    policy.chmod(0o640)
    good(run("add", str(embedded_model()), "--name", "ours"))
    said = good(run("use", "ours", "--policy", "policy.yaml"))
    assert "tokens/s here" in said
    assert "defaults.local is ours (was home)" in said
    before, after = POLICY.splitlines(), policy.read_text().splitlines()
    assert [line for line in after if line not in before] == [
        "  ours: {locality: local, backend: engine, model: ours, context: 8192}",
        "  local: ours   # see the wiki",
    ]
    assert len(after) == len(before) + 1
    assert load_policy(str(policy)).default_local == "ours"
    assert policy.stat().st_mode & 0o777 == 0o640
    assert "is home (was ours)" in good(run("use", EMBEDDED, "--policy", "policy.yaml"))


def test_a_running_gateway_takes_the_model_up(run: Run, tmp_path: Path) -> None:
    with Gateway(tmp_path / "gateway", POLICY) as gateway:
        state = {"GATEHOUSE_STATE_DIR": str(gateway.state_dir)}
        good(run("add", str(make_model("llama-3.2", tmp_path)), "--name", "ours", **state))

        def answers() -> str:
            body = {"model": "auto", "max_tokens": 4, "messages": [{"role": "user", "content": "Hello."}]}
            answer = httpx.post(gateway.url + "/chat/completions", json=body, trust_env=False, timeout=60)
            assert answer.status_code == 200, answer.text
            return answer.headers["x-gatehouse-model"]

        assert answers() == "home"
        good(run("use", "ours", "--policy", str(gateway.policy_file), **state))
        until(lambda: answers() == "ours")


def test_use_follows_a_link_to_the_policy(run: Run, tmp_path: Path, policy: Path) -> None:
    good(run("add", str(make_model("llama-3.2", tmp_path)), "--name", "ours"))
    link = tmp_path / "link.yaml"
    link.symlink_to(policy.name)
    good(run("use", "ours", "--policy", "link.yaml"))
    assert link.is_symlink()
    assert load_policy(str(policy)).default_local == "ours"


def broken_model(folder: Path) -> Path:
    """A model whose header is sound and whose template refuses every conversation."""
    path = folder / "broken.gguf"
    content = make_model("llama-3.2", folder).read_bytes()
    template = TEMPLATES["llama-3.2"].encode()
    assert content.count(template) == 1
    path.write_bytes(content.replace(template, b"{{ raise_exception('no') }}".ljust(len(template))))
    return path


@pytest.mark.parametrize("case", ["no hub", "does not run", "damaged", "embeddings"])
def test_whatever_fails_leaves_the_policy_as_it_was(run: Run, tmp_path: Path, policy: Path, case: str) -> None:
    name, complaint = (
        "ours",
        {
            "no hub": "the hub cannot be reached",
            "does not run": "does not run here",
            "damaged": "is not the file that was recorded",
            "embeddings": "makes embeddings and cannot answer",
        }[case],
    )
    if case == "no hub":
        name = "llama-3.2-1b-instruct"
    elif case == "does not run":
        good(run("add", str(broken_model(tmp_path)), "--name", name))
    elif case == "damaged":
        good(run("add", str(make_model("llama-3.2", tmp_path)), "--name", name))
        with next((tmp_path / "state" / "models").glob("ours-*.gguf")).open("ab") as file:
            file.write(b"x")
    else:
        good(run("add", str(make_model("bert", tmp_path)), "--name", name))
    assert complaint in refused(run("use", name, "--policy", "policy.yaml"))
    assert policy.read_text() == POLICY
    assert [path.name for path in tmp_path.glob(".policy*")] == []


def test_use_says_how_to_get_a_policy_of_ones_own(run: Run, tmp_path: Path) -> None:
    said = refused(run("use", EMBEDDED))
    copy = next(line.split() for line in said.splitlines() if line.lstrip().startswith("cp "))
    assert "gatehouse models use smollm2-135m-instruct --policy policy.yaml" in said
    subprocess.run(copy, cwd=tmp_path, check=True)
    good(run("add", str(make_model("llama-3.2", tmp_path)), "--name", "ours"))
    good(run("use", "ours", "--policy", "policy.yaml"))
    assert load_policy(str(tmp_path / "policy.yaml")).models["ours"].context == 1024


def test_use_refuses_a_policy_that_is_bad_already(run: Run, policy: Path) -> None:
    policy.write_text(POLICY + "surprise: true\n")
    assert "policy.yaml:7:1" in refused(run("use", EMBEDDED, "--policy", "policy.yaml"))
