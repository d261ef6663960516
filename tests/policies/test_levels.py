"""The level of a request: the gravest of what was found, what could not be read, and what was inherited."""

from __future__ import annotations

import pytest

from classifiers.types import Scan
from policies.decide import decide
from policies.levels import place, request_level, scan_level
from policies.types import Facts, Level
from tests.policies.worlds import base, scan, signals

INHERITED = Facts(taint=Level.RESTRICTED, taint_source="answer", taint_at=("/messages/1/content",))


def test_what_was_inherited_counts_as_if_it_stood_in_the_body() -> None:
    level, reasons = request_level(base(), signals(seen=scan(["ORGANIZATION"])), INHERITED)
    assert level is Level.RESTRICTED
    assert reasons[0].why == "restricted: inherited from an earlier answer at /messages/1/content"
    assert request_level(base(), signals(seen=scan(["SECRET"])), Facts(taint=Level.INTERNAL))[0] is Level.RESTRICTED


@pytest.mark.parametrize(
    ("found", "unread", "level"),
    [
        ([], [], Level.PUBLIC),
        (["LOCATION"], [], Level.PUBLIC),
        (["ORGANIZATION"], [], Level.INTERNAL),
        (["NEVER_HEARD_OF"], [], Level.CONFIDENTIAL),
        (["ORGANIZATION"], ["image"], Level.INTERNAL),
        ([], ["truncated"], Level.RESTRICTED),
        (["project-names"], [], Level.RESTRICTED),
    ],
)
def test_the_level_of_a_scan(found: list[str], unread: list[str], level: Level) -> None:
    seen: Scan = scan(found, unread)
    assert scan_level(base(), seen) is level
    assert request_level(base(), signals(seen=seen), Facts())[0] is level


@pytest.mark.parametrize(
    ("pointer", "shown"),
    [
        ("", ""),
        ("/messages/12/content/0/text", "/messages/12/content/0/text"),
        ("/metadata/jane.doe@example.com", "/metadata/*"),
        ("/tools/0/function/parameters/properties/ssn", "/tools/0/function/parameters/properties/*"),
        ("/metadata/4111111111111111", "/metadata/*"),
        ("/messages/0/tool_calls/0/function/arguments", "/messages/0/tool_calls/0/function/arguments"),
    ],
)
def test_a_place_shows_words_of_the_api_and_no_key_of_the_caller(pointer: str, shown: str) -> None:
    assert place(pointer) == shown


def test_no_placeholder_stands_for_what_was_inherited() -> None:
    """The answer that it comes from may say it in any words."""
    policy, hard = base("pseudonymized"), signals({"complexity": 0.65})
    home_made = Facts(taint=Level.CONFIDENTIAL, taint_kept=Level.CONFIDENTIAL, taint_source="answer")
    assert decide(policy, Facts(), hard).route == "cloud"
    assert decide(policy, home_made, hard).grants == ()


def test_what_was_made_outside_of_placeholders_may_go_out_again_with_placeholders() -> None:
    policy, hard = base("pseudonymized"), signals({"complexity": 0.65})
    decision = decide(policy, Facts(taint=Level.CONFIDENTIAL, taint_source="answer"), hard)
    assert (decision.route, decision.payload, decision.sensitivity) == ("cloud", "pseudonymized", Level.CONFIDENTIAL)


def test_every_level_has_its_own_name_as_its_word() -> None:
    assert [level.word for level in Level] == [level.name.lower() for level in Level]
