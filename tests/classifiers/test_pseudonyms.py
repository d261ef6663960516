"""What can be replaced, what stands in its place, and that nothing of a value is left."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from classifiers.pseudonyms import TAG_LETTERS, Pseudonyms, choose_tag, foreign, holds_value, replace, replaceable
from classifiers.types import Finding, Inner
from classifiers.walk import strings_of

MAIL, OTHER = "jo@example.com", "ann@example.org"
Scan = Callable[..., Any]


def chat(content: Any, **fields: Any) -> dict[str, Any]:
    return {"model": "auto", "messages": [{"role": "user", "content": content}], **fields}


def found(text: str, value: str, entity: str = "PERSON", at: int | None = None, group: int = 0) -> Finding:
    start = text.index(value) if at is None else at
    return Finding(entity, "/messages/0/content", "value", start, start + len(value), 1.0, "test", group)


def called(arguments: str) -> dict[str, Any]:
    call = {"id": "c1", "type": "function", "function": {"name": "send", "arguments": arguments}}
    return {"messages": [{"role": "assistant", "content": None, "tool_calls": [call]}]}


FREE: dict[str, dict[str, Any]] = {
    "content": chat(f"Write to {MAIL}."),
    "text part": chat([{"type": "text", "text": MAIL}]),
    "refusal": {"messages": [{"role": "assistant", "refusal": MAIL}]},
    "reasoning": {"messages": [{"role": "assistant", "reasoning_content": MAIL, "content": "x"}]},
    "tool result": {"messages": [{"role": "tool", "tool_call_id": "c1", "content": MAIL}]},
    "tool result in JSON": {
        "messages": [{"role": "tool", "tool_call_id": "c1", "content": json.dumps({"a": [f"to {MAIL}"]})}]
    },
    "arguments": called(json.dumps({"to": [MAIL], "n": 1})),
    "escaped arguments": called('{"to": "jo\\u0040example.com"}'),
    "older arguments": {
        "messages": [{"role": "assistant", "function_call": {"name": "f", "arguments": f'["{MAIL}"]'}}]
    },
    "custom input": {
        "messages": [{"role": "assistant", "tool_calls": [{"type": "custom", "custom": {"name": "f", "input": MAIL}}]}]
    },
    "prediction": chat("hi", prediction={"type": "content", "content": f"Dear {MAIL}"}),
    "prediction part": chat("hi", prediction={"type": "content", "content": [{"type": "text", "text": MAIL}]}),
}
STAYING: dict[str, dict[str, Any]] = {
    "name": {"messages": [{"role": "user", "content": "hi", "name": MAIL}]},
    "user": chat("hi", user=MAIL),
    "metadata": chat("hi", metadata={"a": MAIL}),
    "metadata key": chat("hi", metadata={MAIL: "a"}),
    "stop": chat("hi", stop=[MAIL]),
    "tool description": chat("hi", tools=[{"type": "function", "function": {"name": "f", "description": MAIL}}]),
    "enum": chat("hi", tools=[{"type": "function", "function": {"parameters": {"enum": [MAIL]}}}]),
    "schema": chat("hi", response_format={"type": "json_schema", "json_schema": {"schema": {"default": MAIL}}}),
    "call id": {"messages": [{"role": "tool", "tool_call_id": MAIL, "content": "x"}]},
    "part of another type": chat([{"type": "other", "text": MAIL}]),
    "key in arguments": called(json.dumps({MAIL: 1})),
    "JSON in JSON": chat(json.dumps({"a": json.dumps({"b": MAIL})})),
    "JSON with a member twice": chat(f'{{"a": "x", "a": "{MAIL}"}}'),
    "number in JSON": chat('{"card": 4111111111111111}'),
    "over two parts": chat([{"type": "text", "text": "jo@exam"}, {"type": "text", "text": "ple.com"}]),
    "unknown field": chat("hi", other=MAIL),
}


@pytest.mark.parametrize("where", FREE)
async def test_a_value_in_free_text_is_replaced_and_nothing_else_changes(scan: Scan, where: str) -> None:
    body = FREE[where]
    before = json.dumps(body)
    findings = (await scan(body)).findings
    assert replaceable(body, findings) == frozenset(range(len(findings))) != frozenset()
    pseudonyms = Pseudonyms("KXQD")
    out = replace(body, findings, pseudonyms)
    assert json.dumps(body) == before, "the caller's body was changed"
    assert pseudonyms.values == {"<EMAIL_ADDRESS_1_KXQD>": MAIL}
    assert json.loads(json.dumps(out).replace("<EMAIL_ADDRESS_1_KXQD>", MAIL)) == json.loads(
        before.replace("\\\\u0040", "@")
    )
    again = (await scan(out)).findings
    assert foreign(out, again, pseudonyms) == ()
    assert not holds_value(out, pseudonyms)


@pytest.mark.parametrize("where", STAYING)
async def test_what_steers_a_program_or_is_not_located_is_not_replaceable(scan: Scan, where: str) -> None:
    body = STAYING[where]
    findings = (await scan(body)).findings
    assert len(replaceable(body, findings)) < len(findings)


@pytest.mark.parametrize("via", [("base64",), ("json", "base64"), ("rot13",)])
def test_what_stands_in_an_encoded_value_is_not_replaceable(via: tuple[str, ...]) -> None:
    finding = Finding("EMAIL_ADDRESS", "/messages/0/content", "value", 0, 5, 1.0, "test", 0, via)
    assert replaceable(chat("aGVsbG8="), [finding]) == frozenset()


def test_the_meaning_of_a_segment_is_not_replaceable() -> None:
    text = "He has had a fever since Monday."
    assert replaceable(chat(text), [found(text, text, "MEDICAL")]) == frozenset()


def test_one_value_has_one_placeholder_in_every_message_whatever_its_case_and_blanks() -> None:
    body = {"messages": [{"role": "user", "content": text} for text in ("Anna  Berg", "ANNA BERG", "for anna\nberg's")]}
    findings = [Finding("PERSON", "/messages/0/content", "value", 0, 10, 1.0, "test", 0)]
    out = replace(body, findings, Pseudonyms("KXQD"))
    name = "<PERSON_1_KXQD>"
    assert [message["content"] for message in out["messages"]] == [name, name, f"for {name}'s"]


def test_labels_tell_the_kind_and_numbers_follow_the_text() -> None:
    text = "Ann knows Bob and ann@example.org"
    findings = [
        found(text, "ann@example.org", "EMAIL_ADDRESS", group=1),
        found(text, "Bob", group=2),
        found(text, "Ann", group=3),
    ]
    out = replace(chat(text), findings, Pseudonyms("KXQD"))
    assert out["messages"][0]["content"] == "<PERSON_1_KXQD> knows <PERSON_2_KXQD> and <EMAIL_ADDRESS_1_KXQD>"


def test_a_policys_own_word_for_a_term_does_not_leave() -> None:
    finding = Finding("project-bluebird", "/messages/0/content", "value", 0, 8, 1.0, "policy", 0)
    out = replace(chat("Bluebird flies"), [finding], Pseudonyms("KXQD"))
    assert out["messages"][0]["content"] == "<TERM_1_KXQD> flies"


def test_findings_that_overlap_are_one_value_and_those_that_touch_are_two() -> None:
    text = "Anna Berg-Stein from X"
    overlapping = [found(text, "Anna Berg"), found(text, "Berg-Stein", "LOCATION", group=1)]
    pseudonyms = Pseudonyms("KXQD")
    replace(chat(text), overlapping, pseudonyms)
    assert pseudonyms.values == {"<LOCATION_1_KXQD>": "Anna Berg-Stein"}
    touching = [found(text, "Anna "), found(text, "Berg", group=1)]
    out = replace(chat(text), touching, Pseudonyms("KXQD"))
    assert out["messages"][0]["content"] == "<PERSON_1_KXQD> <PERSON_2_KXQD>-Stein from X"


def test_a_short_name_that_is_a_word_is_looked_for_as_it_is_written() -> None:
    text = "Will will come. WILL will."
    out = replace(chat(text), [found(text, "Will")], Pseudonyms("KXQD"))
    name = "<PERSON_1_KXQD>"
    assert out["messages"][0]["content"] == f"{name} will come. {name} will."


def test_a_person_who_is_mentioned_by_a_part_of_the_name_is_hidden_there_too() -> None:
    text = "Dear Maria Schneider, Maria and Schneider-Weg; Mariana is dear. MARIA!"
    pseudonyms = Pseudonyms("KXQD")
    out = replace(chat(text), [found(text, "Dear Maria Schneider")], pseudonyms)
    name, first, last = "<PERSON_1_KXQD>", "<PERSON_3_KXQD>", "<PERSON_2_KXQD>"
    assert out["messages"][0]["content"] == f"{name}, {first} and {last}-Weg; Mariana is dear. {first}!"
    assert pseudonyms.values == {name: "Dear Maria Schneider", last: "Schneider", first: "Maria"}


def test_an_address_is_not_hidden_by_its_words() -> None:
    text = "14 Garden Road, Springfield: the Garden is on the Road"
    out = replace(chat(text), [found(text, "14 Garden Road, Springfield", "STREET_ADDRESS")], Pseudonyms("KXQD"))
    assert out["messages"][0]["content"] == "<STREET_ADDRESS_1_KXQD>: the Garden is on the Road"


def test_a_value_that_also_stands_where_nothing_is_replaced_is_told() -> None:
    body = chat("Anna Berg", tools=[{"type": "function", "function": {"name": "f", "description": "for anna berg"}}])
    pseudonyms = Pseudonyms("KXQD")
    out = replace(body, [found("Anna Berg", "Anna Berg")], pseudonyms)
    assert holds_value(out, pseudonyms)
    assert not holds_value(chat("Annabergs"), pseudonyms)


def test_a_finding_that_holds_more_than_placeholders_is_foreign() -> None:
    pseudonyms = Pseudonyms("KXQD")
    first, second = pseudonyms.placeholder("Anna", "PERSON"), pseudonyms.placeholder("Bob", "PERSON")
    text = f"{first} {second} of {first} Berg, <PERSON_1_ZZZZ>"
    body = chat(text)
    own = [found(text, first[1:-1]), found(text, f"{first} {second}", "ORGANIZATION", group=1)]
    assert foreign(body, own, pseudonyms) == ()
    more = [found(text, f"{first} Berg", group=2), found(text, "<PERSON_1_ZZZZ>", group=3)]
    assert foreign(body, more, pseudonyms) == tuple(more)
    in_pieces = [found(text, first, group=4), found(text, "Berg", group=4)]
    assert foreign(body, in_pieces, pseudonyms) == tuple(in_pieces)
    elsewhere = Finding("PERSON", "/user", "value", 0, 3, 1.0, "test", 5)
    assert foreign(chat(first, user=first), [elsewhere], pseudonyms) == (elsewhere,)


def test_what_is_found_later_is_replaced_around_the_placeholders_that_are_there() -> None:
    pseudonyms = Pseudonyms("KXQD")
    name = pseudonyms.placeholder("Anna", "PERSON")
    text = f"{name} Berg, {name}"
    out = replace(chat(text), [found(text, f"{name} Berg")], pseudonyms)
    assert out["messages"][0]["content"] == f"{name} <PERSON_2_KXQD>, {name}"


def test_a_tag_stands_nowhere_in_the_request() -> None:
    drawn = iter(["BBBB", "CCCC", "DDDD"])
    body = chat("an old <PERSON_1_bbbb>", metadata={"xCCCCx": "y"})
    assert choose_tag(body, lambda count: next(drawn)) == "DDDD"


def test_nothing_of_a_value_is_shown_by_the_map_itself() -> None:
    pseudonyms = Pseudonyms("KXQD")
    pseudonyms.placeholder("Anna Berg", "PERSON")
    assert "Anna" not in repr(pseudonyms)


WORDS = ["and", "the", "Straße", "x", "<b>", "“", "\n", "\t", '"', "\\", "{", "0", "PERSON", "é", "ＡＢ"]
NAMES = ["Anna Berg", "ΣΟΦΙΑ Παππάς", 'O\'Neil "Jo"', "Jürgen Weiß", "a.b@c.de", "+49 30 1234567", "İpek Şen"]


def laid_out(words: list[tuple[str, str]]) -> tuple[str, list[tuple[int, str]]]:
    """A text of these words, and where the names stand in it."""
    text, values = "", []
    for glue, word in words:
        is_name = word in NAMES
        text += glue + "|" * is_name
        if is_name:
            values.append((len(text), word))
        text += word + "|" * is_name
    return text, values


TEXTS = st.lists(st.tuples(st.sampled_from(["", " ", ", "]), st.sampled_from(WORDS + NAMES)), max_size=9).map(laid_out)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine draws slowly
@given(st.lists(TEXTS, min_size=1, max_size=3), st.booleans(), st.integers(0, 9))
def test_the_way_out_and_back_gives_the_same_and_no_value_is_left(
    drawn: list[tuple[str, list[tuple[int, str]]]], in_json: bool, seed: int
) -> None:
    luck = random.Random(seed)  # a test's luck
    wrap = (lambda text: json.dumps({"a": [text]})) if in_json else (lambda text: text)
    body = {"messages": [{"role": "user", "content": wrap(text)} for text, _ in drawn]}
    findings: list[Finding] = []
    for index, (_, values) in enumerate(drawn):
        for at, value in values:
            findings.append(_finding(index, at, value, len(findings), in_json))
    assert replaceable(body, findings) == frozenset(range(len(findings)))
    pseudonyms = Pseudonyms(choose_tag(body, lambda count: "".join(luck.choices(TAG_LETTERS, k=count))))
    out = replace(body, findings, pseudonyms)
    assert not holds_value(out, pseudonyms)
    for message, (text, values) in zip(out["messages"], drawn, strict=True):
        left = json.loads(message["content"])["a"][0] if in_json else message["content"]
        assert not any(value.casefold() in left.casefold() for _, value in values)
        for placeholder, value in pseudonyms.values.items():
            left = left.replace(placeholder, value)
        assert left == text
    other = replace(
        body, findings, theirs := Pseudonyms(choose_tag(out, lambda count: "".join(luck.choices(TAG_LETTERS, k=count))))
    )
    assert not theirs.values.keys() & pseudonyms.values.keys()
    assert not any(placeholder in text for text in strings_of(other) for placeholder in pseudonyms.values)


def _finding(message: int, at: int, value: str, group: int, in_json: bool) -> Finding:
    pointer, end = f"/messages/{message}/content", at + len(value)
    if in_json:
        return Finding("PERSON", pointer, "value", 0, 9, 1.0, "test", group, ("json",), Inner("/a/0", at, end))
    return Finding("PERSON", pointer, "value", at, end, 1.0, "test", group)
