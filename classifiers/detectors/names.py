"""Names, addresses, places, organisations, ages, dates of birth and peoples, found by the trained tagger.

Scores grow with the tagger's own certainty; it never reports what it gives less than `FLOOR`. Not a pattern among them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

import numpy as np

from classifiers.detectors.base import Piece
from classifiers.detectors.namesakes import Lists, is_namesake
from classifiers.tagger import LABELS, Floats, Tagger, load
from classifiers.tagger_features import COMMON, COUNTRY, FIRST, LAST, PLACE, USUAL, Listed, slot, tokenize
from classifiers.tagger_kernel import Sure, compiled
from classifiers.types import Match

FLOOR: Final = 0.4
_EVEN: Final = 0.55  # chosen on everyday requests that were kept from the training
_Found = tuple[int, int, int, float]  # label, first token, last token, score
_LEAST: Final = math.log(FLOOR / (1 - FLOOR) / (len(LABELS) - 1))  # of a label over none: below, FLOOR is out of reach
_NUMBER: Final = {label: number for number, label in enumerate(LABELS)}
_PERSON, _ADDRESS, _LOCATION = _NUMBER["PERSON"], _NUMBER["STREET_ADDRESS"], _NUMBER["LOCATION"]
_LISTED: Final = frozenset({_PERSON, _LOCATION, _NUMBER["NRP"]})  # what stands in lists: one item each
_BETWEEN: Final = frozenset({",", ";", "and", "und", "et", "y", "e", "en", "|", ":", "\t"})
_DATES: Final = frozenset({_NUMBER["DATE_TIME"], _NUMBER["DATE_OF_BIRTH"]})
_IN_EMAIL: Final = frozenset("._-+")
_GLUE: Final = frozenset("_@#$")
_SHORTEST_STREET: Final = 3  # letters; an address of one word has more
_HEX: Final = frozenset("0123456789abcdef")
_NEAR: Final = 12  # tokens to each side of an address in which its number, or another part of it, stands
_CODES: Final = frozenset({"zip", "zipcode", "postal", "postcode", "plz", "postleitzahl", "cap"})
_OWNERS: Final = frozenset(
    """
    my our his her their mein meine unsere seine ihre mon notre son mi nuestro su mio nostro suo mijn onze zijn haar
    """.split()  # noqa: SIM905  # a list of words reads better as words
)
_STREETS: Final = (  # ends of streets' names of one word
    *("straße", "strasse", "gasse", "weg", "platz", "allee", "damm", "ufer", "ring"),
    *("straat", "laan", "plein", "kade", "gracht", "dijk", "steeg", "way"),
)
_LONGEST_NUMBER: Final = 8  # characters of a house's number with its letters, or of a postal code
_LONGEST_TITLE: Final = 5  # letters with a full stop behind them that end no sentence: "Prof.", "Mlle."
_TITLES: Final = frozenset({"mr", "mrs", "ms", "dr", "miss"})
_JOINTS: Final = frozenset({"-", "'", "’", ".", "–", "&", "/"})  # may stand inside one item, between two words of it
_NO_NAMES: Final = PLACE | COUNTRY | COMMON | USUAL  # of the table of names
_SHORT: Final = frozenset({"PERSON", "LOCATION", "NRP"})  # one letter alone is none of these


class NameDetector:
    """What the tagger knows, as findings."""

    name = "names"
    entities = frozenset(LABELS[1:])
    triggers: tuple[str, ...] = ()

    def __init__(self) -> None:
        model = load()
        self._lists = Lists(model.listed, model.known)
        self._tagger = Tagger(model, usual=False)
        self._compiled = compiled(self._tagger)
        if self._compiled is None:
            self._tagger.remember_usual()

    def detect(self, piece: Piece, hits: Sequence[int]) -> list[Match]:
        """Every item in the piece."""
        raw = piece.data[piece.start : piece.stop]
        sure = self._compiled.sure(raw, FLOOR) if self._compiled is not None else None
        if sure is None:
            return self._by_reference(raw, piece.start)
        found, tokens = sure
        matches = []
        for label, first, last, score in items(tokens, found, self._lists) if found else ():
            start, end = tokens.span(first)[0], tokens.span(last)[1]
            start += raw[start : start + 1] == b" "
            matches.append(Match(LABELS[label], piece.start + start, piece.start + end, score))
        return matches

    def _by_reference(self, raw: bytes, began: int) -> list[Match]:
        text = raw.decode("utf-8", "surrogateescape")
        tokens = tokenize(text)
        found = spans(tokens, self._tagger.logits(tokens), self._lists) if tokens else []
        if not found:
            return []
        ends = list(accumulate(map(len, tokens)))
        matches = []
        for label, first, last, score in found:
            start, end = ends[first] - len(tokens[first].lstrip(" ")), ends[last]
            if len(raw) != len(text):
                start, end = _bytes_before(text, start), _bytes_before(text, end)
            matches.append(Match(LABELS[label], began + start, began + end, score))
        return matches


def _bytes_before(text: str, at: int) -> int:
    return len(text[:at].encode("utf-8", "surrogateescape"))


def spans(tokens: Sequence[str], logits: Floats, lists: Lists) -> list[_Found]:
    """Label, first and last token (inclusive) and score of each item."""
    return items(tokens, surest(logits), lists)


def surest(logits: Floats) -> Sure:
    """The tokens that are any label with a chance above `FLOOR`."""
    lead = logits[:, 1:].max(axis=1)
    lead -= logits[:, 0]
    some = np.flatnonzero(lead > _LEAST)
    if not len(some):
        return []
    chances = np.exp(logits[some] - logits[some].max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    any_label = (1.0 - chances[:, 0]).tolist()
    labels = (chances[:, 1:].argmax(axis=1) + 1).tolist()
    return [each for each in zip(some.tolist(), labels, any_label, strict=True) if each[2] > FLOOR]


def items(tokens: Sequence[str], sure: Sure, lists: Lists) -> list[_Found]:
    """What sure tokens make together."""
    runs: list[tuple[int, list[int], list[float]]] = []  # label, tokens, how sure each is
    for token, label, chance in sure:
        if runs and _goes_on(tokens, runs[-1], token, label):
            runs[-1][1].append(token)
            runs[-1][2].append(chance)
        else:
            runs.append((label, [token], [chance]))
    return _with_codes(tokens, [item for run in runs if (item := _item(tokens, lists, *run)) is not None])


def _with_codes(tokens: Sequence[str], items: list[_Found]) -> list[_Found]:
    """A postal code that ends a place's name is an item of its own; beside an address or a place it belongs to one."""
    parted: list[_Found] = []
    for label, first, last, score in items:
        if label == _LOCATION and last > first and tokens[last].strip().isdecimal() and len(tokens[last].strip()) > 3:
            parted += [(label, first, last - 1, score), (_ADDRESS, last, last, score)]
        else:
            parted.append((label, first, last, score))
    found = []
    for place, (label, first, last, score) in enumerate(parted):
        if label == _ADDRESS and _is_code(tokens, first, last):
            beside = [*parted[max(0, place - 1) : place], *parted[place + 1 : place + 2]]
            near = [each for each in beside if not _is_code(tokens, each[1], each[2])]  # nor do codes make one together
            is_beside = any(
                each[0] in (_ADDRESS, _LOCATION) and max(each[1] - last, first - each[2]) < 4 for each in near
            )
            if not is_beside and not _is_somebodys_code(tokens, first):
                if not _is_in_number(tokens, first, last):
                    found.append((_LOCATION, first, last, score))
                continue
        is_place = label == _ADDRESS and first == last and not _can_be_a_street(tokens, first)
        found.append((_LOCATION if is_place else label, first, last, score))
    return found


def _is_in_number(tokens: Sequence[str], first: int, last: int) -> bool:
    """Whether what looks like a postal code goes on in digits to a side, as the number of a card does."""
    beside = (*tokens[max(0, first - 1) : first], *tokens[last + 1 : last + 2])
    return any(token.strip().isdecimal() for token in beside)


def _is_somebodys_code(tokens: Sequence[str], place: int) -> bool:
    """Whether a postal code is said to be somebody's own: that narrows down who it is as an address does."""
    before = [token.strip().lower() for token in tokens[max(0, place - _NEAR) : place]]
    named = next((at for at in reversed(range(len(before))) if before[at] in _CODES), None)
    return named is not None and any(word in _OWNERS or word == "s" for word in before[max(0, named - 3) : named])


def _can_be_a_street(tokens: Sequence[str], place: int) -> bool:
    """Whether a lone word names a street, or a number stands near: else it is a place at most, nobody's address."""
    around = tokens[max(0, place - _NEAR) : place + 1 + _NEAR]
    return tokens[place].lower().endswith(_STREETS) or any(token.strip().isdecimal() for token in around)


def _item(tokens: Sequence[str], lists: Lists, label: int, run: list[int], sure: list[float]) -> _Found | None:
    """A run without the punctuation around it; None when too little is left."""
    first, last = 0, len(run) - 1
    while first <= last and not _is_word(tokens[run[first]]):
        first += 1
    while last >= first and not _is_word(tokens[run[last]]):
        last -= 1
    if first > last or (first == last and LABELS[label] in _SHORT and len(tokens[run[first]].strip()) < 2):
        return None
    score = _score(sum(sure[first : last + 1]) / (last + 1 - first))
    start, end = run[first], run[last]
    if label == _LOCATION and _has_a_persons_name(tokens, start, end, lists.listed):
        label = _PERSON
    if LABELS[label] in _SHORT:
        start, end = _with_hyphens(tokens, start, end)
    if not _is_whole(tokens, start, end, label):
        return None
    if label == _PERSON:
        if is_namesake(tokens, start, end, score, lists):
            return None
        start = _with_title(tokens, start) if start == end else start
    return label, start, end, score


def _has_a_persons_name(tokens: Sequence[str], start: int, end: int, listed: Listed) -> bool:
    """Whether what was taken for a place is called as people are: by lists of names, in which no such place stands.

    People are held back, places are not: where the words around say little, the graver of both counts.
    """
    words = [word for token in tokens[start : end + 1] if (word := token.strip()).isalpha()]
    bits = [listed[slot(word)] for word in words]
    return (
        bool(words)
        and bits[0] & FIRST > 0
        and all(word[0].isupper() for word in words)
        and all(each & (FIRST | LAST) and not each & _NO_NAMES for each in bits)
    )


def _is_whole(tokens: Sequence[str], start: int, end: int, label: int) -> bool:
    """Whether these tokens can be such an item at all, and are not a part of an identifier, an address or a number."""
    words = [token.strip() for token in tokens[start : end + 1]]
    kind = LABELS[label]
    if kind in ("DATE_TIME", "DATE_OF_BIRTH"):
        return len("".join(words)) > (3 if kind == "DATE_TIME" else 5)
    if kind == "AGE":
        return len("".join(words)) < 16
    if kind == "STREET_ADDRESS":
        least = 1 if start < end else _SHORTEST_STREET
        named = any(word.isalpha() and len(word) > least for word in words)
        return (named or _is_code(tokens, start, end)) and not _is_in_digest(tokens, start, end)
    before, after = tokens[start - 1] if start and tokens[start][0] != " " else " ", tokens[end + 1 : end + 2]
    glued = before[-1].isdigit() or before[-1] in _GLUE or (after and (after[0][0].isdigit() or after[0][0] in "_@"))
    return not glued and not _is_in_email(tokens, end) and any(word.isalpha() for word in words)


def _is_in_email(tokens: Sequence[str], end: int) -> bool:
    """Whether what ends there goes on to the sign of an e-mail address, whose whole is found by others."""
    at = end + 1
    while at < len(tokens) and (tokens[at] in _IN_EMAIL or tokens[at].isalnum()):
        at += 1
    return at < len(tokens) and tokens[at] == "@"


def _is_in_digest(tokens: Sequence[str], start: int, end: int) -> bool:
    """Whether the tokens are a part of a digest or an id: of letters and digits that change too often."""
    if any(tokens[at][0].isspace() for at in range(start + 1, end + 1)):
        return False
    while start > 0 and not tokens[start][0].isspace() and _is_of_id(tokens[start - 1][-1]):
        start -= 1
    while end + 1 < len(tokens) and _is_of_id(tokens[end + 1][0]):
        end += 1
    run = "".join(tokens[start : end + 1]).strip()
    plain = run.replace("-", "")
    changes = end - start
    if plain != run:
        return len(plain) > 2 * _LONGEST_NUMBER and set(plain.lower()) <= _HEX
    return run.isalnum() and run == run.lower() and (changes > 2 or (len(run) > _LONGEST_NUMBER and set(run) <= _HEX))


def _is_of_id(character: str) -> bool:
    return character.isalnum() or character == "-"


def _score(chance: float) -> float:
    """What is reported for a mean chance: 0.6, from which names hold a request back, is a little above even."""
    share = chance / _EVEN * 0.6 if chance < _EVEN else 0.6 + 0.4 * (chance - _EVEN) / (1 - _EVEN)
    return round(min(1.0, share), 3)


def _with_hyphens(tokens: Sequence[str], start: int, end: int) -> tuple[int, int]:
    """A name goes on over a hyphen, whatever the part behind it looks like."""
    while end + 2 < len(tokens) and tokens[end + 1] == "-" and tokens[end + 2].isalpha():
        end += 2
    while start > 1 and tokens[start - 1] == "-" and tokens[start].isalpha() and tokens[start - 2].strip(" ").isalpha():
        start -= 2
    return start, end


def _with_title(tokens: Sequence[str], start: int) -> int:
    """A family name alone goes with the title in front of it, which is what shows that it is one."""
    before = start - 1
    if before > 0 and tokens[before] == ".":
        before -= 1
    return before if before >= 0 and tokens[before].strip(" ").lower() in _TITLES and tokens[start][0] == " " else start


def _goes_on(tokens: Sequence[str], run: tuple[int, list[int], list[float]], token: int, label: int) -> bool:
    """Whether an item reaches this token: over nothing, or over one joint; over a line's end only an address."""
    last = run[1][-1]
    if tokens[token].strip() in _BETWEEN and label in _LISTED:
        return False
    if run[0] != label and not (run[0] in _DATES and label in _DATES):
        return False
    if LABELS[label] in _SHORT and _ends_a_sentence(tokens, last):
        return False
    if token == last + 1:
        return label == _ADDRESS or "\n" not in tokens[token]
    return token == last + 2 and tokens[last + 1].strip() in _JOINTS and not tokens[token][0].isspace()


def _ends_a_sentence(tokens: Sequence[str], place: int) -> bool:
    """Whether a full stop stands there, behind more than an initial or a title, and a blank behind it."""
    behind = tokens[place + 1] if place + 1 < len(tokens) else ""
    return (
        tokens[place] == "." and place > 0 and behind[:1].isspace() and len(tokens[place - 1].strip()) > _LONGEST_TITLE
    )


def _is_word(token: str) -> bool:
    return token.strip()[:1].isalnum()


def _is_code(tokens: Sequence[str], first: int, last: int) -> bool:
    """Whether an address is no more than a postal code."""
    words = [token.strip() for token in tokens[first : last + 1]]
    return 4 <= len("".join(words)) <= 9 and not any(word.isalpha() and len(word) > 2 for word in words)
