"""Each way of hiding a value is read out, with the way back to the string; ordinary text changes nothing."""

from __future__ import annotations

import base64
import gzip
import json
import random
import zlib
from importlib.resources import files
from pathlib import Path

import pytest

from classifiers.linear import ArtifactError
from classifiers.normalize import Normalizer, Reading
from classifiers.views.confusables import Confusables
from classifiers.views.room import Room
from classifiers.views.view import Change, View, excerpts


@pytest.fixture(scope="module")
def normalizer() -> Normalizer:
    return Normalizer()


def read(normalizer: Normalizer, text: str) -> Reading:
    return normalizer.read(text, Room(1 << 24, lambda: False))


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


SHOWN: list[tuple[str, str, tuple[str, ...]]] = [
    ("say 4\u200b1\u200b1\u200b1", "4111", ()),
    ("say jo\u00ad.doe", "jo.doe", ()),
    ("say \u202ejo.doe\u202c", "say jo.doe", ()),
    ("a４１１１b", "4111", ()),
    ("call ٤١١١", "4111", ()),
    ("call ४१११", "4111", ()),
    ("x ①②③④", "1234", ()),
    ("the ℡ 𝟜𝟙𝟙𝟙", "4111", ()),
    ("pass：ｗｏｒｄ", "pass:word", ()),
    ("postgres：／／ab", "postgres://ab", ()),
    ("4̶1̶1̶1̶", "4111", ()),
    ("Jose\u0301", "José", ()),
    ("ok\U000e006a\U000e006f\U000e0040\U000e0078", "jo@x", ("tags",)),
    ("☺" + "".join(chr(0xE0100 + byte - 16) for byte in b"jo@x"), "jo@x", ("variation_selectors",)),
    ("pаssword", "password", ()),
    ("аrе уоu оk", "are you ok", ()),
    ("card 4ІІІ ОЗб0", "4111 0360", ()),
    ("4 1 1 1 1 1", "411111", ()),
    ("(4 1 1 1 1).", "(41111).", ()),
    ("J-o-h-n D-o-e-s", "John Does", ()),
    ("4.1.1.1.1", "41111", ()),
    ("4_1_1_1_1", "41111", ()),
    ("4*1*1*1*1", "41111", ()),
    ("4/1/1/1/1", "41111", ()),
    ("4\n1\n1\n1\n1", "41111", ()),
    ("j o @ x . c o m", "jo@x.com", ()),
    ("j-o-@-x-.-c-o-m", "jo@x.com", ()),
    ("p i n  i s  4 2", "pin is 42", ()),
    ("[4, 1, 1, 1, 1, 1, 1, 1, 1, 1]", "[4111111111]", ()),
    ("4111_1111_1111_1111", "4111-1111-1111-1111", ()),
    ("4111\n1111\n1111\n1111", "4111-1111-1111-1111", ()),
    ("four one one one", "4111", ()),
    ("Four, one - one one.", "4111.", ()),
    ("double five triple two nine", "552229", ()),
    ("vier eins zwo null", "4120", ()),
    ("fünf fuenf acht neun", "5589", ()),
    ("quatre un zéro deux", "4102", ()),
    ("zéro six douze trente-quatre soixante quinze", "06123475", ()),
    ("cuatro uno dos tres", "4123", ()),
    ("D E eight nine three", "DE893", ()),
    ("plus four four two zero", "+4420", ()),
    ("john at example dot com", "john@example.com", ()),
    ("john (at) example [dot] com", "john@example.com", ()),
    ("john arobase example point fr", "john@example.fr", ()),
    ("john arroba example punto es", "john@example.es", ()),
    ("john Klammeraffe example punkt de", "john@example.de", ()),
    ("jo dot doe at example dot org", "jo.doe@example.org", ()),
    ("jo.doe at example.com", "jo.doe@example.com", ()),
    (f"see {b64('jo@example.com')}", "see jo@example.com", ("base64",)),
    ("see am9AZXhhbXBsZS5jb20-", "see jo@example.com>", ("base64",)),
    ("ssn NTM2OTA0Mzk5", "ssn 536904399", ("base64",)),
    (b64("the quick brown fox " * 6).replace("gdGhl", "\ngdGhl", 1), "the quick brown fox", ("base64",)),
    (f"see {base64.b32encode(b'jo@example.com').decode()}", "jo@example.com", ("base32",)),
    (f"see {b'jo@example.com'.hex()}", "jo@example.com", ("hex",)),
    (f"see 0x{b'jo@example.com'.hex()}", "jo@example.com", ("hex",)),
    ("see 6a 6f 40 65 78 61 6d 70 6c 65", "jo@example", ("hex",)),
    ("see 6a:6f:40:65:78:61:6d:70:6c:65", "jo@example", ("hex",)),
    ("see 0x6a, 0x6f, 0x40, 0x65, 0x78, 0x61, 0x6d, 0x70", "jo@examp", ("hex",)),
    ("see " + base64.b64encode("jo@example.com".encode("utf-16-le")).decode(), "jo@example.com", ("base64",)),
    (
        "see " + base64.b64encode(gzip.compress(b"jo@example.com", mtime=0)).decode(),
        "jo@example.com",
        ("base64", "gzip"),
    ),
    ("see " + base64.b64encode(zlib.compress(b"jo@example.com")).decode(), "jo@example.com", ("base64", "zlib")),
    (f"data:text/plain;base64,{b64('jo@example.com')}", "base64,jo@example.com", ("base64",)),
    (f"{b64(b64('jo@example.com'))}", "jo@example.com", ("base64", "base64")),
    ("q=jo%40example%2Ecom", "q=jo@example.com", ("url",)),
    ("q=jo%2540example.com", "q=jo@example.com", ("url", "url")),
    ("jo&#64;example&period;com", "jo@example.com", ("html",)),
    ("jo&#x40;x &commat; y", "jo@x @ y", ("html",)),
    ("jo=40example=2Ecom", "jo@example.com", ("quoted_printable",)),
    ("jo@exam=\nple.com", "jo@example.com", ("quoted_printable",)),
    (r"jo\u0040example.com", "jo@example.com", ("unicode_escape",)),
    (r"jo\\u0040example.com", "jo@example.com", ("unicode_escape",)),
    (r"jo\u{40}example.com", "jo@example.com", ("unicode_escape",)),
    (r"\ud83d\ude00 jo", "😀 jo", ("unicode_escape",)),
    (r"jo\x40example.com", "jo@example.com", ("hex_escape",)),
    (r"\152\157\100\170", "jo@x", ("hex_escape",)),
    (r'"note\n4111 1111"', '"note\n4111 1111"', ()),
    ("<b>4111</b><i>1111</i>", "<b>41111111", ()),
    ("<td>4111</td><td>1111</td>", "<td>4111 1111", ()),
    ("4111<!-- no -->1111", "41111111", ()),
    ('x = "4111" + "1111"', '"41111111"', ()),
    ('x = ("4111"\n     "1111")', '("41111111")', ()),
    ('["4", "1", "1", "1"]', '["4111"]', ()),
    ("4111 1l11 111O 1036", "4111 1111 1110 1036", ()),
]


@pytest.mark.parametrize(("text", "shown", "via"), SHOWN)
def test_what_is_hidden_is_shown_with_its_decodings(
    normalizer: Normalizer, text: str, shown: str, via: tuple[str, ...]
) -> None:
    reading = read(normalizer, text)
    hits = [view.locate(at, at + len(shown)) for view in reading.views if (at := view.text.find(shown)) >= 0]
    assert hits, [view.text for view in reading.views]
    assert any(hit.via == via for hit in hits), hits
    assert all(0 <= hit.start < hit.end <= len(text) for hit in hits)
    assert not reading.gaps


PLAIN = [
    "The quick brown fox jumps over the lazy dog at 10:30, doesn't it?",
    "Ärger über Größe: “natürlich” – 5 € mehr… C'est déjà l'été, señor!",
    "Меня зовут Анна, а это мой брат. Он сказал: «хорошо».",
    "Ονομάζομαι Άννα και μένω στην Αθήνα.",
    "我叫张三，今年三十岁（真的）。你好吗？",
    "こんにちは、世界。お元気ですか？",
    "مرحبا بالعالم، كيف حالك؟",
    "I love it ❤️ 👨‍👩‍👧 1st!",
    "one two three, and go; I have one or two questions about it",
    "Look at the dot com bubble, at this point in time.",
    "Meet me at nodejs.org or at the office at six",
    "for i in range(10): total += x * y - z",
    "a = b + c\nif x == y:\n    return f(a, b, c)",
    "x = {'a': 1, 'b': [2, 3]}  # comment",
    "MAX = 64 * 1024 * 1024",
    "| 147 | 160 | 0.92 |",
    "Version 1.2.3, see section 4.5.6",
    "on 2026-11-27 at 10:00",
    "getElementById and internationalization and some_snake_case_name",
    "https://example.com/some/long/path/to/a/page?x=1&y=2#part",
    "src/components/button/index and node_modules/react/package",
    "commit 83db48f1c2b7a9d0e4f5a6b7c8d9e0f1a2b3c4d5",
    "id 3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    "kadın kız ırmak",
]


@pytest.mark.parametrize("text", PLAIN)
def test_ordinary_text_of_any_script_has_no_other_view(normalizer: Normalizer, text: str) -> None:
    reading = read(normalizer, text)
    assert [view.text for view in reading.views] == []
    assert not reading.gaps


def test_a_finding_covers_its_characters_and_no_more() -> None:
    """Folded characters keep their own places; what is decoded stands for the whole blob."""
    whole = View("see 4\u200b11\u200b1 and QQ== end")
    (folded,) = excerpts(whole, [Change(5, 6, ""), Change(8, 9, "")])
    assert folded.text == "see 4111 and QQ== end"
    assert folded.locate(4, 8) == (4, 10, ())
    assert folded.locate(5, 6) == (6, 7, ())
    (decoded,) = excerpts(folded, [Change(13, 17, "A", ("base64",))])
    assert decoded.text == "see 4111 and A end"
    assert decoded.locate(13, 14) == (15, 19, ("base64",))
    assert decoded.locate(15, 18) == (20, 23, ())
    assert decoded.locate(9, 14) == (11, 19, ("base64",))


def test_only_the_neighbourhood_of_a_change_is_laid_out_again() -> None:
    text = "word " * 1000
    views = excerpts(View(text), [Change(1000, 1004, "WORD"), Change(1050, 1054, "WORD"), Change(4000, 4004, "WORD")])
    assert len(views) == 2
    assert sum(len(view.text) for view in views) < 800
    assert [view.text.count("WORD") for view in views] == [2, 1]
    assert not views[0].is_near(len(views[0].text) - 10, len(views[0].text))
    assert views[0].is_near(views[0].text.index("WORD") + 20, views[0].text.index("WORD") + 30)


@pytest.mark.parametrize("at", range(7900, 8400, 37))
def test_nothing_hides_at_the_border_of_two_blocks(normalizer: Normalizer, at: int) -> None:
    text = "a word " * (at // 7) + "jo&#64;example.com " + b64("ann@example.com") + " more words" * 2000
    views = read(normalizer, text).views
    for hidden, source in (("jo@example.com", "jo&#64;example.com"), ("ann@example.com", b64("ann@example.com"))):
        hits = [view.locate(found, found + len(hidden)) for view in views if (found := view.text.find(hidden)) >= 0]
        assert text[hits[0].start : hits[0].end] == source


def test_what_is_encoded_more_than_three_times_is_a_gap(normalizer: Normalizer) -> None:
    text = "jo@example.com"
    for _ in range(4):
        text = b64(text)
    reading = read(normalizer, text)
    assert not any("jo@example.com" in view.text for view in reading.views)
    assert [gap[0] for gap in reading.gaps] == ["too_deep"]


def test_a_bomb_is_a_gap_and_not_memory(normalizer: Normalizer) -> None:
    bomb = base64.b64encode(gzip.compress(b"a" * (64 << 20))).decode()
    reading = normalizer.read("see " + bomb, Room(1 << 20, lambda: False))
    assert reading.gaps == [("truncated", 0, len(bomb) + 4)]
    assert sum(len(view.text) for view in reading.views) <= 1 << 20


def test_reading_ends_when_the_time_is_over(normalizer: Normalizer) -> None:
    words = " ".join(b64(f"number {number} is it") for number in range(5000))
    reading = normalizer.read(words, Room(1 << 24, lambda: True))
    assert reading.gaps == [("timeout", 0, len(words))]


HOSTILE = {
    "separators": "4 1-1.1 " * 20_000,
    "entities": "&#52;" * 30_000,
    "tags": "a<b>" * 40_000,
    "comments": "a<!--" * 30_000,
    "comments that end": "<!--a-->" * 10_000 + "<p>",
    "quotes": "a'\"" * 50_000,
    "backslashes": "\\" * 150_000,
    "spoken": "one " * 40_000,
    "at and dot": "a at b dot " * 14_000,
    "dots": "a." * 70_000,
    "headers": ("a, " * 600 + "\n") * 80,
    "indents": (" " * 2000 + "a,b\n") * 70,
    "marks": "4\u0336" * 70_000,
    "equals": "=4" * 70_000,
    "begin lines": "-----BEGIN X-----" * 9_000,
    "base64 lines": ("A" * 64 + "\n") * 2_300,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_takes_time_in_proportion_to_its_length(normalizer: Normalizer, name: str) -> None:
    """Four times the text may not take ten times as many looks at the clock: none of the expressions runs away."""
    looks = []
    for text in (HOSTILE[name][: len(HOSTILE[name]) // 4], HOSTILE[name]):
        room = Room(1 << 26, lambda: False)
        assert not [gap for gap in normalizer.read(text, room).gaps if gap[0] in ("truncated", "timeout")]
        looks.append((1 << 26) - room.left)
    assert looks[1] <= 10 * looks[0] + 20_000


def test_a_text_that_would_grow_without_end_is_cut_by_the_room(normalizer: Normalizer) -> None:
    text = "".join(random.Random(4).choices("&#52;%34\\u0034 4-1 <b>", k=200_000))
    room = Room(6 * len(text) + 65536, lambda: False)
    normalizer.read(text, room)
    assert room.left > -20_000


def test_a_look_alike_of_a_letter_and_a_digit_is_read_as_what_its_run_is(normalizer: Normalizer) -> None:
    views = {view.text for view in normalizer.read("case ZК-925б7І9-ІL", Room(1 << 20, lambda: False)).views}
    assert "ZK-9256719-IL" in {word for text in views for word in text.split()}


def test_an_altered_or_missing_table_of_look_alikes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="cannot be read"):
        Confusables(tmp_path)
    source = files("classifiers.artifacts")
    (tmp_path / "confusables.card.json").write_bytes(source.joinpath("confusables.card.json").read_bytes())
    (tmp_path / "confusables.json").write_text(json.dumps({"a": "b"}))
    with pytest.raises(ArtifactError, match="SHA-256"):
        Confusables(tmp_path)
