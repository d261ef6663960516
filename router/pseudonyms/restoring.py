"""Puts the values back where an answer names their placeholders: in whole texts, and in streams at any border.

What is not a placeholder of this request stays as it is: nothing else could ever appear in its place.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from classifiers.pseudonyms import TAG_LENGTH, TAG_LETTERS, Pseudonyms

# Models write `<PERSON_1_KXQD>` without brackets, with blanks, dashes or escapes for `_`, in other case, as HTML.
_MARK = "[_ \\-\\u2010-\\u2015]"
_SLASHES = "\\\\{0,2}"
_GAP = f"(?:{_SLASHES}{_MARK}){{0,2}}"
_OPEN = "(?:<|&lt;|\\\\{1,2}u003c)"
_CLOSE = "(?:>|&gt;|\\\\{1,2}u003e)"
_LONGEST = 256  # characters of the longest spelling
_TAG = f"[{TAG_LETTERS}]"
_FOREIGN = re.compile(rf"<[A-Z][A-Z_]*_[0-9]+(?:_{_TAG}{{{TAG_LENGTH}}})?>")
_LABELS_KEPT = 64


@dataclass(frozen=True, slots=True)
class _Spellings:
    """`whole` is a placeholder in any of its spellings, `begun` the end of a text that may go on to be one."""

    whole: re.Pattern[str]
    begun: re.Pattern[str]


class Restorer:
    """Restores one answer, counting what it restored and what it could not."""

    def __init__(self, pseudonyms: Pseudonyms) -> None:
        self.restored = 0
        self.strange = 0  # placeholders that are mangled, made up or not of this request
        self._tag = pseudonyms.tag
        self._values: dict[tuple[str, int], str] = {}
        labels = set()
        for placeholder, value in pseudonyms.values.items():
            label, number, _ = placeholder.strip("<>").rsplit("_", 2)
            self._values[label.replace("_", ""), int(number)] = value
            labels.add(label)
        self._spellings = _spellings(tuple(sorted(labels)))

    def text(self, text: str, *, in_json: bool = False) -> str:
        """A whole text with the values. `in_json`: it is JSON as it is written, and stays it."""
        channel = self.channel(in_json=in_json)
        return channel.feed(text) + channel.finish()

    def channel(self, *, in_json: bool = False) -> Channel:
        """One text that comes in pieces."""
        return Channel(self, self._spellings, in_json=in_json)

    def value_of(self, found: re.Match[str], *, in_json: bool) -> str | None:
        """What this spelling stands for; None when it is no placeholder of this request."""
        if found["tag"].upper() != self._tag:
            return None
        label = re.sub("[^A-Z]", "", found["label"].upper())
        value = self._values.get((label, int(found["number"])))
        if value is None:
            return None
        if (found["open"] or "").startswith("&"):
            value = html.escape(value, quote=False)
        return (json.dumps(value, ensure_ascii=False)[1:-1] if in_json else value) + (found["owner"] or "")

    def count_strange(self, text: str, before: str) -> None:
        """Count what looks like a placeholder in a text that stays, `before` being the end of what stood before it."""
        self.strange += (before + text).upper().count(self._tag) + len(_FOREIGN.findall(text))


@dataclass(slots=True)
class Channel:
    """Keeps back the end of what it was fed only while that may still become a placeholder."""

    _restorer: Restorer
    _spellings: _Spellings
    in_json: bool
    held: str = field(default="", init=False, repr=False)
    _before: str = field(default="", init=False, repr=False)  # the last characters that went out, as they came in

    def feed(self, piece: str) -> str:
        """The next of the text that is certain."""
        text = self._before + self.held + piece
        begun = self._spellings.begun.search(text, max(len(self._before), len(text) - _LONGEST))
        return self._give(text, begun.start() if begun is not None else len(text))

    def finish(self) -> str:
        """What is left: nothing follows it."""
        text = self._before + self.held
        return self._give(text, len(text))

    def _give(self, text: str, until: int) -> str:
        at = len(self._before)
        parts: list[str] = []
        plain_from, before = at, self._before
        for found in self._spellings.whole.finditer(text, at, until):
            value = self._restorer.value_of(found, in_json=self.in_json)
            if value is None:
                self._restorer.strange += found["open"] is not None and not _FOREIGN.fullmatch(found[0])
                continue
            self._restorer.count_strange(text[plain_from : found.start()], before)
            self._restorer.restored += 1
            parts += [text[plain_from : found.start()], value]
            plain_from, before = found.end(), ""
        if plain_from < until:
            self._restorer.count_strange(text[plain_from:until], before)
            parts.append(text[plain_from:until])
        self._before, self.held = text[max(0, until - TAG_LENGTH + 1) : until], text[until:]
        return "".join(parts)


@lru_cache(maxsize=_LABELS_KEPT)
def _spellings(labels: tuple[str, ...]) -> _Spellings:
    """The patterns for these labels: words of ours, never a request's."""
    label = "|".join(_GAP.join(each.split("_")) for each in labels) or "(?!)"
    whole = (
        f"(?:(?P<open>{_OPEN}) ?|(?<![A-Za-z0-9]))(?P<label>{label}){_GAP}(?P<number>[0-9]{{1,6}}){_GAP}"
        f"(?P<tag>{_TAG}{{{TAG_LENGTH}}})(?:(?P<owner>['’]s)?(?(open) ?){_CLOSE})?"
    )
    gap = [(_SLASHES, True), (_MARK, True)] * 2
    tail = [*gap, ("[0-9]{1,6}", False), *gap, *[(_TAG, False)] * TAG_LENGTH]
    tail += [("['’]", True), ("s", True), (" ", True)]
    code = "\\\\{1,2}(?:u(?:0(?:0(?:3)?)?)?)?"
    end = _beginnings(tail, f"(?:&(?:g(?:t)?)?|{code})?")
    names = "|".join([f"(?:{label}){end}", *(_beginnings(_letters(each)) for each in labels)])
    begun = f"(?:&(?:l(?:t)?)?|{code}|(?:{_OPEN} ?|(?<![A-Za-z0-9]))(?:{names}))\\Z"
    return _Spellings(re.compile(whole, re.IGNORECASE), re.compile(begun, re.IGNORECASE))


def _letters(label: str) -> list[tuple[str, bool]]:
    letters: list[tuple[str, bool]] = []
    for char in label:
        letters += [(_SLASHES, True), (_MARK, True)] * 2 if char == "_" else [(char, False)]
    return letters


def _beginnings(atoms: Iterable[tuple[str, bool]], after: str = "") -> str:
    """A pattern for every beginning, the empty one too, of these atoms one after the other; some may be left out."""
    regex = after
    for atom, is_optional in reversed(list(atoms)):
        regex = f"(?:{atom})?{regex}" if is_optional else f"(?:{atom}{regex})?"
    return regex
