"""The figures of the tagger's card, on what it never learned from.

Training only.
"""

from __future__ import annotations

import random
import re
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from classifiers.tagger import TaggerModel
from classifiers.training import tagger_data as sources
from classifiers.training import tagger_evaluate as evaluate

_EACH = 700
_MARK: Final = re.compile(r"\[\[(\w):(.*?)\]\]", re.DOTALL)
_MARKS: Final = MappingProxyType(
    {
        "P": "PERSON",
        "A": "STREET_ADDRESS",
        "L": "LOCATION",
        "O": "ORGANIZATION",
        "C": "CONTACT",
        "D": "DATE_OF_BIRTH",
        "G": "AGE",
        "N": "NRP",
    }
)


def figures(model: TaggerModel, data: Path) -> dict[str, Any]:
    """Names in noisy text and everyday text held back; both were kept from the training."""
    find = evaluate.tagger_finder(model)
    rng = random.Random(1)  # noqa: S311  # not for secrets
    texts: dict[str, list[str]] = {}
    for name, rows in sources.benign(data).items():
        kept = [text for text in rows if sources.held_out(text, 2)]
        texts[name] = rng.sample(kept, min(_EACH, len(kept)))
    for line in files("classifiers.training").joinpath("tagger_benign.txt").read_text("utf-8").splitlines():
        kind, _, text = line.partition("\t")
        texts.setdefault("own/" + kind, []).append(text.replace("\\n", "\n"))
    return {
        "noisy_names": noisy(find, data),
        "held_back": evaluate.share_held(find, texts),
        "documents": documents(find, evaluate.pattern_finder()),
        "documents_by_entity": by_entity(find, evaluate.pattern_finder()),
    }


def noisy(find: evaluate.Finder, data: Path) -> dict[str, float]:
    """Recall of persons in WNUT's kept rows, and the share of rows without one that are flagged."""
    hit = total = flagged = clean = 0
    for doc in sources.noisy(data):
        if not sources.held_out(doc.text):
            continue
        found = [item for item in find(doc.text) if item.label == "PERSON" and item.score >= evaluate.MIN_SCORE]
        gold = [span for span in doc.spans if span[2] == "PERSON"]
        if not gold:
            clean += 1
            flagged += bool(found)
        total += len(gold)
        hit += sum(any(item.start < high and low < item.end for item in found) for low, high, _ in gold)
    return {"recall": round(hit / total, 4), "clean_rows_flagged": round(flagged / clean, 4)}


def heldout() -> list[tuple[str, str, list[evaluate.Found]]]:
    """`tagger_heldout.txt`: language and kind, text and gold of each document. Nothing is ever trained on them."""
    lines = files("classifiers.training").joinpath("tagger_heldout.txt").read_text("utf-8")
    found = []
    for part in lines.split("=== ")[1:]:
        head, _, marked = part.partition("\n")
        text, gold = "", []
        last = 0
        for hit in _MARK.finditer(marked.rstrip("\n")):
            text += marked[last : hit.start()]
            gold.append(evaluate.Found(len(text), len(text) + len(hit.group(2)), _MARKS[hit.group(1)]))
            text += hit.group(2)
            last = hit.end()
        found.append((head, text + marked[last:].rstrip("\n"), gold))
    return found


def documents(find: evaluate.Finder, patterns: evaluate.Finder, key: int = 0) -> dict[str, dict[str, float]]:
    """By language (`key` 0) or kind (1): the share of gold items of which four fifths are covered, and more shares."""
    sums: dict[str, list[float]] = {}
    for head, text, gold in heldout():
        found = [*find(text), *patterns(text)]
        for name in (head.split(" ")[key], "all"):
            row = sums.setdefault(name, [0, 0, 0, 0, 0, 0])
            covered, wanted, marked = evaluate.coverage(text, gold, found)
            items = sum(evaluate.coverage(text, [item], found)[0] >= 0.8 * (item.end - item.start) for item in gold)
            spare = marked - covered
            for place, value in enumerate((items, len(gold), covered, wanted, spare, len(text))):
                row[place] += value
    return {
        name: {
            "items": round(row[0] / row[1], 3),
            "characters": round(row[2] / row[3], 3),
            "marked_beside": round(row[4] / row[5], 3),
            "gold_share": round(row[3] / row[5], 3),
        }
        for name, row in sums.items()
    }


def by_entity(find: evaluate.Finder, patterns: evaluate.Finder) -> dict[str, float]:
    """The share of the documents' gold items of each entity of which four fifths are covered by anything found."""
    covered: dict[str, list[bool]] = {}
    for _, text, gold in heldout():
        found = [*find(text), *patterns(text)]
        for item in gold:
            share = evaluate.coverage(text, [item], found)[0] / (item.end - item.start)
            covered.setdefault(item.label, []).append(share >= 0.8)
    return {label: round(sum(each) / len(each), 3) for label, each in sorted(covered.items())}


DIRECT: Final = frozenset(
    "PERSON ADDRESS CREDIT_CARD PHONE_NUMBER EMAIL_ADDRESS IBAN_CODE US_SSN IP_ADDRESS US_DRIVER_LICENSE".split()
)


def sentences(find: evaluate.Finder, patterns: evaluate.Finder, data: Path, groups: frozenset[str]) -> dict[str, float]:
    """presidio-research's sentences of some templates: spans whatever their label, and requests that are held at all.

    Neighbours are merged by type, and once more whatever their type.
    """
    counts = {True: [0, 0, 0], False: [0, 0, 0]}
    held = direct = 0
    for row in sources.read(data / "sensitivity/pii_spans_large.jsonl.gz"):
        if f"presidio/{row['template_id']}" not in groups:
            continue
        text = row["text"]
        gold = [evaluate.Found(span["start"], span["end"], span["type"]) for span in row["spans"]]
        ids = patterns(text)
        names = [item for item in find(text) if not any(id_.start < item.end and item.start < id_.end for id_ in ids)]
        for by_label, row_counts in counts.items():
            wanted = evaluate.merged(text, gold, by_label)
            found = evaluate.merged(text, [*ids, *names], by_label)
            for place, value in enumerate((evaluate.matches(wanted, found), len(wanted), len(found))):
                row_counts[place] += value
        if DIRECT & {item.label for item in gold}:
            direct += 1
            held += bool(ids) or evaluate.holds(names)
    same, any_type = (evaluate.f_score(*counts[by_label]) for by_label in (True, False))
    return {
        "precision": round(same[0], 4),
        "recall": round(same[1], 4),
        "f2": round(same[2], 4),
        "f2_neighbours_of_any_type": round(any_type[2], 4),
        "requests_held": round(held / max(direct, 1), 4),
        "requests": direct,
    }
