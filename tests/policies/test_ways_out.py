"""Exceptions, approved texts and other loosenings: how they load, when they end, and how the proof shows them."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.types import Approval, SaltedHash
from policies.schema import compile_policy
from policies.store import PolicyStore
from policies.types import Level, Policy
from tests.policies.worlds import BASE, ENTITIES, OFFLINE

TODAY = date(2026, 11, 27)
ZEROS = "0" * 64
DIGEST = "01234567:0123456789abcdef0123456789abcdef"
LOOSE = f"""\
sensitivity:
  min_score: {{PERSON: 0.6, EMAIL_ADDRESS: 0}}
  exceptions:
    - {{entity: EMAIL_ADDRESS, domains: [a.example, b.example], reason: public contact}}
    - {{entity: PERSON, terms: [Bluebird Smith], hashes: ['sha256:saltsalt:{ZEROS}'], reason: staff, tenant: ward,
       expires: 2027-01-31}}
    - {{entity: PERSON, terms: [Old Timer], reason: gone, expires: 2026-11-27}}
  on_unknown:
    image: {{counts_as: internal, reason: product photos only}}
    audio: {{counts_as: restricted, reason: as it is anyway}}
approved_texts:
  - {{name: prompt.txt, digest: '{DIGEST}', kind: system, reason: looked at, approved: 2026-11-27, expires: 2027-01-01}}
egress:
  public: {{payload: pseudonymized, meaning_may_leave: [{{entity: MEDICAL, reason: agreed}}]}}
"""


def load(text: str, today: date | None = TODAY) -> Policy:
    return compile_policy(text, "p.yaml", ENTITIES, today=today)


def test_every_loosening_is_listed_with_its_reason_and_its_end_and_without_a_value() -> None:
    policy = load(OFFLINE + LOOSE)
    assert [(each.path, each.what, each.reason, each.expires) for each in policy.loosenings] == [
        ("sensitivity.min_score.PERSON", "PERSON below a score of 0.6 does not count", "", None),
        (
            "sensitivity.exceptions[0]",
            "EMAIL_ADDRESS is no finding: 2 domains",
            "public contact",
            None,
        ),
        (
            "sensitivity.exceptions[1]",
            "PERSON is no finding for tenant ward: 1 term, 1 hash",
            "staff",
            date(2027, 1, 31),
        ),
        ("sensitivity.on_unknown.image", "unreadable: image counts as internal", "product photos only", None),
        ("approved_texts[0]", "prompt.txt (system) has no findings", "looked at", date(2027, 1, 1)),
        ("egress.public.meaning_may_leave[0]", "MEDICAL may leave pseudonymized", "agreed", None),
    ]
    shown = repr(policy.loosenings)
    assert not any(value in shown for value in ("Bluebird", ZEROS, DIGEST))


def test_exceptions_and_approved_texts_arrive_in_the_scan_rules() -> None:
    rules = load(OFFLINE + LOOSE).scan_rules
    assert rules.exemptions[1].hashes == {SaltedHash("saltsalt", ZEROS)}
    assert [each.tenant for each in rules.exemptions] == [None, "ward"]
    assert rules.approvals == (Approval(DIGEST, "system"),)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("tenant: ward", "tenant: bed"),
        (ZEROS, "1" + ZEROS[1:]),
        ("saltsalt", "saltsals"),
        (DIGEST, DIGEST[:-1] + "0"),
        ("kind: system", "kind: any"),
        ("terms: [Bluebird Smith]", "patterns: [Bluebird]"),
    ],
)
def test_whatever_changes_what_is_found_changes_the_digest_of_the_rules(before: str, after: str) -> None:
    assert before in LOOSE
    assert load(OFFLINE + LOOSE.replace(before, after)).scan_rules.digest != load(OFFLINE + LOOSE).scan_rules.digest


def test_what_has_expired_is_as_if_it_were_not_there_and_is_a_warning_with_its_place() -> None:
    late = load(OFFLINE + LOOSE, date(2027, 2, 1))
    early = load(OFFLINE + LOOSE)
    assert early.next_expiry == date(2027, 1, 1)
    assert late.next_expiry is None
    assert (len(early.scan_rules.exemptions), len(late.scan_rules.exemptions)) == (2, 1)
    assert late.scan_rules.approvals == ()
    assert "p.yaml:11:67: this exception has expired and is void: take it out, or set a later day" in early.warnings
    assert sum("expired" in each for each in late.warnings) == 3
    gone = "\n".join(line for line in LOOSE.splitlines() if "Old Timer" not in line)
    without = load(OFFLINE + gone).scan_rules
    assert without == early.scan_rules


@settings(max_examples=60, deadline=None)
@given(st.dates(date(2026, 1, 1), date(2028, 1, 1)), st.dates(date(2026, 1, 1), date(2028, 1, 1)))
def test_a_later_day_never_lets_more_pass(one: date, other: date) -> None:
    early, late = (load(OFFLINE + LOOSE, day) for day in sorted((one, other)))
    assert set(late.scan_rules.exemptions) <= set(early.scan_rules.exemptions)
    assert set(late.scan_rules.approvals) <= set(early.scan_rules.approvals)
    assert {each.path for each in late.loosenings} <= {each.path for each in early.loosenings}


def test_without_a_day_whatever_expires_is_void() -> None:
    rules = load(OFFLINE + LOOSE, None).scan_rules
    assert (len(rules.exemptions), rules.approvals) == (1, ())


@pytest.mark.parametrize(
    ("exception", "warning"),
    [
        ("{entity: project-names, terms: [Bluebird], reason: it flew}", "'project-names' is a restricted list"),
        ("{entity: MEDICAL, terms: [I am ill], reason: it is not}", "approved_texts is for those"),
        ("{entity: PERSON, patterns: ['(?s).+'], reason: no names}", "no PERSON would be found at all"),
        ("{entity: PERSON, terms: [Bo], reason: gone, expires: 2020-01-01}", "this exception has expired"),
    ],
)
def test_a_doubtful_exception_is_a_warning(exception: str, warning: str) -> None:
    text = BASE.replace("  min_score:", f"  exceptions: [{exception}]\n  min_score:")
    assert any(warning in each for each in load(text).warnings)


def test_a_text_that_is_approved_twice_is_a_warning() -> None:
    entry = f"{{name: a, digest: '{DIGEST}', kind: any, reason: seen, approved: 2026-11-27}}"
    warnings = load(f"{OFFLINE}approved_texts: [{entry}, {entry}]\n").warnings
    assert any("this text is approved already, as 'a'" in each for each in warnings)


def test_a_dictionary_may_hold_hashes_alone_or_beside_terms() -> None:
    hashes = f"hashes: ['sha256:saltsalt:{ZEROS}']"
    for terms in ("", "terms: [Bluebird], "):
        text = (
            f"{OFFLINE}sensitivity: {{dictionaries: [{{name: names, level: internal, {terms}{hashes}, words: 2}}]}}\n"
        )
        policy = load(text)
        (dictionary,) = policy.scan_rules.dictionaries
        assert (dictionary.hashes, dictionary.salt, dictionary.words) == ((ZEROS,), "saltsalt", 2)
        assert policy.levels["names"] is Level.INTERNAL


class Day:
    """A day that a test turns."""

    def __init__(self, day: date) -> None:
        self.day = day

    def __call__(self) -> date:
        return self.day


EXPIRING = OFFLINE + (
    "sensitivity: {exceptions: [{entity: EMAIL_ADDRESS, terms: [a@b.example], reason: seen, expires: 2026-11-28}]}\n"
)


@pytest.mark.parametrize("is_broken", [False, True], ids=["good-file", "bad-file"])
async def test_the_day_comes_while_the_gateway_runs(tmp_path: Path, is_broken: bool) -> None:
    """The file does not change; or it has become a bad one, and the last good policy is in force."""
    file, today = tmp_path / "policy.yaml", Day(TODAY)
    file.write_text(EXPIRING)
    store = PolicyStore(str(file), today=today)
    assert len(store.load().scan_rules.exemptions) == 1
    changes: asyncio.Queue[Policy | None] = asyncio.Queue()
    task = asyncio.create_task(store.watch(changes.put, poll_seconds=0.02, settle_seconds=0.02))
    try:
        if is_broken:
            file.write_text("version: 0\n")
            assert await asyncio.wait_for(changes.get(), 60) is None
        assert changes.empty()
        today.day = date(2026, 11, 28)
        policy = await asyncio.wait_for(changes.get(), 60)
        assert policy is store.current
        assert policy.scan_rules.exemptions == ()
        assert store.day == date(2026, 11, 28)
        assert any("this exception has expired" in each for each in policy.warnings)
        await asyncio.sleep(0.1)
        assert changes.empty()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
