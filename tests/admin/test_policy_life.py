"""A policy's whole life where it is kept in the store: over the admin API, and by commands beside a running gateway."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer

from router.admin.gate import ADMIN_KEY_FILE
from router.backends.scripted_replies import Script
from router.cli import policy_change
from tests.admin.conftest import AdminHouse, admin_root, make_key
from tests.support.gateway import POLICY, Gateway, local_server, until
from tests.support.recorder import RecorderThread

KEPT = "policy: {source: store}\napprovals: {loosening: 2}\n"
OPEN = "  internal: {payload: full}\n"
LOOSER = "  internal: {payload: full}\n  confidential: {payload: full}\n"
PEOPLE = ("ann", "ben", "cem")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdminHouse]:
    with RecorderThread(Script(answer="Home answers.")) as home:
        text = POLICY.format(home=local_server(home.url), cloud=home.url) + KEPT
        with Gateway(tmp_path_factory.mktemp("kept"), text) as gateway:
            state = gateway.state_dir
            keys = {name: make_key(state, "admin") for name in PEOPLE}
            keys["infer"] = make_key(state, "infer")
            yield AdminHouse(gateway, admin_root(gateway), (state / ADMIN_KEY_FILE).read_text().strip(), keys)


def changed(kept: AdminHouse, number: int, *edits: tuple[str, str]) -> str:
    """The policy in force with these edits; a number of its own, so that no two are the same."""
    text: str = kept.get("/policy/text")["text"]
    for before, after in edits:
        assert before in text, before
        text = text.replace(before, after)
    return text + f"# {number}\n" if not edits else text


def say(kept: AdminHouse, who: str, path: str, **body: Any) -> httpx.Response:
    return kept.ask("POST", f"/policy/{path}", kept.keys[who], json=body)


def told(answer: httpx.Response) -> tuple[str, int]:
    """The version's state and its number."""
    assert answer.status_code == 200, answer.text
    version = answer.json()["version"]
    return version["state"], version["number"]


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def in_force(kept: AdminHouse, part: str) -> bool:
    return part in kept.get("/policy/text")["text"]


def test_a_version_that_loosens_is_drafted_proposed_approved_by_two_others_and_then_put_in_force(
    kept: AdminHouse,
) -> None:
    text = changed(kept, 1, (OPEN, LOOSER))
    state, number = told(say(kept, "ann", "propose", policy=text, draft=True, reason="for the pilot"))
    at = f"history/{number}"
    assert state == "draft"
    assert code(say(kept, "ben", f"{at}/approve")) == (409, "change_refused"), "a draft is nobody's to approve"
    assert code(say(kept, "ben", f"{at}/propose")) == (409, "change_refused"), "nor another's to propose"
    assert told(say(kept, "ann", f"{at}/propose")) == ("proposed", number)
    assert code(say(kept, "ann", f"{at}/approve")) == (409, "change_refused"), "nobody approves their own"
    assert code(kept.ask("POST", f"/policy/{at}/approve", json={})) == (409, "change_refused"), "admin.key is nobody"
    assert told(say(kept, "ben", f"{at}/approve")) == ("proposed", number)
    assert told(say(kept, "ben", f"{at}/approve")) == ("proposed", number), "twice the same is one"
    assert code(say(kept, "ann", f"{at}/activate")) == (409, "change_refused"), "one is missing"
    assert told(say(kept, "cem", f"{at}/approve")) == ("approved", number)
    assert not in_force(kept, "confidential: {payload"), "approved is not yet in force"
    assert told(say(kept, "ann", f"{at}/activate")) == ("active", number)
    until(lambda: in_force(kept, "confidential: {payload"), 60)
    history = kept.get("/policy/history")["versions"]
    assert next(each for each in history if each["number"] == number)["state"] == "active"
    done = [each["audit"] for each in kept.get("/audit?limit=1000")["entries"] if each["audit"]["result"] == "done"]
    assert [each["action"] for each in done if each["target"] == str(number)][::-1] == [
        *("policy.propose", "policy.propose", "policy.approve", "policy.approve", "policy.approve"),
        "policy.activate",
    ]


def test_what_does_not_loosen_is_applied_at_once_and_what_does_is_proposed_by_that(kept: AdminHouse) -> None:
    if not in_force(kept, LOOSER):
        _loosen(kept)
    state, _ = told(say(kept, "ann", "apply", policy=changed(kept, 2, (LOOSER, OPEN))))
    assert state == "active"
    until(lambda: not in_force(kept, LOOSER), 60)
    text = changed(kept, 3, (OPEN, LOOSER))
    assert code(say(kept, "ann", "apply", policy=text)) == (409, "newly_leaves")
    assert told(say(kept, "ann", "apply", policy=text, may_newly_leave=True))[0] == "proposed", "it is still for two"
    assert not in_force(kept, LOOSER)
    assert code(kept.ask("POST", "/policy/apply", json={"policy": text, "may_newly_leave": True})) == (
        409,
        "change_refused",
    ), "admin.key could be anybody"


def _loosen(kept: AdminHouse) -> None:
    _, number = told(say(kept, "ann", "propose", policy=changed(kept, 9, (OPEN, LOOSER))))
    for who in ("ben", "cem"):
        say(kept, who, f"history/{number}/approve")
    told(say(kept, "ann", f"history/{number}/activate"))
    until(lambda: in_force(kept, LOOSER), 60)


def test_a_version_that_was_judged_against_another_one_is_not_put_in_force(kept: AdminHouse) -> None:
    text = kept.get("/policy/text")["text"]
    _, late = told(say(kept, "ann", "propose", policy=text + "limits: {max_messages: 50}\n"))
    assert told(say(kept, "ben", "apply", policy=text + "limits: {max_messages: 40}\n"))[0] == "active"
    assert code(say(kept, "ann", f"history/{late}/activate")) == (409, "change_refused")
    until(lambda: in_force(kept, "max_messages: 40"), 60)


def test_commands_do_the_same_beside_the_gateway(
    kept: AdminHouse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = {name: tmp_path / f"{name}.key" for name in PEOPLE}
    for name, path in keys.items():
        path.write_text(kept.keys[name])
    ann, ben, cem = ({"key_file": keys[name], "state_dir": kept.state_dir} for name in PEOPLE)
    file = tmp_path / "new.yaml"
    before = kept.get("/policy/text")["text"]
    if LOOSER in before:
        told(say(kept, "ann", "apply", policy=before.replace(LOOSER, OPEN)))
        until(lambda: not in_force(kept, LOOSER), 60)
        before = kept.get("/policy/text")["text"]
    file.write_text(before.replace(OPEN, LOOSER) + "# by command\n")
    with pytest.raises(typer.Exit) as ended:
        policy_change.apply(str(file), **ann)
    assert ended.value.exit_code == 3
    assert "confidential" in capsys.readouterr().err
    policy_change.propose(str(file), **ann)
    said = capsys.readouterr().out
    number = said.split("version ")[1].split()[0]
    assert "2 more must approve it" in said
    with pytest.raises(typer.Exit):
        policy_change.approve(number, **ann)
    policy_change.approve(number, **ben)
    with pytest.raises(typer.Exit):
        policy_change.activate(number, **ann)
    policy_change.approve(number, **cem)
    policy_change.activate(number, **ann)
    until(lambda: in_force(kept, "# by command"), 60)
    with pytest.raises(typer.Exit):
        policy_change.propose(str(file), key_file=None, state_dir=tmp_path / "elsewhere")
    policy_change.rollback(**ann)  # back to what lets less out: nobody needs to approve that
    assert "is active" in capsys.readouterr().out
    until(lambda: not in_force(kept, LOOSER), 60)
    assert kept.chat().status_code == 200
    with pytest.raises(typer.Exit) as ended:
        policy_change.rollback(**ann)  # and forward again is a loosening
    assert ended.value.exit_code == 3
