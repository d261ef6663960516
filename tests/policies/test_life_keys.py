"""`policy` and `approvals`: read, compared, and refused where they mean nothing."""

from __future__ import annotations

import pytest

from policies.comparing.compare import compare
from policies.errors import PolicyError
from policies.schema import compile_policy
from tests.policies.worlds import OFFLINE

KEPT = OFFLINE + "policy: {source: store}\napprovals: {loosening: 2}\n"


def test_fewer_approvals_and_a_file_in_place_of_the_store_loosen() -> None:
    kept, fewer, file = (
        compile_policy(text, "p") for text in (KEPT, KEPT.replace("loosening: 2", "loosening: 1"), OFFLINE)
    )
    assert (kept.kept_in, kept.approvals_loosening) == ("store", 2)
    assert [each.direction for each in compare(kept, fewer)] == ["loosens"]
    assert [each.direction for each in compare(fewer, kept)] == ["tightens"]
    assert {each.path for each in compare(kept, file) if each.direction == "loosens"} == {
        "policy.source",
        "approvals.loosening",
    }


def test_approvals_of_a_file_that_one_can_change_are_refused() -> None:
    with pytest.raises(PolicyError, match="a file can be changed by one"):
        compile_policy(OFFLINE + "approvals: {loosening: 1}\n", "p")
