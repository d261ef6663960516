"""Digits and addresses as they are spoken: `four one one`, `john at example dot com`.

English, German, French and Spanish. A number in figures is left as it is; counting to three is no number.
"""

from __future__ import annotations

import re
from typing import Final

from classifiers.detectors.base import pattern
from classifiers.views.finding import around, spans
from classifiers.views.view import Change

_DIGITS = {
    "0": "zero oh nought null zéro cero",
    "1": "one ein eins eine un une uno una",
    "2": "two zwei zwo deux dos",
    "3": "three drei trois tres",
    "4": "four vier quatre cuatro",
    "5": "five fünf fuenf cinq cinco",
    "6": "six sechs seis",
    "7": "seven sieben sept siete",
    "8": "eight acht huit ocho",
    "9": "nine neun neuf nueve niner",
}
_TEENS = (
    "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen",
    "zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn achtzehn neunzehn",
    "dix onze douze treize quatorze quinze seize dix-sept dix-huit dix-neuf",
    "diez once doce trece catorce quince dieciséis diecisiete dieciocho diecinueve",
)
_TENS = (
    "twenty thirty forty fifty sixty seventy eighty ninety",
    "vingt trente quarante cinquante soixante septante huitante nonante",
    "veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa",
)
_REPEATS = {"double": 2, "doppel": 2, "doble": 2, "twice": 2, "triple": 3, "dreimal": 3, "treble": 3}
_PLUS = ("plus", "más")


def _table() -> dict[str, str]:
    words = {word: digit for digit, row in _DIGITS.items() for word in row.split()}
    for row in _TEENS:
        words |= {word: str(10 + index) for index, word in enumerate(row.split())}
    for row in _TENS:
        words |= {word: str(20 + 10 * index) for index, word in enumerate(row.split())}
    words |= {"quatre-vingt": "80", "quatre-vingts": "80", "quatre-vingt-dix": "90"}
    plain = {word.translate(str.maketrans("éèáíóúñü", "eeaiounu")): value for word, value in words.items()}
    return {**plain, **words}


WORDS = _table()
SPOKEN = "|".join(sorted((*WORDS, *_REPEATS), key=len, reverse=True))
_GAP = r"(?:[ \t]{0,2}[,;.\-–/_*|\n][ \t]{0,2}|[ \t]{1,3})"
_LETTERS = "(?!ID|NO|NR|AN|AT|IN|IS|OR|TO)[A-Z]{1,2}(?![A-Za-z])"  # not the end of `tax ID`
_UNIT = rf"(?:{SPOKEN}|\d|(?-i:{_LETTERS}))"  # with the letters of a number that has some
_FILLERS = "and|und|et|y|dash|minus|hyphen|tiret|guion|bindestrich|space|dot|punkt|point|punto"
_RUN = re.compile(
    rf"(?i)(?<![^\W_])(?:(?:plus|más|\+)[ ]?)?{_UNIT}"
    rf"(?:{_GAP}(?:(?:{_FILLERS}){_GAP})?{_UNIT}){{3,}}(?![^\W_])"
)
_DOT_GAP, _DASH_GAP = re.compile(r"[.]|dot|punkt|point|punto"), re.compile(r"[-–]|dash|minus|hyphen|tiret|guion|binde")
_PIECE = re.compile(rf"(?i)(?<![^\W_])(?:{_UNIT}|plus|más|\+)(?![^\W_])")

_AT = "at|@|ät|arobase|arrobase|arobas|arroba|klammeraffe|chiocciola|apenstaartje|affenschwanz"
_DOT = r"dot|punkt|punto|point|punt|period|\."
_OPEN, _CLOSE = r"[\[({<]{1,2}\s?", r"\s?[\])}>]{1,2}"
_DOTTED = rf"(?:\s?{_OPEN}(?:{_DOT}){_CLOSE}\s?|\s(?:{_DOT})\s)"
_ADDRESS = re.compile(
    rf"(?i)(?<![^\W_])[\w.+\-]{{1,64}}(?:{_DOTTED}[\w\-]{{1,63}}){{0,4}}"
    rf"(?P<at>\s?{_OPEN}(?:{_AT}){_CLOSE}\s?|\s(?:{_AT})\s|\s?@\s?)"
    rf"(?P<domain>[\w\-]{{1,63}}(?:(?:{_DOTTED}|\.)[\w\-]{{1,63}}){{1,5}})(?![^\W_])"
)
_DOT_WORD = re.compile(f"(?i){_DOTTED}")
_NAME_LIKE = re.compile(r"[^\W\d_][._][^\W\d_]|[^\W_]\d{2}")
_NO_DOMAIN = frozenset(
    ["the", "this", "that", "a", "an", "which", "what", "some", "any", "one", "my", "your", "his", "her", "our", "all"]
)
_COMMON_TOP_LEVELS = """
    com net org edu gov mil int info biz name pro aero coop museum io ai app dev cloud online shop site store tech xyz
    eu uk us ca au nz ie de at ch fr be nl lu es it pt br mx ar cl co pe se no dk fi pl cz sk hu ro bg gr tr ru ua in
    jp cn kr tw hk sg my id ph vn th za ng ke eg il ae sa example test invalid local internal lan
"""
_TOP_LEVELS = frozenset(_COMMON_TOP_LEVELS.split())


# Where to look: three digits of which two are words; words and brackets in the places of an address's marks.
_WORD_GAP = r"[\s,;.\-–/_*|]{1,5}"
DIGIT_SEEDS: Final = (
    rf"(?i)\b(?:{SPOKEN}){_WORD_GAP}(?:{SPOKEN}|\d){_WORD_GAP}(?:{SPOKEN})\b",
    rf"(?i)\b(?:{SPOKEN}|\d){_WORD_GAP}(?:{SPOKEN}){_WORD_GAP}(?:{SPOKEN}|\d)\b",
)
ADDRESS_SEEDS: Final = (
    r"(?i)[\[({<]\s?(?:at|@|ät|dot|\.|punkt|punto|point)\s?[\])}>]",
    r"(?i)\s(?:dot|punkt|punto|punt|period|point)\s",
    r"(?i)\s(?:arobas|arobase|arrobase|arroba|klammeraffe|chiocciola|apenstaartje|affenschwanz|ät)\s",
    r"(?i)[a-z0-9][._]?[a-z0-9]{1,30}\sat\s[a-z0-9\-]{1,63}\.[a-z]",
    r"[0-9A-Za-z]\s@\s?[0-9A-Za-z]|[0-9A-Za-z]\s?@\s[0-9A-Za-z]|@[0-9A-Za-z\-]{1,63} \. [0-9A-Za-z]",
)
_DIGIT_SEEDS, _ADDRESS_SEEDS = pattern("|".join(DIGIT_SEEDS)), pattern("|".join(ADDRESS_SEEDS))


def spoken_digits(text: str) -> list[Change]:
    """Runs of at least four digits of which most are words."""
    changes = []
    for hit in around(_RUN, text, spans(_DIGIT_SEEDS, text), 48, 8):
        pieces = [
            piece if piece.isupper() and len(piece) < 3 else piece.lower() for piece in _PIECE.findall(hit.group())
        ]
        if sum(piece in WORDS for piece in pieces) >= 3:
            changes.append(Change(hit.start(), hit.end(), _in_figures(pieces, _marks(hit.group(), len(pieces)))))
    return changes


def _marks(run: str, count: int) -> list[str]:
    """The dot or dash that is written or spoken in front of each piece, where a few are: they group the figures."""
    marks, at = [], 0
    for piece in _PIECE.finditer(run):
        gap = run[at : piece.start()].lower()
        marks.append("." if _DOT_GAP.search(gap) else "-" if _DASH_GAP.search(gap) else "")
        at = piece.end()
    return marks if 4 <= 2 * sum(map(bool, marks)) <= count else [""] * count


def _in_figures(pieces: list[str], marks: list[str]) -> str:
    figures: list[str] = []
    times = 1
    for index, piece in enumerate(pieces):
        if piece in _REPEATS:
            times = _REPEATS[piece]
            continue
        value = "+" if piece in ("+", *_PLUS) else WORDS.get(piece, piece)
        follower = WORDS.get(pieces[index + 1], "") if index + 1 < len(pieces) else ""
        if len(value) == 2 and value.endswith("0") and value != "10" and len(follower) == 1 and follower != "0":
            value = value[0]  # `forty one` is 41
        elif value in ("60", "80") and len(follower) == 2 and follower.startswith("1"):
            value, pieces[index + 1] = str(int(value) + int(follower)), ""  # `soixante quinze` is 75
        figures.append(marks[index] + value * times)
        times = 1
    return "".join(figures)


def spoken_addresses(text: str) -> list[Change]:
    """E-mail addresses with words or brackets in the places of their marks."""
    changes: list[Change] = []
    for hit in around(_ADDRESS, text, spans(_ADDRESS_SEEDS, text), 160, 8):
        dots = [
            dot
            for part in ((hit.start(), hit.start("at")), hit.span("domain"))
            for dot in _DOT_WORD.finditer(text, *part)
        ]
        if not _is_address(hit, any(dot.start() > hit.end("at") for dot in dots)):
            continue
        if hit["at"] == "@" and not dots:
            continue
        changes += [Change(*dot.span(), ".") for dot in dots]
        changes.append(Change(*hit.span("at"), "@"))
    return sorted(changes)


def _is_address(hit: re.Match[str], is_dot_spoken: bool) -> bool:
    """Brackets say so; plain words are one before a top-level domain, with a spoken dot or a name with marks."""
    word = hit["at"].strip().lower()
    if word[0] in "[({<":
        return True
    labels = [label for label in re.split(r"\W+", hit["domain"]) if label]
    if labels[-1].lower() not in _TOP_LEVELS or labels[-1].istitle() or labels[0].lower() in _NO_DOMAIN:
        return False
    return word != "at" or is_dot_spoken or bool(_NAME_LIKE.search(hit.string, hit.start(), hit.start("at")))
