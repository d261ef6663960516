"""Segments: what is followed through quoting and reformatting, and what is too common to be followed."""

from __future__ import annotations

import random

import pytest

from router.taint.segments import BOILERPLATE, Segmenter, segments

SENTENCE = "The patient should take metformin twice a day with meals"
NORMAL = "the patient should take metformin twice a day with meals"


@pytest.mark.parametrize(
    "text",
    [
        SENTENCE,
        SENTENCE + ".",
        SENTENCE.upper() + "!",
        f"  {SENTENCE}  ",
        "The patient should\u00a0take metformin   twice a day, with meals…",
        f"> {SENTENCE}.",
        f"1. **{SENTENCE}**",
        f"| {SENTENCE} |",
        "- The *patient* should take `metformin` twice a day - with meals",
        f'You wrote "{SENTENCE}", what does that mean?',
        f"You wrote: {SENTENCE}. What does that mean?",
        f"« {SENTENCE} »",
        f"Yes. {SENTENCE}. No.",
        f"First line\n{SENTENCE}\nlast line",
        f"({SENTENCE}; see above)",
        "The pati\u200bent should take met\u00adformin twice a day with meals",
        "Ｔｈｅ patient should take metformin twice a day with meals",
        '{"advice": "' + SENTENCE + '", "dose": 2}',
        '{"advice": "Yes.\\n' + SENTENCE + '"}',
    ],
)
def test_a_sentence_is_the_same_segment_however_it_is_quoted(text: str) -> None:
    assert NORMAL in set(segments(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Yes.",
        "Sure, here you go.",
        "I hope this helps!",
        "Of course! Here is the answer:",
        "Let me know if you have any other questions!",
        "Is there anything else I can help you with today?",
        "As an AI language model, I don't have personal opinions.",
        "1.\n2.\n3.\n",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "{}",
        "[" * 100_000,
    ],
)
def test_what_everybody_says_is_no_segment(text: str) -> None:
    assert list(segments(text)) == []


@pytest.mark.parametrize(
    "text",
    [
        "Der Patient soll das Medikament zweimal täglich mit dem Essen einnehmen.",
        "Пациенту следует принимать препарат два раза в день.",
        "患者应每天两次随餐服用二甲双胍片剂。",
        "환자는 하루에 두 번 식사와 함께 메트포르민을 복용해야 합니다.",
    ],
)
def test_sentences_of_other_languages_are_segments(text: str) -> None:
    assert len(list(segments(text))) == 1


def test_the_listed_phrases_are_in_normal_form() -> None:
    """Else they would never be met."""
    for phrase in BOILERPLATE:
        assert list(segments(phrase)) == []
        assert phrase == phrase.casefold().strip()
        assert all(char.isalnum() or char == " " for char in phrase), phrase


def test_a_long_text_without_borders_is_cut_alike_wherever_a_quotation_begins() -> None:
    chance = random.Random(7)
    words = ["".join(chance.choices("abcdefghijklmnop", k=7)) for _ in range(400)]
    whole = set(segments(" ".join(words)))
    assert len(whole) >= 400 // 24
    for start in (3, 50, 111):
        part = set(segments(" ".join(words[start : start + 150])))
        assert len(part & whole) >= 3


_TEXTS = [
    "First of all, the patient should take it twice. Second: see the doctor again in about two weeks! (Or call.)",
    'He said "this is a rather long quotation of what was said". And so on, for a good while…  \n\n- and a list item',
    '{"a": "The first of the strings stands in here, quite long", "b": ["and the second one\\nstands in a list, too"]}',
    " [1, 2, 3] is how it begins, although this is certainly no JSON at all. It goes on for a second sentence.",
    "unfinished business stands at the end of this text and",
    "患者应每天两次随餐服用二甲双胍片剂。请勿在未咨询医生的情况下停止服用药物。Dr. Wu signed it on the third of May.",
]


@pytest.mark.parametrize("text", _TEXTS)
def test_a_stream_has_the_segments_of_the_whole_text_whatever_its_pieces(text: str) -> None:
    chance = random.Random(text)
    for _ in range(60):
        segmenter, found, at = Segmenter(), [], 0
        while at < len(text):
            size = chance.choice((1, 2, 3, 7, 30))
            found += segmenter.feed(text[at : at + size])
            at += size
        assert sorted(set(found + segmenter.end())) == sorted(set(segments(text)))
        assert segmenter.end() == []


def test_a_segment_is_there_with_the_piece_that_completes_it() -> None:
    segmenter = Segmenter()
    assert segmenter.feed(SENTENCE) == []
    assert segmenter.feed(".") == []
    assert segmenter.feed(" Then") == [NORMAL]
