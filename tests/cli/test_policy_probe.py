"""`gatehouse policy probe`, as a CI system runs it: exit codes, reasons of what failed, and never a probe's text."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.test_commands import HARD, gatehouse
from tests.policies.worlds import BASE

PROBES = f"""\
probes:
  - name: hard-goes-out
    text: {HARD}
    expect: {{route: cloud, rule: hard, payload: full}}
  - name: mail-stays-in-the-us
    text: Write to bob@corp-mail.com, please.
    expect: {{route: local, finds: [EMAIL_ADDRESS]}}
    must_not_reach: [us-cloud]
  - name: busy-home
    text: Hello there.
    local_wait_ms: 700000
    expect: {{route: cloud, rule: escalation}}
"""
POLICY = (
    BASE.replace("  cloud: {", "  us-cloud: {")
    .replace("cloud: cloud}", "cloud: us-cloud}")
    .replace('"gpt-4-pinned": cloud', '"gpt-4-pinned": us-cloud')
)


def test_probes_gate_a_change_and_explain_what_failed(tmp_path: Path) -> None:
    """A change that lets e-mail go to the United States fails the probe that forbids it, by name, with the reasons."""
    file = tmp_path / "ours.yaml"
    file.write_text(POLICY)
    (tmp_path / "ours.probes.yaml").write_text(PROBES)
    good = gatehouse("policy", "probe", str(file), folder=tmp_path)
    assert good.returncode == 0, good.stdout + good.stderr
    assert "3 of 3 probes pass" in good.stdout

    file.write_text(POLICY.replace("regions: [site, eu], require: []", "regions: [site, us, eu]"))
    bad = gatehouse("policy", "probe", str(file), folder=tmp_path)
    assert bad.returncode == 1
    assert "2 of 3 probes pass" in bad.stdout
    assert "pass hard-goes-out" in bad.stdout
    assert "FAIL mail-stays-in-the-us (line 5)" in bad.stdout
    assert "no way to 'us-cloud'" in bad.stdout
    assert "EMAIL_ADDRESS" in bad.stdout  # the whole reasoning
    assert "complexity" in bad.stdout
    assert "bob@" not in bad.stdout

    told = json.loads(gatehouse("policy", "probe", str(file), "--json", folder=tmp_path).stdout)
    assert (told["probes"], told["failed"]) == (3, 1)
    assert [each["name"] for each in told["results"] if not each["passed"]] == ["mail-stays-in-the-us"]
    assert told["results"][1]["explanation"]["sensitivity"] == "confidential"


def test_what_cannot_be_probed_is_a_code_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "ours.yaml"
    file.write_text(BASE)
    assert "has no probes" in gatehouse("policy", "probe", str(file), folder=tmp_path).stderr
    (tmp_path / "ours.probes.yaml").write_text("probes: [{name: a, text: b, expect: {route: claud}}]")
    bad = gatehouse("policy", "probe", str(file), folder=tmp_path)
    assert bad.returncode == 2
    assert "ours.probes.yaml:1:45: 'claud' is not one of" in bad.stderr
    (tmp_path / "ours.probes.yaml").write_text("probes: [{name: a, text: b, expect: {route: local}}]")
    assert gatehouse("policy", "probe", str(file), "--only", "b", folder=tmp_path).returncode == 2


def test_the_reasons_show_lists_whole(tmp_path: Path) -> None:
    """`[medicine, law]` is text, not markup that a terminal swallows."""
    shown = gatehouse("explain", "Name three fruits.", "--policy", "privacy-first", folder=tmp_path)
    assert "[medicine, law]" in shown.stdout or "[law, medicine]" in shown.stdout
