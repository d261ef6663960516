"""What holds for every policy and every request: drawn at random, through the text of a file, with broken signals."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from hypothesis import given, note, settings
from hypothesis import strategies as st

from policies.comparing.proof import reachable
from policies.decide import decide, permit
from policies.types import Decision, EgressPermit, Policy
from tests.policies.at_random import REQUESTS, TIGHTENINGS, File, Request, compiled, files, seen_by, tightened

RANK = {"none": 0, "pseudonymized": 1, "full": 2}


def decided(policy: Policy, request: Request) -> Decision:
    return decide(policy, request[0], seen_by(policy, request))


@settings(max_examples=150, deadline=None)
@given(files(), REQUESTS, REQUESTS)
def test_no_grant_and_no_permit_is_one_that_the_proof_calls_impossible(
    file: File, request: Request, other: Request
) -> None:
    policy = compiled(file)
    table = {(cell.level, cell.model): RANK[cell.payload] for cell in reachable(policy)}
    decision = decided(policy, request)
    for grant in decision.grants:
        assert RANK[grant.payload] == table[decision.sensitivity, grant.model] > 0
        found = seen_by(policy, other).scan  # what the scan of the very bytes says may be something else
        given_permit = permit(policy, decision, grant, bytes(32), found)
        if isinstance(given_permit, EgressPermit):
            level = max(decision.sensitivity, decided(policy, (request[0], {}, other[2], other[3])).sensitivity)
            assert RANK[given_permit.payload] == table[level, grant.model] > 0
    if decision.model is not None and policy.models[decision.model].locality != "local":
        assert decision.model == decision.grants[0].model
        assert decision.via is None
    if decision.via is not None:  # no exit, and never the model that has answered already
        assert policy.models[decision.via].locality == "local"
        assert decision.via != decision.model
        assert policy.mode == "enforce"


@settings(max_examples=150, deadline=None)
@given(tightened(), REQUESTS)
def test_tightening_a_policy_never_makes_anything_newly_leave(both: tuple[File, File, str], request: Request) -> None:
    """Nor leave with more. The conditions of these rules do not ask for sensitivity: see the README on such rules."""
    file, stricter, edits = both
    note(edits)
    before, after = decided(compiled(file), request), decided(compiled(stricter), request)
    most_before = max((RANK[grant.payload] for grant in before.grants), default=0)
    most_after = max((RANK[grant.payload] for grant in after.grants), default=0)
    assert most_after <= most_before


def test_there_is_a_tightening_of_every_kind() -> None:
    assert len(TIGHTENINGS) >= 8


@settings(max_examples=50, deadline=None)
@given(files(), REQUESTS, st.randoms(use_true_random=False))
def test_the_order_of_rules_in_the_file_never_matters_beyond_priority(
    file: File, request: Request, shuffler: random.Random
) -> None:
    shuffled = {**file, "decisions": shuffler.sample(file["decisions"], len(file["decisions"]))}
    assert bare(decided(compiled(file), request)) == bare(decided(compiled(shuffled), request))


def bare(decision: Decision) -> tuple[Any, ...]:
    """A decision without the digest of its policy, which the order of the file's entries changes."""
    grants = [(grant.model, grant.payload, grant.rule, grant.purpose) for grant in decision.grants]
    code = decision.refusal.code if decision.refusal is not None else None
    blank = replace(decision, policy_digest="", grants=(), escalation=None, fallback=None, refusal=None)
    return blank, grants, code


@settings(max_examples=50, deadline=None)
@given(files(), REQUESTS)
def test_the_same_input_is_the_same_decision_and_nothing_is_changed_by_deciding(file: File, request: Request) -> None:
    policy, again = compiled(file), compiled(file)
    first = decided(policy, request)
    assert decided(policy, request) == first == decided(again, request)
    assert policy == again
