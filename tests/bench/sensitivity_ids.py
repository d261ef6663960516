"""Validated identifiers, plain and disguised, through the whole pipeline."""

from __future__ import annotations

from argparse import Namespace
from collections import Counter
from collections.abc import Iterator

from classifiers.pipeline import Pipeline
from classifiers.rates import Rate
from classifiers.types import Scan, ScanRules
from tests.bench.figures import Figure, of_rate
from tests.support import identifiers
from tests.support.mutations import MUTATIONS, SPLITS, fits

EACH = 240  # identifiers an entity, plain
DISGUISED = 6  # identifiers an entity and disguise
_SEED = 20261201


async def ids(given: Namespace) -> Iterator[Figure]:
    """Recall of the identifiers that are to be found nearly always, and of all others by entity."""
    pipeline = Pipeline(signals={}, memory_bytes=0, budget_ms=60_000)
    try:
        plain = await _plain(pipeline)
        disguised, by_disguise = await _disguised(pipeline)
    finally:
        await pipeline.close()
    clean = _sum(plain, identifiers.CLEAN)
    figures = [
        of_rate("validated ids, plain", clean, 0.995, "at_least", baseline="flag nothing 0.000"),
        of_rate(
            "validated ids, disguised",
            _sum(disguised, identifiers.CLEAN),
            0.95,
            "at_least",
            baseline="nullpii 0.12 (F1)",
        ),
    ]
    figures += [of_rate(f"plain: {entity}", rate, None, "at_least") for entity, rate in sorted(plain.items())]
    figures += [of_rate(f"disguised: {name}", rate, None, "at_least") for name, rate in sorted(by_disguise.items())]
    return iter(figures)


def _sum(rates: dict[str, Rate], entities: object) -> Rate:
    chosen = [rate for entity, rate in rates.items() if entity in entities]  # type: ignore[operator]
    return Rate(sum(rate.count for rate in chosen), sum(rate.total for rate in chosen))


async def _plain(pipeline: Pipeline) -> dict[str, Rate]:
    """The share of sentences in which the identifier is found under its own name."""
    rates = {}
    for entity in identifiers.ENTITIES:
        hit = 0
        rows = identifiers.sentences(entity, EACH, _SEED)
        for row in rows:
            scan = await _scan(pipeline, row.text)
            hit += any(
                each.entity_type == entity and each.start < row.end and row.start < each.end for each in scan.findings
            )
        rates[entity] = Rate(hit, len(rows))
    return rates


async def _disguised(pipeline: Pipeline) -> tuple[dict[str, Rate], dict[str, Rate]]:
    """By entity and by disguise: found where it stands, under any name, or said to be unreadable."""
    hits: Counter[tuple[str, str]] = Counter()
    totals: Counter[tuple[str, str]] = Counter()
    for entity in sorted(identifiers.CLEAN):
        for name in (*MUTATIONS, *SPLITS):
            rows = [row for row in identifiers.sentences(entity, 4 * DISGUISED, _SEED + 1) if fits(name, row.value)]
            for row in rows[:DISGUISED]:
                before, after = row.text[: row.start], row.text[row.end :]
                parts = SPLITS[name](row.value) if name in SPLITS else [MUTATIONS[name](row.value)]
                parts = (
                    [before + parts[0], *parts[1:-1], parts[-1] + after]
                    if len(parts) > 1
                    else [before + parts[0] + after]
                )
                scan = await _scan(pipeline, *parts)
                totals[entity, name] += 1
                hits[entity, name] += bool(scan.findings or scan.unknowns)

    def by(place: int) -> dict[str, Rate]:
        names = {key[place] for key in totals}
        return {
            name: Rate(
                sum(hits[key] for key in totals if key[place] == name),
                sum(totals[key] for key in totals if key[place] == name),
            )
            for name in names
        }

    return by(0), by(1)


async def _scan(pipeline: Pipeline, *parts: str) -> Scan:
    content = [{"type": "text", "text": part} for part in parts] if len(parts) > 1 else parts[0]
    body = {"messages": [{"role": "user", "content": content}]}
    return (await pipeline.run(body, ScanRules(), "bench")).scan
