"""Nationality, religion and politics said of somebody: sentences of our own in six languages, and harmless traffic.

The detector's words were chosen before the sentences were written; it was changed once after they were first judged.
"""

from __future__ import annotations

import re
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from classifiers.detectors.base import Piece
from classifiers.detectors.groups import GroupDetector
from classifiers.rates import Rate
from classifiers.training import corpus
from tests.bench.figures import Figure, of_rate

SENTENCES = Path(__file__).with_name("groups.txt")  # language, tab, text with its group in double brackets
_MARK = re.compile(r"\[\[(.*?)\]\]")
_HARMLESS = {
    "CLINC150": ("traffic/clinc150", "text"),
    "BANKING77": ("traffic/banking77", "text"),
    "public medical questions": ("sensitivity/medical_public_questions", "question"),
    "awesome prompts": ("traffic/awesome_prompts", "prompt"),
    "MMLU": ("routing/mmlu_2000", "prompt"),
}


def found(detector: GroupDetector, text: str) -> list[tuple[int, int]]:
    """What the detector finds in a text, in bytes."""
    data = text.encode("utf-8", "replace")
    return [(each.start, each.end) for each in detector.detect(Piece(data, 0, len(data)), ())]


def sentences() -> Iterator[tuple[str, str, int, int]]:
    """Language, text, and where its group stands in it, in bytes."""
    for line in SENTENCES.read_text("utf-8").splitlines():
        language, marked = line.split("\t")
        mark = _MARK.search(marked)
        assert mark is not None
        text = marked[: mark.start()] + mark[1] + marked[mark.end() :]
        start = len(marked[: mark.start()].encode())
        yield language, text, start, start + len(mark[1].encode())


def groups(given: Namespace) -> Iterator[Figure]:
    """The share of groups that is found, by language, and the share of harmless rows with one."""
    detector = GroupDetector()
    total, hit = Counter[str](), Counter[str]()
    for language, text, start, end in sentences():
        total[language] += 1
        hit[language] += any(low < end and start < high for low, high in found(detector, text))
    note = "sentences by the makers of the detector"
    yield of_rate("NRP said of somebody, found", Rate(hit.total(), total.total()), None, "at_least", note=note)
    for language, count in sorted(total.items()):
        yield of_rate(f"NRP, {language}", Rate(hit[language], count), None, "at_least")
    for name, (file, member) in _HARMLESS.items():
        texts = [row[member] for row in corpus.read(given.data, file)]
        flagged = Rate(sum(bool(found(detector, text)) for text in texts), len(texts))
        yield of_rate(f"NRP in harmless rows: {name}", flagged, 0.02, "at_most")
