"""Unsupported languages: text that no detector was measured for is an unknown; names, code and noise are not text."""

from __future__ import annotations

import json
import re
import shutil
import unicodedata
from collections.abc import AsyncIterator, Callable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.detectors.base import Piece, pattern
from classifiers.detectors.language import LanguageDetector
from classifiers.kernels import KERNELS
from classifiers.language import load, measured_languages, words_of
from classifiers.linear import ArtifactError
from classifiers.pipeline import Pipeline
from classifiers.registry import DETECTORS
from classifiers.strangeness import Strangeness, reference
from classifiers.types import Scan, ScanRules

MEASURED = {"de", "en", "es", "fr", "it", "nl"}
Read = Callable[[str], list[str]]


@pytest.fixture(scope="module")
def detector() -> LanguageDetector:
    return LanguageDetector()


@pytest.fixture(scope="module")
def unread(detector: LanguageDetector) -> Read:
    """The stretches of a text that the detector could not read."""

    def read(text: str) -> list[str]:
        data = text.encode()
        gaps = detector.detect(Piece(data, 0, len(data)), [])
        assert {gap.kind for gap in gaps} <= {"unsupported_language"}
        return [data[gap.start : gap.end].decode() for gap in gaps]

    return read


@pytest.mark.parametrize(
    "text",
    [
        "Dzień dobry, nazywam się Jan Kowalski i mieszkam w Krakowie od dziesięciu lat.",
        "Můj manžel trpí vysokým tlakem a včera mu lékař předepsal nové léky na srdce.",
        "Potrebujem napísať list svojmu domácemu, pretože nám už týždeň netečie teplá voda.",
        "Min granne ringde i går och berättade att hennes son hade blivit uppsagd från jobbet.",
        "Jeg har mistet mit kørekort og skal bruge hjælp til at skrive et brev til politiet.",
        "Legen sa at prøvene var fine, men at jeg burde komme tilbake om tre uker for sikkerhets skyld.",
        "Asiakkaamme ilmoitti eilen, että hänen luottokorttinsa oli varastettu junassa.",
        "A szomszédom tegnap elmondta, hogy elvesztette az állását és nem tudja fizetni a lakbért.",
        "Vă rog să îmi scrieți o scrisoare către bancă, pentru că nu mai pot plăti rata lunară.",
        "Meu vizinho contou ontem que perdeu o emprego e que não consegue pagar o aluguel deste mês.",
        "Komşum dün bana işini kaybettiğini ve bu ay kirayı ödeyemeyeceğini söyledi.",
        "Moja susjeda je jučer rekla da je ostala bez posla i da ne može platiti stanarinu.",
        "Moj sosed mi je včeraj povedal, da je izgubil službo in da ne more plačati najemnine.",
        "Tetangga saya kemarin bercerita bahwa dia kehilangan pekerjaan dan tidak bisa membayar sewa.",
        "Hàng xóm của tôi hôm qua kể rằng anh ấy đã mất việc và không thể trả tiền nhà tháng này.",
        "El meu veí em va dir ahir que havia perdut la feina i que no podia pagar el lloguer.",
        "Mu naaber rääkis eile, et kaotas töö ja ei suuda sel kuul üüri maksta.",
        "Mano kaimynas vakar pasakojo, kad neteko darbo ir negali sumokėti nuomos.",
        "Mans kaimiņš vakar stāstīja, ka ir zaudējis darbu un nevar samaksāt īri.",
        "Jirani yangu aliniambia jana kwamba amepoteza kazi na hawezi kulipa kodi ya nyumba.",
        "Sinabi ng kapitbahay ko kahapon na nawalan siya ng trabaho at hindi niya mabayaran ang upa.",
        "Nágranni minn sagði mér í gær að hann hefði misst vinnuna og gæti ekki borgað leiguna.",
    ],
)
def test_a_sentence_in_another_language_of_latin_letters_is_unread(unread: Read, text: str) -> None:
    assert unread(text)
    assert unread(text.lower().rstrip("."))


@pytest.mark.parametrize(
    "text",
    [
        "Please write to my landlord, we have had no hot water for a week and he does not answer.",
        "Bitte schreib meinem Vermieter, wir haben seit einer Woche kein warmes Wasser mehr.",
        "Écris à mon propriétaire, nous n'avons plus d'eau chaude depuis une semaine.",
        "Escribe a mi casero, llevamos una semana sin agua caliente y no contesta.",
        "Scrivi al mio padrone di casa, da una settimana non abbiamo acqua calda.",
        "Schrijf mijn huisbaas, we hebben al een week geen warm water en hij antwoordt niet.",
        "ok und was kostet das jetzt pro monat für zwei personen",
        "oye y cuánto me va a salir esto al mes para dos personas",
        "mais du coup ça me coûte combien par mois pour deux",
        "Translate to German: good morning. Answer: guten Morgen. Und auf Französisch: bonjour à tous.",
    ],
)
def test_the_six_measured_languages_are_read_and_so_is_a_mix_of_them(unread: Read, text: str) -> None:
    assert unread(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ok",
        "42",
        "Berlin",
        "Jak się masz?",
        "lol omg brb",
        "https://example.org/pl/strona/kontakt?utm_source=mail",
        "def getUserName(self, idx: int) -> str: return self._users[idx].name",
        "SELECT u.id, u.name FROM users u LEFT JOIN orders o ON o.user_id = u.id WHERE o.total > 100",
        '{"status": "ok", "items": [{"sku": "AX-1", "qty": 2}], "next": null, "traceId": "c0ffee"}',
        "2026-11-27T20:43:56Z WARN kubelet[1234]: probe failed pod=web-7f9c ns=prod err=timeout",
        "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore.",
        "Jan Kowalski, Zuzana Nováková, Björn Sigurðsson, Ayşe Yılmaz, Nguyễn Văn An",
        "2-acetoxybenzoic acid, N-(4-hydroxyphenyl)acetamide, sodium lauryl sulfate, methylchloroisothiazolinone",
        "Samsung Galaxy S24 Ultra, Xiaomi Redmi Note 13 Pro, Škoda Octavia Combi, IKEA BILLY",
        "git rebase --onto main feature~3 feature && make -j8 CFLAGS=-O2 test",
        "What is (are) Pachyonychia congenita and Erythrokeratodermia variabilis et progressiva ?",
        "aGVsbG8gd29ybGQgdGhpcyBpcyBiYXNlNjQ= 5f4dcc3b5aa765d61d8327deb882cf99",
        "x = a*b + c; y' = f(x, y); lim sup sin cos tan arctan",
        '<ul className="nav"><li>Home</li><li>About</li><li>Contact</li></ul>',
        "handler.setFormatter(LineFormatter())\n    root = logging.getLogger()\n    root.addHandler(handler)",
        'PRIu8\t\t"u"\n# define PRIu16\t\t"u"\n# define PRIu32\t\t"u"\n# define PRIu64 __PRI64_PREFIX "u"',
    ],
)
def test_what_is_no_text_or_too_short_to_tell_is_not_unread(unread: Read, text: str) -> None:
    assert unread(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "Мой сосед вчера потерял работу",
        "Привет",
        "Ο γείτονάς μου έχασε τη δουλειά του",
        "فقد جاري وظيفته أمس ولا يستطيع دفع الإيجار",
        "השכן שלי איבד את עבודתו אתמול",
        "मेरे पड़ोसी की कल नौकरी चली गई",
        "আমার প্রতিবেশী গতকাল চাকরি হারিয়েছে",
        "我的邻居昨天失业了",
        "你好",
        "隣の人が昨日仕事を失いました",
        "제 이웃이 어제 직장을 잃었어요",
        "เพื่อนบ้านของฉันตกงานเมื่อวานนี้",
        "ჩემმა მეზობელმა გუშინ სამსახური დაკარგა",
        "Please send the parcel to 王小明，北京市朝阳区建国路 and call him first.",
        "The contract was signed by Смирнов Алексей Петрович on Monday in the main office of the company in town.",
        "Ship it to 김철수 서울특별시 강남구 테헤란로 before the end of the week please, he is waiting for it.",
    ],
)
def test_text_in_another_script_is_unread_even_when_it_is_short(unread: Read, text: str) -> None:
    assert unread(text)


@pytest.mark.parametrize(
    "text",
    [
        "Let α = 0.05 and let Σ be the covariance; Δt is 3 µs and Ω is the sample space.",
        "What does the word спасибо mean, and when do people say it to each other?",
        "My phone is a 小米手机 and I would like to know how to change its language to English.",
        "Is ポケモン still as popular as it was when we were children in the nineties?",
        "Thanks 🙏🏽 that was great 🎉 see you on Monday 👍",
        "“Curly quotes” — and dashes… don’t change anything, naïve café, Zürich, São Paulo, Gdańsk, Łódź.",
        "5 × 3 ≤ 16 → true; ½ cup; 20 °C; № 5; ™ © ®",
        "ℝ and ℂ are fields, ℵ₀ is a cardinal, and the ñ is a letter.",
    ],
)
def test_symbols_and_single_words_of_another_script_leave_a_text_readable(unread: Read, text: str) -> None:
    assert unread(text) == []


def test_a_letter_in_another_language_is_unread_although_the_request_around_it_is_english(unread: Read) -> None:
    letter = "Szanowny Panie, w związku z niezapłaconą fakturą prosimy o uregulowanie należności do końca miesiąca."
    found = unread(
        f"Please summarise the following letter in two sentences.\n\n{letter}\n\nThank you very much for that!"
    )
    assert len(found) == 1
    assert "fakturą prosimy o uregulowanie" in found[0]
    assert "summarise the following" not in found[0]


def test_short_lines_in_another_language_are_judged_together(unread: Read) -> None:
    assert unread("Dzień dobry\nJak się pan dzisiaj czuje?\nDziękuję, dużo lepiej\nA ta noga?\nJuż nie boli")


@pytest.fixture
async def scan() -> AsyncIterator[Callable[..., Any]]:
    pipeline = Pipeline(detectors={"language": DETECTORS["language"]}, budget_ms=5000)

    async def run(body: Any) -> Scan:
        return (await pipeline.run(body, ScanRules(), "default")).scan

    yield run
    await pipeline.close()


def test_a_comment_in_another_language_is_unread_and_the_code_around_it_is_not(unread: Read) -> None:
    comment = "# tutaj liczymy sumę wszystkich zamówień klienta z ostatniego miesiąca"
    (found,) = unread(f"def total(orders):\n    {comment}\n    return sum(order.price for order in orders)")
    assert found in comment
    assert "zamówień klienta" in found


async def test_the_pipeline_makes_it_an_unknown_of_the_member_that_holds_it(scan: Callable[..., Any]) -> None:
    foreign = "Komşum dün bana işini kaybettiğini ve bu ay kirayı ödeyemeyeceğini söyledi."
    body = {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": foreign}]}
    result: Scan = await scan(body)
    assert [(each.kind, each.pointer) for each in result.unknowns] == [("unsupported_language", "/messages/1/content")]
    body["messages"][1]["content"] = "My neighbour told me yesterday that he has lost his job."
    assert (await scan(body)).unknowns == ()


def test_the_same_words_in_many_calls_of_a_tool_are_no_sentence_in_another_language(unread: Read) -> None:
    """Members of one name in many calls, as they are put together: once without and once with a blank between them."""
    runs = [glue.join([word] * 11) for word in ("*.py", "lines") for glue in ("", " ")]
    assert unread("\n\0\n".join(runs)) == []


def test_a_sentence_in_another_language_is_unread_however_often_it_is_said(unread: Read) -> None:
    text = "Komşum dün bana işini kaybettiğini söyledi."
    assert unread(text)
    assert unread(f"{text} " * 12)


def test_the_words_of_a_text_are_the_same_whether_or_not_its_letters_are_composed() -> None:
    assert words_of("Žluťoučký kůň, 3x".encode()) == words_of("Z\u030cluťoučký ku\u030an\u030c, 3X".encode())
    assert words_of(b"Don't STOP_me 42") == [b"don", b"t", b"stop", b"me"]


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    for name in ("language.npz", "language.json"):
        shutil.copy(str(files("classifiers.artifacts") / name), tmp_path / name)
    return tmp_path


def test_what_is_measured_is_what_all_cards_have_in_common(artifacts: Path) -> None:
    assert measured_languages(artifacts) == MEASURED
    (artifacts / "tagger.json").write_text(json.dumps({"languages": ["en", "de", "nl", "pl"]}))
    (artifacts / "meaning.json").write_text(json.dumps({"languages": ["en", "de"]}))
    assert measured_languages(artifacts) == {"en", "de"}


def test_the_cards_of_what_ships_have_at_least_the_six_in_common() -> None:
    assert measured_languages() >= MEASURED


def test_a_language_that_the_cards_do_not_name_is_unread() -> None:
    english = LanguageDetector(measured=frozenset({"en"}))
    data = b"Schrijf mijn huisbaas, we hebben al een week geen warm water en hij antwoordt niet."
    assert english.detect(Piece(data, 0, len(data)), [])


def test_an_artifact_that_is_absent_altered_or_without_languages_is_an_error(artifacts: Path) -> None:
    with pytest.raises(ArtifactError):
        load(artifacts / "nowhere")
    (artifacts / "tagger.json").write_text(json.dumps({"languages": []}))
    with pytest.raises(ArtifactError, match="no language in common"):
        measured_languages(artifacts)
    with (artifacts / "language.npz").open("ab") as altered:
        altered.write(b"\0")
    with pytest.raises(ArtifactError, match="SHA-256"):
        load(artifacts)


_POLISH = "Dzie\u0144 dobry nazywam si\u0119 Jan Kowalski i mieszkam w Krakowie od dziesi\u0119ciu lat".encode()
_SPOKEN = "the a we landlord si\u0119 Krakowie lat zyx wvu Wasser, r\u00e9sum\u00e9 na \u0130stanbul 12 - \n"


@settings(deadline=None)
@given(st.lists(st.sampled_from(_SPOKEN.split(" ")) | st.text(max_size=5), max_size=90).map(" ".join) | st.binary())
def test_the_runs_to_look_at_are_those_of_the_reference(text: str | bytes) -> None:
    """Of any bytes, with the kernel that serves and by the dictionary."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    strangeness, known = _with_dictionary()
    assert strangeness.runs(data) == list(reference(words_of(data), known, 5.5))


@given(st.text() | st.text("\u03a3\u03c3\u0130\u212a\u0301e\u00b2\u0660_9A \u2019\u00df\u1e9e\ud800", max_size=12))
def test_words_are_runs_of_letters_made_small(text: str) -> None:
    data = text.encode("utf-8", "surrogatepass")
    text = unicodedata.normalize("NFC", data.decode("utf-8", "replace")).lower()
    assert words_of(data) == [word.encode() for word in re.findall(r"[^\W\d_]+", text)]


@settings(max_examples=300, deadline=None)
@given(
    st.text(st.characters(exclude_categories=["Cn", "Cs"]))
    | st.text("aB\u00e9\u0301\u2019\u4e2d\u0436 1_.\u00b2\ud800", max_size=20)
)
def test_words_stand_where_they_are_looked_for(detector: LanguageDetector, text: str) -> None:
    """As RE2 says, which knows more scripts than this Python where it is the younger."""
    data = b"\x00a" + text.encode("utf-8", "surrogatepass")
    piece = Piece(data, 1, len(data))
    assert detector._spans(piece, data[1:]) == [hit.span() for hit in piece.find(pattern("\\pL[\\pL\\pM]*"))]


@given(st.lists(st.text(min_size=1, max_size=9).map(str.encode).filter(lambda word: b" " not in word), min_size=1))
def test_what_a_word_says_is_the_same_by_kernel_and_by_numpy(words: list[bytes]) -> None:
    model = load()
    assert model.by_word(words).tolist() == model.by_word_in_numpy(words).tolist()


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(words_of(_SPOKEN.encode())) | st.sampled_from(words_of(_POLISH)), min_size=4, max_size=90)
)
def test_strong_windows_are_those_of_the_reference(detector: LanguageDetector, words: list[bytes]) -> None:
    assert detector._compiled is not None or KERNELS.module() is None
    strong = [(low, high) for low, high in detector._windows(words) if len(set(words[low:high])) >= 4]
    assert detector._strong(words) == strong


@cache
def _with_dictionary() -> tuple[Strangeness, dict[bytes, float]]:
    vocabulary = load().vocabulary
    return Strangeness(vocabulary, 5.5), vocabulary.as_dict()


def test_the_kernel_does_the_work_where_there_are_kernels(detector: LanguageDetector) -> None:
    assert KERNELS.module() is None or "strangeness" not in KERNELS.refused
