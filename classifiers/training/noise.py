"""What is no language: code, random tokens, and lists of names and addresses of many countries, from a seed."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from pathlib import Path

from faker import Faker

_LOCALES = (
    "en_US", "en_GB", "de_DE", "fr_FR", "es_ES", "es_MX", "it_IT", "nl_NL", "pl_PL", "pt_BR", "cs_CZ", "da_DK",
    "fi_FI", "hu_HU", "no_NO", "sv_SE", "ro_RO", "hr_HR", "sl_SI", "tr_TR", "id_ID", "vi_VN", "en_IN", "fil_PH",
    "et_EE", "lv_LV",
)  # fmt: skip
_FILES, _PIECES, _TOKENS, _NAMES = 160, 9000, 2500, 160
_LOREM = (
    "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore et dolore magna "
    "aliqua ut enim ad minim veniam quis nostrud exercitation ullamco laboris nisi ut aliquip ex ea commodo consequat "
    "duis aute irure dolor in reprehenderit in voluptate velit esse cillum dolore eu fugiat nulla pariatur excepteur "
    "sint occaecat cupidatat non proident sunt in culpa qui officia deserunt mollit anim id est laborum"
)


def noise(library: Path, seed: int) -> Iterator[str]:
    """Texts of no language; `library` is a folder of Python source."""
    chance = random.Random(seed)  # noqa: S311  # a reproducible draw, not a secret
    yield from _code(library, chance)
    yield from _tokens(chance)
    yield from _names(chance, seed)
    words = _LOREM.split()
    for start in range(0, len(words), 3):
        for count in (4, 8, 15):
            yield " ".join((words + words)[start : start + count])


def _code(library: Path, chance: random.Random) -> Iterator[str]:
    pieces = []
    for path in sorted(library.glob("*.py"))[:_FILES]:
        lines = path.read_text("utf-8", "replace").splitlines()
        start = 0
        while start < len(lines):
            count = chance.randint(1, 5)
            pieces.append(" ".join(lines[start : start + count]))
            start += count
    yield from chance.sample(pieces, min(_PIECES, len(pieces)))


def _tokens(chance: random.Random) -> Iterator[str]:
    for _ in range(_TOKENS):
        raw = chance.randbytes(chance.randint(9, 60))
        yield chance.choice((base64.b64encode(raw).decode(), base64.b32encode(raw).decode(), raw.hex()))
        letters = "abcdefghijklmnopqrstuvwxyz"
        yield " ".join("".join(chance.choices(letters, k=chance.randint(2, 9))) for _ in range(chance.randint(3, 8)))


def _names(chance: random.Random, seed: int) -> Iterator[str]:
    for locale in _LOCALES:
        fake = Faker(locale)
        fake.seed_instance(seed)
        for _ in range(_NAMES):
            name, company, address = fake.name(), fake.company(), fake.address()
            yield ", ".join(fake.name() for _ in range(chance.randint(2, 5)))
            yield f"{name}\n{company}\n{address}"
            yield address.replace("\n", ", ")
