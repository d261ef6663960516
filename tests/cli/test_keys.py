"""`gatehouse keys` prints a key once and alone, and refuses what nobody could use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from router.cli.keys import keys
from router.identity import Identity
from router.settings import Settings


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(keys, [arguments[0], "--state-dir", str(folder / "state"), *arguments[1:]])


def check(folder: Path, key: str, *headers: tuple[bytes, bytes]) -> str | None:
    who = Identity(Settings(state_dir=folder / "state")).authenticate([(b"x-api-key", key.encode()), *headers])
    return f"{who.tenant} {' '.join(sorted(who.scopes))}"


def test_a_key_is_the_only_thing_on_standard_output_and_works(tmp_path: Path) -> None:
    made = run(tmp_path, "create", "app", "--tenant", "acme", "--scope", "infer", "--scope", "read", "--expires", "90d")
    assert made.exit_code == 0
    assert "on loopback too" in made.stderr
    key = made.stdout.strip()
    assert made.stdout == key + "\n"
    assert check(tmp_path, key) == "acme infer read"
    listed = run(tmp_path, "list")
    assert key.split("-")[1] in listed.stdout
    assert key.rsplit("-", 1)[1] not in listed.stdout + run(tmp_path, "list", "--json").stdout
    assert "on loopback too" not in run(tmp_path, "create", "second").stderr


def test_rotate_and_revoke_by_name(tmp_path: Path) -> None:
    first = run(tmp_path, "create", "app").stdout.strip()
    second = run(tmp_path, "rotate", "app", "--overlap", "0").stdout.strip()
    assert check(tmp_path, second) == "default infer"
    with pytest.raises(Exception, match="not valid"):
        check(tmp_path, first)
    assert run(tmp_path, "revoke", "app").exit_code == 0
    with pytest.raises(Exception, match="revoked"):
        check(tmp_path, second)
    (row,) = json.loads(run(tmp_path, "list", "--json").stdout)
    assert (row["state"], row["name"], row["scopes"]) == ("revoked", "app", ["infer"])


def test_json_holds_the_key_once(tmp_path: Path) -> None:
    made = json.loads(run(tmp_path, "create", "app", "--json", "--subject-header", "X-User", "--group", "ward").stdout)
    assert (made["subject_header"], made["groups"]) == ("x-user", ["ward"])
    assert check(tmp_path, made["key"]) == "default infer"
    assert "key" not in json.loads(run(tmp_path, "list", "--json").stdout)[0]


@pytest.mark.parametrize(
    "arguments",
    [
        ["create", "app", "--scope", "root"],
        ["create", "app", "--expires", "90"],
        ["create", "app", "--expires", "0d"],
        ["create", "app", "--expires", "2020-01-01"],
        ["create", "app", "--expires", "2027-13-01"],
        ["create", "app", "--tenant", "a b"],
        ["create", "app", "--tenant", "аcme"],  # a Cyrillic letter
        ["create", "app", "--group", ""],
        ["create", "../x"],
        ["create", "app", "--subject-header", "Authorization"],
        ["create", "app", "--subject-header", "X-Gatehouse-User"],
        ["create", "app", "--subject-header", "content-type"],
        ["create", "app", "--subject-header", "x user"],
    ],
)
def test_what_makes_no_sense_is_refused_and_makes_no_key(tmp_path: Path, arguments: list[str]) -> None:
    assert run(tmp_path, *arguments).exit_code == 2
    assert "No key" in run(tmp_path, "list").stdout


@pytest.mark.parametrize("arguments", [["revoke", "app"], ["rotate", "app"]])
def test_what_is_not_there_is_an_error_in_one_line(tmp_path: Path, arguments: list[str]) -> None:
    ended = run(tmp_path, *arguments)
    assert ended.exit_code == 1
    assert "no key has the id or name 'app'" in ended.stderr
