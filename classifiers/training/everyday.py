"""Everyday questions with programmatic truth: made from a seed, graded by rule, never by a model or a person.

`python -m classifiers.training.everyday` writes the set that ships (`router/calibration/everyday.jsonl`); the same seed
gives the same bytes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from importlib.resources import files
from pathlib import Path

from classifiers.training import (
    everyday_facts,
    everyday_language,
    everyday_numbers,
    everyday_office,
    everyday_reading,
    everyday_words,
)
from classifiers.training.everyday_row import Row
from router.calibration.questions import SHIPPED, Question, render
from router.calibration.questions import everyday as load

__all__ = ["SEED", "TASKS", "generate", "load"]

SEED = 20261120
MOST = 110  # of one task: more than the 100 labels that a calibration of its own needs

TASKS: Mapping[str, Callable[[random.Random], Iterable[Row]]] = {
    "facts": everyday_facts.facts,
    "yes_no": everyday_facts.yes_no,
    "choice": everyday_facts.choices,
    "translation": everyday_facts.translations,
    "sums": everyday_numbers.sums,
    "word_problems": everyday_numbers.problems,
    "dates": everyday_numbers.dates,
    "counting": everyday_numbers.counting,
    "code": everyday_numbers.code,
    "extraction": everyday_reading.extraction,
    "classification": everyday_reading.classification,
    "json": everyday_reading.records,
    "formatting": everyday_words.formatting,
    "rewriting": everyday_words.rewriting,
    "sorting": everyday_words.sorting,
    "spelling": everyday_language.spelling,
    "naming": everyday_language.naming,
    "phrases": everyday_language.phrases,
    "abbreviations": everyday_language.abbreviations,
    "languages": everyday_language.languages,
    "comparisons": everyday_language.comparisons,
    "contacts": everyday_office.contacts,
    "passages": everyday_office.passages,
    "summaries": everyday_office.summaries,
    "drafts": everyday_office.drafts,
    "units": everyday_office.units,
}


def generate(seed: int = SEED) -> list[Question]:
    """About 2,100 questions, 30 to 110 of each of 26 tasks, no two with the same prompt."""
    questions: list[Question] = []
    seen: set[str] = set()
    for task, make in TASKS.items():
        draw = random.Random(f"{seed}/{task}")  # noqa: S311  # a reproducible draw, not a secret
        rows = {row.prompt: row for row in make(draw) if row.prompt not in seen}
        seen |= rows.keys()
        kept = list(rows.values()) if len(rows) <= MOST else draw.sample(list(rows.values()), MOST)
        for number, row in enumerate(kept):
            questions.append(Question(f"{task}/{number}", task, row.prompt, row.truth, row.grader, row.wrong))
    return questions


def main() -> None:
    """Write the set that ships."""
    path = Path(str(files("router.calibration"))) / SHIPPED
    path.write_text(render(generate()), "utf-8")


if __name__ == "__main__":
    main()
