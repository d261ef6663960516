"""Regular expressions of JSON Schema's `pattern` as grammar (GBNF): the part without look-around and back references.

The strings that come out match; some that would match may not come out (`.` is any character but those that JSON
escapes, `\\s` a blank).
"""

from __future__ import annotations

import json
import re

MAX_PATTERN = 512
_MAX_REPEAT = 1024
_MAX_DEPTH = 16

_ANY = r'[^"\\\x7F\x00-\x1F]'
_CLASSES = {"d": "0-9", "w": "A-Za-z0-9_", "s": " "}
_UNSAFE = re.compile(r'["\\\x7f\x00-\x1f]')
_COUNT = re.compile(r"\{([0-9]{1,4})(?:(,)([0-9]{1,4})?)?\}")


class PatternError(Exception):
    """The expression is not one that this module can turn into a grammar."""


def pattern_rule(pattern: str) -> str:
    """The body of a rule for the inside of a JSON string that `pattern` matches. Raises PatternError.

    An end without `^` or `$` is open: anything may stand there.
    """
    if len(pattern) > MAX_PATTERN:
        raise PatternError
    return _Reader(pattern).read()


def _literal(character: str) -> str:
    text = json.dumps(character, ensure_ascii=False)[1:-1]
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _in_class(character: str) -> str:
    if _UNSAFE.match(character):
        raise PatternError  # JSON would escape it, which a class cannot
    return "\\" + character if character in "]^-[" else character


class _Reader:
    """A recursive descent over one expression."""

    def __init__(self, pattern: str) -> None:
        self._text = pattern
        self._at = 0
        self._depth = 0
        self._is_split = False  # whether there are alternatives outside of all groups

    def read(self) -> str:
        start = "" if self._take("^") else f"{_ANY}* "
        body = self._alternatives()
        end = "" if self._text.endswith("$") and self._take("$") else f" {_ANY}*"
        if self._at != len(self._text):
            raise PatternError
        if self._is_split and not (start and end):
            raise PatternError  # in `^a|b$` each anchor belongs to one side
        return f"{start}({body}){end}"

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self, text: str) -> bool:
        if self._text.startswith(text, self._at):
            self._at += len(text)
            return True
        return False

    def _next(self) -> str:
        if self._at >= len(self._text):
            raise PatternError
        self._at += 1
        return self._text[self._at - 1]

    def _alternatives(self) -> str:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise PatternError
        parts = [self._sequence()]
        while self._take("|"):
            parts.append(self._sequence())
            self._is_split |= self._depth == 1
        self._depth -= 1
        return " | ".join(parts)

    def _sequence(self) -> str:
        parts: list[str] = []
        while self._peek() not in ("", "|", ")") and self._text[self._at :] != "$":
            parts.append(self._atom() + self._quantifier())
        return " ".join(parts) or '""'

    def _atom(self) -> str:
        character = self._next()
        if character == "(":
            if self._peek() == "?" and not self._take("?:"):
                raise PatternError
            body = self._alternatives()
            if not self._take(")"):
                raise PatternError
            return f"({body})"
        if character == "[":
            return self._class()
        if character == "\\":
            return self._escape()
        if character == ".":
            return _ANY
        if character in "^$*+?{":
            raise PatternError
        return _literal(character)

    def _escape(self) -> str:
        character = self._next()
        if character in _CLASSES:
            return f"[{_CLASSES[character]}]"
        return _literal(self._escaped(character))

    def _escaped(self, character: str) -> str:
        if character.isalnum():
            if character in "tnrf":
                return {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}[character]
            raise PatternError  # \b, \1, \p, \u and their like
        return character

    def _class(self) -> str:
        if self._peek() == "^":
            raise PatternError
        shown = ""
        while not self._take("]"):
            character = self._next()
            if character == "\\":
                character = self._next()
                if character in _CLASSES:
                    shown += _CLASSES[character]
                    continue
                character = self._escaped(character)
            shown += _in_class(character) + self._range_end(character)
        if not shown:
            raise PatternError
        return f"[{shown}]"

    def _range_end(self, first: str) -> str:
        """`-z` where a range goes on; nothing else."""
        if self._peek() != "-" or self._text[self._at + 1 : self._at + 2] in ("]", ""):
            return ""
        self._at += 1
        last = self._next()
        if last == "\\":
            last = self._escaped(self._next())
        # A range over what JSON escapes would say it unescaped.
        if last < first or any(first <= unsafe <= last for unsafe in '"\\\x7f') or first < " ":
            raise PatternError
        return "-" + _in_class(last)

    def _quantifier(self) -> str:
        found = _COUNT.match(self._text, self._at)
        if found is not None:
            self._at = found.end()
            low, high = int(found[1]), int(found[3] or found[1])
            if max(low, high) > _MAX_REPEAT or high < low:
                raise PatternError
            many = f"{{{low},}}" if found[2] and not found[3] else f"{{{low},{high}}}"
        else:
            many = self._next() if self._peek() in ("*", "+", "?") and self._peek() else ""
        if many and self._peek() == "?":
            self._at += 1  # a lazy quantifier matches the same strings
        if many and self._peek() in ("*", "+") and self._peek():
            raise PatternError
        return many
