"""The line of a policy file at which a problem stands, with a caret under its place.

Only words of the language, keys, numbers and what the problem's message repeats are shown; every other value is dotted
out, for a line may hold a term or a secret that somebody put there by mistake, and what is printed ends up in logs.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from policies.errors import Problem
from policies.shape.file import PolicyFile
from policies.vocabulary import CAPABILITIES, SIGNAL_KINDS, SIGNAL_LABELS

_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"?|\'(?:\'\'|[^\'])*\'?|#.*|[^\s{}\[\],:"\'#]+(?::[^\s{}\[\],"\'#]+)*')
_NUMBER = re.compile(r"[-+]?[0-9][0-9._]{0,7}")
_WIDTH = 116
_ALSO = ("auto", "true", "false", "null", "default", "all", "any", "at_least", "at_most", "in", "is")


def excerpt(text: str, problem: Problem) -> str:
    """Two lines: that of the file, and one with the caret; nothing for a problem of the file as a whole."""
    lines = text.splitlines()
    if not 0 < problem.line <= len(lines):
        return ""
    line = lines[problem.line - 1].replace("\t", " ")
    shown = _TOKEN.sub(lambda match: _shown(line, match, problem.message), line)
    start = max(0, problem.column - _WIDTH)
    number = f"{problem.line:>5} | "
    caret = " " * 6 + "| " + " " * (problem.column - 1 - start) + "^"
    return f"{number}{shown[start : start + _WIDTH].rstrip()}\n{caret}"


def _shown(line: str, match: re.Match[str], message: str) -> str:
    token = match.group()
    bare = token.strip("\"'")
    is_key = re.match(r"\s*:(\s|$)", line[match.end() :]) is not None and len(bare) <= 64
    if token.startswith("#"):
        return ""
    is_shown = is_key or bare in _words() or _NUMBER.fullmatch(bare) is not None or _is_told(bare, message)
    return token if is_shown else "·" * len(token)


def _is_told(word: str, message: str) -> bool:
    return bool(word) and f"'{word}'" in message


@cache
def _words() -> frozenset[str]:
    """The enum words, signals and capabilities of the language."""
    found: set[str] = {*_ALSO, *SIGNAL_KINDS, *CAPABILITIES}
    found.update(label for labels in SIGNAL_LABELS.values() for label in labels)
    _collect(PolicyFile.model_json_schema(), found)
    return frozenset(found)


def _collect(part: Any, found: set[str]) -> None:
    if isinstance(part, dict):
        found.update(word for word in part.get("enum", ()) if isinstance(word, str))
        for value in part.values():
            _collect(value, found)
    elif isinstance(part, list):
        for value in part:
            _collect(value, found)
