"""Cuts text into segments in a normal form that survives quoting: lower case, words alone, one space between them.

Sentences, lines, quoted and bracketed parts; long ones in pieces. Pure; what it yields is content and is never kept.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from zlib import crc32

from classifiers.nested import TooDeeply, json_in
from classifiers.walk import strings_of

# Lines, quotation marks, brackets and CJK stops end a segment by themselves, stops before what is no part of a word.
_OPEN_STOPS = frozenset(".!?;:…")  # at the end of what has come, they are borders or none, as the next piece begins
_LINES = '\n\r\t\v\f"()[]{}<>|'
_STOPS = ".!?;:"
_BORDERS = re.compile(r"[\n\r\t\v\f\"“”„«»‹›()\[\]{}<>|。！？；：｡]+|[.!?;:…]+(?:[^\w.!?;:…]|_)")
# A piece of text without any of these ends no segment, unless the text before it ends in a stop.
_MAY_END = re.compile(r"[\n\r\t\v\f\"“”„«»‹›()\[\]{}<>|。！？；：｡.!?;:…]")
_WORDS = re.compile(r"[^\W_]+")
_INVISIBLE = dict.fromkeys((0xAD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF))

# The same for ASCII, a byte at a time: lines to line ends, stops to full stops, whatever is between words to blanks.
_ASCII = bytes(
    10 if chr(code) in _LINES else 46 if chr(code) in _STOPS else ord(chr(code).lower()) if chr(code).isalnum() else 32
    for code in range(128)
) + bytes(128)

# What is shorter stands in too many texts: see docs/decisions/010-taint.md for the measurement.
_LEAST_CHARACTERS = 32
_LEAST_WORDS = 4
_LEAST_BYTES_DENSE = 36  # of scripts that write a word in a sign or two: twelve of them
SHORTEST_TEXT = _LEAST_BYTES_DENSE // 3  # a text with fewer characters holds no segment

_LONG = 24  # words; a longer segment is cut
_PIECE = 8  # words, at least, before a cut

# What models say whatever they were asked, in normal form: it follows from nothing.
_PHRASES = """
    let me know if you have any other questions
    let me know if you have any questions
    let me know if you have any further questions
    let me know if you need any further assistance
    let me know if you need anything else
    let me know if there is anything else i can help you with
    please let me know if you have any other questions
    please let me know if you have any questions
    please let me know if you need anything else
    please let me know if you need any further assistance
    if you have any other questions feel free to ask
    if you have any other questions please let me know
    if you have any questions feel free to ask
    if you have any further questions feel free to ask
    if you have any more questions feel free to ask
    if you need any further assistance feel free to ask
    feel free to ask if you have any other questions
    feel free to reach out if you have any questions
    is there anything else i can help you with
    is there anything else i can help you with today
    is there anything else you would like to know
    is there anything else you d like to know
    how can i assist you today
    how can i help you today
    what would you like me to do
    would you like me to explain any of these in more detail
    would you like me to go into more detail
    i m sorry but i can t help with that
    i m sorry but i can t assist with that
    i m sorry but i cannot assist with that
    i m sorry but i can t assist with that request
    i m sorry but i cannot assist with that request
    i m sorry but i can t help with that request
    i m sorry but i m not able to help with that
    i m sorry i can t help with that request
    i m sorry for any confusion caused
    i m sorry for any confusion but as a helpful assistant i m designed to assist with any type of assistance you need
    i apologize for the confusion in my previous response
    i apologize for any confusion my previous response may have caused
    i am an ai language model and i do not have personal opinions
    as an ai language model i don t have personal opinions
    as an ai language model i do not have personal opinions
    as an ai i don t have personal experiences or feelings
    i don t have access to real time information
    i do not have access to real time information
    i don t have enough information to answer that question
    here is a step by step explanation
    here is a summary of the text
    here is the rewritten version of the text
    here s a step by step explanation
    here s a summary of the text
    thank you for bringing this to my attention
    thank you for reaching out to us
    i hope this helps you with your question
    i hope this email finds you well
    i am looking forward to hearing from you
    i look forward to hearing from you soon
    please consult a healthcare professional for personalized advice
    it s important to consult a healthcare professional
    it is always best to consult with a healthcare professional
    this is not a substitute for professional medical advice
    please note that this is not legal advice
"""
BOILERPLATE = frozenset(line.strip() for line in _PHRASES.splitlines() if line.strip())


def segments(text: str) -> Iterator[str]:
    """The segments of a text that are long enough to follow, and those of the strings in it where it is JSON."""
    if len(text) < SHORTEST_TEXT:
        return
    yield from _segments(text)
    if text[:64].lstrip()[:1] in ("{", "["):
        for inner in strings_inside(text):
            yield from _segments(inner)


def strings_inside(text: str) -> Iterator[str]:
    """The strings of the JSON value that a text is; none when it is no JSON."""
    try:
        value = json_in(text)
    except TooDeeply:
        return
    if value is not None:
        yield from strings_of(value)


def normal_forms(text: str) -> list[str]:
    """The normal form of each part of a text, however short."""
    return [form for part in _BORDERS.split(text) if (form := " ".join(_words(part)))]


class Segmenter:
    """The segments of a text that comes in pieces: each as soon as it is complete, the rest at the end.

    Whatever the pieces, the segments are those of the whole text.
    """

    def __init__(self) -> None:
        self._rest = ""
        self._ends_in_stop = False  # the next piece may end a segment whatever it is
        self._all: list[str] | None = None  # of what may be JSON, which can only be read whole

    def feed(self, text: str) -> list[str]:
        """Take the next piece; the segments that it completes."""
        if self._all is None and not self._rest and text.lstrip()[:1] in ("{", "["):
            self._all = []
        if self._all is not None:
            self._all.append(text)
        if not self._ends_in_stop and _MAY_END.search(text) is None:
            self._rest += text
            return []
        *complete, self._rest = _BORDERS.split(self._rest + text)
        self._ends_in_stop = self._rest[-1:] in _OPEN_STOPS
        return list(_normal(complete)) if complete else []

    def end(self) -> list[str]:
        """What is left, also of a text that broke off. Idempotent."""
        found = list(_normal([self._rest]))
        self._rest = ""
        if self._all is not None:
            for inner in strings_inside("".join(self._all)):
                found += _segments(inner)
            self._all = None
        return found


def _segments(text: str) -> Iterator[str]:
    if not text.isascii():
        yield from _normal(_BORDERS.split(text))
        return
    lines = text.encode("ascii").translate(_ASCII).replace(b". ", b"\n").replace(b".", b" ").decode("ascii")
    for line in lines.split("\n"):
        if len(line) < _LEAST_CHARACTERS:
            continue
        words = line.split()
        if len(words) > _LONG:
            yield from _telling(words)
        elif len(words) >= _LEAST_WORDS:  # as `_telling`, for what stands in every request
            normal = " ".join(words)
            if len(normal) >= _LEAST_CHARACTERS and normal not in BOILERPLATE:
                yield normal


def _normal(parts: Iterable[str]) -> Iterator[str]:
    """The segments among these parts of a text."""
    for part in parts:
        if len(part) >= SHORTEST_TEXT:
            yield from _telling(_words(part))


def _telling(words: list[str]) -> Iterator[str]:
    """One part in normal form, in pieces if it is long; nothing that is too short or that models say anyway."""
    for piece in _pieces(words) if len(words) > _LONG else (words,):
        normal = " ".join(piece)
        if _is_telling(normal, len(piece)) and normal not in BOILERPLATE:
            yield normal


def _words(part: str) -> list[str]:
    if part.isascii():
        return part.encode("ascii").translate(_ASCII).replace(b".", b" ").decode("ascii").split()
    return _WORDS.findall(unicodedata.normalize("NFKC", part.translate(_INVISIBLE)).casefold())


def _is_telling(normal: str, words: int) -> bool:
    if len(normal) >= _LEAST_CHARACTERS and words >= _LEAST_WORDS:
        return True
    if normal.isascii():
        return False
    size = len(normal.encode("utf-8", "surrogatepass"))
    return size >= _LEAST_BYTES_DENSE and size > 2.5 * len(normal)


def _pieces(words: list[str]) -> Iterator[list[str]]:
    """Cuts where the words themselves say so, so that a long text is cut alike wherever a quotation of it begins."""
    start = 0
    for end, word in enumerate(words, 1):
        if end - start >= _LONG or (end - start >= _PIECE and crc32(word.encode("utf-8", "surrogatepass")) & 7 == 0):
            yield words[start:end]
            start = end
    if start < len(words):
        yield words[start:]
