"""A value in pieces is found where the pieces are neighbours: list items, parts, messages, members of one stem."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

Scan = Callable[..., Any]


def chat(content: Any = "hi", **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content}], **fields}


def parts(*texts: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text} for text in texts]


SPLIT: list[tuple[dict[str, Any], str]] = [
    (chat(metadata={"card_first": "4111 1111", "card_last": "1111 1111"}), "CREDIT_CARD"),
    (chat(metadata={"card1": "4111", "card2": "1111", "card3": "1111", "card4": "1111"}), "CREDIT_CARD"),
    (chat(metadata={"a": "41111111", "b": "11111111"}), "CREDIT_CARD"),
    (chat(metadata={"firstPart": "jo@exam", "secondPart": "ple.com"}), "EMAIL_ADDRESS"),
    (chat(metadata={"card_first": 41111111, "card_last": 11111111}), "CREDIT_CARD"),
    (chat('{"iban_start": "GB82 WEST 1234", "iban_end": "5698 7654 32"}'), "IBAN_CODE"),
    (chat(stop=list("4111111111111111")), "CREDIT_CARD"),
    (chat(metadata={"x": list("4111111111111111")}), "CREDIT_CARD"),
    (chat(metadata={"x": [4, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]}), "CREDIT_CARD"),
    (chat(metadata={"x": [4111, 1111, 1111, 1111]}), "CREDIT_CARD"),
    (chat(parts("it is 4111", " 1111 ", "1111", "1111.")), "CREDIT_CARD"),
    (chat(parts("write to am9AZXhh", "bXBsZS5jb20= please")), "EMAIL_ADDRESS"),
    (chat(parts("it is 4 1 1 1 1 1 1 1", "1 1 1 1 1 1 1 1 ok")), "CREDIT_CARD"),
    (chat(parts("four one one one one one one one ", "one one one one one one one one")), "CREDIT_CARD"),
    (chat(parts("４１１１ １１１１", " １１１１ １１１１")), "CREDIT_CARD"),
]


@pytest.mark.parametrize(("body", "entity"), SPLIT)
async def test_a_value_in_pieces_is_found(scan: Scan, body: dict[str, Any], entity: str) -> None:
    findings = (await scan(body)).findings
    assert entity in {finding.entity_type for finding in findings}
    crossing = [finding for finding in findings if finding.entity_type == entity]
    assert len({finding.group for finding in crossing}) == 1


async def test_pieces_of_an_encoded_value_name_the_decoding(scan: Scan) -> None:
    first, second = "write to am9AZXhh", "bXBsZS5jb20= please"
    one, two = (await scan(chat(parts(first, second)))).findings
    assert (first[one.start : one.end], second[two.start : two.end]) == ("am9AZXhh", "bXBsZS5jb20=")
    assert one.via == two.via == ("base64",)


APART: list[dict[str, Any]] = [
    chat(metadata={"width": "41111111", "height": "11111111"}),
    chat(metadata={"order": "4111 1111", "shipped": "1111 1111"}),
    chat(metadata={"x": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}),
    chat(metadata={"size": [1024, 768, 1280, 720]}),
    chat(metadata={"x": [0] * 500}),
    chat(parts("first of all", "second of all")),
    chat(metadata={"start_time": "2026-11-27T10:00:00", "end_time": "2026-11-27T11:00:00"}),
]


@pytest.mark.parametrize("body", APART)
async def test_what_merely_stands_together_is_not_joined(scan: Scan, body: dict[str, Any]) -> None:
    assert (await scan(body)).findings == ()


TABLES = [
    ("ssn,name\n536904399,Jo\n", "US_SSN", "536904399"),
    ("name;ssn\r\nJo;536904399\r\n", "US_SSN", "536904399"),
    ("name\tssn\nJo\t536904399\n", "US_SSN", "536904399"),
    ("| name | ssn |\n| --- | --- |\n| Jo | 536904399 |\n", "US_SSN", "536904399"),
    ('"name","ssn"\n"Doe, Jo","536904399"\n', "US_SSN", "536904399"),
    ("name,ssn\n" + "Al,1\n" * 5000 + "Jo,536904399\n", "US_SSN", "536904399"),
]


@pytest.mark.parametrize(("table", "entity", "value"), TABLES)
async def test_a_column_says_what_its_cells_are(scan: Scan, table: str, entity: str, value: str) -> None:
    text = "Here it is:\n" + table
    (finding,) = (await scan(chat(text))).findings
    assert (finding.entity_type, text[finding.start : finding.end]) == (entity, value)


ID = "call_{}Zq7kT9wXvB3mNpLs4RdY"
CALL_IDS = [ID.format(letter) for letter in "AbC3"]


def calling(ids: list[str]) -> list[dict[str, Any]]:
    return [{"id": own_id, "type": "function", "function": {"name": "read", "arguments": "{}"}} for own_id in ids]


async def test_ids_of_calls_side_by_side_are_no_blob(scan: Scan) -> None:
    """An agent that calls several tools at once has them in every turn."""
    results = [{"role": "tool", "tool_call_id": own_id, "content": "ok"} for own_id in CALL_IDS]
    body = {"messages": [{"role": "assistant", "content": None, "tool_calls": calling(CALL_IDS)}, *results]}
    assert (await scan(body)).unknowns == ()


@pytest.mark.parametrize(
    "body",
    [
        chat(metadata={"x": CALL_IDS}),
        chat(metadata={"x": [{"id": own_id} for own_id in CALL_IDS]}),
        {"messages": [{"role": "assistant", "content": None, "tool_calls": calling(["".join(CALL_IDS)])}]},
    ],
    ids=["elsewhere", "another member of that name", "one that is as long"],
)
async def test_the_same_elsewhere_or_longer_is_one(scan: Scan, body: dict[str, Any]) -> None:
    assert {unknown.kind for unknown in (await scan(body)).unknowns} == {"undecodable"}


async def test_what_is_said_of_ids_is_not_remembered_for_the_same_texts_elsewhere(scan: Scan) -> None:
    ids = [f"call_{letter}Zx8kT9wXvB3mNpLs4RdY{letter * 3}q7" for letter in "HjK5wR2mPc"]
    calls = {"messages": [{"role": "assistant", "content": None, "tool_calls": calling(ids)}]}
    assert (await scan(calls)).unknowns == ()
    assert {unknown.kind for unknown in (await scan(chat(metadata={"x": ids}))).unknowns} == {"undecodable"}


async def test_a_value_in_pieces_among_ids_of_calls_is_found(scan: Scan) -> None:
    body = {"messages": [{"role": "assistant", "content": None, "tool_calls": calling(["4111-1111-", "1111-1111"])}]}
    assert "CREDIT_CARD" in {finding.entity_type for finding in (await scan(body)).findings}


DIGESTS = [hashlib.sha256(bytes([number])).hexdigest() for number in range(3)]


@pytest.mark.parametrize("texts", [["image@d", DIGESTS[0]], DIGESTS, [DIGESTS[0], "abc", DIGESTS[1]]])
async def test_digests_beside_what_could_continue_them_are_no_blob(scan: Scan, texts: list[str]) -> None:
    assert not (await scan(chat(metadata={"x": texts}))).unknowns


async def test_a_blob_in_two_that_are_no_digests_is_one(scan: Scan) -> None:
    blob = "".join(DIGESTS)[:150]
    assert {unknown.kind for unknown in (await scan(chat(metadata={"x": [blob[:60], blob[60:]]}))).unknowns} == {
        "undecodable"
    }
