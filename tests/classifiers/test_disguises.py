"""Validated identifiers are found under every disguise of `tests/support/mutations.py`, in ordinary sentences."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from classifiers.haystack import lay_out
from classifiers.normalize import Normalizer
from classifiers.pipeline import Pipeline
from classifiers.placing import Placed, place
from classifiers.registry import DETECTORS
from classifiers.scanner import Hit
from classifiers.types import Scan, ScanRules, Unknown
from classifiers.views.room import Room
from classifiers.walk import Walker
from tests.egress.values import value_of
from tests.support.mutations import MUTATIONS, SPLITS, fits

ENTITIES = {
    "card": "CREDIT_CARD",
    "iban": "IBAN_CODE",
    "us_ssn": "US_SSN",
    "phone": "PHONE_NUMBER",
    "email": "EMAIL_ADDRESS",
    "aws_key": "SECRET",
    "github_token": "SECRET",
    "password": "SECRET",
    "connection_string": "SECRET",
}
SENTENCES = (
    "Please note that {} is what the customer gave us yesterday.",
    "Could you check whether {} is right? Thanks a lot.",
    "He wrote: {}. Then he left.",
    "Der Kunde schrieb {} und bat um Antwort.",
    "{}",
)
ROUNDS = 6
TARGET = 0.95  # of all cells together; a cell below FLOOR is a hole
FLOOR = 0.8


def planted(kind: str, turn: int) -> tuple[str, str, str]:
    """What stands in front of the value, the value that is disguised, what stands behind it."""
    value = value_of(kind, f"disguise {turn}")
    if kind == "connection_string":
        return "", value.text, ""
    before, _, behind = value.text.partition(value.needle)
    return ("the SSN " if kind == "us_ssn" else before), value.needle, behind


def body_of(mutation: str, kind: str, turn: int) -> dict[str, Any]:
    before, value, behind = planted(kind, turn)
    opening, closing = SENTENCES[turn % len(SENTENCES)].split("{}")
    if mutation in SPLITS:
        parts = SPLITS[mutation](value)
        parts[0], parts[-1] = opening + before + parts[0], parts[-1] + behind + closing
        return {"messages": [{"role": "user", "content": [{"type": "text", "text": part} for part in parts]}]}
    if mutation == "json_in_string":  # what a value is stands with it in the object
        disguised = MUTATIONS[mutation](before + value + behind)
    else:
        disguised = before + MUTATIONS[mutation](value) + behind
    return {"messages": [{"role": "user", "content": opening + disguised + closing}]}


@pytest.fixture(scope="module")
def steady() -> Pipeline:
    table = {name: where for name, where in DETECTORS.items() if name not in ("names", "language", "meaning")}
    return Pipeline(budget_ms=60_000, signals={}, detectors=table)


async def hits(pipeline: Pipeline, mutation: str) -> dict[str, Counter[str]]:
    """Of each kind of value: how many were `tried`, and how many `found`."""
    counts: dict[str, Counter[str]] = {}
    for kind, entity in ENTITIES.items():
        for turn in range(ROUNDS):
            if not fits(mutation, planted(kind, turn)[1]):
                continue
            scan = (await pipeline.run(body_of(mutation, kind, turn), ScanRules(), "t")).scan
            found = any(finding.entity_type == entity for finding in scan.findings)
            counts.setdefault(kind, Counter()).update({"tried": 1, "found": int(found)})
    return counts


@pytest.mark.parametrize("mutation", [*MUTATIONS, *SPLITS])
async def test_a_disguised_identifier_is_found(steady: Pipeline, mutation: str) -> None:
    counts = await hits(steady, mutation)
    assert counts, "this disguise fits nothing"
    missed = {kind: count for kind, count in counts.items() if count["found"] < FLOOR * count["tried"]}
    assert not missed
    found, tried = (sum(count[what] for count in counts.values()) for what in ("found", "tried"))
    assert found >= TARGET * tried, counts


VIA = [
    ("base64", ("base64",)),
    ("base32", ("base32",)),
    ("hex", ("hex",)),
    ("url", ("url",)),
    ("html_entities", ("html",)),
    ("quoted_printable", ("quoted_printable",)),
    ("unicode_escape", ("unicode_escape",)),
    ("hex_escape", ("hex_escape",)),
    ("gzip_base64", ("base64", "gzip")),
    ("base64_twice", ("base64", "base64")),
    ("tag_characters", ("tags",)),
    ("variation_selectors", ("variation_selectors",)),
    ("zero_width", ()),
    ("fullwidth", ()),
    ("homoglyph", ()),
    ("spaced", ()),
    ("dashed", ()),
    ("at_dot_en", ()),
]


@pytest.mark.parametrize(("mutation", "via"), VIA)
async def test_a_finding_spans_the_disguise_and_names_its_decodings(
    steady: Pipeline, mutation: str, via: tuple[str, ...]
) -> None:
    address = "jo.doe42@mail.example.com"
    disguised = MUTATIONS[mutation](address)
    text = f"Please write to {disguised} today, says Ms 😀 Ölm."
    scan: Scan = await steady.scan_texts([text], ScanRules(), "t")
    spans = {(f.start, f.end, f.via) for f in scan.findings if f.entity_type == "EMAIL_ADDRESS"}
    start = text.index(disguised) + (1 if mutation == "variation_selectors" else 0)
    assert spans == {(start, text.index(disguised) + len(disguised), via)}


async def test_what_is_plain_and_disguised_in_one_text_is_found_at_both_places(steady: Pipeline) -> None:
    text = "card 4111 1111 1111 1111 and again 4\u200b111 1111 1111 1111 and NDExMTExMTExMTExMTExMQ=="
    findings = (await steady.scan_texts([text], ScanRules(), "t")).findings
    assert [(text[f.start : f.end], f.via) for f in findings if f.entity_type == "CREDIT_CARD"] == [
        ("4111 1111 1111 1111", ()),
        ("4\u200b111 1111 1111 1111", ()),
        ("NDExMTExMTExMTExMTExMQ==", ("base64",)),
    ]


async def test_a_remembered_string_keeps_its_decodings(steady: Pipeline) -> None:
    text = "word " * 80 + MUTATIONS["base64"]("jo.doe42@mail.example.com")
    first = (await steady.scan_texts([text], ScanRules(), "t")).findings
    again = (await steady.scan_texts([text], ScanRules(), "t")).findings
    assert first == again
    assert [finding.via for finding in again] == [("base64",)]


@pytest.mark.parametrize(("detector", "placed"), [("phone", ["X", "X"]), ("names", ["X"]), ("meaning", ["X"])])
def test_what_judges_whole_texts_is_not_believed_about_an_excerpt_that_merely_stands_near(
    detector: str, placed: list[str]
) -> None:
    """Of the two words only the first stands in the string as it is; the second is near a folded character."""
    walker = Walker(["rhubarb and rhubarb \u2460"])
    walker.step()
    haystack = lay_out(walker.walk.cells, [0], Normalizer(), Room(1000, lambda: False))
    at = [haystack.data.index(b"rhubarb"), haystack.data.rindex(b"rhubarb")]
    found = Placed()
    place(haystack, [Hit("X", start, start + 7, 1.0, detector) for start in at], lambda entity, text: False, found)
    assert [item.entity for item in found.inside[0]] == placed


async def test_a_stretch_that_cannot_be_read_is_unknown_where_it_was_decoded_from() -> None:
    pipeline = Pipeline(detectors={"baffled": "tests.classifiers.faulty:Baffled"}, signals={}, budget_ms=60_000)
    for text in ("rhubarb \u2460\u2461", MUTATIONS["base64"]("so much rhubarb")):
        unknowns = (await pipeline.scan_texts([text], ScanRules(), "t")).unknowns
        assert unknowns == (Unknown("unsupported_language", "/0", "baffled"),)


@pytest.mark.parametrize("number", ["GI7078959", "AO5836727", "FI4376667"])
async def test_a_dea_number_whose_second_letter_looks_like_a_digit_is_found(steady: Pipeline, number: str) -> None:
    """The letters of the number are look-alikes of both a letter and a digit, and were read as digits."""
    text = f"DEA registration {MUTATIONS['homoglyph'](number)}"
    findings = (await steady.scan_texts([text], ScanRules(), "t")).findings
    assert "MEDICAL_LICENSE" in {finding.entity_type for finding in findings}
