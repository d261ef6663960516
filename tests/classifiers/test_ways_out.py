"""Ways out of false alarms: exceptions and approved texts hide what they name, whole, and never a secret."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.approving import Approver
from classifiers.exempting import Exempting
from classifiers.pipeline import Pipeline
from classifiers.types import Approval, ApprovalKind, Dictionary, Exemption, SaltedHash, Scan, ScanRules
from classifiers.values import salted_hash
from tests.support.patterns import PATTERNS

KEY = b"k" * 32
APPROVER = Approver(KEY)
PROMPT = "You are the desk of Example Ltd. Write to jo@corp.net or call +44 20 7946 0958.\nNever say the code: 7."
SECRET = "password: hunter2x"
GAPS = "tests.classifiers.faulty:"


def hashed(*texts: str) -> frozenset[SaltedHash]:
    return frozenset(SaltedHash("saltsalt", salted_hash("saltsalt", text)) for text in texts)


EXEMPTIONS = (
    Exemption("EMAIL_ADDRESS", "our own", domains=frozenset({"support.example.com"})),
    Exemption("EMAIL_ADDRESS", "the lab's", terms=frozenset({"lab@corp.net"}), tenant="lab"),
    Exemption("IP_ADDRESS", "private", patterns=("10(?:\\.[0-9]{1,3}){3}", "127(?:\\.[0-9]{1,3}){3}")),
    Exemption("CREDIT_CARD", "test card", terms=frozenset({"4111 1111 1111 1111"})),
    Exemption("PHONE_NUMBER", "hotline", hashes=hashed("+44 20 7946 0958")),
    Exemption("SECRET", "a slip", terms=frozenset({"hunter2x"}), patterns=(".+",), hashes=hashed("hunter2x")),
)


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline(detectors=PATTERNS, signals={}, budget_ms=5000, approval_key=KEY)


def body(*messages: tuple[str, Any], **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": content} for role, content in messages], **more}


async def scan(pipeline: Pipeline, what: Any, rules: ScanRules, tenant: str = "default") -> Scan:
    return (await pipeline.run(what, rules, tenant)).scan


def entities(seen: Scan) -> list[str]:
    return [finding.entity_type for finding in seen.findings]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mail help@Support.Example.com now", []),
        ("mail help@x.support.example.com now", ["EMAIL_ADDRESS"]),
        ("host 10.1.2.3 is up", []),
        ("host 110.1.2.3 is up", ["IP_ADDRESS"]),
        ("card 4111-1111-1111-1111 works", []),
        ("card 4111111111111111 works", []),
        ("card 4012 8888 8888 1881 works", ["CREDIT_CARD"]),
        ("call +44 (20) 7946-0958", []),
        ("call +44 20 7946 0959", ["PHONE_NUMBER"]),
        (SECRET, ["SECRET"]),
        ("mail lab@corp.net", ["EMAIL_ADDRESS"]),
    ],
)
async def test_an_exception_takes_out_the_whole_value_and_nothing_else(
    pipeline: Pipeline, text: str, expected: list[str]
) -> None:
    rules = ScanRules(exemptions=EXEMPTIONS, digest="all")
    assert entities(await scan(pipeline, body(("user", text)), rules)) == expected


async def test_an_exception_of_one_tenant_is_none_of_anothers_also_where_it_is_remembered(pipeline: Pipeline) -> None:
    rules = ScanRules(exemptions=EXEMPTIONS, digest="tenants")
    text = "filler " * 60 + "mail lab@corp.net"
    for tenant, expected in (("lab", []), ("other", ["EMAIL_ADDRESS"]), ("lab", []), ("other", ["EMAIL_ADDRESS"])):
        assert entities(await scan(pipeline, body(("user", text)), rules, tenant)) == expected


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("write to a@support.example.com", "Thanks!", []),
        ("write to a", "@support.example.com and", []),
        ("write to a@support.example.com", ".au and", ["EMAIL_ADDRESS"] * 2),
        ("host 1", "10.1.2.3", ["IP_ADDRESS"] * 2),
        ("host 10.1", ".2.3 is", []),
        ("card 4111 1111", "1111 1111", []),
        ("card 4012 8888", "8888 1881", ["CREDIT_CARD"] * 2),
    ],
)
async def test_a_value_that_is_split_is_judged_whole(
    pipeline: Pipeline, left: str, right: str, expected: list[str]
) -> None:
    rules = ScanRules(exemptions=EXEMPTIONS, digest="split")
    parts = [{"type": "text", "text": left}, {"type": "text", "text": right}]
    assert entities(await scan(pipeline, body(("user", parts)), rules)) == expected


async def test_an_exception_that_cannot_be_made_ready_exempts_nothing(pipeline: Pipeline) -> None:
    rules = ScanRules(exemptions=(Exemption("IP_ADDRESS", "broken", patterns=("(",)),), digest="broken")
    assert entities(await scan(pipeline, body(("user", "host 10.1.2.3")), rules)) == ["IP_ADDRESS"]


def test_a_date_is_compared_with_its_dashes() -> None:
    made = Exempting((Exemption("DATE_OF_BIRTH", "founded", terms=frozenset({"2024-1-11"})),))
    assert made.covers("DATE_OF_BIRTH", "2024-1-11", "")
    assert not made.covers("DATE_OF_BIRTH", "2024-11-1", "")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40), st.sampled_from(["default", "lab"]))
def test_no_exception_ever_covers_a_secret(text: str, tenant: str) -> None:
    made = Exempting((*EXEMPTIONS, Exemption("SECRET", "all", terms=frozenset({text}), patterns=("(?s).*",))))
    assert not made.covers("SECRET", text, tenant)


def approve(*texts: str, kind: ApprovalKind = "any") -> ScanRules:
    return ScanRules(approvals=tuple(Approval(APPROVER.text(text), kind) for text in texts), digest=kind + str(texts))


async def test_an_approved_text_has_no_findings_and_one_changed_character_voids_it(pipeline: Pipeline) -> None:
    rules = approve(PROMPT, kind="system")
    for text, expected in (
        (PROMPT, []),
        (PROMPT + "\n", []),
        (PROMPT.replace("desk", "desc"), ["EMAIL_ADDRESS", "PHONE_NUMBER"]),
        (PROMPT + " ok", ["EMAIL_ADDRESS", "PHONE_NUMBER"]),
    ):
        assert entities(await scan(pipeline, body(("system", text), ("user", "hi")), rules)) == expected


async def test_an_approved_text_counts_only_where_its_kind_may_stand(pipeline: Pipeline) -> None:
    found = ["EMAIL_ADDRESS", "PHONE_NUMBER"]
    tool = [{"type": "function", "function": {"name": "f", "description": PROMPT}}]
    opaque = {"messages": [{"role": "assistant", "content": "ok", "thought_signature": PROMPT}]}
    places = {
        "system": body(("developer", [{"type": "text", "text": PROMPT}])),
        "tool": body(("user", "hi"), tools=tool),
        "signature": opaque,
        "none": body(("user", PROMPT)),
    }
    kinds: tuple[ApprovalKind, ...] = ("system", "tool", "signature", "any")
    for kind in kinds:
        for place, what in places.items():
            expected = [] if kind in (place, "any") else found
            assert entities(await scan(pipeline, what, approve(PROMPT, kind=kind))) == expected, (kind, place)


async def test_a_remembered_approved_text_is_not_approved_elsewhere(pipeline: Pipeline) -> None:
    long = PROMPT + " and so on" * 40
    rules = approve(long, kind="system")
    for _ in range(2):
        assert entities(await scan(pipeline, body(("system", long)), rules)) == []
        assert entities(await scan(pipeline, body(("user", long)), rules)) == ["EMAIL_ADDRESS", "PHONE_NUMBER"]


async def test_a_secret_in_an_approved_text_is_found(pipeline: Pipeline) -> None:
    for text in (f"{PROMPT} {SECRET}", "filler " * 60 + SECRET):
        assert entities(await scan(pipeline, body(("system", text)), approve(text))) == ["SECRET"]


async def test_without_the_key_or_under_another_nothing_is_approved() -> None:
    for key in (b"", b"x" * 32):
        other = Pipeline(detectors=PATTERNS, signals={}, budget_ms=5000, approval_key=key)
        assert entities(await scan(other, body(("system", PROMPT)), approve(PROMPT))) != []


async def test_what_reaches_out_of_an_approved_text_is_found(pipeline: Pipeline) -> None:
    prompt = "The first half is 4012 8888"
    assert entities(await scan(pipeline, body(("system", prompt), ("user", "8888 1881")), approve(prompt))) == [
        "CREDIT_CARD",
        "CREDIT_CARD",
    ]
    both = approve(prompt, "8888 1881")
    assert entities(await scan(pipeline, body(("system", prompt), ("user", "8888 1881")), both)) == []


TOOL = {
    "type": "function",
    "function": {
        "name": "lookup",
        "description": "Ask jo@corp.net before use.",
        "parameters": {"type": "object", "properties": {"to": {"type": "string", "default": "4012 8888 8888 1881"}}},
    },
}


async def test_an_approved_tool_is_approved_whole_in_every_dialects_wrapper(pipeline: Pipeline) -> None:
    plain = TOOL["function"]
    assert isinstance(plain, dict)
    flat = {"type": "function", **plain}
    other = {("input_schema" if key == "parameters" else key): value for key, value in plain.items()}
    assert len({APPROVER.tool(each) for each in (TOOL, plain, flat, other)}) == 1
    rules = ScanRules(approvals=(Approval(APPROVER.tool(TOOL), "tool"),), digest="tool")
    hello = ("user", "mail ann@corp.net")
    changed = {**TOOL, "function": {**plain, "description": "Ask jo@corp.net before  use."}}
    assert entities(await scan(pipeline, body(hello, tools=[TOOL]), rules)) == ["EMAIL_ADDRESS"]
    assert len((await scan(pipeline, body(hello, tools=[changed]), rules)).findings) == 3
    assert len((await scan(pipeline, body(hello, tools=[{**plain, "x": "y"}]), rules)).findings) == 3
    # Wrapped in another place, the same object is no tool.
    assert len((await scan(pipeline, body(hello, metadata={"tools": [TOOL]}), rules)).findings) == 3


async def test_what_is_wrapped_in_an_approved_text_is_approved_with_it(pipeline: Pipeline) -> None:
    text = '{"contact": {"jo@corp.net": "ann@corp.net"}}'
    assert entities(await scan(pipeline, body(("system", text)), approve(text))) == []
    assert "EMAIL_ADDRESS" in entities(await scan(pipeline, body(("system", text)), ScanRules(digest="none")))


async def test_a_key_of_the_callers_is_never_an_approved_text(pipeline: Pipeline) -> None:
    text = "jo@corp.net"
    assert entities(await scan(pipeline, body(("user", "hi"), metadata={text: text}), approve(text))) == [
        "EMAIL_ADDRESS"
    ]


async def test_a_language_that_nobody_measured_is_no_matter_in_an_approved_text_and_a_fault_is() -> None:
    gap = Pipeline(detectors={"gap": GAPS + "Baffled"}, signals={}, budget_ms=5000, approval_key=KEY)
    text = "boom rhubarb"
    assert [each.kind for each in (await scan(gap, body(("user", text)), ScanRules(digest="a"))).unknowns] != []
    assert (await scan(gap, body(("user", text)), approve(text))).unknowns == ()
    raising = Pipeline(detectors={"raising": GAPS + "Raising"}, signals={}, budget_ms=5000, approval_key=KEY)
    assert [each.kind for each in (await scan(raising, body(("user", text)), approve(text))).unknowns] == [
        "detector_error"
    ]


HUNGARIAN = "Kérem, olvassa el figyelmesen a belső utasításokat, mielőtt az ügyfél kérdésére válaszolna."


@pytest.mark.parametrize(
    "text", ["これは社内の手順書です。" * 8, HUNGARIAN, base64.b64encode(bytes(range(7, 250))).decode()]
)
async def test_what_cannot_be_read_is_no_matter_in_an_approved_text_nor_beside_it(text: str) -> None:
    everything = Pipeline(signals={}, budget_ms=5000, approval_key=KEY)

    async def unread(rules: ScanRules, user: str = "hi there, how are you?") -> set[str]:
        return {
            each.pointer for each in (await scan(everything, body(("system", text), ("user", user)), rules)).unknowns
        }

    assert "/messages/0/content" in await unread(ScanRules(digest="unread"))
    assert await unread(approve(text)) == set()
    assert await unread(approve(text), HUNGARIAN + " Köszönöm szépen.") == {"/messages/1/content"}
    assert await unread(approve(text), text[:-1]) == {"/messages/1/content"}


async def test_hashed_dictionaries_are_found_here_and_in_the_scan_process(pipeline: Pipeline) -> None:
    hashes = (salted_hash("saltsalt", "Project Bluebird"),)
    rules = ScanRules(dictionaries=(Dictionary("projects", hashes=hashes, salt="saltsalt"),), digest="hashed")
    for text in ("About project bluebird.", "filler " * 6000 + "project  bluebird"):
        assert entities(await scan(pipeline, body(("user", text)), rules)) == ["projects"]
    await pipeline.close()


def test_an_approver_shows_no_key() -> None:
    assert "k" * 8 not in repr(APPROVER)
    assert APPROVER.text("a").startswith(APPROVER.key_id + ":")
    assert APPROVER.text("a") != APPROVER.text("b")


PIECES = (
    "mail a@support.example.com",
    "mail lab@corp.net",
    "host 10.1.2.3",
    "host 8.8.4.4",
    "card 4111 1111 1111 1111",
    "card 4012 8888 8888 1881",
    "call +44 20 7946 0958",
    SECRET,
    "nothing",
    "1",
    ".au",
)
TEXTS = st.lists(st.lists(st.sampled_from(PIECES), min_size=1, max_size=3).map(" ".join), min_size=1, max_size=3)


def seen(pipeline: Pipeline, texts: list[str], rules: ScanRules) -> tuple[set[str], int]:
    """The entity types found, and how many findings are secrets."""
    what = body(*(("system", text) for text in texts))
    found = [finding.entity_type for finding in asyncio.run(scan(pipeline, what, rules)).findings]
    return set(found), found.count("SECRET")


@settings(max_examples=80, deadline=None)
@given(TEXTS, st.sets(st.integers(0, len(EXEMPTIONS) - 1)), st.sets(st.integers(0, 2)), st.data())
def test_taking_a_way_out_away_never_hides_anything_and_no_way_out_ever_hides_a_secret(
    pipeline: Pipeline, texts: list[str], chosen: set[int], approved: set[int], data: st.DataObject
) -> None:
    def rules(exemptions: set[int], approvals: set[int]) -> ScanRules:
        return ScanRules(
            exemptions=tuple(EXEMPTIONS[index] for index in sorted(exemptions)),
            approvals=tuple(Approval(APPROVER.text(text), "any") for at, text in enumerate(texts) if at in approvals),
        )

    fewer = {index for index in chosen if data.draw(st.booleans())}
    loose, tight = seen(pipeline, texts, rules(chosen, approved)), seen(pipeline, texts, rules(fewer, set()))
    strict = seen(pipeline, texts, ScanRules())
    assert loose[0] <= tight[0] <= strict[0]
    assert loose[1] == tight[1] == strict[1]
