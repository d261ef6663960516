"""Values cut by markup or by the quotes of a program, and tables whose header says what a column holds.

Markup and quotes are taken away only between characters of one value; a table's cells stand behind their header.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from classifiers.detectors.base import pattern
from classifiers.views.finding import around, spans
from classifiers.views.room import Room
from classifiers.views.view import Change, View

_TAG = r"<(?:/?[A-Za-z][\w:.-]{0,40}(?:\s[^<>]*)?/?|!--[^>]*--|\?[^<>]*)>|\]\]>|<!\[CDATA\["
_TAGS = pattern(rf"(?:(?:{_TAG})\s*)*(?:{_TAG})")
_INLINE = re.compile(
    r"(?i)^(?:</?(?:a|abbr|b|bdi|bdo|big|code|em|font|i|kbd|mark|s|samp|small|span|strike|strong|sub|sup|tt|u|var|wbr|t|r)"
    r"(?:\s[^<>]*)?/?>|<!--[^>]*-->|<!\[CDATA\[|\]\]>)+$",
    re.DOTALL,
)
# Before and behind the quotes of two literals that belong together.
_LEFT = r"(?:(?<=[0-9A-Za-z@.+\-_ ])|(?<=[0-9A-Fa-f]:))"
_RIGHT = r"(?=[0-9A-Za-z@.+\-_ ]|:[0-9A-Fa-f]{2})"
_BETWEEN = r"""\s{0,8}(?:\+|\.|&|\|\||\\\n|<<|,(?=\s{0,20}["'`]\d))?\s{0,20}[rbuf]?"""
_CALLED = r"""\s{0,8}\.?(?:concat|append|push|\.\.)\(?\s{0,8}"""
_JOINED = re.compile(rf"""{_LEFT}(?:["'`]{_BETWEEN}["'`]|["'`]{_CALLED}["'`]){_RIGHT}""")
LITERAL_SEEDS: Final = (
    r"[0-9A-Za-z@.:+_\- ][\"'\x60]\s{0,8}(?:[+.&<]|\|\||\\\n|concat|append)?[<+.&(]?"
    r"\s{0,20}[rbuf]?[\"'\x60][0-9A-Za-z@.:+_\- ]",
    r"\d[\"'\x60]\s{0,8},\s{0,20}[\"'\x60]\d",
)
_LITERAL_SEEDS = pattern("|".join(LITERAL_SEEDS))
_GROUP_LEFT = re.compile(r"[\"'`](?:\d|\d{4}(?:[ -]\d{4}){0,3})$")
_GROUP_RIGHT = re.compile(r"(?:\d|\d{4}(?:[ -]\d{4}){0,3})[\"'`]")
_VALUE = re.compile(r"[0-9A-Za-z@.:+_\-]")
_NAME = re.compile(r"[A-Za-z_][\w .#/()\-]{0,40}")
HEADER: Final = r"(?m)^[ \t]*\|?[ \t]*\"?[A-Za-z_][\w .#/()\-]{0,40}\"?[ \t]*[,;\t|][ \t]*\"?[A-Za-z_][^\n]*\n[^\n]*\d"
_NO_HEADER = re.compile(r"[^\w .#/()\-\"',;|\t]")
_RULE = re.compile(r"[\s|:+\-]+")


def without_markup(text: str) -> list[Change]:
    """Tags between two characters of one value: inline ones read as nothing, others as a blank between digits."""
    changes = []
    for start, end in spans(_TAGS, text):
        left, right = text[max(0, start - 1) : start], text[end : end + 1]
        is_split = bool(left and right and _VALUE.match(left.strip() or "0") and _VALUE.match(right.strip() or "0"))
        if is_split and _INLINE.match(text[start:end]):
            changes.append(Change(start, end, ""))
        elif left.isdigit() and right.isdigit():
            changes.append(Change(start, end, " "))
    return changes


def joined_literals(text: str) -> list[Change]:
    """String literals that a program puts together, as one; in a list only pieces that are digits."""
    changes = []
    for hit in around(_JOINED, text, spans(_LITERAL_SEEDS, text), 1, 48):
        left, right = text[hit.start() - 1], text[hit.end()]
        if "," in hit.group() and not _are_groups(text, *hit.span()):
            continue
        if hit.end() - hit.start() == 2 and not (left.isalnum() and right.isalnum()):
            continue  # quotes inside quotes
        if not (left == " " and right == " "):
            changes.append(Change(*hit.span(), ""))
    return changes


def _are_groups(text: str, start: int, end: int) -> bool:
    """Whether the literals on both sides of a comma are single digits or groups of four: a number in pieces."""
    return bool(_GROUP_LEFT.search(text[max(0, start - 24) : start]) and _GROUP_RIGHT.match(text, end))


def table_cells(view: View, room: Room) -> Iterator[View]:
    """The cells of tables in the text, each behind the name in its column's header."""
    mark, names, at = "", list[str](), 0
    for line in view.text.split("\n"):
        cells = _cells(line, mark) if names else []
        if names and len(cells) == len(names):
            if not _RULE.fullmatch(line):
                yield from _named(view, names, cells, at, room)
        else:
            mark, names = _header(line)
        at += len(line) + 1


def _header(line: str) -> tuple[str, list[str]]:
    """The mark between a header's columns and their names; no names where the line is no header."""
    bare = line.strip(' \t|\r"')
    if not (bare[:1].isalpha() or bare[:1] == "_") or _NO_HEADER.search(bare):
        return "", []
    for mark in "\t|;,":
        if mark in bare:
            names = [name for _, name in _cells(line, mark)]
            if len(names) > 1 and all(_NAME.fullmatch(name) for name in names):
                return mark, names
    return "", []


def _named(view: View, names: list[str], cells: list[tuple[int, str]], row: int, room: Room) -> Iterator[View]:
    for name, (offset, value) in zip(names, cells, strict=True):
        if value and any(character.isdigit() for character in value):
            room.take(len(name) + len(value))
            yield View(value, view, row + offset, name=name, depth=view.depth)


def _cells(line: str, mark: str) -> list[tuple[int, str]]:
    """Where each cell's text begins in its line, and the text, without quotes."""
    cells, at = [], 0
    for part in _parts(line, mark):
        value = part.strip(" \t\r\"'")
        cells.append((at + part.find(value) if value else at, value))
        at += len(part) + 1
    if mark == "|" and cells and not cells[0][1]:
        cells.pop(0)
    if mark == "|" and cells and not cells[-1][1]:
        cells.pop()
    return cells


def _parts(line: str, mark: str) -> list[str]:
    """The line cut at the marks that no quotes hold."""
    if '"' not in line:
        return line.split(mark)
    parts, begin, is_quoted = [], 0, False
    for at, character in enumerate(line):
        if character == '"':
            is_quoted = not is_quoted
        elif character == mark and not is_quoted:
            parts.append(line[begin:at])
            begin = at + 1
    parts.append(line[begin:])
    return parts
