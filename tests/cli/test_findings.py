"""`gatehouse findings top` ranks what holds traffic back; `gatehouse explain FILE` shows it in its owner's text."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from policies.schema import load_policy
from router.backends.scripted_replies import Script
from router.cli.highlight import show_highlighted
from router.records.held import Holder, hint, rank
from tests.cli.test_commands import gatehouse
from tests.support.gateway import POLICY, Gateway, local_server
from tests.support.recorder import RecorderThread

MAIL = "Write to canary-77@corp.net."


def record(tenant: str, *causes: tuple[str, str, list[str]]) -> dict[str, Any]:
    made = [{"kind": kind, "name": name, "count": 1, "places": places} for kind, name, places in causes]
    return {"principal": {"tenant": tenant}, **({"held_by": made} if made else {})}


def test_what_holds_most_requests_comes_first_with_whose_they_are() -> None:
    mail, card, image = (
        ("finding", "EMAIL_ADDRESS", ["/a"]),
        ("finding", "CREDIT_CARD", ["/b"]),
        ("unknown", "image", []),
    )
    ranking = rank(
        [record("a"), record("a", mail), record("b", mail, card), record("a", card, image), record("a", mail)]
    )
    assert (ranking.requests, ranking.held) == (5, 4)
    assert [(each.name, each.requests, each.alone, dict(each.tenants)) for each in ranking.holders] == [
        ("EMAIL_ADDRESS", 3, 2, {"a": 2, "b": 1}),
        ("CREDIT_CARD", 2, 0, {"a": 1, "b": 1}),
        ("image", 1, 0, {"a": 1}),
    ]


@pytest.mark.parametrize(
    ("kind", "name", "place", "expected"),
    [
        ("finding", "EMAIL_ADDRESS", "/messages/*/content", "sensitivity.exceptions"),
        ("finding", "EMAIL_ADDRESS", "/messages/0/content", "approve-text"),
        ("unknown", "unsupported_language", "/tools/*/function/description", "approve-text"),
        ("finding", "MEDICAL", "/messages/*/content", "meaning_may_leave"),
        ("finding", "SECRET", "/messages/0/content", "never excepted"),
        ("unknown", "image", "/messages/*/content/*", "on_unknown.image"),
        ("unknown", "timeout", "/", "gatehouse doctor"),
        ("rule", "no-injections-out", "", "decisions"),
        ("earlier_turns", "earlier turns", "", "drop_turns"),
    ],
)
def test_each_has_a_hint(kind: str, name: str, place: str, expected: str) -> None:
    holder = Holder(kind, name)
    holder.places.update([place] if place else [])
    assert expected in hint(holder)


def test_a_gateways_records_are_ranked_without_content(tmp_path: Path) -> None:
    with (
        RecorderThread(Script()) as home,
        RecorderThread(Script()) as cloud,
        Gateway(tmp_path, POLICY.format(home=local_server(home.url), cloud=cloud.url)) as house,
    ):
        for model, text in (("auto", "Hello."), ("cloud", MAIL), ("cloud", MAIL), ("cloud", "4111 1111 1111 1111")):
            body = {"model": model, "messages": [{"role": "user", "content": text}]}
            httpx.post(f"{house.url}/chat/completions", json=body, trust_env=False, timeout=60)
    shown = gatehouse("findings", "top", folder=tmp_path)
    assert "4 requests in 7 days, 3 of them held back by the policy (75.0%)" in shown.stdout
    rows = json.loads(gatehouse("findings", "top", "--json", folder=tmp_path).stdout)["by"]
    counted = {row["name"]: row["requests"] for row in rows}
    assert (counted["EMAIL_ADDRESS"], counted["CREDIT_CARD"]) == (2, 1)
    assert "canary" not in shown.stdout
    assert json.loads(gatehouse("findings", "top", "--json", "--policy", "99", folder=tmp_path).stdout)["requests"] == 0
    assert gatehouse("findings", "top", folder=tmp_path / "state").returncode == 1


def highlighted(body: dict[str, Any], *findings: dict[str, Any]) -> str:
    console = Console(force_terminal=True, width=200, highlight=False, color_system="standard")
    with console.capture() as captured:
        made = [{"entity_type": "EMAIL_ADDRESS", "in": "value", **finding} for finding in findings]
        show_highlighted(console, body, made, load_policy("default"))
    return captured.get()


def test_a_finding_is_shown_in_its_text_and_what_is_far_from_it_is_not() -> None:
    text = "x" * 300 + " " + MAIL + " " + "y" * 300
    at = text.index("canary")
    shown = highlighted(
        {"messages": [{"content": text}]}, {"pointer": "/messages/0/content", "start": at, "end": at + 18}
    )
    assert "\x1b[1;7;33mcanary-77@corp.net\x1b[0m" in shown
    assert shown.count("x") < 80
    assert "legend" in shown
    assert "confidential" in shown


def test_nothing_in_the_text_is_obeyed_by_the_terminal() -> None:
    text = "\x1b]0;evil\x07 a@b.net \u202e"
    shown = highlighted({"a~b/c": text}, {"pointer": "/a~0b~1c", "start": 10, "end": 17})
    assert "a@b.net" in shown
    assert "\x1b]" not in shown
    assert "\u202e" not in shown


def test_a_key_and_a_number_are_shown_and_a_place_that_is_not_there_is_not() -> None:
    shown = highlighted(
        {"metadata": {"jo@b.net": 4111111111111111}},
        {"pointer": "/metadata/jo@b.net", "in": "key", "start": 0, "end": 8},
        {"pointer": "/metadata/jo@b.net", "start": 0, "end": 16, "entity_type": "CREDIT_CARD"},
        {"pointer": "/messages/9/content", "start": 0, "end": 4},
    )
    assert "(the key)" in shown
    assert "4111111111111111" in shown


def test_explain_reads_a_file_and_shows_its_text_only_where_it_is_asked_to(tmp_path: Path) -> None:
    (tmp_path / "mail.txt").write_text(MAIL)
    (tmp_path / "body.json").write_text(json.dumps({"messages": [{"role": "user", "content": MAIL}]}))
    for file in ("mail.txt", "body.json"):
        for arguments in ((file,), ("--file", file), (file, "--no-highlight"), (file, "--highlight", "--json")):
            shown = gatehouse("explain", *arguments, folder=tmp_path)
            assert shown.returncode == 0, shown.stderr
            assert "EMAIL_ADDRESS" in shown.stdout
            assert "canary" not in shown.stdout
        shown = gatehouse("explain", file, "--highlight", folder=tmp_path)
        assert "\x1b[1;7;" in shown.stdout
        assert "canary-77@corp.net" in re.sub("\x1b\\[[0-9;]*m", "", shown.stdout)
