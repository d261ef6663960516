"""Makes texts that an expression matches, at random and from a seed: enough of the syntax for the secret rules."""

from __future__ import annotations

import random
import re
import string
from re import _constants as code  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

_ANY = string.ascii_letters + string.digits
_CATEGORIES = {
    code.CATEGORY_DIGIT: string.digits,
    code.CATEGORY_WORD: _ANY + "_",
    code.CATEGORY_SPACE: " ",
    code.CATEGORY_NOT_SPACE: _ANY,
    code.CATEGORY_NOT_WORD: " ",
    code.CATEGORY_NOT_DIGIT: string.ascii_letters,
}


def text_for(regex: str, chance: random.Random) -> str:
    """A text that the expression matches; optional parts come about half the time, endings as nothing at all."""
    plain = regex.replace("(?i)", "").replace("\\z", "\\Z").replace("[[:alnum:]]", "[a-zA-Z0-9]")
    plain = plain.replace("[:alnum:]", "a-zA-Z0-9")
    return _of(parser.parse(plain), chance)


def _of(parsed: Any, chance: random.Random) -> str:
    return "".join(_one(kind, value, chance) for kind, value in parsed)


def _one(kind: Any, value: Any, chance: random.Random) -> str:
    if kind is code.LITERAL:
        return chr(value)
    if kind is code.IN:
        return _member(value, chance)
    if kind is code.ANY:
        return chance.choice(_ANY)
    if kind is code.NOT_LITERAL:
        return chance.choice([character for character in _ANY if ord(character) != value])
    if kind is code.SUBPATTERN:
        return _of(value[3], chance)
    if kind is code.BRANCH:
        return _of(chance.choice(value[1]), chance)
    if kind in (code.MAX_REPEAT, code.MIN_REPEAT):
        low, high, inner = value
        count = (
            chance.randint(low, min(int(high), low + 4)) if low < 8 else chance.randint(low, min(int(high), low + 20))
        )
        return "".join(_of(inner, chance) for _ in range(count))
    if kind is code.AT:
        return ""
    raise ValueError(kind)


def _member(choices: Any, chance: random.Random) -> str:
    if choices[0][0] is code.NEGATE:
        refused = re.compile("[" + "".join(_written(choice) for choice in choices[1:]) + "]")
        return chance.choice([character for character in _ANY + " " if not refused.match(character)])
    alphabet: list[str] = []
    for kind, value in choices:
        if kind is code.LITERAL:
            alphabet.append(chr(value))
        elif kind is code.RANGE:
            alphabet += [chr(number) for number in range(value[0], value[1] + 1)]
        elif kind is code.CATEGORY:
            alphabet += _CATEGORIES[value]
    return chance.choice(alphabet)


def _written(choice: Any) -> str:
    kind, value = choice
    if kind is code.LITERAL:
        return re.escape(chr(value))
    if kind is code.RANGE:
        return f"{re.escape(chr(value[0]))}-{re.escape(chr(value[1]))}"
    return {code.CATEGORY_WORD: "\\w", code.CATEGORY_DIGIT: "\\d", code.CATEGORY_SPACE: "\\s"}[value]
