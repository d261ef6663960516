"""Only earlier turns keep a request at home: said by name, and for as few messages as will do."""

from __future__ import annotations

import pytest

from classifiers.types import Scan, Unknown
from policies.decide import decide
from policies.history import Blame, blame, message_of
from policies.types import Facts, Inherited, Level
from tests.policies.worlds import base, finding, signals

HARD = {"complexity": 0.9}
EARLIER = frozenset({1, 2, 3, 4})


def judged(
    *found: tuple[str, int], facts: Facts | None = None, unknowns: tuple[int, ...] = (), variant: str = "base"
) -> Blame | None:
    """What is to blame for a hard request with these entities in these messages."""
    facts = facts or Facts()
    seen = Scan(
        tuple(finding(entity, pointer=f"/messages/{index}/content") for entity, index in found),
        tuple(Unknown("image", f"/messages/{index}/content/0") for index in unknowns),
    )
    measured = signals(HARD, seen)
    policy = base(variant)
    decision = decide(policy, facts, measured)
    tainted = [Inherited(int(pointer.split("/")[2]), facts.taint, facts.taint) for pointer in facts.taint_at]
    return blame(policy, facts, measured, decision, earlier=EARLIER, tainted=tainted)


def test_a_sensitive_earlier_turn_is_named_with_its_place() -> None:
    held = judged(("CREDIT_CARD", 2))
    assert held is not None
    assert held.messages == {2}
    assert held.reason.rule == "history"
    assert held.reason.why == "restricted: CREDIT_CARD at /messages/2/content"
    assert held.leaves


def test_only_the_turns_that_hold_it_back_are_to_blame() -> None:
    held = judged(("CREDIT_CARD", 2), ("ORGANIZATION", 3), ("LOCATION", 4))
    assert held is not None
    assert held.messages == {2}, "internal may leave"


def test_an_inherited_level_is_to_blame_as_a_finding_is() -> None:
    facts = Facts(taint=Level.RESTRICTED, taint_source="answer", taint_at=("/messages/3",))
    held = judged(facts=facts)
    assert held is not None
    assert held.messages == {3}
    assert held.reason.why == "restricted: inherited from an earlier answer at /messages/3"


@pytest.mark.parametrize(
    "found",
    [
        (("CREDIT_CARD", 5),),
        (("CREDIT_CARD", 2), ("SECRET", 5)),
        (("CREDIT_CARD", 0),),
        (("ORGANIZATION", 2),),
        (),
    ],
)
def test_where_the_rest_is_as_sensitive_or_nothing_is_held_back_no_turn_is_to_blame(
    found: tuple[tuple[str, int], ...],
) -> None:
    assert judged(*found) is None


@pytest.mark.parametrize("source", ["forgotten", "unavailable"])
def test_what_cannot_be_looked_up_is_no_turns_fault(source: str) -> None:
    facts = Facts(taint=Level.RESTRICTED, taint_source=source)  # type: ignore[arg-type]  # one of its words
    assert judged(("CREDIT_CARD", 2), facts=facts) is None


def test_taint_of_another_part_of_the_body_is_no_turns_fault() -> None:
    policy, measured = base(), signals(HARD)
    facts = Facts(taint=Level.RESTRICTED, taint_source="answer", taint_at=("",))
    decision = decide(policy, facts, measured)
    assert decision.route == "local"
    assert (
        blame(
            policy,
            facts,
            measured,
            decision,
            earlier=EARLIER,
            tainted=[Inherited(-1, Level.RESTRICTED, Level.RESTRICTED)],
        )
        is None
    )


def test_a_pinned_model_that_is_refused_for_earlier_turns_is_told_so() -> None:
    held = judged(("CREDIT_CARD", 2), facts=Facts(requested="cloud"))
    assert held is not None
    assert held.leaves


def test_a_request_that_could_only_escalate_later_does_not_leave_at_once() -> None:
    policy, facts = base(), Facts()
    measured = signals({"complexity": 0.1}, Scan((finding("CREDIT_CARD", pointer="/messages/2/content"),)))
    decision = decide(policy, facts, measured)
    held = blame(policy, facts, measured, decision, earlier=EARLIER, tainted=[])
    assert held is not None
    assert not held.leaves


@pytest.mark.parametrize(
    ("pointer", "index"),
    [
        ("/messages/12/content", 12),
        ("/messages/3", 3),
        ("/messages", -1),
        ("/tools/1", -1),
        ("", -1),
        ("/messages/x", -1),
    ],
)
def test_the_message_of_a_pointer(pointer: str, index: int) -> None:
    assert message_of(pointer) == index
