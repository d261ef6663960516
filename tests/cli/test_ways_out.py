"""The commands for ways out of false alarms, as a person types them: approve a text, hash a value, see the proof."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from classifiers.values import salted_hash
from policies.schema import load_policy
from router.backends.scripted_replies import Script
from tests.cli.test_commands import gatehouse
from tests.support.gateway import POLICY as GATEWAY_POLICY
from tests.support.gateway import Gateway, local_server, until
from tests.support.recorder import RecorderThread

POLICY = """\
version: 1   # ours
models:
  home: {locality: local, backend: engine, model: smollm2-135m-instruct}
defaults: {local: home}
# the end
"""
PROMPT = "If it does not work, write to jo@corp.net.\nThe password is hunter2x.\n"
PATTERNS = {
    "EMAIL_ADDRESS",
    "SECRET",
    "PHONE_NUMBER",
    "IP_ADDRESS",
}  # what a trained detector finds beside them may change

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "prompt.txt").write_text(PROMPT)

    def do(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return gatehouse(*arguments, folder=tmp_path, GATEHOUSE_POLICY="policy.yaml", **more)

    return do


def explained(run: Run, folder: Path, role: str, text: str) -> list[str]:
    (folder / "body.json").write_text(json.dumps({"messages": [{"role": role, "content": text}]}))
    shown = run("explain", "--json", "--file", "body.json")
    assert shown.returncode == 0, shown.stderr
    found = [each["entity_type"] for each in json.loads(shown.stdout)["findings"]]
    return [entity for entity in found if entity in PATTERNS]


def test_an_approved_prompt_has_no_findings_but_its_secret(run: Run, tmp_path: Path) -> None:
    said = run("policy", "approve-text", "prompt.txt", "--reason", "our own desk")
    assert said.returncode == 0, said.stderr
    assert "prompt.txt: approved (system); " in said.stdout
    assert "1 EMAIL_ADDRESS; its 1 SECRET still counts" in said.stdout
    after = (tmp_path / "policy.yaml").read_text()
    assert after.startswith(POLICY)
    assert "jo@" not in after
    assert explained(run, tmp_path, "system", PROMPT) == ["SECRET"]
    assert explained(run, tmp_path, "user", PROMPT) == ["EMAIL_ADDRESS", "SECRET"]
    assert explained(run, tmp_path, "system", PROMPT.replace("work", "works")) == ["EMAIL_ADDRESS", "SECRET"]
    shown = run("policy", "validate", "policy.yaml")
    assert re.search(r"approved_texts\[0\] +prompt.txt \(system\) has no findings +- +our own desk", shown.stdout)
    assert "warning" not in shown.stderr
    elsewhere = run("policy", "validate", "policy.yaml", GATEHOUSE_STATE_DIR=str(tmp_path / "other"))
    assert "1 of 1 were approved with another installation's secret" in elsewhere.stderr
    assert not (tmp_path / "other").exists()


def test_a_running_gateway_takes_an_approval_and_an_exception_up_and_shows_what_has_expired(
    run: Run, tmp_path: Path
) -> None:
    """The worker has the key of approvals, the day that the parent tells it, and no exception whose day has come."""
    exceptions = """\
    - {entity: PHONE_NUMBER, terms: ["+44 20 7946 0958"], reason: our hotline, expires: 2999-01-01}
    - {entity: IP_ADDRESS, terms: [8.8.4.4], reason: was ours, expires: 2020-01-01}
"""
    with (
        RecorderThread(Script()) as home,
        RecorderThread(Script()) as cloud,
        Gateway(tmp_path, GATEWAY_POLICY.format(home=local_server(home.url), cloud=cloud.url)) as house,
    ):

        def found() -> list[str]:
            texts = (("system", PROMPT), ("user", "Call +44 20 7946 0958 or ping 8.8.4.4."))
            body = {"messages": [{"role": role, "content": text} for role, text in texts]}
            answer = httpx.post(f"{house.url}/route", json=body, trust_env=False, timeout=60).json()
            return [each["entity_type"] for each in answer["findings"] if each["entity_type"] in PATTERNS]

        assert found() == ["EMAIL_ADDRESS", "SECRET", "PHONE_NUMBER", "IP_ADDRESS"]
        elsewhere = {"GATEHOUSE_STATE_DIR": str(tmp_path / "elsewhere")}
        assert run("policy", "approve-text", "prompt.txt", "--reason", "theirs", **elsewhere).returncode == 0
        house.wait_for("/readyz", "1 of 1 were approved with another installation's secret")
        assert found() == ["EMAIL_ADDRESS", "SECRET", "PHONE_NUMBER", "IP_ADDRESS"]
        assert run("policy", "approve-text", "prompt.txt", "--reason", "our own desk").returncode == 0
        until(lambda: found() == ["SECRET", "PHONE_NUMBER", "IP_ADDRESS"])
        text = house.policy_file.read_text().replace("  dictionaries:", f"  exceptions:\n{exceptions}  dictionaries:")
        house.policy_file.write_text(text)
        until(lambda: found() == ["SECRET", "IP_ADDRESS"])
        house.wait_for("/readyz", "this exception has expired and is void")


def test_a_list_of_tools_is_approved_tool_by_tool(run: Run, tmp_path: Path) -> None:
    tools = [
        {"type": "function", "function": {"name": name, "description": f"Ask {name}@corp.net."}} for name in ("a", "b")
    ]
    (tmp_path / "tools.json").write_text(json.dumps(tools, indent=2))
    said = run("policy", "approve-text", "tools.json", "--reason", "looked at")
    assert said.returncode == 0, said.stderr
    entries = load_policy(str(tmp_path / "policy.yaml")).scan_rules.approvals
    assert [entry.kind for entry in entries] == ["tool", "tool"]
    body = {"messages": [{"role": "user", "content": "hi"}], "tools": tools}
    (tmp_path / "tool_body.json").write_text(json.dumps(body))
    assert json.loads(run("explain", "--json", "--file", "tool_body.json").stdout)["findings"] == []


@pytest.mark.parametrize(
    ("file", "content", "policy", "message"),
    [
        ("short.txt", "jo", "policy.yaml", "too short to be approved"),
        ("none.json", '{"a": 1}', "policy.yaml", "holds no tools"),
        ("twice.json", '{"name": "a", "name": "b"}', "policy.yaml", "duplicate key"),
        ("latin.txt", "\xe4" * 20, "policy.yaml", "is not UTF-8"),
        ("long.txt", PROMPT, "default", "is not edited"),
        ("long.txt", PROMPT, "gone.yaml", "there is no such file"),
        (None, "", "policy.yaml", "No such file"),
    ],
)
def test_what_cannot_be_approved_changes_nothing(
    run: Run, tmp_path: Path, file: str | None, content: str, policy: str, message: str
) -> None:
    if file is not None:
        (tmp_path / file).write_bytes(content.encode("latin-1"))
    said = run("policy", "approve-text", file or "missing.txt", "--reason", "why not", "--policy", policy)
    assert said.returncode == 1
    assert message in said.stderr.replace("\n", " ")
    assert (tmp_path / "policy.yaml").read_text() == POLICY


def test_a_hash_is_made_from_a_pipe_and_never_from_an_argument(run: Run) -> None:
    assert "sha256" not in run("policy", "hash", "Ada Lovelace").stdout
    said = run("policy", "hash", "--salt", "saltsalt", stdin="Ada Lovelace\n\n12 34\n")
    assert said.stdout.splitlines() == [
        f"sha256:saltsalt:{salted_hash('saltsalt', 'ada lovelace')}",
        f"sha256:saltsalt:{salted_hash('saltsalt', '1234')}",
    ]
    first, second = (run("policy", "hash", stdin="Ada").stdout.split(":")[1] for _ in range(2))
    assert first != second
    assert run("policy", "hash", stdin=" - \n").returncode == 1
    assert run("policy", "hash", "--salt", "a:b", stdin="Ada").returncode == 2
