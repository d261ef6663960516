"""What checking an API key costs: a request's headers to its principal, with 1,000 keys in the store.

python -m tests.bench.policy_keys
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from router.api_keys.key import new_key_text
from router.api_keys.store import KeyStore
from router.errors import Unauthenticated
from router.identity import Identity
from router.settings import Settings

KEYS = 1000
CHECKS = 20_000
_BATCH = 20  # a clock of nanoseconds says little of one check


def microseconds(check: Callable[[bytes], object], texts: list[bytes]) -> tuple[float, float]:
    """Processor time of one check, p50 and p99, over batches of 20 different keys."""
    taken = []
    for start in range(0, CHECKS, _BATCH):
        batch = [texts[(start + at) % len(texts)] for at in range(_BATCH)]
        began = time.process_time_ns()
        for text in batch:
            check(text)
        taken.append((time.process_time_ns() - began) / _BATCH / 1000)
    taken.sort()
    return taken[len(taken) // 2], taken[int(len(taken) * 0.99)]


def measure(out: Callable[[str], object] = sys.stdout.write) -> None:
    """Print the figures."""
    chance = random.Random(7)  # an order of keys
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        with KeyStore(state) as store:
            made = [
                store.create(f"app-{index}", subject_header="x-user" if index % 2 else None) for index in range(KEYS)
            ]
        began = time.process_time()
        identity = Identity(Settings(state_dir=state))
        out(f"{KEYS:,} keys read in {(time.process_time() - began) * 1000:.0f} ms\n")
        chance.shuffle(made)
        usual = [(b"host", b"a"), (b"content-type", b"application/json"), (b"x-user", b"anna"), (b"accept", b"*/*")]

        def check(text: bytes) -> None:
            identity.authenticate([*usual, (b"authorization", b"Bearer " + text)])

        def refuse(text: bytes) -> None:
            try:
                check(text)
            except Unauthenticated:
                return
            raise AssertionError("a key that nobody has was taken")

        plain = [text.encode() for key, text in made if key.subject_header is None]
        named = [text.encode() for key, text in made if key.subject_header is not None]
        strange = [new_key_text(key.id).encode() for key, _ in made]
        for words, call, texts in (
            ("a key", check, plain),
            ("a key with a subject header", check, named),
            ("a wrong key", refuse, strange),
        ):
            median, most = microseconds(call, texts)
            out(f"checking {words}, of {KEYS:,}: p50 {median:.1f} us, p99 {most:.1f} us (target p50 <= 20)\n")


if __name__ == "__main__":
    measure()
