"""Views of a string in which disguised values stand plainly, each with a map back to the string's own offsets.

Today: invisible characters removed, compatibility forms and digits of any script folded. Never changes what is sent.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache

_KEPT = "\t\n\r…"  # read as they are; the ellipsis hides nothing and is common
_CONTROLS = bytes(code for code in (*range(0x20), 0x7F) if chr(code) not in _KEPT)


@dataclass(frozen=True, slots=True)
class View:
    """Another reading of a string. `offsets[i]` is where its character i stands in the original, and one more for the
    end; None: where it stands in the view.
    """

    text: str = field(repr=False)
    offsets: tuple[int, ...] | None = field(default=None, repr=False)
    via: tuple[str, ...] = ()


def views(text: str) -> list[View]:
    """Every reading of the string besides itself; none for plain text."""
    if text.isascii():
        raw = text.encode("ascii")
        if len(raw.translate(None, _CONTROLS)) == len(raw):
            return []
    folds = {ord(character): plain for character in set(text) if (plain := _fold(character)) != character}
    if not folds:
        return []
    result = text.translate(folds)
    if all(len(plain) == 1 for plain in folds.values()):
        return [View(result)]
    lengths = {chr(code): len(plain) for code, plain in folds.items()}
    offsets: list[int] = []
    for index, character in enumerate(text):
        length = lengths.get(character, 1)
        if length == 1:
            offsets.append(index)
        elif length:
            offsets.extend([index] * length)
    offsets.append(len(text))
    return [View(result, tuple(offsets))]


@lru_cache(maxsize=4096)
def _fold(character: str) -> str:
    """What one character reads as: nothing for an invisible one, ASCII for a digit of any script, else NFKC."""
    if character in _KEPT or (" " <= character <= "~"):
        return character
    category = unicodedata.category(character)
    if category in ("Cf", "Cc", "Cs", "Co", "Cn") or 0xFE00 <= ord(character) <= 0xFE0F or ord(character) >= 0xE0000:
        return ""
    if category == "Nd":
        return str(unicodedata.decimal(character))
    return unicodedata.normalize("NFKC", character)
