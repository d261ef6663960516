"""How often the cache by meaning hits what means the same, and what does not: `python -m tests.bench.similar [FOLDER]`.

FOLDER holds `cache/qqp_dev.jsonl.gz` (labelled pairs of questions), `cache/paraphrases_mock.jsonl.gz` (paraphrases) and
`traffic/{clinc150,banking77}.jsonl.gz` (texts with their intent, of which all pairs are taken). Only measures.
"""

from __future__ import annotations

import gzip
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import orjson

from classifiers.embedding import Embedding
from classifiers.likeness import Likener, Likeness
from classifiers.rates import Rate

Alike = Callable[[str, str], bool]
_BARS = (0.90, 0.95, 0.97)


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of JSON lines."""
    with gzip.open(path) as file:
        return [orjson.loads(line) for line in file]


def counted(pairs: Sequence[tuple[str, str]], alike: Alike) -> Rate:
    """How many of the pairs would be one another's answer."""
    return Rate(sum(alike(one, other) for one, other in pairs), len(pairs))


def told(name: str, rate: Rate) -> str:
    """One line: hits, pairs, share with its interval."""
    low, high = rate.interval
    return f"  {name:<34} {rate.count:>5} of {rate.total:>6}  {rate.share:.4f} [{low:.4f}, {high:.4f}]"


def pairs_of(found: Sequence[dict[str, Any]], label: int) -> list[tuple[str, str]]:
    """The labelled pairs of one label."""
    return [(row["text_a"], row["text_b"]) for row in found if row["label"] == label]


def groups(texts: Sequence[dict[str, Any]], read: Callable[[str], Likeness | None]) -> Iterator[list[dict[str, Any]]]:
    """Texts that stand in one partition: no others are ever compared."""
    by: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in texts:
        like = read(row["text"])
        if like is not None:
            by.setdefault(like.anchors, []).append(row)
    yield from by.values()


class Reader:
    """Reads each text once."""

    def __init__(self) -> None:
        self._likener, self._embedding = Likener(), Embedding.load()
        self.read = cache(self._likener.of)

    def alike(self, bar: float) -> Alike:
        """As built: the same anchors, and near enough."""

        def is_alike(one: str, other: str) -> bool:
            first, second = self.read(one), self.read(other)
            if first is None or second is None or first.anchors != second.anchors:
                return False
            return float(first.vector @ second.vector) >= bar

        return is_alike

    def near(self, bar: float) -> Alike:
        """The vectors alone, for comparison."""
        return lambda one, other: float(self._embedding.vector(one).copy() @ self._embedding.vector(other)) >= bar


def show_pairs(folder: Path, reader: Reader) -> None:
    """Labelled pairs; those that hit although they are labelled as different are to be read."""
    labelled = rows(folder / "cache" / "qqp_dev.jsonl.gz")
    paraphrases = rows(folder / "cache" / "paraphrases_mock.jsonl.gz")
    sets = (("duplicates", labelled, 1), ("no duplicates", labelled, 0), ("paraphrases", paraphrases, 1))
    for title, make in (("as built", reader.alike), ("the vectors alone, for comparison", reader.near)):
        print(title)
        for bar in _BARS:
            for name, found, label in sets:
                print(told(f"{name}, from {bar:.2f} on", counted(pairs_of(found, label), make(bar))))
    print("hits among those labelled as no duplicates:")
    for one, other in pairs_of(labelled, 0):
        if reader.alike(_BARS[1])(one, other):
            print(f"  {one}  |  {other}")


def show_intents(texts: Sequence[dict[str, Any]], name: str, reader: Reader) -> None:
    """All pairs of a set, by whether they have one intent."""
    alike, same, other = reader.alike(_BARS[1]), 0, 0
    for group in groups(texts, reader.read):
        for one, two in combinations(group, 2):
            if alike(one["text"], two["text"]):
                same, other = same + (one["intent"] == two["intent"]), other + (one["intent"] != two["intent"])
    every = len(texts) * (len(texts) - 1) // 2
    print(f"{name}: {same} pairs of one intent hit, {other} of two; of {every:,} pairs, from {_BARS[1]:.2f} on")


def main(folder: Path) -> None:
    """Print everything."""
    reader = Reader()
    show_pairs(folder, reader)
    for name in ("clinc150", "banking77"):
        show_intents(rows(folder / "traffic" / f"{name}.jsonl.gz"), name, reader)
    texts, likener = [row["text_a"] for row in rows(folder / "cache" / "qqp_dev.jsonl.gz")], Likener()
    began = time.process_time()
    for text in texts:
        likener.of(text)
    print(f"reading a question: {(time.process_time() - began) / len(texts) * 1e6:.0f} µs of processor time")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[3] / "shared" / "data")
