"""Characters that read as others: invisible ones as nothing, compatibility forms and digits of any script as ASCII.

Payloads hidden in tag characters and variation selectors are read out. Ordinary text in any script changes nothing.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from classifiers.views.view import Change

_KEPT = "\t\n\r…"  # read as they are; the ellipsis hides nothing and is common
CONTROLS = bytes(code for code in (*range(0x20), 0x7F) if chr(code) not in _KEPT)
_ODD = re.compile(f"[^ -~{_KEPT}]")  # all others read as themselves
_SELECTORS = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
_TAGS = re.compile("[\U000e0020-\U000e007e]{2,}")
_BYTES = re.compile(f"[{_SELECTORS}]{{2,}}")
_MARKED = re.compile("[0-9A-Za-z][\u0300-\u036f\u0488\u0489\u20d0-\u20ff\u1ab0-\u1aff\u1dc0-\u1dff]+")
_BLANKS = "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_SPACED = re.compile(f"[{_BLANKS}]")


# What of the usual Western characters (code page 1252) reads as another: ª º ² ³ ¹ ¼ ½ ¾ µ ™ and the soft hyphen.
_FOLDING_WESTERN = CONTROLS + b"\xaa\xba\xb2\xb3\xb9\xbc\xbd\xbe\xb5\x99\xad"


def reads_as_itself(text: str) -> bool:
    """Whether a text holds nothing but usual Western characters that read as themselves. False is no answer."""
    try:
        raw = text.encode("ascii" if text.isascii() else "cp1252")
    except UnicodeEncodeError:
        return False
    return len(raw.translate(None, _FOLDING_WESTERN)) == len(raw)


def with_plain_blanks(text: str) -> str:
    """The text with every blank of one character written as an ASCII one: offsets stay as they are."""
    if text.isascii() or not _SPACED.search(text):
        return text
    for blank in _BLANKS:
        text = text.replace(blank, " ")
    return text


def folded(text: str) -> list[Change]:
    """The characters that read as others; none for plain text of any script."""
    folds = {character: plain for character in set(_ODD.findall(text)) if (plain := fold(character)) != character}
    changes = _marked(text) if not text.isascii() and _MARKED.search(text) else []
    if not folds:
        return changes
    hidden = _payloads(text, folds)
    singles = [
        Change(at, at + 1, folds[hit.group()])
        for hit in _ODD.finditer(text)
        if hit.group() in folds and _matters(text, at := hit.start(), folds)
    ]
    return _ordered([*changes, *hidden], _gathered(singles))


def _matters(text: str, at: int, folds: dict[str, str]) -> bool:
    """Whether this character can be part of a value: not punctuation amid other scripts, not what makes up an emoji."""
    plain = folds[text[at]]
    if not plain:
        return at == 0 or unicodedata.category(text[at - 1]) not in ("So", "Sk", "Sm")
    if not plain.isascii() or plain.isalnum():
        return True
    return _borders(text, at, -1, folds) or _borders(text, at, 1, folds)


def _borders(text: str, at: int, step: int, folds: dict[str, str]) -> bool:
    """Whether an ASCII letter or digit stands beside this mark, with no more than three other folded marks between."""
    for place in range(at + step, at + 5 * step, step):
        if not 0 <= place < len(text):
            return False
        shown = folds.get(text[place], text[place])
        if shown.isascii() and shown.isalnum():
            return True
        if text[place] not in folds or not shown.isascii():
            return False
    return False


def _gathered(singles: list[Change]) -> list[Change]:
    """Neighbouring changes of one character for one, as one change."""
    gathered: list[Change] = []
    run: list[str] = []
    start = end = 0
    for change in singles:
        if len(change.text) != 1:
            gathered.append(change)
            continue
        if run and change.start == end:
            run.append(change.text)
            end = change.end
            continue
        if run:
            gathered.append(Change(start, end, "".join(run)))
        run, start, end = [change.text], change.start, change.end
    if run:
        gathered.append(Change(start, end, "".join(run)))
    return gathered


def _ordered(first: list[Change], second: list[Change]) -> list[Change]:
    """Both in order; what lies under one of the first gives way."""
    kept, end = [], 0
    wins = set(first)
    for change in sorted((*first, *second), key=lambda change: (change.start, change not in wins)):
        if change.start >= end:
            kept.append(change)
            end = change.end
    return kept


def _payloads(text: str, folds: dict[str, str]) -> list[Change]:
    """What stands in tag characters (as ASCII) and in variation selectors (as bytes)."""
    found = []
    if any(character >= "\U000e0000" or "\ufe00" <= character <= "\ufe0f" for character in folds):
        for hit in _TAGS.finditer(text):
            decoded = "".join(chr(ord(character) - 0xE0000) for character in hit.group())
            found.append(Change(hit.start(), hit.end(), decoded, ("tags",)))
        for hit in _BYTES.finditer(text):
            raw = bytes(code - 0xFE00 if (code := ord(c)) < 0xE0100 else code - 0xE0100 + 16 for c in hit.group())
            found.append(Change(hit.start(), hit.end(), raw.decode("utf-8", "replace"), ("variation_selectors",)))
    return found


def _marked(text: str) -> list[Change]:
    """Letters and digits under combining marks: composed where that is a letter, else without the marks."""
    found = []
    for hit in _MARKED.finditer(text):
        composed = unicodedata.normalize("NFC", hit.group())
        plain = composed[0] if composed[0].isalnum() else hit.group()[0]
        found.append(Change(hit.start(), hit.end(), plain))
    return found


@lru_cache(maxsize=4096)
def fold(character: str) -> str:
    """What one character reads as: nothing for an invisible one, ASCII for a digit of any script, else NFKC."""
    if character in _KEPT or (" " <= character <= "~"):
        return character
    category = unicodedata.category(character)
    if category in ("Cf", "Cc", "Cs", "Co", "Cn") or 0xFE00 <= ord(character) <= 0xFE0F or ord(character) >= 0xE0000:
        return ""
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if character in "\u115f\u1160\u3164\uffa0\u2800":  # letters and patterns that show nothing
        return ""
    plain = unicodedata.normalize("NFKC", character)
    return character if plain[0] == " " and len(plain) > 1 else plain  # an accent that stands alone
