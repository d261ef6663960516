"""What the pattern detectors find, what they flag wrongly, and how long they and an admin's patterns take.

    python -m tests.bench.patterns recall [--count 2000] [--seed 11]
    python -m tests.bench.patterns alarms [FILE.jsonl.gz:FIELD ...]
    python -m tests.bench.patterns speed [FILE.jsonl.gz:FIELD ...]
    python -m tests.bench.patterns admin

Recall: identifiers in sentences of six languages, found when a finding of their kind covers them whole. Times are this
thread's own, the least of seven repeats; medians and tails over different texts.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from classifiers.placing import settle
from classifiers.registry import DETECTORS
from classifiers.scanner import Hit, Report, Scanner
from classifiers.types import Pattern, ScanRules
from tests.support.identifiers import ENTITIES, LANGUAGES, sentences
from tests.support.lookalikes import lookalikes

_NAMES = """
    email phone card iban ip national_id health_id papers accounts devices crypto secret_rules passwords tokens
    private_keys
"""
_ITEMS = (
    "Call me at (212) 555-2368.",
    "The card is 4111 1111 1111 1111.",
    "Write to jo.doe@corp.example.com.",
    "GB82 WEST 1234 5698 7654 32 is the account.",
    "api_key = q8Zr2LkPw9Xt4Vn7Yb1M",
    "my ssn is 536-90-4399",
    "password: hunter2x!",
    "from 10.1.2.3",
    "+49 30 901820",
    "IMEI 490154203237518",
)
_ADMIN_SHAPES = (
    "(?i)project[- ]{0}[a-z]*",
    "EMP-{0}\\d{{6}}",
    "(a+)+b{0}",
    "(x|xx)*y{0}$",
    "[a-z]{{1,30}}@{0}corp\\.internal",
    "(?i)case[ -]?{0}\\d+",
    "^(([a-z])+.)+[A-Z]([a-z])+{0}$",
    "(.*a){{8}}z{0}",
    "^SECRET {0}.*$",
    "(\\w+\\s?)+{0}end",
)


def scanner() -> Scanner:
    """The pattern detectors alone."""
    return Scanner({name: DETECTORS[name] for name in _NAMES.split()})


def scan(target: Scanner, data: bytes, rules: ScanRules) -> list[Hit]:
    """What is found, one hit for what is one item."""
    report = Report()
    for _ in target.scan(data, rules, report, lambda: False):
        pass
    if report.errors:
        raise SystemExit(f"errors: {report.errors}")
    return settle(report.hits)


def recall(count: int, seed: int) -> None:
    """A line for each entity, with its recall in each language."""
    target = scanner()
    for entity in ENTITIES:
        tried, found = Counter[str](), Counter[str]()
        for made in sentences(entity, count, seed):
            start, end = len(made.text[: made.start].encode()), len(made.text[: made.end].encode())
            hits = scan(target, made.text.encode(), ScanRules())
            tried[made.language] += 1
            found[made.language] += any(hit.entity == entity and hit.start <= start and end <= hit.end for hit in hits)
        by_language = ", ".join(f"{language} {found[language] / tried[language]:.4f}" for language in LANGUAGES)
        print(f"{entity:<20} {found.total() / tried.total():.4f}  n {tried.total()}  ({by_language})")


def texts_of(sources: list[str]) -> dict[str, list[str]]:
    """The texts of each FILE:FIELD."""
    texts: dict[str, list[str]] = {}
    for source in sources:
        path, _, member = source.rpartition(":")
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            texts[Path(path).name] = [str(json.loads(line)[member]) for line in lines]
    return texts


def alarms(sources: list[str]) -> None:
    """The share of rows flagged in each set, and by what."""
    target = scanner()
    for name, texts in {"look-alikes": [text for _, text in lookalikes(12_000, 3)], **texts_of(sources)}.items():
        flagged, kinds = 0, Counter[str]()
        for text in texts:
            entities = {hit.entity for hit in scan(target, text.encode("utf-8", "surrogatepass"), ScanRules())}
            flagged += bool(entities)
            kinds.update(entities)
        print(f"{name:<40} {flagged}/{len(texts)} = {100 * flagged / len(texts):.2f} %  {dict(kinds)}")


def least(action: Callable[[], object], repeats: int = 7) -> float:
    """Microseconds of this thread, the least of several."""
    best = float("inf")
    for _ in range(repeats):
        began = time.thread_time_ns()
        action()
        best = min(best, (time.thread_time_ns() - began) / 1000)
    return best


def speed(sources: list[str]) -> None:
    """Ordinary text of three sizes, and 4 KB with thirty items."""
    target, chance = scanner(), random.Random(3)
    stretches = [text for texts in texts_of(sources).values() for text in texts]
    stretches = stretches or [text for kind, text in lookalikes(2000, 7) if kind == "prose"]
    chance.shuffle(stretches)
    prose = " ".join(stretches)
    while len(prose) < 200_000:
        prose += " " + prose
    for size, count in ((150, 300), (1024, 200), (4096, 100)):
        bodies = [prose[at : at + size].encode() for at in chance.sample(range(len(prose) - size), count)]
        times = sorted(least(lambda body=body: scan(target, body, ScanRules())) for body in bodies)  # type: ignore[misc]
        print(f"{size:>6} characters: p50 {statistics.median(times):.1f} us, p99 {times[int(0.99 * count)]:.1f} us")
    bodies = [_full(prose, turn) for turn in range(20)]
    times = [least(lambda body=body: scan(target, body, ScanRules())) for body in bodies]  # type: ignore[misc]
    print(f"  4096 with 30 items: p50 {statistics.median(times):.0f} us, worst {max(times):.0f} us")


def _full(prose: str, turn: int) -> bytes:
    step, parts = 4096 // 30, []
    for index in range(30):
        item = _ITEMS[index % len(_ITEMS)]
        at = 5000 * turn + index * step
        parts.append(prose[at : at + step - len(item) - 2] + " " + item + " ")
    return "".join(parts).encode()[:4096]


def admin() -> None:
    """A hundred patterns of an admin's over 1 MiB that was written against them."""
    patterns = tuple(Pattern(f"P{n}", _ADMIN_SHAPES[n % len(_ADMIN_SHAPES)].format(n)) for n in range(100))
    rules, target = ScanRules(patterns=patterns, digest="bench"), Scanner({})
    size = 1 << 20
    bodies = {
        "one letter": b"a" * size,
        "pairs": b"xx" * (size // 2),
        "almost": (b"aaa xxx emp-12 EMP-1 12345 SECRET a@corp case-x project " * (size // 50))[:size],
        "a hit in each 4 KB": (b"EMP-1123456 " + b"lorem ipsum " * 340) * (size // 4092),
    }
    for name, body in bodies.items():
        first = least(lambda body=body: scan(target, body, rules), 1) / 1000  # type: ignore[misc]
        again = least(lambda body=body: scan(target, body, rules), 5) / 1000  # type: ignore[misc]
        print(f"{name:<20} {len(body)} bytes: first {first:.0f} ms, then {again:.0f} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("recall", "alarms", "speed", "admin"))
    parser.add_argument("sources", nargs="*")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=11)
    arguments = parser.parse_args()
    if arguments.what == "recall":
        recall(arguments.count, arguments.seed)
    elif arguments.what == "admin":
        admin()
    else:
        {"alarms": alarms, "speed": speed}[arguments.what](arguments.sources)
