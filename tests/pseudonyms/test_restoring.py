"""Values come back wherever an answer names their placeholders, whatever the spelling and wherever a stream is cut."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from classifiers.pseudonyms import Pseudonyms
from router.pseudonyms.restoring import Restorer

SLOWLY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # on a busy machine

ANNA, MAIL = "<PERSON_1_KXQD>", "<EMAIL_ADDRESS_1_KXQD>"
QUOTED = "<PERSON_2_KXQD>"


def pseudonyms() -> Pseudonyms:
    made = Pseudonyms("KXQD")
    assert made.placeholder("Anna Berg", "PERSON") == ANNA
    assert made.placeholder("anna@example.com", "EMAIL_ADDRESS") == MAIL
    assert made.placeholder('Jo "J\\o"\nNeil & Co', "PERSON") == QUOTED
    return made


SPELLINGS = [
    ANNA,
    "<person_1_kxqd>",
    "<Person_1_KXQD>",
    "PERSON_1_KXQD",
    "<PERSON_1_KXQD",
    "PERSON_1_KXQD>",
    "<PERSON 1 KXQD>",
    "<PERSON-1-KXQD>",
    "<PERSON‑1‑KXQD>",
    "< PERSON_1_KXQD >",
    "<PERSON_01_KXQD>",
    "PERSON1_KXQD",
    "<PERSON\\_1\\_KXQD>",
    "&lt;PERSON_1_KXQD&gt;",
    "\\u003cPERSON_1_KXQD\\u003e",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_placeholder_is_known_in_the_spellings_that_models_make_of_it(spelling: str) -> None:
    restorer = Restorer(pseudonyms())
    assert restorer.text(f"To {spelling}, from {spelling}.") == "To Anna Berg, from Anna Berg."
    assert (restorer.restored, restorer.strange) == (2, 0)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (f"{ANNA}'s letter", "Anna Berg's letter"),
        ("<PERSON_1_KXQD's> letter", "Anna Berg's letter"),
        ("<PERSON_1_KXQD’s> letter", "Anna Berg’s letter"),
        (f"**{ANNA}**, _{ANNA}_, ({ANNA})", "**Anna Berg**, _Anna Berg_, (Anna Berg)"),
        (f"<{ANNA}>", "<Anna Berg>"),
        (f"{ANNA}{MAIL}", "Anna Berganna@example.com"),
        ("PERSON_1_KXQD > 3", "Anna Berg > 3"),
        ("EMAIL ADDRESS 1 KXQD", "anna@example.com"),
        ("&lt;PERSON_2_KXQD&gt;", 'Jo "J\\o"\nNeil &amp; Co'),
    ],
)
def test_what_stands_around_a_placeholder_stays(answer: str, expected: str) -> None:
    assert Restorer(pseudonyms()).text(answer) == expected


@pytest.mark.parametrize(
    "answer",
    [
        "<PERSON_3_KXQD>",  # a number that was never given
        "<LOCATION_1_KXQD>",  # a kind that the request did not hold
        "<PERSON_1_ZZZZ>",  # another request's
        "<PERSON_1>",  # without its tag
        "<PERSON_KXQD>",
        "the one called KXQD",
    ],
)
def test_a_placeholder_that_is_mangled_or_not_ours_stays_as_it_is_and_is_counted(answer: str) -> None:
    for pieces in ([answer], list(answer)):
        restorer = Restorer(pseudonyms())
        channel = restorer.channel()
        assert "".join([*(channel.feed(piece) for piece in pieces), channel.finish()]) == answer
        assert restorer.restored == 0
        if len(pieces) == 1 or "KXQD" in answer:
            assert restorer.strange >= 1


@pytest.mark.parametrize("answer", ["Person 1 said", "a <b>bold</b> word", "PERSON_1", "if x < PERSON: &lt;", "", "<"])
def test_ordinary_text_is_neither_changed_nor_counted(answer: str) -> None:
    restorer = Restorer(pseudonyms())
    assert restorer.text(answer) == answer
    assert (restorer.restored, restorer.strange) == (0, 0)


def test_what_another_requests_placeholder_stands_for_never_appears() -> None:
    others = Pseudonyms("BCDF")
    theirs = others.placeholder("Somebody Else", "PERSON")
    answer = f"{ANNA} {theirs}"
    assert Restorer(pseudonyms()).text(answer) == f"Anna Berg {theirs}"
    assert Restorer(others).text(answer) == f"{ANNA} Somebody Else"


PIECES = st.sampled_from(
    [
        *SPELLINGS,
        MAIL,
        QUOTED,
        "<",
        "&",
        "\\",
        "P",
        "person",
        "PERSON_",
        "_1",
        "_KX",
        "QD",
        ">",
        "'s",
        " ",
        "x",
        "ü",
        '"',
    ]
)


@SLOWLY
@given(st.lists(PIECES, max_size=8), st.data(), st.booleans())
def test_a_stream_cut_anywhere_gives_the_text_of_the_whole(parts: list[str], data: Any, in_json: bool) -> None:
    answer = "".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(answer)), max_size=6)))
    channel = Restorer(pseudonyms()).channel(in_json=in_json)
    pieces = [answer[start:end] for start, end in zip([0, *cuts], [*cuts, len(answer)], strict=True)]
    streamed = "".join([*(channel.feed(piece) for piece in pieces), channel.finish()])
    assert streamed == Restorer(pseudonyms()).text(answer, in_json=in_json)


@SLOWLY
@given(st.lists(PIECES, max_size=5), st.data())
def test_a_text_is_kept_back_only_while_it_may_become_a_placeholder(parts: list[str], data: Any) -> None:
    """What was held after one piece and is no placeholder is out with the next: there is no second chunk of delay."""
    answer = "".join([*parts, " and then some more words"])
    channel = Restorer(pseudonyms()).channel()
    for char in answer:
        channel.feed(char)
    assert channel.held == ""


def test_a_placeholder_is_out_at_the_latest_with_the_chunk_after_its_last() -> None:
    for size in range(1, len(ANNA) + 2):
        channel = Restorer(pseudonyms()).channel()
        for text in (ANNA, ANNA[:-1]):  # with and without its last bracket
            pieces = [text[at : at + size] for at in range(0, len(text), size)]
            out = [channel.feed(piece) for piece in [*pieces, " end"]]
            assert "".join(out) == "Anna Berg end"
            assert not any("end" not in each for each in out[len(pieces) :])


@SLOWLY
@given(
    st.dictionaries(
        st.text(max_size=4), st.lists(st.sampled_from([ANNA, QUOTED, MAIL, 'a "b"', "\\", "\n"]), max_size=3)
    )
)
def test_json_stays_json_with_the_values_in_its_strings(value: dict[str, list[str]]) -> None:
    made = pseudonyms()
    for written in (json.dumps(value), json.dumps(value).replace("<", "\\u003c").replace(">", "\\u003e")):
        restored = json.loads(Restorer(made).text(written, in_json=True))
        assert restored == {key: [made.values.get(each, each) for each in texts] for key, texts in value.items()}
        channel = Restorer(made).channel(in_json=True)
        assert json.loads("".join(map(channel.feed, written)) + channel.finish()) == restored


def test_no_placeholders_restore_nothing() -> None:
    restorer = Restorer(Pseudonyms("KXQD"))
    assert restorer.text("<PERSON_1_KXQD> <b>") == "<PERSON_1_KXQD> <b>"
