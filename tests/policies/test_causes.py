"""What holds a request back is told by type, rule and kind of place, and only what did hold it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from classifiers.types import Finding, Scan, Unknown
from policies.causes import Cause, causes
from policies.decide import decide
from policies.types import Facts
from tests.policies.worlds import base, signals


def found(*places: tuple[str, str]) -> tuple[Finding, ...]:
    return tuple(Finding(entity, pointer, "value", 0, 8, 0.9, "test", 0) for entity, pointer in places)


def held_by(scan: Scan, values: dict[str, Any] | None = None, variant: str = "base", **facts: Any) -> Sequence[Cause]:
    policy = base(variant)
    return causes(policy, decide(policy, Facts(**facts), signals(values, scan)), scan)


HARD = {"complexity": 0.9}


def test_findings_of_the_requests_level_hold_it_at_their_places() -> None:
    scan = Scan(
        found(
            ("EMAIL_ADDRESS", "/messages/0/content"),
            ("EMAIL_ADDRESS", "/messages/3/content/1/text"),
            ("EMAIL_ADDRESS", "/messages/5/content/12/text"),
            ("EMAIL_ADDRESS", "/metadata/4111111111111111"),
            ("ORGANIZATION", "/messages/1/content"),
        )
    )
    assert held_by(scan, HARD) == (
        Cause(
            "finding",
            "EMAIL_ADDRESS",
            4,
            ("/messages/*/content/*/text", "/messages/0/content", "/metadata/*"),
        ),
    )


def test_unknowns_hold_and_what_is_below_its_min_score_does_not() -> None:
    weak = Finding("PERSON", "/messages/0/content", "value", 0, 8, 0.5, "test", 0)
    assert held_by(Scan((weak,), (Unknown("audio", "/messages/2/content/1"),)), HARD) == (
        Cause("unknown", "audio", 1, ("/messages/*/content/*",)),
    )
    assert held_by(Scan((), (Unknown("timeout", ""),)), HARD) == (Cause("unknown", "timeout", 1, ("/",)),)


def test_a_forbid_holds_what_nothing_else_held() -> None:
    assert held_by(Scan(), {**HARD, "injection": 0.9}) == (Cause("rule", "no-injections-out"),)
    assert held_by(Scan(), {**HARD, "injection": "error:timeout"}) == (Cause("rule", "no-injections-out"),)


@pytest.mark.parametrize("scan", [Scan(), Scan(found(("LOCATION", "/messages/0/content")))])
def test_nothing_holds_a_public_request(scan: Scan) -> None:
    assert held_by(scan, HARD) == ()


def test_a_refused_request_names_both() -> None:
    scan = Scan(found(("SECRET", "/messages/1/content")))
    assert [each.name for each in held_by(scan, {"injection": 0.9}, requested="cloud")] == [
        "SECRET",
        "no-injections-out",
    ]
