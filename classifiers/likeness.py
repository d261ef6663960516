"""What two questions must have in common so that one answer does for both: their words in order, and how near they are.

A few words of English that only carry a question (`please`, `can you tell me`, `the`) may differ. Every other word,
number, name, sign, negation and pronoun stands in the anchors and must be the same. Decides nothing; keeps no text.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import Final

from classifiers.embedding import Embedding, Vector
from classifiers.likeness_words import CARRYING, SAME_WORDS, SHORT_FORMS, YES_OR_NO
from classifiers.spoken_language import LanguageSignal

MOST_CHARACTERS: Final = 400  # a longer text is a task with its material, not a question that comes again
LEAST_ANCHORS: Final = 3  # the mark of what is asked for, and two words

# Words with inner apostrophes, numbers with their inner marks, and every sign by itself but those that end sentences.
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_PIECES = re.compile(rf"\d+(?:[.,:/]\d+)*|{_WORD.pattern}|[^\w\s.,;:!?()\"]|_")
_QUOTES = str.maketrans("\u2018\u2019\u02bc\u201c\u201d", "'''\"\"")
_OPENING = re.compile(
    r"^(?:(?:hi|hello|hey|please|kindly)\b[\s,!]*)*"
    r"(?:(?:can|could|will|would) you (?:please |kindly )?"
    r"(?=(?:tell|explain|show|give|help|list|describe|name|define) )"
    r"|i (?:want|need) to know |i would like to know |do you know (?=(?:what|how|why|when|where|who)\b))?"
    r"(?:please )?(?:tell me |let me know )?(?:about (?=(?:what|how|why|when|where|who)\b))?",
    re.IGNORECASE,
)
_HOW_DOES_ONE = re.compile(
    r"\bhow (?:(?:do|can|could|would|does|might) (?:i|you|we|one|people|someone)|to)\b", re.IGNORECASE
)
_A_FEW = re.compile(r"\ba (few|little)\b", re.IGNORECASE)  # which is neither few nor little


@dataclass(frozen=True, slots=True)
class Likeness:
    """`anchors`: what must be equal, in order (content: to be digested, never kept). `vector`: of length one."""

    anchors: tuple[str, ...] = field(repr=False)
    vector: Vector = field(repr=False)


class Likener:
    """Reads questions. Loads the embedding and the language model, which signals share."""

    def __init__(self) -> None:
        """Raises `classifiers.artifact.ArtifactError`."""
        self._embedding = Embedding.load()
        self._language = LanguageSignal()

    def of(self, text: str) -> Likeness | None:
        """None for a text that is too long, of several lines, or says too little to be told from another."""
        if len(text) > MOST_CHARACTERS or "\n" in text.strip():
            return None
        language = self._language.measure({"messages": [{"role": "user", "content": text}]}).value
        anchors, words = _read(text, is_english=language == "en")
        if len(anchors) < LEAST_ANCHORS:
            return None
        vector = self._embedding.vector(" ".join(words))
        return Likeness((str(language), *anchors), vector) if vector.any() else None


def _read(text: str, *, is_english: bool) -> tuple[tuple[str, ...], list[str]]:
    """The anchors, the first of them a mark of whether a yes or no is asked for; and all words, in their common form.

    A word with a capital amid the sentence counts as it is written: it may be a name. Of a text in another language
    every word does.
    """
    plain = unicodedata.normalize("NFKC", text).translate(_QUOTES).strip()
    if not is_english:
        pieces = _PIECES.findall(plain)
        return ("", *pieces), pieces
    plain = _OPENING.sub("", _WORD.sub(_spelled_out, plain), count=1)
    pieces = _PIECES.findall(_A_FEW.sub(r"a-\1", _HOW_DOES_ONE.sub("how", plain)))
    if pieces and not (len(pieces[0]) > 1 and pieces[0].isupper()):
        pieces[0] = pieces[0].lower()  # everybody writes the first word with a capital
    mark = "yes or no" if pieces and pieces[0] in YES_OR_NO else ""
    words = [piece if piece in CARRYING else _told(piece) for piece in pieces]
    return (mark, *(word for word in words if word not in CARRYING)), words


def _spelled_out(match: re.Match[str]) -> str:
    return SHORT_FORMS.get(match[0].lower(), match[0])


def _told(piece: str) -> str:
    """A word in the form that stands for all that mean the same; a name as it is."""
    if piece != piece.lower() and piece != "I":
        return piece
    word = SAME_WORDS.get(piece.lower(), piece.lower())
    if len(word) > 4 and word.endswith("s") and not word.endswith(("ss", "us", "is", "ics", "news")):
        word = word[:-1]
    return SAME_WORDS.get(word, word)
