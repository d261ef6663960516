"""What the commands say of tenants: what is refused, explained, and what a change would do to one's requests."""

from __future__ import annotations

import json
from pathlib import Path

from policies.replay import replay
from policies.simulate import judge
from policies.tenants import view_of
from policies.types import Facts
from tests.cli.test_commands import gatehouse
from tests.policies.test_simulate import record_of
from tests.policies.worlds import BASE, load, scan, signals


def test_validate_refuses_a_tenant_that_would_loosen_at_its_place(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(BASE + "tenants:\n  acme: {egress: {restricted: {localities: [cloud]}}}\n")
    refused = gatehouse("policy", "validate", str(file), folder=tmp_path)
    assert refused.returncode == 1
    assert f"policy.yaml:{BASE.count(chr(10)) + 2}:" in refused.stderr
    assert "the file does not let restricted reach cloud" in refused.stderr


def test_explain_answers_as_for_a_request_of_that_tenant(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    text = (Path("policies") / "recipes" / "default.yaml").read_text("utf-8")
    file.write_text(
        text + "tenants:\n  acme:\n    sensitivity: {patterns: [{name: wren, level: restricted, regex: wren}]}\n"
    )
    command = ("explain", "What does a wren eat?", "--policy", str(file), "--json")
    told = [gatehouse(*command, *more, folder=tmp_path).stdout for more in ((), ("--tenant", "acme"))]
    levels = [json.loads(each)["sensitivity"] for each in told]
    assert levels == ["public", "restricted"]


def test_a_change_is_simulated_under_the_view_of_each_requests_own_tenant() -> None:
    seen = signals({"complexity": 0.9}, scan())
    before, after = load(BASE), load(BASE + "tenants:\n  acme: {forbid: [cloud]}\n")
    judged = {
        tenant: judge(after, replay(record_of(before, Facts(tenant=tenant, input_tokens=20), seen)), {}).change
        for tenant in ("acme", "other")
    }
    assert judged == {"acme": "newly stays", "other": "unchanged"}
    held = record_of(view_of(after, "acme"), Facts(tenant="acme", input_tokens=20), seen)
    assert judge(after, replay(held), {}).change == "unchanged"
    assert judge(before, replay(held), {}).change == "newly leaves"
