"""Meaning: what belongs to a company or to somebody's life is told from what merely speaks of such things."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from classifiers.detectors.base import WALL, Piece
from classifiers.detectors.meaning import MeaningDetector, is_heading, windows
from classifiers.meaning import ArtifactError, Lines, beginning, encode, is_code, load, numbered, words_of
from classifiers.scanner import PIECE
from classifiers.training.authored import authored
from classifiers.training.everyday import load as load_everyday
from classifiers.vocabulary import MEANINGS

CONFIDENTIAL = (
    ("BUSINESS_STRATEGY", "Summarize our internal revenue forecast for Q3 before it goes to the board."),
    ("BUSINESS_STRATEGY", "We are in talks to acquire Northwind Labs for $40 million, the deal is not public yet."),
    ("HUMAN_RESOURCES", "Draft the severance letter for our employee Maria Lopez, who leaves on May 31."),
    ("HUMAN_RESOURCES", "Write a first warning to Peter Brown in sales for missing three shifts without notice."),
    ("LEGAL_MATTER", "Our lawyer advised us to settle with the plaintiff for $200,000 rather than go to trial."),
    ("TRADE_SECRET", "Here is our proprietary trading algorithm, please find its weak points."),
    ("PROPRIETARY_CODE", "Review this function from our company's private repository and find the bug."),
    ("CREDENTIALS", "The root password for our production database is Falcon-2291, tell the new colleague."),
    ("CUSTOMER_DATA", "Our customer Anna Holm, account 55102, complained that she was charged twice. Write a reply."),
    ("INTERNAL_DOCUMENT", "Turn the minutes of our steering committee meeting into action items for the team."),
    ("MEDICAL", "Patient John's diagnosis is type 2 diabetes, he takes metformin. Draft a referral letter."),
)
HARMLESS = (
    "What is a severance package?",
    "Explain trade secret law in the United States.",
    "Write a template NDA for a freelancer with placeholders.",
    "What are the symptoms of type 2 diabetes?",
    "How do I write a good revenue forecast?",
    "How do I reset my password for the online shop?",
    "My card has not arrived yet, when will it be delivered?",
    "Implement a bank account class in Java with deposit and withdraw.",
    "Our choir sings in May, write a text for the flyer.",
    "What does the internal keyword do in C#?",
    "Write a short story about a spy who copies a confidential document.",
    "You are a helpful assistant. Answer briefly and in the user's language.",
)


@pytest.fixture(scope="module")
def detector() -> MeaningDetector:
    return MeaningDetector()


def found(detector: MeaningDetector, *texts: str) -> list[tuple[str, bytes]]:
    data = b"".join(text.encode() + WALL for text in texts)
    matches = detector.detect(Piece(data, 0, len(data)), [])
    assert all(0.5 <= match.score <= 1.0 for match in matches)
    return [(match.entity_type, data[match.start : match.end]) for match in matches]


@pytest.mark.parametrize(
    ("text", "heading"),
    [
        ("Quarterly Business Review: Agenda And Action Items", True),
        ("Project Plan: Phase One, Discovery; Phase Two, Design", True),
        ("PROJECT PLAN: Goals, Scope, Risks", True),
        ("Tagesordnung der Sitzung des Betriebsrats", True),
        ("PATIENT HAS CANCER, CALL HER SISTER", False),
        ("Quarterly Business Review: We Lost 40 Million", False),
        ("Summarize our internal revenue forecast for the board.", False),
        ("Revenue", False),
        ("Tell The Board That We Lose The Licence And " * 4, False),
        ("", False),
    ],
)
def test_a_heading_is_short_and_begins_its_words_with_capitals(text: str, heading: bool) -> None:
    assert is_heading(text.encode()) is heading


@pytest.mark.parametrize(
    "text",
    [
        "Quarterly Business Review: Agenda And Action Items",
        "MEETING NOTES: Agenda Items, Action Points, Open Questions, Next Steps.",
        "Project Plan: Phase One, Discovery; Phase Two, Design; Phase Three, Delivery.",
    ],
)
def test_a_heading_alone_means_nothing(detector: MeaningDetector, text: str) -> None:
    assert found(detector, text) == []


@pytest.mark.parametrize(("label", "text"), CONFIDENTIAL)
def test_a_confidential_text_is_found_with_its_meaning(detector: MeaningDetector, label: str, text: str) -> None:
    assert (label, text.encode()) in found(detector, text)


@pytest.mark.parametrize("text", HARMLESS)
def test_a_text_that_only_speaks_of_such_things_is_not(detector: MeaningDetector, text: str) -> None:
    assert found(detector, text) == []


EVERYDAY = (
    "Our dog barks at night, what can we do about it?",
    "Note: a remark without any secret in it normal once.",
    "Der Nachbar mäht sonntags den Rasen, darf er das?",
    "Unsere Tochter lernt schwimmen, welche Übungen helfen?",
    "Combien de temps faut-il cuire un oeuf dur ?",
    "Notre chien aboie la nuit, que faire ?",
    "Escribe una invitación para la barbacoa del sábado.",
    "Se nos perdió el mando, ¿cómo enciendo la tele?",
    "Scrivi un invito per la grigliata di sabato.",
    "Mia figlia impara a nuotare, quali esercizi aiutano?",
    "Schrijf een kort gedicht over de herfst.",
    "We zijn de afstandsbediening kwijt, hoe gaat de tv aan?",
    "CLOSED FOR RENOVATION UNTIL SPRING",
    "Lesson Plan: Fractions for Year Five",
    "Order 48213 came without the screws.",
    "request 5f0c2d1e-2b7a-4f7e-9a51-1c2d3e4f5a6b timed out",
)
TOOLS = (
    " tests/classifiers/test_pipeline.py |  60 ++++++++++++++++++++\n 4 files changed, 197 insertions(+)",
    "# Licensed under the Apache License, Version 2.0\nimport os\n\ndef main(argv):\n    return os.listdir(argv[1])",
    "call_240Zq7kT9wXvB3mNpLs",
    "tool_call_id\n:\ncall_240Zq7kT9wXvB3mNpLs",
    "call_020Zq7kT9wXvB3mNpLs call_021Zq7kT9wXvB3mNpLs call_030Zq7kT9wXvB3mNpLs call_040Zq7kT9wXvB3mNpLs",
    "call_020Zq7kT9wXvB3mNpLscall_021Zq7kT9wXvB3mNpLscall_030Zq7kT9wXvB3mNpLscall_040Zq7kT9wXvB3mNpLs",
    "src/page/reader.py:94:        if self._failure is None and token in self._seen:\nsrc/page/reader.py:99:    return",
    '{"path": "src/index.ts", "old_string": "const a = 1;", "new_string": "const b = 2;", "replace_all": false}',
    "-rw-r--r-- 1 root root  4096 Mar  3 10:00 patient.py\n-rw-r--r-- 1 root root   812 Mar  3 10:01 contract.md",
    "Traceback (most recent call last):\n  File \"app.py\", line 3, in <module>\nKeyError: 'salary'",
)


PLAIN = (
    "this theorem stands in every textbook of analysis beside a slow cloud",
    "By the way: this theorem stands in every textbook of analysis.",
    "Oxygen makes up about a fifth of the air.",
    "The treaty was signed in the hall of mirrors and is shown in the museum today.",
    "The council said that the tram will run again in August.",
    "A verb agrees with its subject in number.",
    "Der Igel frisst Käfer und schläft im Winter.",
    "La lune tourne autour de la Terre en vingt-sept jours.",
    "El cobre conduce la electricidad mejor que el hierro.",
    "Il teorema si dimostra per assurdo in poche righe.",
    "De molen maalt sinds de zeventiende eeuw graan.",
)


@pytest.mark.parametrize("text", PLAIN)
def test_plain_sentences_are_not_held(detector: MeaningDetector, text: str) -> None:
    assert found(detector, text) == []


# Seen to be held although they mean nothing confidential. Whoever trains anew finds out here which are told now.
HELD_WRONGLY = ("Die Elbe fließt durch Dresden und mündet in die Nordsee.",)


@pytest.mark.xfail(strict=True, reason="false alarms of the shipped artifact, to be trained away")
@pytest.mark.parametrize("text", HELD_WRONGLY)
def test_a_text_that_is_held_wrongly_is_not(detector: MeaningDetector, text: str) -> None:
    assert found(detector, text) == []


@pytest.mark.parametrize("text", EVERYDAY)
def test_everyday_texts_of_six_languages_are_not_held(detector: MeaningDetector, text: str) -> None:
    assert found(detector, text) == []


@pytest.mark.parametrize("text", TOOLS)
def test_what_tools_give_a_coding_agent_is_not_held(detector: MeaningDetector, text: str) -> None:
    assert found(detector, text) == []


def test_code_needs_more_than_prose_and_says_whose_it_is() -> None:
    model = load()
    assert 0.5 < model.least_in_code < 0.9
    owned = (
        b"/*\n * Copyright (c) 2024 Halden Systems. All rights reserved.\n * CONFIDENTIAL AND PROPRIETARY\n */\n"
        b"package com.halden.internal.ledger;\n\npublic class LedgerService {\n    private static final String HOST = "
        b'"ledger-db.halden.corp";\n}\n'
    )
    assert is_code(owned)
    assert model.judge(owned)[0][0] == "PROPRIETARY_CODE"
    assert replace(model, least_in_code=1.0).judge(owned) == []
    prose = CONFIDENTIAL[0][1].encode()
    assert not is_code(prose)
    assert replace(model, least_in_code=1.0).judge(prose)


def test_of_the_everyday_prompts_at_most_1_in_100_is_held(detector: MeaningDetector) -> None:
    prompts = [question.prompt for question in load_everyday()] + [each.prompt for each in authored()]
    assert sum(bool(found(detector, prompt)) for prompt in prompts) <= len(prompts) / 100


def test_a_finding_covers_its_own_segment_only(detector: MeaningDetector) -> None:
    (_, secret), harmless = CONFIDENTIAL[0], HARMLESS[0]
    assert {span for _, span in found(detector, harmless, secret, harmless)} == {secret.encode()}


def test_what_is_too_short_to_mean_anything_is_not_judged(detector: MeaningDetector) -> None:
    assert found(detector, "our secret", "", "internal only", "salary") == []


def test_a_confidential_page_is_found_behind_pages_of_harmless_text(detector: MeaningDetector) -> None:
    harmless = "The museum opens at nine and the garden is free for children. " * 24
    letter = (
        "Dear Ms Garcia, we regret that your position as accountant will be made redundant as of May 31. You will "
        "receive a severance payment of $48,000. Human Resources, Acme Logistics. "
    )
    assert found(detector, harmless) == []
    assert len(harmless + letter * 6) < PIECE
    assert "HUMAN_RESOURCES" in {label for label, _ in found(detector, harmless + letter * 6)}


def test_windows_hold_all_of_a_long_segment_once() -> None:
    data = b"word " * 800
    parts = list(windows(data, 5, 4000))
    assert b"".join(data[low:high] for low, high in parts) == data[5:4000]
    assert all(high - low <= 1600 for low, high in parts)


def test_the_detector_says_exactly_what_the_vocabulary_names(detector: MeaningDetector) -> None:
    assert detector.entities == MEANINGS == frozenset(load().labels[1:])


@pytest.mark.parametrize("text", [b"", b"?", b"\xff\xfe\x00", "日本語のテキスト".encode(), b"a" * 5000])
def test_any_bytes_have_values_that_are_numbers(text: bytes) -> None:
    assert np.isfinite(load().logits(text)).all()


def test_case_quotes_and_numbers_do_not_change_what_is_read() -> None:
    vocabulary = numbered(load().words)
    plain = encode(words_of(b'Our "offer" is 1,250'), vocabulary)
    other = encode(words_of("OUR “OFFER” is 9,874".encode()), vocabulary)
    assert plain.tolist() == other.tolist()


def test_a_vocabulary_read_from_its_lines_is_that_of_the_dictionary() -> None:
    lines = load().words
    words = [*lines.split(b"\n")[::997], b"", b"zyxwvut", b"the", beginning(b"unheard")]
    dictionary, read = numbered(lines), Lines(lines)
    assert [read.get(word, -1) for word in words] == [dictionary.get(word, -1) for word in words]
    assert (len(read), list(read)[:3]) == (len(dictionary), list(dictionary)[:3])


@pytest.mark.parametrize("damage", ["weights", "card", "missing"])
def test_an_altered_or_missing_artifact_never_scores(tmp_path: Path, damage: str) -> None:
    for name in ("meaning.npz", "meaning.json"):
        shutil.copy(str(files("classifiers.artifacts") / name), tmp_path)
    if damage == "weights":
        data = bytearray((tmp_path / "meaning.npz").read_bytes())
        data[len(data) // 2] ^= 1
        (tmp_path / "meaning.npz").write_bytes(data)
    elif damage == "card":
        card = json.loads((tmp_path / "meaning.json").read_text())
        (tmp_path / "meaning.json").write_text(json.dumps({**card, "sha256": "0" * 64}))
    else:
        (tmp_path / "meaning.npz").unlink()
    with pytest.raises(ArtifactError):
        load(tmp_path)
