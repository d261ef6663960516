"""What the routes answer: the same as the commands, over what a running gateway knows and has recorded."""

from __future__ import annotations

import json
from pathlib import Path

import httpx

from tests.admin.conftest import AdminHouse
from tests.cli.test_commands import gatehouse
from tests.support.gateway import until

EMAIL = "Write to jane.doe@corp.example about it."


def command(admin: AdminHouse, folder: Path, *words: str) -> object:
    done = gatehouse(*words, "--json", "--state-dir", str(admin.state_dir), folder=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def recorded(admin: AdminHouse, text: str = EMAIL) -> str:
    """The id of a request whose record has been written."""
    request_id = admin.chat(text).headers["x-gatehouse-request-id"]
    until(lambda: admin.ask("GET", f"/records/{request_id}").status_code == 200)
    return request_id


def test_status_says_what_readyz_says_and_more(admin: AdminHouse) -> None:
    told = admin.get("/status")
    assert told["ready"] is True
    assert told["policy"]["is_current"] is True
    assert told["workers"] == ["ready"]
    assert told["records"]["failing"] is None
    assert told["address"] == admin.gateway.root


def test_whoami(admin: AdminHouse) -> None:
    assert admin.get("/whoami") == {"key_id": "admin.key", "tenant": "default", "scopes": ["admin", "infer", "read"]}


def test_the_policy_in_force(admin: AdminHouse) -> None:
    told, text = admin.get("/policy"), admin.get("/policy/text")
    assert text["text"] == admin.gateway.policy_file.read_text()
    assert told["digest"] == text["digest"]
    restricted = {cell["model"]: cell["payload"] for cell in told["reach"] if cell["sensitivity"] == "restricted"}
    assert restricted == {"home": "full", "cloud": "none"}
    assert "Bluebird" not in json.dumps(told), "terms of dictionaries are for admins"


def test_a_candidate_is_checked_compared_and_simulated_as_by_the_commands(admin: AdminHouse, tmp_path: Path) -> None:
    recorded(admin)
    text = admin.gateway.policy_file.read_text()
    looser = text.replace("  internal: {payload: full}", "  internal: {payload: full}\n  confidential: {payload: full}")
    (tmp_path / "new.yaml").write_text(looser)
    assert admin.post("/policy/validate", policy=looser)["good"] is True
    bad = admin.post("/policy/validate", policy=looser.replace("priority", "prioritie"))
    assert bad["good"] is False
    assert bad["problems"][0]["line"] > 1
    found = admin.post("/policy/diff", policy=looser)
    assert found["loosens"] is True
    shown = gatehouse("policy", "diff", str(admin.gateway.policy_file), "new.yaml", "--json", folder=tmp_path)
    assert json.loads(shown.stdout)["differences"] == found["differences"]
    radius = admin.post("/policy/simulate", policy=looser, days=1)
    assert radius["requests"] >= 1
    radius.pop("policy")
    assert command(admin, tmp_path, "policy", "simulate", "new.yaml", "--days", "1") == radius
    refused = admin.ask("POST", "/policy/simulate", json={"policy": "version: 1\nmodes: x\n"})
    assert refused.json()["error"]["code"] == "policy_not_good"


def test_records_findings_and_savings_are_those_of_the_commands(admin: AdminHouse, tmp_path: Path) -> None:
    request_id = recorded(admin)
    held = admin.get("/records?limit=5&sensitivity=confidential")["records"]
    assert request_id in {each["id"] for each in held}
    assert "jane.doe" not in json.dumps(held)
    assert admin.get("/records/verify")["intact"] is True
    findings = admin.get("/findings?days=2")
    findings.pop("days")
    assert command(admin, tmp_path, "findings", "top", "--days", "2") == findings
    savings, told = (
        admin.get("/savings?by=model&since=2d"),
        command(admin, tmp_path, "savings", "--by", "model", "--since", "2d"),
    )
    assert isinstance(told, dict)
    assert told["groups"] == savings["groups"]
    assert command(admin, tmp_path, "budgets") == admin.get("/budgets")


def test_lockdown_and_unlock(admin: AdminHouse) -> None:
    assert admin.ask("POST", "/lockdown", json={}).status_code == 400, "a reason is needed"
    try:
        made = admin.post("/lockdown", reason="an incident")["locks"][0]
        assert made["by"] == "key admin.key"
        assert admin.get("/lockdown")["locked"] is True
        pinned = {"model": "cloud", "messages": [{"role": "user", "content": "What is the capital of France?"}]}
        headers = {"authorization": f"Bearer {admin.keys['infer']}"}
        url = f"{admin.gateway.url}/chat/completions"
        until(lambda: httpx.post(url, json=pinned, headers=headers, trust_env=False, timeout=60).status_code != 200)
        assert admin.ask("POST", "/unlock", admin.keys["acme-admin"], json={}).status_code == 403
    finally:
        assert admin.ask("POST", "/unlock", json={"reason": "two\nlines"}).status_code == 400
        ended = admin.post("/unlock", reason="it is over")
    assert [each["id"] for each in ended["locks"]] == [made["id"]]
    assert admin.get("/lockdown")["locked"] is False
    done = [each["audit"] for each in admin.get("/audit")["entries"] if each["audit"]["result"] == "done"]
    assert done[0]["detail"]["reason"] == "it is over"
    told = [each["action"] for each in done]
    assert told[:2] == ["lockdown.unlock", "lockdown.lock"]


def test_the_versions_are_those_of_the_command(admin: AdminHouse, tmp_path: Path) -> None:
    told = admin.get("/policy/history")["versions"]
    assert command(admin, tmp_path, "policy", "history") == told
    one = admin.get(f"/policy/history/{told[-1]['number']}")
    assert one["texts"][0]["text"].startswith("version: 1")
    assert admin.ask("GET", "/policy/history/999999").json()["error"]["code"] == "no_such_version"


def test_a_policy_is_applied_and_rolled_back_and_what_loosens_needs_a_word(admin: AdminHouse) -> None:
    file = admin.gateway.policy_file
    before = file.read_text()
    loose = before.replace(
        "  internal: {payload: full}", "  internal: {payload: full}\n  confidential: {payload: full}"
    )
    refused = admin.ask("POST", "/policy/apply", json={"policy": loose})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "newly_leaves")
    assert file.read_text() == before
    tight = before.replace("  internal: {payload: full}\n", "")
    try:
        assert admin.post("/policy/apply", policy=tight, reason="less")["version"]["reason"] == "less"
        assert file.read_text() == tight
        until(lambda: admin.get("/policy/text")["text"] == tight)
        newest = admin.get("/policy/history")["versions"]
        until(lambda: admin.get("/policy/history")["versions"][0]["state"] == "active")
        admin.post("/policy/rollback", may_newly_leave=True)
        until(lambda: admin.get("/policy/text")["text"] == before)
        assert newest[0]["author"] == "user:admin.key"
        approved = admin.ask("POST", f"/policy/history/{newest[0]['number']}/approve", json={})
        assert approved.json()["error"]["code"] == "change_refused", "the policy is kept in a file"
    finally:
        file.write_text(before)


def test_models(admin: AdminHouse) -> None:
    told = admin.get("/models")
    assert {each["name"] for each in told["policy"]} == {"home", "cloud"}
    assert "smollm2-135m-instruct" in told["catalogue"]


def test_a_key_is_made_used_rotated_and_revoked(admin: AdminHouse) -> None:
    made = admin.post("/keys", name="app", tenant="acme", scopes=["infer"], expires="1h")
    about = made["about"]
    assert made["audited"] is True
    admin.keys["made"] = made["key"]
    until(lambda: admin.chat(key="made").status_code == 200)
    rotated = admin.post(f"/keys/{about['id']}/rotate", overlap="0")
    admin.keys["rotated"] = rotated["key"]
    until(lambda: admin.chat(key="made").status_code == 401)
    until(lambda: admin.chat(key="rotated").status_code == 200)
    admin.post(f"/keys/{about['id']}/revoke")
    until(lambda: admin.chat(key="rotated").json().get("error", {}).get("code") == "revoked_api_key")
    assert next(each for each in admin.get("/keys")["keys"] if each["id"] == about["id"])["state"] == "revoked"
    assert admin.ask("POST", f"/keys/{about['id']}/rotate", json={}).status_code == 404


def test_a_key_order_is_checked_as_the_command_checks_it(admin: AdminHouse) -> None:
    for body in ({"name": ""}, {"name": "a", "scopes": ["root"]}, {"name": "a", "expires": "soon"}, {}):
        assert admin.ask("POST", "/keys", json=body).status_code == 400, body
    taken = {"name": "a", "subject_header": "Authorization"}
    assert admin.ask("POST", "/keys", json=taken).json()["error"]["param"] == "subject-header"


def test_a_revoked_admin_opens_nothing_from_then_on(admin: AdminHouse) -> None:
    made = admin.post("/keys", name="second-admin", scopes=["admin"])
    assert admin.ask("GET", "/keys", made["key"]).status_code == 200
    admin.post(f"/keys/{made['about']['id']}/revoke")
    assert admin.ask("GET", "/keys", made["key"]).status_code in (401, 429)
