"""Prompts with their task and domain: our own from `prompts.toml`, public sets whose rows are known by their source.

What each source's rows stand for is written here and nowhere else. A row may know only one of its two labels.
"""

from __future__ import annotations

import json
import random
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from itertools import chain
from pathlib import Path
from typing import Any

from classifiers.training import meaning_corpus
from classifiers.training.corpus import key, read

SEED = 20261128
EACH_FRAME = 2  # expansions of a frame in each domain
_LONG = 700  # characters of a row


@dataclass(frozen=True, slots=True)
class Prompt:
    """One text; a label is "" where it is not known. Rows of one `group` are never split in a measurement."""

    text: str
    task: str
    domain: str
    source: str
    group: str


_MMLU: Mapping[str, str] = {
    "maths": """abstract_algebra college_mathematics elementary_mathematics high_school_mathematics
        high_school_statistics""",
    "science": """astronomy college_biology college_chemistry college_physics conceptual_physics electrical_engineering
        high_school_biology high_school_chemistry high_school_physics""",
    "medicine": """anatomy clinical_knowledge college_medicine human_aging human_sexuality medical_genetics nutrition
        professional_medicine virology""",
    "law": "international_law jurisprudence professional_law",
    "business": """business_ethics econometrics high_school_macroeconomics high_school_microeconomics management
        marketing professional_accounting public_relations""",
    "computing": "college_computer_science computer_security high_school_computer_science machine_learning",
    "history": """high_school_european_history high_school_geography high_school_government_and_politics prehistory
        high_school_us_history high_school_world_history security_studies us_foreign_policy""",
    "humanities": """formal_logic high_school_psychology logical_fallacies moral_disputes moral_scenarios philosophy
        professional_psychology sociology world_religions""",
}  # miscellaneous and global_facts are left out: they are of no one domain
_SUBJECTS = {subject: domain for domain, subjects in _MMLU.items() for subject in subjects.split()}
# LLMRouter's families: task, domain, rows taken.
_FAMILIES: Mapping[str, tuple[str, str, int]] = {
    "gsm8k": ("maths", "maths", 200),
    "math": ("maths", "maths", 200),
    "mbpp": ("code", "computing", 250),
    "human_eval": ("code", "computing", 164),
    "arc_challenge": ("question", "science", 200),
    "openbook_qa": ("question", "science", 200),
    "gpqa": ("question", "science", 200),
    "commonsense_qa": ("question", "everyday", 200),
    "natural_qa": ("question", "", 200),
    "trivia_qa": ("question", "", 200),
    "agentverse-logicgrid": ("question", "", 40),
    "commongen": ("write", "", 40),
}
_CLINC: Mapping[str, str] = {"banking": "business", "credit_cards": "business", "work": "business", "oos": ""}
_MEANINGS: Mapping[str, str] = {
    "MEDICAL": "medicine",
    "LEGAL_MATTER": "law",
    "BUSINESS_STRATEGY": "business",
    "HUMAN_RESOURCES": "business",
    "CUSTOMER_DATA": "business",
    "PROPRIETARY_CODE": "computing",
    "CREDENTIALS": "computing",
}
# The tasks of the frames of `asking.json`, which are the same in all six languages.
_ASKED = (
    "question", "write", "chat", "chat", "question", "summarise", "translate", "brainstorm", "question", "rewrite",
    "chat", "rewrite", "question", "question", "question", "rewrite", "chat", "brainstorm", "chat", "question",
    "code", "chat", "write", "question",
)  # fmt: skip
_OWN_SLOTS = ("topic", "algorithm", "language", "widget")
_QUESTION = re.compile(
    r"^(?:what|how|why|when|who|where|which|is|are|do|does|can i|should|am i|did)\b|\?$", re.IGNORECASE
)


def rows(folder: Path) -> list[Prompt]:
    """Everything that is learned from, each text once. Raises `corpus.DataMissing`."""
    seen: set[str] = set()
    kept = []
    public = (_subjects, _families, _maths, _requests, _acts, _meant)
    for prompt in chain(own(), asked(), *(source(folder) for source in public)):
        name = key(prompt.text)
        if name and name not in seen:
            seen.add(name)
            kept.append(prompt)
    return kept


def hand_labelled(folder: Path) -> list[Prompt]:
    """Prompts of people with labels given by hand: for measuring alone."""
    texts = {row["id"]: row["prompt"] for row in read(folder, "routing/arena_bench_scores")}
    for row in read(folder, "traffic/self_instruct"):
        texts[row["id"]] = f"{row['instruction']}\n{row['instances'][0]['input']}".strip()
    found = []
    for line in (files("classifiers.training") / "hand_labels.tsv").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            name, task, domain = line.split("\t")
            source = "arena" if name.startswith("arena") else "self_instruct"
            found.append(Prompt(texts[name], task.strip("-"), domain.strip("-"), source, name))
    return found


def own(seed: int = SEED) -> Iterator[Prompt]:
    """The frames of `prompts.toml` in every domain."""
    draw = random.Random(seed)  # noqa: S311  # a reproducible draw, not a secret
    stored = tomllib.loads((files("classifiers.training") / "prompts.toml").read_text("utf-8"))
    topics, texts = stored["topics"], stored["texts"]
    for task, frames in stored["frames"].items():
        for number, frame in enumerate(frames):
            is_bare = "{" not in frame
            for domain in ("",) if is_bare else topics:
                for _ in range(1 if is_bare else EACH_FRAME):
                    text = frame if is_bare else _fill(frame, topics[domain], texts[domain], draw)
                    # A greeting is everyday talk; so is what an assistant is told to do.
                    yield Prompt(_typed(text, draw), task, domain or "everyday", "own", f"own/{task}/{number}")
    for task, part in stored["own"].items():
        for number, frame in enumerate(part["frames"]):
            for _ in range(EACH_FRAME * 5 if "{" in frame.replace("{{", "") else 1):
                slots = {slot: draw.choice(part.get(f"{slot}s", [""])) for slot in _OWN_SLOTS}
                text = frame.format(**slots, a=draw.randint(2, 99), b=draw.randint(2, 999))
                yield Prompt(_typed(text, draw), task, part["domain"], "own", f"own/{task}/{number}")


def _fill(frame: str, topics: list[str], texts: list[str], draw: random.Random) -> str:
    topic, other = draw.sample(topics, 2)
    count = draw.choice((1, 1, 2, 3))
    return frame.format(topic=topic, topic2=other, text=" ".join(draw.sample(texts, min(count, len(texts)))))


def _typed(text: str, draw: random.Random) -> str:
    """As people type: sometimes in small letters, without a mark at the end, politely."""
    if len(text) < 120 and draw.random() < 0.3:
        text = text.lower().rstrip(".?!")
    if draw.random() < 0.08:
        text = draw.choice(("please ", "Hi, ", "Could you help me? ", "hey, ")) + text
    return text


def asked() -> Iterator[Prompt]:
    """The requests of `asking.json`: six languages; what they are about is not labelled."""
    stored = json.loads((files("classifiers.training") / "asking.json").read_text("utf-8"))
    for language, parts in stored.items():
        for number, (frame, task) in enumerate(zip(parts["frames"], _ASKED, strict=True)):
            for topic in parts["topics"][number % 3 :: 3]:
                yield Prompt(frame.format(topic), task, "", f"asked/{language}", f"asked/{language}/{number}")


def _subjects(folder: Path) -> Iterator[Prompt]:
    for row in read(folder, "routing/mmlu_2000"):
        domain = _SUBJECTS.get(row["domain"], "")
        task = "maths" if domain == "maths" else "question"
        yield _row(row["prompt"], task, domain, "mmlu")


def _families(folder: Path) -> Iterator[Prompt]:
    taken = dict.fromkeys(_FAMILIES, 0)
    for row in read(folder, "routing/llmrouter_train"):
        family = _FAMILIES.get(row["domain"])
        if family is not None and taken[row["domain"]] < family[2]:
            taken[row["domain"]] += 1
            yield _row(row["prompt"], family[0], family[1], f"llmrouter/{row['domain']}")


def _maths(folder: Path) -> Iterator[Prompt]:
    for name, every in (("math_levels", 16), ("big_math_solve_rate", 32)):
        for row in _some(read(folder, f"routing/{name}"), every):
            yield _row(row["prompt"], "maths", "maths", name)


def _requests(folder: Path) -> Iterator[Prompt]:
    for row in _some(read(folder, "traffic/clinc150"), 3):
        domain = _CLINC.get(row["domain"], "everyday")
        task = "translate" if row["intent"] == "translate" else _asks(row["text"])
        yield Prompt(row["text"], task, domain, "clinc150", f"clinc150/{row['intent']}")
    for row in _some(read(folder, "traffic/banking77"), 5):
        yield Prompt(row["text"], _asks(row["text"]), "business", "banking77", f"banking77/{row['intent']}")
    for row in _some(read(folder, "sensitivity/medical_public_questions"), 6):
        yield Prompt(row["question"], "question", "medicine", "medical_questions", f"medical/{row['qtype']}")


def _asks(text: str) -> str:
    return "question" if _QUESTION.search(text) else "chat"


def _acts(folder: Path) -> Iterator[Prompt]:
    """Role play opens a conversation; longer ones are whole specifications, of no one task."""
    for row in read(folder, "traffic/awesome_prompts"):
        if row["prompt"].lower().startswith("i want you to act") and len(row["prompt"]) < _LONG:
            yield _row(row["prompt"], "chat", "", "awesome_prompts")


def _meant(folder: Path) -> Iterator[Prompt]:
    """Texts whose meaning is known, in the six languages: they say what a request is about, not what to do with it."""
    for row in _some(iter(meaning_corpus.rows(folder, SEED)), 12):
        if row.label in _MEANINGS:
            yield Prompt(row.text[:_LONG], "", _MEANINGS[row.label], "meaning", f"meaning/{row.group}")


def _row(text: str, task: str, domain: str, source: str) -> Prompt:
    return Prompt(text[:_LONG], task, domain, source, f"{source}/{re.sub(r'[0-9]+', '0', key(text))[:60]}")


def _some(found: Iterable[Any], every: int) -> Iterator[Any]:
    return (row for place, row in enumerate(found) if place % every == 0)
