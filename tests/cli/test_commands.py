"""The command line as a person types it: real processes, and what they print."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from router.backends.scripted_replies import Script
from tests.support.forked import run_command
from tests.support.gateway import GUARD, POLICY, ROOT, Gateway, local_server
from tests.support.recorder import RecorderThread

HARD = "Prove that the square root of two is irrational, and then generalise the proof to every non-square integer n."


def gatehouse(*arguments: str, folder: Path, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("GATEHOUSE_", "OPENAI_", "OTEL_"))
    }
    return run_command(
        *arguments,
        env={
            **clean,
            "PYTHONPATH": f"{GUARD}{os.pathsep}{ROOT}",
            "GATEHOUSE_TEST_GUARD_FILE": os.environ["GATEHOUSE_TEST_GUARD_FILE"],
            "GATEHOUSE_STATE_DIR": str(folder / "state"),
            "GATEHOUSE_RUNTIME_DIR": str(folder / "run"),
            **environment,
        },
        cwd=folder,
        stdin=stdin,
    )


def test_no_help_of_a_policy_command_turns_words_into_pictures(tmp_path: Path) -> None:
    shown = gatehouse("policy", "--help", folder=tmp_path).stdout
    assert "salted" in shown
    assert all(ord(letter) < 0x2600 for letter in shown), "the help's own markup knows names between colons"


def test_help_names_every_command(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "router.cli.main", "--help"]
    typed = {**os.environ, "PYTHONPATH": str(ROOT)}
    shown = subprocess.run(command, cwd=tmp_path, env=typed, capture_output=True, text=True, check=False)
    assert shown.returncode == 0
    for command in ("serve", "demo", "explain", "doctor", "policy", "records"):
        assert command in shown.stdout
        assert gatehouse(command, "--help", folder=tmp_path).returncode == 0


def test_the_demo_tells_its_five_stories_with_the_real_model(tmp_path: Path) -> None:
    """The card stays, the hard question leaves as exactly the bytes shown, the pinned secret is refused."""
    shown = gatehouse("demo", folder=tmp_path)
    assert shown.returncode == 0, shown.stderr[-2000:]
    stories = shown.stdout.split("\n1. ")[1]
    card, easy, hard, again, secret = re.split(r"\n\d\. ", stories)
    assert "route local" in card
    assert "sensitivity restricted" in card
    assert "route local" in easy
    assert "sensitivity public" in easy
    assert "route cloud" in hard
    assert '"model":"recording-cloud"' in hard
    assert "route cache" in again
    assert "policy_denied" in secret
    for story in (card, easy, again, secret):
        assert "the cloud saw nothing" in story
    assert "the cloud saw these" in hard


def test_explain_shows_what_was_found_and_why_never_the_text_found(tmp_path: Path) -> None:
    shown = gatehouse("explain", "Write to bob@corp-mail.com, please.", folder=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "EMAIL_ADDRESS" in shown.stdout
    assert "bob@" not in shown.stdout
    plan = json.loads(gatehouse("explain", HARD, "--json", folder=tmp_path, OPENAI_API_KEY="sk-test").stdout)
    assert (plan["route"], plan["rule"]) == ("cloud", "hard-questions")
    assert gatehouse("explain", folder=tmp_path).returncode == 2
    body = tmp_path / "body.json"
    body.write_text('{"messages": [], "messages": []}')
    refused = gatehouse("explain", "--file", str(body), folder=tmp_path)
    assert refused.returncode == 1
    assert "duplicate key" in refused.stderr


@pytest.mark.parametrize("recipe", ["default", "offline", "cost-first"])
def test_the_recipes_are_good_and_show_what_may_reach_what(tmp_path: Path, recipe: str) -> None:
    shown = gatehouse("policy", "validate", recipe, folder=tmp_path)
    assert shown.returncode == 0, shown.stderr
    reach = [line.split() for line in shown.stdout.splitlines() if line.startswith((" restricted", "restricted"))]
    assert reach
    assert all(row[2] == "local" or row[-1] == "none" for row in reach)


def test_a_bad_policy_is_shown_with_file_line_column_and_the_nearest_word(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("version: 1\nmodels:\n  home: {localty: local, backend: engine, model: m}\n")
    shown = gatehouse("policy", "validate", "p.yaml", folder=tmp_path)
    assert shown.returncode == 1
    assert "p.yaml:3:10" in shown.stderr
    assert "locality" in shown.stderr


def test_doctor_tests_the_engine_and_lists_every_address_that_may_be_contacted(tmp_path: Path) -> None:
    shown = gatehouse("doctor", folder=tmp_path)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "answered its self-test prompt" in shown.stdout
    assert "set OPENAI_API_KEY" in shown.stdout
    addresses = shown.stdout.split("no others:")[1]
    assert "https://api.openai.com" in addresses
    offline = gatehouse("doctor", "--policy", "offline", folder=tmp_path)
    assert "http" not in offline.stdout.split("no others:")[1]


def test_doctor_says_what_is_wrong_and_fails(tmp_path: Path) -> None:
    shown = gatehouse(
        *("doctor", "--local-url", "http://127.0.0.1:9/v1", "--local-model", "m"),
        folder=tmp_path,
        GATEHOUSE_REDIS_URL="redis://127.0.0.1:9/0",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
    )
    assert shown.returncode == 1
    states = {line.split()[1]: line.split()[0] for line in shown.stdout.splitlines() if len(line.split()) > 1}
    assert (states["model"], states["redis"], states["collector"]) == ("fail", "warn", "warn")


def test_records_are_listed_shown_and_verified(tmp_path: Path) -> None:
    with (
        RecorderThread(Script()) as home,
        RecorderThread(Script()) as cloud,
        Gateway(tmp_path, POLICY.format(home=local_server(home.url), cloud=cloud.url)) as house,
    ):
        body = {"messages": [{"role": "user", "content": "Say hello, canary-51b."}]}
        answer = httpx.post(f"{house.url}/chat/completions", json=body, trust_env=False, timeout=60)
        refused = {"model": "cloud", "messages": [{"role": "user", "content": "4111 1111 1111 1111"}]}
        assert httpx.post(f"{house.url}/chat/completions", json=refused, trust_env=False, timeout=60).status_code == 403
    request_id = answer.headers["x-gatehouse-request-id"]
    listed = gatehouse("records", "list", folder=tmp_path)
    assert request_id in listed.stdout
    assert "policy_denied" in listed.stdout
    shown = gatehouse("records", "show", request_id, folder=tmp_path)
    assert json.loads(shown.stdout)["outcome"]["route"] == "local"
    assert "canary" not in listed.stdout + shown.stdout
    assert gatehouse("records", "verify", folder=tmp_path).returncode == 0
    assert gatehouse("records", "show", "gh-none", folder=tmp_path).returncode == 1
    nothing = gatehouse("records", "list", folder=tmp_path / "state")
    assert nothing.returncode == 1
    assert "gatehouse serve" in nothing.stderr
