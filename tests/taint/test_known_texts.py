"""A text that comes again is not cut again, and nothing is found or missed for it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from policies.types import Level
from router.keys import Keys
from router.taint.known_texts import KnownTexts
from router.taint.ledger import Grade, TaintLedger
from router.taint.marks import MarkTable
from router.taint.segments import segments
from router.telemetry.metrics import MetricStore
from router.telemetry.telemetry import Telemetry

LONG = "The patient was seen on the third floor by the doctor of the night. " * 5
SECOND = "Nothing in this part of the letter was ever said by any model at all. " * 5


def key_of(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def test_a_text_is_cut_once_and_short_ones_each_time() -> None:
    cuts: list[str] = []

    def cut(text: str) -> list[bytes]:
        cuts.append(text)
        return [key_of(segment) for segment in segments(text)]

    known = KnownTexts()
    first = known.digests(LONG, key_of, cut)
    assert first == known.digests(LONG, key_of, cut) == tuple(cut(LONG))
    assert cuts == [LONG, LONG]  # the second one is this test's own
    short = LONG[:100]
    assert known.digests(short, key_of, cut) == known.digests(short, key_of, cut)
    assert cuts[2:] == [short, short]
    assert "patient" not in repr(vars(known))


def test_what_is_kept_is_bounded_and_what_was_used_last_stays() -> None:
    known = KnownTexts(most_digests=100)
    cut = [b"x" * 16] * 18
    for number in range(50):
        known.digests(f"{number}" * 200, key_of, lambda text: cut)
        known.digests("0" * 200, key_of, lambda text: cut)
    assert len(known) == 5
    known.digests("0" * 200, key_of, lambda text: [])
    assert known.digests("0" * 200, key_of, lambda text: []) == tuple(cut)
    known.digests("huge" * 100, key_of, lambda text: cut * 100)
    assert len(known) == 5


async def test_a_mark_that_is_made_later_is_found_in_a_text_that_is_known(tmp_path: Path) -> None:
    """Only the cutting is remembered: the table is asked each time, and each tenant has its own digests."""
    table = MarkTable(tmp_path / "state" / "taint.marks", 1 << 20)
    ledger = TaintLedger(Keys(b"k" * 32), table, ttl=600, telemetry=Telemetry(store=MetricStore()))
    body = {"messages": [{"role": "user", "content": LONG}, {"role": "assistant", "content": SECOND}]}
    for tenant in ("acme", "other"):
        ledger.put(
            tenant, Grade(Level.RESTRICTED), segments("Somebody else's answer, which stands in neither of them.")
        )
        for _ in range(3):
            assert (await ledger.look(tenant, body)).level is Level.PUBLIC
    ledger.put("acme", Grade(Level.CONFIDENTIAL), segments(SECOND))
    found = await ledger.look("acme", body)
    assert (found.level, [each.message for each in found.at]) == (Level.CONFIDENTIAL, [1])
    assert (await ledger.look("other", body)).level is Level.PUBLIC
    table.close()
