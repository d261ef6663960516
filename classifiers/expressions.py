"""RE2's syntax as a tree: what the derivation of factors has to know of a pattern, and no more.

What is not surely understood raises `NotUnderstood`; nothing here ever matches anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

# A mask has a bit for each of the 256 bytes. What is not ASCII counts as any byte above 127 and any number behind it.
ASCII: Final = (1 << 128) - 1
HIGH: Final = ((1 << 256) - 1) ^ ASCII


def mask_of(characters: str) -> int:
    """The bits of ASCII characters."""
    return sum(1 << ord(character) for character in set(characters))


_SMALL: Final = mask_of("abcdefghijklmnopqrstuvwxyz")
_LARGE: Final = _SMALL >> 32
LETTERS: Final = _SMALL | _LARGE
DIGITS: Final = mask_of("0123456789")
WORD: Final = LETTERS | DIGITS | mask_of("_")
_CLASSES: Final = {"d": DIGITS, "w": WORD, "s": mask_of("\t\n\f\r ")}
_UNICODE: Final = {"L": LETTERS, "N": DIGITS, "M": 0}  # the ASCII of them; beside it all have other characters
_CONTROLS: Final = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "a": "\a"}
_FOLDED_TO_ASCII: Final = {0x17F: "sS", 0x212A: "kK"}  # what a pattern in any case takes for an `s` and a `k`
_MOST_COPIES: Final = 1000  # RE2's own bound


class NotUnderstood(Exception):
    """The pattern holds something that is not known here."""


@dataclass(frozen=True, slots=True)
class One:
    """One character: a byte of the mask, and behind it, where it is not ASCII, more bytes above 127 (`goes_on`)."""

    mask: int
    goes_on: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One part after the other."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Alternatives:
    """One of the parts."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """The part so many times; `most` None: any number."""

    part: Node
    least: int
    most: int | None


class Edge(Enum):
    """What takes no room: a word's border, a line's or the text's beginning and end."""

    WORD = "word"
    FRONT = "front"
    END = "end"


Node = One | Row | Alternatives | Repeat | Edge


def parse(pattern: str) -> Node:
    """The tree of a pattern. Raises `NotUnderstood`."""
    parser = _Parser(pattern)
    tree = parser.alternatives()
    if parser.rest():
        raise NotUnderstood(pattern)
    return tree


class _Parser:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._any_case = self._dot_is_all = False

    def rest(self) -> str:
        return self._text[self._at :]

    def alternatives(self) -> Node:
        parts = [self._row()]
        while self._take("|"):
            parts.append(self._row())
        return parts[0] if len(parts) == 1 else Alternatives(tuple(parts))

    def _take(self, sign: str) -> bool:
        if not self._text.startswith(sign, self._at):
            return False
        self._at += len(sign)
        return True

    def _next(self) -> str:
        if self._at >= len(self._text):
            raise NotUnderstood("ends early")
        self._at += 1
        return self._text[self._at - 1]

    def _row(self) -> Node:
        parts: list[Node] = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            parts.append(self._repeated(self._atom()))
        return parts[0] if len(parts) == 1 else Row(tuple(parts))

    def _repeated(self, part: Node) -> Node:
        while self._at < len(self._text):
            bounds = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(self._text[self._at])
            if bounds is not None:
                self._at += 1
            elif self._text[self._at] == "{":
                bounds = self._counted()
            if bounds is None:
                break
            self._take("?")
            part = Repeat(part, *bounds)
        return part

    def _counted(self) -> tuple[int, int | None] | None:
        """`{3}`, `{3,}` or `{3,5}`; None for a brace that is none of them."""
        inside, brace, _ = self._text[self._at + 1 :].partition("}")
        least, comma, most = inside.partition(",")
        if not brace or not least.isdecimal() or not (most == "" or most.isdecimal()) or not inside.isascii():
            return None
        self._at += len(inside) + 2
        if int(least) > _MOST_COPIES:
            raise NotUnderstood("a count")
        return int(least), int(most) if most else None if comma else int(least)

    def _atom(self) -> Node:
        sign = self._next()
        if sign == "(":
            return self._group()
        if sign == "[":
            return self._class()
        if sign == ".":
            return One(ASCII & ~(0 if self._dot_is_all else 1 << 10) | HIGH, True)
        if sign in "^$":
            return Edge.FRONT if sign == "^" else Edge.END
        if sign == "\\":
            return self._escape()
        if sign in "*+?":
            raise NotUnderstood("repeats nothing")
        return self._literal(sign)

    def _group(self) -> Node:
        before = self._any_case, self._dot_is_all
        if self._take("?P<") or (self._take("?<") and not self._text.startswith(("=", "!"), self._at)):
            while self._next() != ">":
                pass
        elif self._take("?") and self._flags() == ")":
            return Row(())  # from here on, in the group around it
        inside = self.alternatives()
        self._any_case, self._dot_is_all = before
        if not self._take(")"):
            raise NotUnderstood("a group that does not end")
        return inside

    def _flags(self) -> str:
        """Reads `i`, `-i` and the like up to the sign behind them, which it returns."""
        value = True
        while (sign := self._next()) not in ":)":
            if sign == "-":
                value = False
            elif sign == "i":
                self._any_case = value
            elif sign == "s":
                self._dot_is_all = value
            elif sign not in "mU":
                raise NotUnderstood("a flag")
        return sign

    def _literal(self, sign: str) -> Node:
        if sign.isascii():
            return One(self._cased(1 << ord(sign)))
        if not self._any_case or sign == sign.lower() == sign.upper() == sign.casefold():
            return Row(tuple(One(1 << byte) for byte in sign.encode("utf-8")))
        return One(self._cased(HIGH | _folded(ord(sign), ord(sign))), True)

    def _cased(self, mask: int) -> int:
        """With the letters of the other case, where case does not count."""
        return mask | (mask & _LARGE) << 32 | (mask & _SMALL) >> 32 if self._any_case else mask

    def _escape(self) -> Node:
        sign = self._text[self._at : self._at + 1]
        edge = {"b": Edge.WORD, "A": Edge.FRONT, "z": Edge.END}.get(sign)
        if edge is not None or sign == "B":
            self._at += 1
            return edge or Row(())
        mask = self._set_behind_backslash()
        if mask is not None:
            return One(mask, bool(mask & HIGH))
        return self._literal(chr(self._code_behind_backslash()))

    def _set_behind_backslash(self) -> int | None:
        """`\\d`, `\\W`, `\\pL`, `\\p{L}`; None, and nothing read, where it is a single character."""
        sign = self._text[self._at : self._at + 1]
        if sign.lower() in _CLASSES and sign:
            self._at += 1
            mask = _CLASSES[sign.lower()]
            return mask if sign.islower() else ASCII & ~mask | HIGH
        if sign not in ("p", "P"):
            return None
        self._at += 1
        name = self._next()
        if name == "{":
            name, self._at = self._text[self._at : self._at + 1], self._at + 1
            if not self._take("}"):
                raise NotUnderstood("a kind of characters")
        if name not in _UNICODE:
            raise NotUnderstood("a kind of characters")
        return (_UNICODE[name] if sign == "p" else ASCII & ~_UNICODE[name]) | HIGH

    def _code_behind_backslash(self) -> int:
        sign = self._next()
        if sign in _CONTROLS:
            return ord(_CONTROLS[sign])
        if sign == "x":
            digits = self._next()
            if digits == "{":
                digits, brace, _ = self._text[self._at :].partition("}")
                self._at += len(digits) + len(brace)
            else:
                digits += self._next()
            try:
                code = int(digits, 16)
            except ValueError:
                raise NotUnderstood("a code") from None
            if code > 0x10FFFF or 0xD800 <= code < 0xE000:
                raise NotUnderstood("a code")
            return code
        if sign.isalnum() or not sign.isascii():
            raise NotUnderstood("an escape")
        return ord(sign)

    def _class(self) -> Node:
        is_not, mask, is_first = self._take("^"), 0, True
        while is_first or not self._take("]"):
            if self._text.startswith("[:", self._at):
                raise NotUnderstood("a named class")
            if self._take("\\"):
                found = self._set_behind_backslash()
                if found is not None:
                    mask, is_first = mask | found, False
                    continue
                low = self._code_behind_backslash()
            else:
                low = ord(self._next())
            high = low
            if self._text.startswith("-", self._at) and not self._text.startswith("-]", self._at):
                self._at += 1
                high = self._code_behind_backslash() if self._take("\\") else ord(self._next())
            mask, is_first = mask | self._cased(_between(low, high) | self._folded(low, high)), False
        if is_not:
            mask = ASCII & ~mask | HIGH
        return One(mask, bool(mask & HIGH))

    def _folded(self, low: int, high: int) -> int:
        return _folded(low, high) if self._any_case else 0


def _folded(low: int, high: int) -> int:
    """The ASCII letters that characters of a range are, where case does not count."""
    return sum(mask_of(letters) for code, letters in _FOLDED_TO_ASCII.items() if low <= code <= high)


def _between(low: int, high: int) -> int:
    mask = sum(1 << code for code in range(low, min(high, 127) + 1))
    return mask | HIGH if high > 127 else mask
