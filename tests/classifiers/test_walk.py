"""Every string of a body is reached, with the pointer of its place; what is no text is an Unknown of its kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from classifiers.types import Finding, Inner
from classifiers.walk import MAX_NODES, Walker, strings_of

CARD = "4111 1111 1111 1111"
Scan = Callable[..., Any]


def chat(content: Any, **fields: Any) -> dict[str, Any]:
    return {"model": "auto", "messages": [{"role": "user", "content": content}], **fields}


def only(findings: tuple[Finding, ...]) -> Finding:
    assert len(findings) == 1, findings
    return findings[0]


POSITIONS: list[tuple[str, dict[str, Any]]] = [
    ("/messages/0/content", chat(CARD)),
    ("/messages/0/content/0/text", chat([{"type": "text", "text": CARD}])),
    ("/messages/0/name", {"messages": [{"role": "user", "content": "hi", "name": CARD}]}),
    ("/user", chat("hi", user=CARD)),
    ("/stop/1", chat("hi", stop=["x", CARD])),
    ("/metadata/a~1b~0c", chat("hi", metadata={"a/b~c": CARD})),
    ("/tools/0/function/description", chat("hi", tools=[{"type": "function", "function": {"description": CARD}}])),
    (
        "/tools/0/function/parameters/properties/x/enum/0",
        chat("hi", tools=[{"type": "function", "function": {"parameters": {"properties": {"x": {"enum": [CARD]}}}}}]),
    ),
    (
        "/response_format/json_schema/schema/default",
        chat("hi", response_format={"json_schema": {"schema": {"default": CARD}}}),
    ),
    ("/prediction/content", chat("hi", prediction={"type": "content", "content": CARD})),
    ("/never_heard_of/0/0/x", chat("hi", never_heard_of=[[{"x": CARD}]])),
]


@pytest.mark.parametrize(("pointer", "body"), POSITIONS)
async def test_a_value_is_found_wherever_it_stands(scan: Scan, pointer: str, body: dict[str, Any]) -> None:
    result = await scan(body)
    finding = only(result.findings)
    assert (finding.entity_type, finding.pointer, finding.place) == ("CREDIT_CARD", pointer, "value")
    assert (finding.start, finding.end, finding.via) == (0, len(CARD), ())
    assert not result.unknowns


async def test_offsets_count_code_points(scan: Scan) -> None:
    text = "Grüße 👋🏽: " + CARD + " – jörg@müller.de"
    card, mail = (await scan(chat(text))).findings
    assert text[card.start : card.end] == CARD
    assert text[mail.start : mail.end] == "jörg@müller.de"


async def test_a_key_is_scanned_and_points_to_its_member(scan: Scan) -> None:
    finding = only((await scan(chat("hi", metadata={"x": {CARD: "y"}}))).findings)
    assert (finding.pointer, finding.place, finding.start, finding.end) == (f"/metadata/x/{CARD}", "key", 0, len(CARD))


async def test_a_members_name_is_context_for_its_value(scan: Scan) -> None:
    result = await scan(
        chat("hi", metadata={"ssn": "536904399", "client_secret": "q8Zr2LkPw9Xt4Vn7Yb1M", "n": "536904399"})
    )
    assert {(finding.entity_type, finding.pointer) for finding in result.findings} == {
        ("US_SSN", "/metadata/ssn"),
        ("SECRET", "/metadata/client_secret"),
    }


async def test_a_number_is_scanned_as_its_digits(scan: Scan) -> None:
    finding = only((await scan(chat("hi", metadata={"card": 4111111111111111}))).findings)
    assert (finding.entity_type, finding.pointer, finding.end) == ("CREDIT_CARD", "/metadata/card", 16)


async def test_json_inside_a_string_reports_the_whole_outer_string(scan: Scan) -> None:
    arguments = orjson.dumps({"to": {"name": "x", "mail": "jo@example.com"}}).decode()
    body = {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": arguments}}]}]}
    finding = only((await scan(body)).findings)
    assert finding.pointer == "/messages/0/tool_calls/0/function/arguments"
    assert (finding.start, finding.end, finding.via) == (0, len(arguments), ("json",))


async def test_a_finding_in_json_inside_a_string_says_where_in_it_for_those_who_replace(scan: Scan) -> None:
    text = '{"to": [{"m/ail": "write \\u0074o jo@example.com"}], "jo@example.org": 1}'
    inner = {(finding.place, finding.inner) for finding in (await scan(chat(text))).findings}
    assert inner == {("value", Inner("/to/0/m~1ail", 9, 23)), ("key", Inner("/jo@example.org", 0, 14))}


async def test_each_value_of_json_in_a_string_is_told_from_the_others(scan: Scan) -> None:
    text = '{"a": "jo@example.com", "b": 4111111111111111}'
    findings = (await scan(chat(text))).findings
    assert {finding.inner for finding in findings} == {Inner("/a", 0, 14), Inner("/b", 0, 16)}
    mail = only((await scan(chat("jo@example.com"))).findings)
    assert mail.inner is None


async def test_json_inside_json_with_escapes_is_unwrapped_to_the_end(scan: Scan) -> None:
    inner = '{"mail": "jo\\u0040example.com"}'
    finding = only((await scan(chat(orjson.dumps({"a": [inner]}).decode()))).findings)
    assert (finding.entity_type, finding.via) == ("EMAIL_ADDRESS", ("json", "json"))


async def test_a_value_hidden_by_a_duplicate_key_inside_a_string_is_found(scan: Scan) -> None:
    findings = (await scan(chat('{"a": "' + CARD + '", "a": "x"}'))).findings
    assert {finding.entity_type for finding in findings} == {"CREDIT_CARD"}


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        (
            chat([{"type": "text", "text": "it is 4111 1111"}, {"type": "text", "text": "1111 1111"}]),
            ["/messages/0/content/0/text", "/messages/0/content/1/text"],
        ),
        (
            {"messages": [{"role": "user", "content": "4111111111"}, {"role": "user", "content": "111111"}]},
            ["/messages/0/content", "/messages/1/content"],
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": "jo@exam"},
                    {"role": "user", "content": [{"type": "text", "text": "ple.com"}]},
                ]
            },
            ["/messages/0/content", "/messages/1/content/0/text"],
        ),
        (chat("hi", stop=["4111", "1111", "1111", "1111"]), ["/stop/0", "/stop/1", "/stop/2", "/stop/3"]),
        (chat("x" * 9000 + " 4111 1111 ", metadata={}), []),
    ],
)
async def test_a_value_split_over_neighbours_is_found_as_one_group(
    scan: Scan, body: dict[str, Any], pointers: list[str]
) -> None:
    findings = (await scan(body)).findings
    assert [finding.pointer for finding in findings] == pointers
    assert len({finding.group for finding in findings}) == (1 if pointers else 0)


async def test_long_neighbours_are_joined_at_their_ends(scan: Scan) -> None:
    first, second = "words " * 400 + "4111 1111", "1111 1111 " + "words " * 400
    body = {"messages": [{"role": "user", "content": first}, {"role": "assistant", "content": second}]}
    one, two = (await scan(body)).findings
    assert first[one.start : one.end] == "4111 1111"
    assert second[two.start : two.end] == "1111 1111"
    assert one.group == two.group


async def test_a_value_that_stands_whole_in_one_neighbour_is_not_reported_twice(scan: Scan) -> None:
    body = {"messages": [{"role": "user", "content": f"pay {CARD}"}, {"role": "user", "content": "2026 please"}]}
    assert only((await scan(body)).findings).pointer == "/messages/0/content"


@pytest.mark.parametrize(
    ("disguised", "entity"),
    [
        ("4111\u200b1111\u200b1111\u200b1111", "CREDIT_CARD"),
        ("4111\u00ad1111 1111 1111", "CREDIT_CARD"),
        (
            "\uff14\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11",
            "CREDIT_CARD",
        ),
        ("٤١١١ ١١١١ ١١١١ ١١١١", "CREDIT_CARD"),
        ("jo\u2060@example.com", "EMAIL_ADDRESS"),
        ("jo＠example．com", "EMAIL_ADDRESS"),
        ("4111\x001111\x001111\x001111", "CREDIT_CARD"),
    ],
)
async def test_invisible_characters_and_other_digits_hide_nothing(scan: Scan, disguised: str, entity: str) -> None:
    text = f"see {disguised} …"
    finding = only((await scan(chat(text))).findings)
    assert finding.entity_type == entity
    assert text[finding.start : finding.end] == disguised


UNREADABLE: list[tuple[Any, list[tuple[str, str]]]] = [
    (
        chat([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]),
        [("image", "/messages/0/content/0")],
    ),
    (
        chat([{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]),
        [("image", "/messages/0/content/0"), ("remote_url", "/messages/0/content/0")],
    ),
    (chat([{"type": "input_image", "file_id": "f"}]), [("image", "/messages/0/content/0")]),
    (chat([{"type": "input_audio", "input_audio": {"data": "AA"}}]), [("audio", "/messages/0/content/0")]),
    (
        chat([{"type": "file", "file": {"file_id": "f"}}]),
        [("file", "/messages/0/content/0"), ("file", "/messages/0/content/0/file/file_id")],
    ),
    (chat([{"type": "hologram", "hologram": "x"}]), [("unknown_part", "/messages/0/content/0")]),
    (chat([{"text": "no type"}]), [("unknown_part", "/messages/0/content/0")]),
    (
        chat([[1], 7.5]),
        [
            ("unknown_part", "/messages/0/content/0"),
            ("unknown_part", "/messages/0/content/1"),
            ("token_ids", "/messages/0/content/0"),
        ],
    ),
    (chat([1, 2, 3]), [("token_ids", "/messages/0/content")]),
    ({"prompt": [1, 2, 3]}, [("token_ids", "/prompt")]),
    ({"input": [[1, 2], [3]]}, [("token_ids", "/input/0"), ("token_ids", "/input/1")]),
    (chat("hi", attachments=[{"file_id": "f"}]), [("file", "/attachments/0/file_id")]),
    (chat("hi", previous_response_id="r"), [("unknown_part", "/previous_response_id")]),
    ({"messages": [{"role": "assistant", "audio": {"id": "a"}}]}, [("audio", "/messages/0/audio")]),
]


@pytest.mark.parametrize(("body", "unknowns"), UNREADABLE)
async def test_what_is_no_text_is_an_unknown_of_its_kind(
    scan: Scan, body: dict[str, Any], unknowns: list[tuple[str, str]]
) -> None:
    assert [(unknown.kind, unknown.pointer) for unknown in (await scan(body)).unknowns] == unknowns


@pytest.mark.parametrize(
    "body",
    [
        chat("see https://example.com/a.png"),
        chat([{"type": "text", "text": "hi"}, {"type": "refusal", "refusal": "no"}]),
        chat(
            "hi", tools=[{"function": {"parameters": {"properties": {"image_url": {"type": "string"}, "file_id": {}}}}}]
        ),
        chat("hi", logit_bias={"50256": -100}, seed=123456, n=1),
        chat("[1, 2, 3]"),
        chat('{"content": [{"type": "video"}], "file_id": "x"}'),
    ],
)
async def test_ordinary_requests_hold_nothing_unknown(scan: Scan, body: dict[str, Any]) -> None:
    assert (await scan(body)).unknowns == ()


async def test_what_is_too_deep_is_unknown_and_what_is_above_it_is_still_scanned(scan: Scan) -> None:
    deep: Any = "x"
    for _ in range(80):
        deep = [deep]
    result = await scan(chat(CARD, deep=deep))
    assert {unknown.kind for unknown in result.unknowns} == {"too_deep"}
    assert only(result.findings).entity_type == "CREDIT_CARD"


def test_too_many_nodes_are_an_unknown() -> None:
    walker = Walker({"x": [0] * (MAX_NODES + 5)})
    assert walker.step(MAX_NODES * 2)
    assert [unknown.kind for unknown in walker.walk.unknowns] == ["truncated"]


@pytest.mark.parametrize(("pointer", "body"), POSITIONS)
async def test_every_string_of_a_body_is_among_the_scanned_texts(
    scan: Scan, pointer: str, body: dict[str, Any]
) -> None:
    strings = set(strings_of(body))
    assert CARD in strings
    assert strings <= (await scan(body)).texts
