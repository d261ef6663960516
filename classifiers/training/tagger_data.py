"""The texts that the tagger learns from: given sentences, refilled templates, composed documents, and everyday text.

Training only. A text says for each stretch which labels are right; an unlabelled source may leave some of them open.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib
import json
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from classifiers.training import tagger_names as names
from classifiers.training.tagger_fillers import Filler, Span
from classifiers.training.tagger_words import FAMOUS

NOT_DIRECT: Final = frozenset({"LOCATION", "ORGANIZATION", "NRP", "AGE", "DATE_TIME"})
_KINDS: Final = {
    "PERSON": "PERSON", "PREFIX": "?PERSON", "ADDRESS": "STREET_ADDRESS", "LOCATION": "LOCATION",
    "ORGANIZATION": "ORGANIZATION", "DATE_TIME": "DATE_TIME",
    "person": "PERSON", "location": "LOCATION", "corporation": "ORGANIZATION", "group": "?ORGANIZATION",
    "product": "?ORGANIZATION", "creative-work": "",
}  # fmt: skip
_HOLES: Final = {
    "first_name": "first", "first_name_male": "first", "first_name_female": "first", "first_name_nonbinary": "first",
    "person": "person", "name": "person", "name_male": "person", "name_female": "person", "last_name": "last",
    "last_name_male": "last", "city": "city", "address": "address", "organization": "org", "company": "org",
    "country": "country", "street_name": "streetname", "building_number": "building", "secondary_address": "flat",
    "postcode": "zip", "zipcode": "zip", "state_abbr": "state", "credit_card_number": "card", "phone_number": "phone",
    "date_of_birth": "dob", "date_time": "date", "day_of_week": "weekday", "email": "email", "ssn": "ssn",
    "iban": "iban", "url": "url", "job": "job", "prefix_male": "title", "prefix_female": "title",
    "us_driver_license": "id", "ip_address": "ip",
}  # fmt: skip
_BORN = re.compile(r"(?i)born|birth|dob|geb")
_MAYBE = re.compile(
    r"\b(?:1[89]\d\d|20\d\d)s?\b|\b\d{1,2}(?=[ -]year)|\b[A-Z][a-z]+(?:an|ese|ish)\b|\b(?:Thai|French|Dutch|Greek)\b"
)


@dataclass(frozen=True)
class Doc:
    """A text. A span's label with `?` in front may also be none; outside spans `open_labels` may be right too."""

    text: str
    spans: tuple[Span, ...] = ()
    open_labels: frozenset[str] = frozenset()
    weight: float = 1.0
    source: str = ""
    group: str = ""


def read(path: Path) -> list[dict[str, Any]]:
    """JSON lines, gzipped."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def held_out(text: str, share: int = 4) -> bool:
    """Whether a row is kept for measuring: one of `share`, by its text."""
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=4).digest()[0] % share == 0


def sentences(data: Path) -> list[Doc]:
    """presidio-research's sentences, labels made equal to ours; a group is a template."""
    docs = []
    for row in read(data / "sensitivity/pii_spans_large.jsonl.gz"):
        text, spans = row["text"], []
        for span in row["spans"]:
            kind = _KINDS.get(span["type"])
            if kind == "DATE_TIME" and _BORN.search(text):
                kind = "DATE_OF_BIRTH"
            if kind:
                value = text[span["start"] : span["end"]]
                short = kind == "PERSON" and value.lower().rstrip(".") in ("mr", "mrs", "ms", "miss", "dr")
                spans.append((span["start"], span["end"], "?PERSON" if short else kind))
        taken = [(span["start"], span["end"]) for span in row["spans"]]
        for hit in _MAYBE.finditer(text):
            if not any(low < hit.end() and hit.start() < high for low, high in taken):
                kind = (
                    "AGE"
                    if hit.group().isdigit() and len(hit.group()) < 3
                    else "DATE_TIME"
                    if hit.group()[0].isdigit()
                    else "NRP"
                )
                spans.append((*hit.span(), "?" + kind))
        docs.append(Doc(text, tuple(sorted(spans)), source="presidio", group=f"presidio/{row['template_id']}"))
    return docs


def refills(data: Path, rng: random.Random, times: int) -> Iterator[Doc]:
    """The same templates with people and places of our own."""
    forms: dict[int, str] = {}
    for row in read(data / "sensitivity/pii_spans_large.jsonl.gz"):
        forms.setdefault(row["template_id"], row["template"])
    for number, template in sorted(forms.items()):
        holes = re.sub(r"\{\{?(\w+)\}\}?", lambda hole: "{" + _HOLES.get(hole.group(1), "org") + "}", template)
        if not _BORN.search(holes):
            holes = holes.replace("{dob}", "{date}")
        for _ in range(times):
            filler = Filler(rng, rng.choice(["en", "en", *names.LANGUAGES]))
            text, spans = filler.fill(holes)
            docs_spans = [
                *spans,
                *((*hit.span(), "?NRP") for hit in _MAYBE.finditer(text) if not _inside(hit.span(), spans)),
            ]
            yield Doc(text, tuple(sorted(docs_spans)), source="refill", group=f"presidio/{number}")


def _inside(span: tuple[int, int], spans: Sequence[Span]) -> bool:
    return any(low < span[1] and span[0] < high for low, high, _ in spans)


def noisy(data: Path) -> list[Doc]:
    """WNUT's rows; names of groups may count as organisations."""
    docs = []
    for row in read(data / "sensitivity/wnut17_train.jsonl.gz"):
        spans = [(span["start"], span["end"], _KINDS[span["type"]]) for span in row["spans"] if _KINDS[span["type"]]]
        docs.append(
            Doc(
                row["text"],
                tuple(sorted(spans)),
                frozenset({"DATE_TIME", "AGE", "NRP"}),
                1.0,
                "wnut",
                "wnut/" + row["id"],
            )
        )
    return docs


def templates() -> dict[str, list[str]]:
    """Our own templates by language."""
    found: dict[str, list[str]] = {}
    for name in ("tagger_templates.txt", "tagger_documents.txt"):
        source = files("classifiers.training").joinpath(name)
        if source.is_file():
            for line in source.read_text("utf-8").splitlines():
                language, tab, template = line.partition("\t")
                if tab:
                    found.setdefault(language, []).append(template.replace("\\n", "\n"))
    return found


def negatives(rng: random.Random, times: int) -> Iterator[Doc]:
    """Our own text without anybody's data: headlines, code, logs, titles, questions about the famous."""
    text = files("classifiers.training").joinpath("tagger_negatives.txt").read_text("utf-8")
    for line in text.splitlines():
        for _ in range(times * 4 if "{famous}" in line else times):
            filled = re.sub(r"\{famous\}", lambda _: rng.choice(FAMOUS), line.replace("\\n", "\n"))
            loose = frozenset() if "{famous}" in line else NOT_DIRECT
            yield Doc(filled, (), NOT_DIRECT | loose, 2.0, "negatives", "negatives/" + line[:40])


def benign(data: Path) -> dict[str, list[str]]:
    """Public texts that hold nobody's data, by source."""
    found: dict[str, list[str]] = {}
    found["clinc150"] = [row["text"] for row in read(data / "traffic/clinc150.jsonl.gz")]
    found["banking77"] = [row["text"] for row in read(data / "traffic/banking77.jsonl.gz")]
    found["medical_questions"] = [
        row["question"] for row in read(data / "sensitivity/medical_public_questions.jsonl.gz")
    ]
    found["self_instruct"] = [
        row["instruction"] + "\n" + "\n".join(each.get("input", "") for each in row["instances"][:1])
        for row in read(data / "traffic/self_instruct.jsonl.gz")
    ]
    found["awesome_prompts"] = [row["prompt"] for row in read(data / "traffic/awesome_prompts.jsonl.gz")]
    found["mmlu"] = [row["prompt"] for row in read(data / "routing/mmlu_2000.jsonl.gz")]
    found["gsm8k"] = [row["prompt"] for row in read(data / "routing/gsm8k_200.jsonl.gz")]
    routed = read(data / "routing/llmrouter_train.jsonl.gz")
    for kind in ("mbpp", "humaneval", "gsm8k", "math", "arc_challenge", "commonsense", "openbook"):
        rows = [row["prompt"] for row in routed if row["dataset"].split("/")[-1].startswith(kind.split("_")[0])]
        if rows:
            found["router/" + kind] = rows
    return {name: [text for text in dict.fromkeys(texts) if text.strip()] for name, texts in found.items()}


def soups(rng: random.Random, count: int) -> dict[str, list[str]]:
    """Sentences of usual words in no order, from Faker's lists: they teach what is a word and nobody's name."""
    found: dict[str, list[str]] = {}
    for locale in "en_US de_DE fr_FR es_ES it_IT nl_NL da_DK pl_PL cs_CZ".split():
        words = importlib.import_module(f"faker.providers.lorem.{locale}").Provider.word_list
        for _ in range(count if locale[:2] in names.LANGUAGES else count // 4):
            line = " ".join(rng.choices(words, k=rng.randint(5, 16)))
            line = line[0].upper() + line[1:]
            if rng.random() < 0.2:
                line = line.title()
            found.setdefault(locale[:2], []).append(line + rng.choice([".", "", "?", ",", "!", ":"]))
    return found


def program_text(rng: random.Random, count: int) -> Iterator[Doc]:
    """Stretches of the code of Django, Wagtail and Oscar (BSD): identifiers, comments, markup."""
    paths = [
        path
        for package in ("django", "wagtail", "oscar")
        for ending in ("py", "html", "js", "css", "txt")
        for path in sorted(Path(str(files(package))).rglob("*." + ending))
        if 1500 < path.stat().st_size < 60_000 and "locale" not in path.parts
    ]
    for path in rng.sample(paths, min(count, len(paths))):
        text = path.read_text("utf-8", "replace")
        start = rng.randrange(len(text) - 600)
        yield Doc(text[start : start + rng.randint(80, 600)], (), NOT_DIRECT, 1.0, "code", "code")


def titles(rng: random.Random, texts: Sequence[str], count: int) -> Iterator[Doc]:
    """Usual words with large letters where people put them: headlines, lists, values, labels."""
    counts = Counter(word for text in texts for word in re.findall(r"[a-z]{3,}", text))
    words = sorted(word for word, number in counts.items() if number > 3)
    forms = (
        "{} {} {} And {} {}|{}, {} and {}|{} {}: {}|- {}\n- {} {}|{} vs. {}|The {} {} of {}|Use {} with {} and {}."
        '|{} {} {} {}|[{}] {} {}|{}.{}({})|Act as a {} {}.|What is {} {}?|"{}": "{}"|<{}>{}</{}>|1. {}: {} {}'
        "|I like {} {}.|{}'s {} {}|# {} {}|Step: {} {}|{} / {} / {}"
    ).split("|")
    for _ in range(count):
        form = rng.choice(forms)
        put = [rng.choice(words) for _ in range(form.count("{}"))]
        put = [
            word.upper() if rng.random() < 0.05 else word.capitalize() if rng.random() < 0.9 else word for word in put
        ]
        yield Doc(form.format(*put), (), NOT_DIRECT, 1.0, "titles", "titles")


def numbers(rng: random.Random, count: int) -> Iterator[Doc]:
    """Numbers that are nobody's: ids, versions, sums, lists, hashes, tables, in everyday words."""
    forms = files("classifiers.training").joinpath("tagger_numbers.txt").read_text("utf-8").splitlines()

    def put(hole: re.Match[str]) -> str:
        return "".join(rng.choices("0123456789" if hole.group(1) == "9" else "0123456789abcdef", k=int(hole.group(2))))

    for _ in range(count):
        line = rng.choice(["\n", " ", "; "]).join(rng.choices(forms, k=rng.randint(1, 3)))
        text = re.sub(r"\{(9|f)(\d+)\}", put, line)
        yield Doc(text, (), frozenset(), 1.0, "numbers", "numbers")


def disturb(doc: Doc, rng: random.Random) -> Doc:
    """A copy as people and scanners write: other case, a typing error, in a member's place."""
    text, kind = doc.text, rng.random()
    if kind < (0.12 if _is_english(doc) else 0.04):
        low = text.lower()
        return replace(doc, text=low) if len(low) == len(text) else doc
    if kind < 0.14:
        high = text.upper()
        return replace(doc, text=high) if len(high) == len(text) else doc
    if kind < 0.19 and len(text) > 20:
        place = rng.randrange(1, len(text) - 1)
        if text[place].isalpha():
            put = rng.choice("abcdefghijklmnopqrstuvwxyz0")
            return replace(doc, text=text[:place] + put + text[place + 1 :])
    return doc


def _is_english(doc: Doc) -> bool:
    return not doc.source.startswith(("own/", "composed", "messages", "soup")) or doc.source.endswith("/en")


def compose(rng: random.Random, own: dict[str, list[str]], plain_lines: dict[str, list[str]]) -> Doc:
    """A longer document of one language: several templates and plain sentences, one after the other."""
    language = rng.choices(names.LANGUAGES, [5, 2, 2, 2, 2, 2])[0]
    filler = Filler(rng, language)
    joint = rng.choice(["\n", "\n", " ", "\n\n", ". "])
    text, spans = "", list[Span]()
    for _ in range(rng.randint(2, 7)):
        if rng.random() < 0.45 and plain_lines.get(language):
            part, found = rng.choice(plain_lines[language]), list[Span]()
        else:
            part, found = filler.fill(rng.choice(own[language]))
        spans += [(low + len(text), high + len(text), label) for low, high, label in found]
        text += part + joint
    return Doc(
        text.rstrip(),
        tuple(span for span in spans if span[1] <= len(text.rstrip())),
        source="composed/" + language,
        group="own",
    )


def messages() -> dict[str, list[str]]:
    """Sentences in six languages from the translations of Django, Wagtail and Oscar (BSD): text without names."""
    from babel.messages.mofile import read_mo

    found: dict[str, list[str]] = {}
    for package in ("django", "wagtail", "oscar"):
        root = Path(str(files(package)))
        for path in sorted(root.rglob("*/LC_MESSAGES/django.mo")):
            language = path.parts[-3]
            if language != "en":
                with path.open("rb") as stream:
                    catalogue = read_mo(stream)
                for message in catalogue:
                    text, own = message.string, message.id
                    if (
                        isinstance(text, str)
                        and len(text) > 12
                        and "%" not in text
                        and "{" not in text
                        and "<" not in text
                    ):
                        found.setdefault(language, []).append(text)
                        if isinstance(own, str) and language == "de":
                            found.setdefault("en", []).append(own)
    return {language: sorted(set(texts)) for language, texts in found.items()}
