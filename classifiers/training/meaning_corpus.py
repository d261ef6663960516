"""The rows that the meanings are learned from: our own templates, clinical conversations, and much that is harmless.

What each source stands for is written here and nowhere else. Rows of one group are never split in a measurement.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classifiers.training.asking import requests
from classifiers.training.authored import authored
from classifiers.training.corpus import key, read
from classifiers.training.everyday import load as load_everyday
from classifiers.training.meaning_code import code_texts, marked, prose
from classifiers.training.meaning_grammar import Grammar, expand
from classifiers.training.meaning_odd import VARIED, odd_texts

BENIGN = "benign"
OBJECTS = {
    "BUSINESS_STRATEGY": "strategy_obj",
    "CREDENTIALS": "cred_obj",
    "CUSTOMER_DATA": "customer_obj",
    "HUMAN_RESOURCES": "hr_obj",
    "INTERNAL_DOCUMENT": "internal_obj",
    "LEGAL_MATTER": "legal_obj",
    "MEDICAL": "medical_obj",
    "PROPRIETARY_CODE": "code_obj",
    "TRADE_SECRET": "trade_obj",
}
LABELS = (BENIGN, *sorted(OBJECTS))
_FILES = (
    "slots",
    "strategy",
    "hr",
    "legal",
    "customer",
    "secrets",
    "internal",
    "medical",
    "benign",
    "more",
    "people",
    "languages",
    "home",
    "daily",
    "styles",
    "abroad",
    "english",
    "plain",
)
EASY = frozenset({"home", "short", "daily", "plain"})  # our own harmless rows that nothing should ever hold
_LONG = 1600  # characters of a dialogue or a story that one row holds
_DIGITS = re.compile(r"\d+")
# Topics of everyday requests that may be somebody's health, money or office: left out, as nobody could say.
_UNCLEAR = re.compile(
    r"(?i)budget|presupuesto|bilancio|back pain|rückenschmerzen|mal de dos|dolor de espalda|mal di schiena|rugpijn|"
    r"complaint|beschwerde|réclamation|queja|reclamo|klacht|application|bewerbung|candidat|solicitud|sollicitatie|"
    r"contract|vertrag|contrat|contrato|contratto|meeting|treffen|réunion|reunión|riunione|vergadering"
)
# What a PrivacyLens story is about, where that is one of our meanings; the others are left out.
_STORIES = (
    ("LEGAL_MATTER", re.compile(r"legal|lawsuit|court|crim|immigra|custody|settlement")),
    (
        "MEDICAL",
        re.compile(r"health|medical|therap|diagnos|pregnan|illness|disease|abortion|patient|mental|rehab|clinic"),
    ),
    ("HUMAN_RESOURCES", re.compile(r"salar|performance review|layoff|employee|job|promotion|candidate|disciplin|wage")),
    ("CUSTOMER_DATA", re.compile(r"client|customer")),
    ("BUSINESS_STRATEGY", re.compile(r"merger|acqui|strategy|financial|business plan|product launch")),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One text, what it means, its weight in the fit, where it comes from, and what it must not be parted from."""

    text: str
    label: str
    weight: float
    source: str
    group: str

    @property
    def is_own(self) -> bool:
        """Whether the row comes from our templates: confidential ones and hard negatives."""
        return self.source.startswith("templates") or self.source in (
            "benign",
            "frames",
            "more",
            "people",
            "languages",
            "styles",
            "abroad",
            "english",
            "odd",
            *EASY,
        )

    @property
    def is_judged(self) -> bool:
        """Whether recall and false alarms are told from this row: easy ones of our own would only flatter them."""
        return self.source.startswith("free") or (self.is_own and self.source not in EASY)


def grammar() -> Grammar:
    """All templates of our own."""
    made = Grammar()
    for name in _FILES:
        made.read(name)
    made.read_frames("frames", OBJECTS)
    return made


def rows(folder: Path, seed: int) -> list[Row]:
    """All rows, no text twice; the same seed gives the same rows."""
    seen: set[str] = set()
    kept = []
    for row in (
        *_templates(seed),
        *_odd(seed),
        *_code(seed),
        *_messages(seed),
        *_clinical(folder),
        *_stories(folder),
        *_requests(folder),
        *_long(folder),
    ):
        name = key(row.text)
        if name and name not in seen:
            seen.add(name)
            kept.append(row)
    return kept


def _templates(seed: int) -> Iterator[Row]:
    made = grammar()
    for template, text in expand(made, 14, seed):
        weight = 0.6 if template.label == BENIGN else 1.5
        source = template.family.partition("/")[0] if template.label == BENIGN else f"templates/{template.label}"
        yield Row(text, template.label, weight, source, template.family)


def _odd(seed: int) -> Iterator[Row]:
    for family, text in odd_texts(seed):
        yield Row(text, BENIGN, 0.6, "short" if family in VARIED else "odd", f"odd/{family}")


def _code(seed: int) -> Iterator[Row]:
    for group, text in code_texts(seed, 5000):
        yield Row(text, BENIGN, 0.4, "code", f"code/{group}")
    for group, text in marked(seed, 200):
        yield Row(text, "PROPRIETARY_CODE", 0.5, "marked_code", f"code/{group}")
    for group, text in prose(seed, 900):
        yield Row(text, BENIGN, 0.3, "prose", group)


def _messages(seed: int) -> Iterator[Row]:
    """What programs tell their users, in the measured languages: sentences about orders and passwords, and nobody's."""
    from classifiers.training.tagger_data import messages  # packages that only training has
    from classifiers.training.tagger_names import LANGUAGES

    draw = random.Random(f"{seed}/messages")  # noqa: S311  # as above
    for language, texts in sorted(messages().items()):
        if language in LANGUAGES:
            whole = [text for text in texts if len(text) > 30]
            for text in draw.sample(whole, min(450, len(whole))):
                yield _harmless(text, 0.25, "messages")


def _windows(text: str, most: int) -> Iterator[str]:
    for start in range(0, min(len(text), most * _LONG), _LONG):
        window = text[start : start + _LONG]
        if len(window) > 200 or not start:
            yield window


def _clinical(folder: Path) -> Iterator[Row]:
    for number, row in enumerate(read(folder, "sensitivity/medical_dialogues")):
        group = f"medical_dialogues/{number % 40}"
        yield Row(row["dialogue"][:_LONG], "MEDICAL", 0.5, "medical_dialogues", group)
        if len(row["section_text"]) > 60:
            yield Row(row["section_text"][:_LONG], "MEDICAL", 0.5, "medical_notes", group)
    for number, row in enumerate(read(folder, "sensitivity/medical_visits")):
        for name in ("dialogue", "note"):
            for window in _windows(row[name], 3):
                yield Row(window, "MEDICAL", 1.0, f"medical_visits/{name}", f"medical_visits/{number % 20}")


def _stories(folder: Path) -> Iterator[Row]:
    for number, row in enumerate(read(folder, "sensitivity/privacylens")):
        about = row["data_type"].lower()
        for label, said in _STORIES:
            if said.search(about):
                text = row["data_type_concrete"] + "\n" + "\n".join(row["sensitive_info_items"])
                yield Row(text, label, 1.5, "privacylens", f"privacylens/{number % 20}")
                break


def _harmless(text: str, weight: float, source: str) -> Row:
    """A harmless row; texts that begin alike stay together."""
    return Row(text, BENIGN, weight, source, f"{source}/{_DIGITS.sub('0', key(text))[:60]}")


def _requests(folder: Path) -> Iterator[Row]:
    for name in ("clinc150", "banking77"):
        for row in read(folder, f"traffic/{name}"):
            yield _harmless(row["text"], 0.6, name)
    for row in _some(read(folder, "sensitivity/medical_public_questions"), 2):
        yield _harmless(row["question"], 0.5, "medical_public_questions")
    for language, text in requests():
        if not _UNCLEAR.search(text):
            yield Row(text, BENIGN, 0.25, "asking", f"asking/{language}/{len(text) % 8}")
    for question in load_everyday():
        yield _harmless(question.prompt, 0.6, "everyday")
    for prompt in authored():
        yield Row(prompt.prompt, BENIGN, 0.6, "authored", f"authored/{prompt.group}")
    for row in read(folder, "safety/prompt_injections_train"):
        yield _harmless(row["text"], 0.8, "prompt_injections")
    for row in read(folder, "cache/paraphrases_mock"):
        yield _harmless(row["text_a"], 0.5, "paraphrases")
    for row in read(folder, "sensitivity/pii_spans_large"):  # items that have detectors of their own
        yield Row(row["text"], BENIGN, 0.4, "pii_spans", f"pii_spans/{row['template_id']}")
    for row in _some(read(folder, "sensitivity/wnut17_train"), 3):
        yield _harmless(row["text"], 0.4, "wnut17")


def _some(rows: Iterator[dict[str, Any]], every: int) -> Iterator[dict[str, Any]]:
    """One row of so many, where a set says the same thing often."""
    return (row for number, row in enumerate(rows) if number % every == 0)


def _long(folder: Path) -> Iterator[Row]:
    for row in read(folder, "traffic/awesome_prompts"):
        for window in _windows(row["prompt"], 2):
            yield _harmless(window, 1.0, "awesome_prompts")
    for row in read(folder, "safety/jailbreak_prompts"):
        for window in _windows(row["prompt"], 2):
            yield _harmless(window, 1.0, "jailbreak")
    for row in read(folder, "traffic/self_instruct"):
        yield _harmless(f"{row['instruction']}\n{row['instances'][0]['input']}".strip(), 1.5, "self_instruct")
    for row in read(folder, "routing/arena_bench_scores"):
        yield _harmless(row["prompt"], 1.5, "arena")
    for name in ("mmlu_2000", "gsm8k_200", "llmrouter_train"):
        for row in _some(read(folder, f"routing/{name}"), 2 if name == "llmrouter_train" else 1):
            yield _harmless(row["prompt"][:_LONG], 0.6, name.rpartition("_")[0])
    for row in _some(read(folder, "routing/routerbench_subset"), 3):
        yield _harmless((row["question"] or row["prompt"])[:_LONG], 0.5, "routerbench")
    for row in _some(read(folder, "routing/big_math_solve_rate"), 8):
        yield _harmless(row["prompt"], 0.3, "big_math")


def vary(row: Row, others: list[Row], draw: random.Random) -> str:
    """The text as somebody else would send it: small letters, no full stop, harmless text around it."""
    text = row.text
    chance = draw.random()
    if chance < 0.2:
        text = text.lower()
    elif chance < 0.3:
        text = text.rstrip(".!? ")
    if draw.random() < 0.2:
        other = draw.choice(others).text[:300]
        text = f"{text}\n\n{other}" if draw.random() < 0.5 else f"{other}\n\n{text}"
    return text
