"""The tagger: its tokens are the text, it refuses an altered artifact, and what it finds stands where it says."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.detectors.base import WALL, Piece
from classifiers.detectors.names import NameDetector, spans
from classifiers.detectors.namesakes import Lists
from classifiers.linear import ArtifactError
from classifiers.name_table import NameTable
from classifiers.pipeline import Pipeline
from classifiers.registry import DETECTORS
from classifiers.tagger import ABOUT, FAR, LABELS, NEAR, Tagger, TaggerModel, load
from classifiers.tagger_features import BUCKETS, FIRST, LIST_SLOTS, PLACE, alike, features, slot, tokenize
from classifiers.types import ScanRules

UUID_PART, UUID = "28-8199-80241df37028", "e205eb4c-1812-4b28-8199-80241df37028"
ARTIFACTS = Path(str(files("classifiers.artifacts")))


@pytest.fixture(scope="module")
def detector() -> NameDetector:
    return NameDetector()


def read(detector: NameDetector, text: str) -> list[tuple[str, str]]:
    data = text.encode("utf-8", "surrogatepass")
    found = detector.detect(Piece(data, 0, len(data)), ())
    return [(match.entity_type, data[match.start : match.end].decode()) for match in found]


@settings(deadline=None)
@given(st.text())
def test_the_tokens_of_a_text_joined_are_the_text(text: str) -> None:
    assert "".join(tokenize(text)) == text


@settings(deadline=None)  # a busy machine is not what it is about
@given(st.text(min_size=1))
def test_every_token_has_buckets_of_the_table(text: str) -> None:
    listed = bytes([255]) * LIST_SLOTS
    for token in tokenize(text):
        buckets = features(token, listed)
        assert buckets
        assert all(0 <= bucket < BUCKETS for bucket in buckets)


@pytest.mark.parametrize(
    ("text", "entity", "value"),
    [
        ("My name is Margaret Okonkwo and I need help.", "PERSON", "Margaret Okonkwo"),
        ("my name is john smith", "PERSON", "john smith"),
        ("Please call Priya Raghavan back.", "PERSON", "Priya Raghavan"),
        ("Mit freundlichen Grüßen\nJochen Albrecht", "PERSON", "Jochen Albrecht"),
        ("Cordialement,\nThierry Vasseur", "PERSON", "Thierry Vasseur"),
        ("Me llamo Lucía Barrenechea.", "PERSON", "Lucía Barrenechea"),
        ("Mi chiamo Ruggero Tassinari.", "PERSON", "Ruggero Tassinari"),
        ("Mijn naam is Sjoerd Postma.", "PERSON", "Sjoerd Postma"),
        ("Please ship it to 12 Harbour Road, Bristol BS1 5TY.", "STREET_ADDRESS", "12 Harbour Road"),
        ("Ich wohne in der Lindenstraße 12 in Kassel.", "STREET_ADDRESS", "Lindenstraße 12"),
        ("Ich wohne in der Lindenstraße 12 in Kassel.", "LOCATION", "Kassel"),
        ("Date of birth: 03/04/1985", "DATE_OF_BIRTH", "03/04/1985"),
        ("I work at Brightwater Holdings Ltd in Leeds.", "ORGANIZATION", "Brightwater Holdings Ltd"),
    ],
)
def test_what_identifies_somebody_is_found(detector: NameDetector, text: str, entity: str, value: str) -> None:
    assert any(kind == entity and value in found for kind, found in read(detector, text))


@pytest.mark.parametrize(
    "text",
    [
        "Explain Newton's second law in simple words.",
        "How do I center a div with CSS Grid?",
        "Ten Simple Ways To Save Energy At Home",
        "Bitte erkläre mir den Unterschied zwischen Umsatz und Gewinn.",
        "def get_user_name(user_id: int) -> str:\n    return db.query(User).one().name",
        "GET /index.html HTTP/1.1\nHost: www.example.com\nUser-Agent: Mozilla/5.0",
        "What are the symptoms of Crohn's disease?",
        "transfer 200 dollars from checking to savings",
        "",
        "\n\n",
    ],
)
def test_everyday_text_holds_nobody(detector: NameDetector, text: str) -> None:
    held = {"PERSON", "STREET_ADDRESS", "DATE_OF_BIRTH"}
    data = text.encode()
    found = detector.detect(Piece(data, 0, len(data)), ())
    assert not [match for match in found if match.entity_type in held and match.score >= 0.6]


@pytest.mark.parametrize(
    "text", ["4111 1111 1111 1111", "hunter2x", "see @maria_lopez", "jo.smith@example.com", "30 901820"]
)
def test_a_part_of_an_identifier_or_a_number_is_no_name_and_no_address(detector: NameDetector, text: str) -> None:
    assert not [entity for entity, _ in read(detector, text) if entity in ("PERSON", "STREET_ADDRESS", "ORGANIZATION")]


@pytest.mark.parametrize(
    ("text", "bits", "label"),
    [
        ("Do not go to town, Kelly!", FIRST, "PERSON"),
        ("Do not go to town, kelly!", FIRST, "LOCATION"),  # a place as people write it in haste
        ("Do not go to town, Kelly!", FIRST | PLACE, "LOCATION"),
        ("Do not go to town, Kelly!", 0, "LOCATION"),
    ],
)
def test_a_first_name_that_no_place_bears_is_somebody(text: str, bits: int, label: str) -> None:
    listed = bytearray(LIST_SLOTS)
    listed[slot("kelly")] = bits
    tokens = tokenize(text)
    logits = np.full((len(tokens), len(LABELS)), -9.0, dtype=np.float32)
    logits[:, 0] = 9.0
    logits[-2] = np.where(np.arange(len(LABELS)) == LABELS.index("LOCATION"), 9.0, -9.0)
    assert [LABELS[found[0]] for found in spans(tokens, logits, Lists(bytes(listed)))] == [label]


def test_a_part_of_a_long_number_is_no_postal_code() -> None:
    tokens = tokenize("Pay with 4929 1254 8763 0175 please.")
    logits = np.full((len(tokens), len(LABELS)), -9.0, dtype=np.float32)
    logits[:, 0] = 9.0
    logits[3:5] = np.where(np.arange(len(LABELS)) == LABELS.index("STREET_ADDRESS"), 9.0, -9.0)
    assert spans(tokens, logits, Lists(bytes(LIST_SLOTS))) == []


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("a street in Lordelo. It was", ["Lordelo", "It"]),
        ("near St. Gallen", ["St. Gallen"]),
        ("in Washington D.C.", ["Washington D.C"]),
    ],
)
def test_a_place_ends_with_its_sentence(text: str, places: list[str]) -> None:
    tokens = tokenize(text)
    logits = np.full((len(tokens), len(LABELS)), -9.0, dtype=np.float32)
    start = next(at for at, token in enumerate(tokens) if token.strip()[0].isupper())
    logits[:start, 0] = logits[start:, LABELS.index("LOCATION")] = 9.0
    if tokens[-1] == " was":
        logits[-1] = logits[0]
    found = spans(tokens, logits, Lists(bytes(LIST_SLOTS)))
    assert ["".join(tokens[first : last + 1]).strip() for _, first, last, _ in found] == places


def sure_of_an_address(text: str, start: int, end: int) -> list[str]:
    """The addresses that are decoded where the weights are all for one there, and against it elsewhere."""
    tokens = tokenize(text)
    logits, at = np.full((len(tokens), len(LABELS)), -9.0, dtype=np.float32), 0
    for place, token in enumerate(tokens):
        inside = start <= at + len(token) - len(token.lstrip()) and at + len(token) <= end
        logits[place, LABELS.index("STREET_ADDRESS") if inside else 0] = 9.0
        at += len(token)
    return [
        "".join(tokens[first : last + 1]).strip()
        for _, first, last, _ in spans(tokens, logits, Lists(bytes(LIST_SLOTS)))
    ]


@pytest.mark.parametrize(
    "part", ["ea9e188", "9e188", "188", "07760d7064cea57d36133abfe", "36133", "str", "04288c4136", UUID_PART]
)
@pytest.mark.parametrize(
    "line", ["{} read the file", "Send it to {}, please.", "a: str = {}", "\t{}\n", "index {}..599101a"]
)
def test_no_part_of_a_digest_and_no_short_word_is_an_address(line: str, part: str) -> None:
    whole = {"9e188": "ea9e188", "188": "ea9e188", "36133": "07760d7064cea57d36133abfe", UUID_PART: UUID}.get(
        part, part
    )
    text = line.format(whole)
    start = text.index(whole) + whole.index(part)
    assert sure_of_an_address(text, start, start + len(part)) == []


@pytest.mark.parametrize(
    "text",
    ["Lindenstraße 12b", "lindenstraße12", "12b Harbour Rd", "1011ab", "SW1A 1AA", "Broadway", "221b baker street"],
)
def test_an_address_with_letters_in_its_number_is_one(text: str) -> None:
    assert sure_of_an_address(text, 0, len(text)) == [text]


@pytest.mark.parametrize(
    ("text", "word", "label"),
    [
        ("def parse(line): street, city = line.split()", " street", "LOCATION"),
        ("tools: Read, Glob, Bash", " Glob", "LOCATION"),
        ("in 12 Harbour", " Harbour", "STREET_ADDRESS"),
        ("Ich wohne in der Lindenstraße.", " Lindenstraße", "STREET_ADDRESS"),
        ("she lives on Broadway", " Broadway", "STREET_ADDRESS"),
    ],
)
def test_a_lone_word_without_a_number_near_is_a_place_at_most(text: str, word: str, label: str) -> None:
    tokens = tokenize(text)
    logits = np.full((len(tokens), len(LABELS)), -9.0, dtype=np.float32)
    logits[:, 0] = 0.0
    logits[tokens.index(word), LABELS.index("STREET_ADDRESS")] = 9.0
    assert [LABELS[found] for found, *_ in spans(tokens, logits, Lists(bytes(LIST_SLOTS)))] == [label]


@pytest.mark.parametrize(
    ("text", "code", "label"),
    [
        ("My zip code is 35649", " 35649", "STREET_ADDRESS"),
        ("the patient's zip is 35649", " 35649", "STREET_ADDRESS"),
        ("Meine Postleitzahl lautet 10115.", " 10115", "STREET_ADDRESS"),
        ("mon code postal : 75011", " 75011", "STREET_ADDRESS"),
        ("What is the weather in zip code 35649?", " 35649", "LOCATION"),
        ("Is 35649 a zip code?", " 35649", "LOCATION"),
        ("my code prints 35649", " 35649", "LOCATION"),
    ],
)
def test_a_postal_code_is_an_address_where_it_is_somebodys(text: str, code: str, label: str) -> None:
    tokens = tokenize(text)
    logits = np.full((len(tokens), len(LABELS)), -9.0, dtype=np.float32)
    logits[:, 0] = 0.0
    logits[tokens.index(code), LABELS.index("STREET_ADDRESS")] = 9.0
    assert [LABELS[found] for found, *_ in spans(tokens, logits, Lists(bytes(LIST_SLOTS)))] == [label]


def test_numbers_in_a_column_are_no_addresses_together_and_a_code_beside_a_street_is() -> None:
    column = tokenize("7748\n7749\n7750")
    logits = np.full((len(column), len(LABELS)), -9.0, dtype=np.float32)
    logits[:, 0] = 0.0
    for place, token in enumerate(column):
        logits[place, LABELS.index("STREET_ADDRESS")] = 9.0 if token.isdigit() else -9.0
    assert {LABELS[label] for label, *_ in spans(column, logits, bytes(LIST_SLOTS))} == {"LOCATION"}
    tokens = tokenize("Hauptweg 7, 34117")
    logits = np.full((len(tokens), len(LABELS)), -9.0, dtype=np.float32)
    for place, token in enumerate(tokens):
        logits[place, LABELS.index("STREET_ADDRESS") if token != "," else 0] = 9.0
    assert [LABELS[label] for label, *_ in spans(tokens, logits, Lists(bytes(LIST_SLOTS)))] == [
        "STREET_ADDRESS",
        "STREET_ADDRESS",
    ]


def test_offsets_are_bytes_of_the_haystack_wherever_the_piece_begins(detector: NameDetector) -> None:
    data = "Größe: 5 µm. ".encode() + WALL + "Ich heiße Jürgen Krämer.".encode() + WALL
    start = data.index(WALL) + len(WALL)
    found = detector.detect(Piece(data, start, len(data)), ())
    assert "Jürgen Krämer" in [data[match.start : match.end].decode() for match in found]


def test_bytes_that_are_no_text_do_not_move_a_finding(detector: NameDetector) -> None:
    data = b"\xff\xed\xa0\x80 my name is John Smith."
    found = detector.detect(Piece(data, 0, len(data)), ())
    assert b"John Smith" in [data[match.start : match.end] for match in found]


def test_a_members_name_tells_what_its_value_is(detector: NameDetector) -> None:
    assert ("PERSON", "Ilse Kortmann") in read(detector, "customer_name\n:\nIlse Kortmann\n\x00\n")


def test_scores_are_chances(detector: NameDetector) -> None:
    data = b"Dear John Smith, please send it to 12 Harbour Road, Bristol."
    scores = [match.score for match in detector.detect(Piece(data, 0, len(data)), ())]
    assert scores
    assert all(0 < score <= 1 for score in scores)


def test_a_text_is_read_alike_however_many_words_were_read_before() -> None:
    text = "Please call Priya Raghavan at Calder Heating."
    fresh = Tagger(load())
    first = fresh.logits(tokenize(text))
    for number in range(12):
        fresh.logits([f" w{number}x{index}" for index in range(3_500)])
    assert abs(fresh.logits(tokenize(text)) - first).max() < 1e-3


@pytest.mark.parametrize("blank", ["", " "])
@pytest.mark.parametrize("number", ["12345", "09999", "123456789012345", "12345678901234567890", "٣٤٥٦٧٨", "999999"])
def test_a_long_number_looks_like_another_of_its_kind(blank: str, number: str) -> None:
    """Else each would be a word not met before, which costs more than all others of a short text."""
    listed = load().listed
    assert features(alike(blank + number), listed) == features(blank + number, listed)
    assert alike(alike(blank + number)) == alike(blank + number) == alike(blank + number[0] + number[:0:-1])


def test_a_known_word_has_a_bucket_of_its_own_however_it_is_written() -> None:
    known = sorted(map(slot, ("harbour", "monday", "zurich")))
    nothing = bytes(LIST_SLOTS)
    for token in ("monday", " Monday", "MONDAY", "Z\u00fcrich"):
        word = "zurich" if token[0] == "Z" else "monday"
        assert features(token, nothing, known)[-1] == BUCKETS + known.index(slot(word))
    assert max(features("tuesday", nothing, known)) < BUCKETS


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("known", lambda steps: steps[:-1]),  # a row too many
        ("known", lambda steps: steps * 9),  # beyond the table
        ("known", lambda steps: steps.astype(np.int64)),
        ("known_looks", lambda rows: rows[:, :-1]),
        ("listed", lambda steps: steps.astype(np.uint32) * 9),
    ],
)
def test_known_words_that_do_not_fit_their_table_are_refused(tmp_path: Path, name: str, change: Any) -> None:
    with np.load(ARTIFACTS / "tagger.npz") as archive:
        arrays = dict(archive)
    arrays[name] = change(arrays[name])
    np.savez(tmp_path / "tagger.npz", **arrays)
    card = json.loads((ARTIFACTS / "tagger.json").read_text("utf-8"))
    card["sha256"] = hashlib.sha256((tmp_path / "tagger.npz").read_bytes()).hexdigest()
    (tmp_path / "tagger.json").write_text(json.dumps(card), "utf-8")
    with pytest.raises(ArtifactError):
        load(tmp_path)


@pytest.mark.parametrize("token", ["1234", " 0007", " Wednesday", "\n\n\n\n\n", "x", "-", "_"])
def test_any_other_token_stands_for_itself(token: str) -> None:
    assert alike(token) == token


def test_the_usual_words_are_looked_at_once_however_often_the_others_are_forgotten() -> None:
    """Looking at them again took longer than a whole scan may."""
    looked: list[int] = []

    class Counting(TaggerModel):
        def look(self, tokens: list[str]) -> Any:
            looked.append(len(tokens))
            return super().look(tokens)

    model = load()
    counting = Counting(**{field.name: getattr(model, field.name) for field in dataclasses.fields(model)})
    tagger, fresh = Tagger(counting), Tagger(model)
    assert looked == [len(model.usual)]
    for number in range(12):  # more than are remembered
        tagger.logits([f"word{number}x{index}" for index in range(3_500)])
    assert max(looked[1:]) < len(model.usual)
    tokens = tokenize("Please call Priya Raghavan at the office in Leeds.")
    assert np.allclose(tagger.logits(tokens), fresh.logits(tokens), atol=1e-5)


@pytest.mark.parametrize("text", ["", "Priya Raghavan", "Please call Priya at the office in Leeds. " * 3, "x1, " * 90])
def test_what_is_kept_in_small_steps_says_what_the_layers_say(text: str) -> None:
    """The layers once more, written down plainly: neighbours side by side, and means over whole stretches."""
    model, tokens = load(), tokenize("Hello " + text)
    walls = ["\n", "\x00", "\n"] * 2
    looks = model.look([*walls, *tokens, *walls]) * model.scale
    reach = max(FAR)
    places = range(NEAR, len(looks) - NEAR)
    wide = np.stack([looks[place - NEAR : place + NEAR + 1].ravel() for place in places])
    hidden = np.maximum(wide @ model.near + model.near_bias, 0)
    inside = hidden[reach : reach + len(tokens)]
    rows = []
    for place in range(len(tokens)):
        seen = [hidden[place + reach + far] for far in FAR]
        rows.append(np.concatenate([*seen, inside[max(place - ABOUT, 0) : place + ABOUT + 1].mean(axis=0)]))
    deep = np.maximum(np.stack(rows) @ model.far + model.far_bias, 0)
    for tagger in (Tagger(model), Tagger(dataclasses.replace(model, usual=()))):  # one just trained has no usual words
        assert np.allclose(tagger.logits(tokens), deep @ model.out + model.out_bias, atol=0.03)


def test_the_table_of_names_says_of_each_slot_what_was_put_there() -> None:
    chance = np.random.default_rng(3)
    slots = np.unique(np.concatenate(([0, 511, 512, LIST_SLOTS - 1], chance.integers(0, LIST_SLOTS, 5000))))
    bits = chance.integers(1, 256, len(slots), dtype=np.uint8)
    table, plain = NameTable.of(slots, bits), dict(zip(slots.tolist(), bits.tolist(), strict=True))
    asked = [*slots.tolist(), *(slots + 1).tolist()[:-1], *chance.integers(0, LIST_SLOTS, 5000).tolist()]
    assert [table[slot] for slot in asked] == [plain.get(slot, 0) for slot in asked]
    for wrong in (slots[::-1], slots[:-1], slots + 1, slots - 1):
        with pytest.raises(ValueError, match="slots"):
            NameTable.of(wrong, bits)


async def test_a_request_with_a_name_has_a_finding_where_the_name_stands() -> None:
    pipeline = Pipeline(detectors={"names": DETECTORS["names"]}, signals={}, budget_ms=5000)
    body = {"messages": [{"role": "user", "content": "Write to Zoë Okonkwo-Hale about the lease."}]}
    result = (await pipeline.run(body, ScanRules(), "default")).scan
    await pipeline.close()
    (name,) = [finding for finding in result.findings if finding.entity_type == "PERSON"]
    assert (name.start, name.end, name.pointer) == (9, 25, "/messages/0/content")


@pytest.mark.parametrize("filename", ["tagger.npz", "tagger.json"])
def test_an_altered_or_missing_artifact_is_refused(tmp_path: Path, filename: str) -> None:
    for name in ("tagger.npz", "tagger.json"):
        shutil.copy(ARTIFACTS / name, tmp_path / name)
    assert load(tmp_path).digest
    (tmp_path / filename).write_bytes((tmp_path / filename).read_bytes()[:-20] + b"x" * 20)
    with pytest.raises(ArtifactError):
        load(tmp_path)
    (tmp_path / filename).unlink()
    with pytest.raises(ArtifactError):
        load(tmp_path)


def test_the_card_says_what_was_measured_in_which_languages() -> None:
    card = json.loads((ARTIFACTS / "tagger.json").read_text("utf-8"))
    assert set(card["languages"]) >= {"en", "de", "fr", "es", "it", "nl"}
    assert set(card["metric"]["documents"]) >= {"en", "de", "fr", "es", "it", "nl"}
    assert (ARTIFACTS / "tagger.npz").stat().st_size < 4_000_000
