"""What can be checked of an answer without knowing the truth: sums, listed options, order, capitals, JSON as asked.

Numbers in a fixed order, for `answer_features`; no content. What does not apply is 0; nothing here raises. Checks are
counted together, so that what they are worth is learnt from one kind of request for all others.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from typing import Final

from router.confidence.asked import Asked

ASKED: Final = (  # of the question alone
    "numbers",  # log(1 + numbers in the question)
    "given",  # share of the question behind a colon, in quotes or on its last lines: a text to work on
    "asks",  # 1: it has a question mark
    "orders",  # 1: it begins with what to do
    "translates",
    "code",
)
NAMES: Final = (
    "proved",  # 1: what was asked could be worked out (a sum, an order, capitals, the keys of JSON), and here it is
    "breaks",  # how many of these it gets wrong, and of: one option named, true equations, no talk of itself; at most 3
    "options",  # 1: the question lists some
    "restates",  # share of the question's longer words that stand in its first sentence
    "copies",  # longest run of its words that stands in the question, as a share of its words
    "invented",  # log(1 + numbers in it that do not stand in the question)
    "strange",  # longer words of its first sentence that do not stand in the question
    "variety",  # different words as a share of its words
    "closed",  # 1: it ends with a mark that may end a text
    *ASKED,
)

_NUMBER: Final = r"-?\d{1,12}(?:\.\d{1,6})?"
_UNIT: Final = r"(?:[a-z]{1,20} ?)?"
_SIGN: Final = r"(\+|\s-\s|−|\*|×|\sx\s|/|÷|\bplus\b|\bminus\b|\btimes\b|\bmultiplied by\b|\bdivided by\b)"
_TERMS: Final = rf"({_NUMBER}) ?{_UNIT}{_SIGN} ?({_NUMBER})"
_EXPRESSION: Final = re.compile(rf"(?<![\w.]){_TERMS}(?![\w.]*\w)", re.IGNORECASE)
_EQUATION: Final = re.compile(
    rf"(?<![\w.+*/-]){_TERMS} ?{_UNIT}(?:=|is\b|equals\b) ?\$?({_NUMBER})",
    re.IGNORECASE,
)
_LETTERED: Final = re.compile(r"^ *\(?[A-Ea-e1-5][).:]\s+(.+?)\s*$", re.MULTILINE)
_EITHER: Final = re.compile(
    r"(?<![\w-])((?:[\"']?[\w-]{1,40}[\"']?, ){0,11}[\"']?[\w-]{1,40}[\"']?),? or [\"']?([\w-]+)"
)
_LISTED: Final = re.compile(r"(?:\bone of:?|\blabels?\b[^:\n]{0,60}:|\()\s*([\w-]+(?:, [\w-]+)+)")
_CAPITALS: Final = re.compile(r"\bupper ?case\b|\bcapital letters\b|\bin capitals\b|\ball caps\b", re.IGNORECASE)
_ORDERS: Final = (
    (
        re.compile(r"\balphabetical|\bsmallest to largest\b|\bascending\b|\blowest to highest\b", re.IGNORECASE),
        ("alphabet", "smallest", "ascending", "lowest"),
        "up",
    ),
    (
        re.compile(r"\blargest to smallest\b|\bdescending\b|\bhighest to lowest\b", re.IGNORECASE),
        ("largest", "descending", "highest"),
        "down",
    ),
    (re.compile(r"\breverse (?:order|this)|\bbackwards\b", re.IGNORECASE), ("reverse", "backwards"), "turned"),
)
_GIVEN: Final = re.compile(r"(?<![\w-])[\w-]+(?:, [\w-]+)+")
_ARRAY: Final = re.compile(r"\bjson (?:array|list)\b|\barray of\b", re.IGNORECASE)
_KEYS: Final = re.compile(r"\bkeys?\b|\bwith \"", re.IGNORECASE)
_QUOTED: Final = re.compile(r"\"([\w-]+)\"")
_ORDERED: Final = re.compile(
    r"(?:please )?(?:write|give|make|turn|put|rewrite|repeat|sort|translate|complete|summari[sz]e|label|classify|join|"
    r"replace|name|find|correct|calculate|extract|list|explain|describe|create|generate|convert|shorten)\b",
    re.IGNORECASE,
)
_LANGUAGES: Final = ("translat", "spanish", "french", "german", "italian", "english", "chinese")
_TRANSLATES: Final = re.compile(r"\btranslat|\bin (?:spanish|french|german|italian|english|chinese)\b", re.IGNORECASE)
_CODE: Final = re.compile(r"\bpython\b|\bjavascript\b|\bcode\b|\w\(.*\)|```", re.IGNORECASE)
_TEXT_GIVEN: Final = re.compile(r"\"[^\"]*\"|:.*|\n.*", re.DOTALL)
_EXCUSE: Final = re.compile(
    r"\b(?:i'm sorry|i apologi[sz]e|i'm glad|as an ai\b|i cannot|i can't|i'm here to)", re.IGNORECASE
)
_CONCLUDES: Final = re.compile(r"\banswer(?: is\b|:)", re.IGNORECASE)
_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s|\n")
_WORD: Final = re.compile(r"[^\W_]+")
_DIGITS: Final = re.compile(r"\d+")
_ENDS: Final = (".", "!", "?", '"', "`", ")", "}", "]")
_LONG: Final = 4  # letters from which a word of the question counts as one that carries something
_READ: Final = 2000  # characters of the answer's beginning, and of the question's end, that are looked at
_COPIED: Final = 120  # words of an answer that are looked for in the question
_LONGEST: Final = 12  # digits of a number that is compared
_OPTIONS: Final = 12  # more are no options


def checks(text: str, asked: Asked, *, is_over: bool = True) -> tuple[float, ...]:
    """Values in the order of `NAMES`. Of an answer that is not over, what is missing is not held against it."""
    said, question = text[:_READ], asked.text[-_READ:]
    sentences = [each for each in _SENTENCE_END.split(said.strip()) if each]
    options = listed(question)
    facts = [_sum(said, question), _capitals(said, question), _ordered(said, question), _shape(said, asked)]
    breaks = [_has_false_equation(said), _EXCUSE.search(said) is not None]
    if is_over:
        missing = asked.wants_number and not any(map(str.isdigit, said))
        breaks += [fact < 0 for fact in facts] + [bool(options) and not _names_one(sentences, options), missing]
    return (
        float(any(fact > 0 for fact in facts)),
        float(min(sum(breaks), 3)),
        float(bool(options)),
        *_likeness(said, sentences, question),
        *_asked(question),
    )


def _likeness(said: str, sentences: Sequence[str], question: str) -> Iterator[float]:
    """How its words and numbers compare with those of the question."""
    words, known = _WORD.findall(said.lower()), _WORD.findall(question.lower())
    first = [word for word in _WORD.findall(sentences[0].lower()) if len(word) >= _LONG] if sentences else []
    wanted = {word for word in known if len(word) >= _LONG}
    yield len(wanted.intersection(first)) / len(wanted) if wanted else 0.0
    yield _longest_copy(words[:_COPIED], _spaced(question)) / len(words[:_COPIED]) if words else 0.0
    yield math.log1p(len(set(_DIGITS.findall(said)).difference(_DIGITS.findall(question))))
    yield math.log1p(len(set(first).difference(known)))
    yield len(set(words)) / len(words) if words else 1.0
    yield float(said.rstrip().endswith(_ENDS))


def _asked(question: str) -> Iterator[float]:
    """What kind of request it is."""
    given = max((len(each) for each in _TEXT_GIVEN.findall(question)), default=0)
    yield math.log1p(len(_DIGITS.findall(question)))
    yield given / len(question) if question else 0.0
    yield float("?" in question)
    yield float(_ORDERED.match(question) is not None)
    yield float(_found(_TRANSLATES, _LANGUAGES, question))
    yield float(_found(_CODE, ("python", "javascript", "code", "(", "```"), question))


def _found(pattern: re.Pattern[str], needles: tuple[str, ...], text: str) -> bool:
    """Whether the pattern is found, which without any of the needles (in small letters) it cannot be."""
    small = text.lower()
    return any(needle in small for needle in needles) and pattern.search(text) is not None


def _result(left: str, sign: str, right: str) -> float | None:
    one, two, sign = float(left), float(right), sign.strip().lower()
    if sign in ("+", "plus"):
        return one + two
    if sign in ("-", "−", "minus"):
        return one - two
    if sign in ("/", "÷", "divided by"):
        return one / two if two else None
    return one * two


def _sum(said: str, question: str) -> float:
    found = _EXPRESSION.findall(question)
    if len(found) != 1 or (value := _result(*found[0])) is None:
        return 0.0
    numbers = re.findall(_NUMBER, said.replace(",", ""))
    return 1.0 if numbers and math.isclose(float(numbers[-1]), value, abs_tol=0.01) else -1.0


def _has_false_equation(said: str) -> bool:
    for left, sign, second, claimed in _EQUATION.findall(said.replace(",", "")):
        value = _result(left, sign, second)
        if value is None or not math.isclose(value, float(claimed), rel_tol=0.01, abs_tol=0.01):
            return True
    return False


def _names_one(sentences: Sequence[str], options: Sequence[str]) -> bool:
    """Whether the first sentence that names any option names one alone, and none that concludes names another."""
    spaced = map(_spaced, sentences)
    named = [{option for option in options if option in words} for words in spaced]
    first = next((names for names in named if names), set())
    concluded = (names for names, sentence in zip(named, sentences, strict=True) if _CONCLUDES.search(sentence))
    return len(first) == 1 and all(names <= first for names in concluded)


def listed(question: str) -> list[str]:
    """The options that a question lists, each as words between blanks; [] of fewer than two."""
    lettered = _LETTERED.findall(question)
    if len(lettered) >= 2:
        found = lettered
    elif " or " in question and (either := _EITHER.search(question)):
        found = [*either[1].split(", "), either[2]]
    elif given := _LISTED.search(question):
        found = given[1].split(", ")
    else:
        found = []
    options = [_spaced(each) for each in dict.fromkeys(found)]
    return options if 2 <= len(options) <= _OPTIONS else []


def _spaced(text: str) -> str:
    return f" {' '.join(_WORD.findall(text.lower()))} "


def _capitals(said: str, question: str) -> float:
    if not _found(_CAPITALS, ("upper", "capital", "caps"), question):
        return 0.0
    return 1.0 if said.isupper() else -1.0


def _ordered(said: str, question: str) -> float:
    kind = next((kind for pattern, needles, kind in _ORDERS if _found(pattern, needles, question)), None)
    if kind is None or not (given := _GIVEN.findall(question)):
        return 0.0
    items = given[-1].lower().split(", ")
    numeric = all(item.isdecimal() and len(item) <= _LONGEST for item in items)
    wanted = items[::-1] if kind == "turned" else sorted(items, key=int if numeric else str, reverse=kind == "down")
    places = [said.lower().find(item) for item in wanted]
    return 1.0 if -1 not in places and places == sorted(places) else -1.0


def _shape(said: str, asked: Asked) -> float:
    if not asked.wants_json:
        return 0.0
    start = re.search(r"[{\[]", said)
    try:
        value = json.JSONDecoder().raw_decode(said, start.start())[0] if start else None
    except (ValueError, RecursionError):
        return -1.0
    if _ARRAY.search(asked.text):
        return 1.0 if isinstance(value, list) else -1.0
    keys = set(_QUOTED.findall(asked.text)) if _KEYS.search(asked.text) else set()
    return 1.0 if isinstance(value, dict) and (not keys or keys == value.keys()) else -1.0


def _longest_copy(words: Sequence[str], known: str) -> int:
    longest = start = 0
    for end in range(1, len(words) + 1):
        while start < end and f" {' '.join(words[start:end])} " not in known:
            start += 1
        longest = max(longest, end - start)
    return longest
