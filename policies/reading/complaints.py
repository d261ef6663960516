"""Turns what pydantic says about a file's shape into problems with a place, plain words and the nearest valid word.

Values are repeated only where one of a few words was expected; keys, terms and addresses never are.
"""

from __future__ import annotations

import re
from types import NoneType, UnionType
from typing import Any, Union, cast, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from policies.errors import Problem, suggest
from policies.shape.file import PolicyFile
from policies.shape.part import Part
from policies.shape.words import PATTERN_WORDS
from policies.text.document import Document, Path

_KINDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "finite_number": "a finite number",
}
_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
    "string_too_long": ("no longer, in characters, than", "max_length"),
    "string_too_short": ("no shorter, in characters, than", "min_length"),
    "too_long": ("no longer, in entries, than", "max_length"),
}


def complaints(error: ValidationError, document: Document, root: type[Part] = PolicyFile) -> list[Problem]:
    """One problem for each thing that pydantic found in a document of the shape `root`."""
    return [_complaint(each, document, root) for each in error.errors(include_url=False)]


def _complaint(error: ErrorDetails, document: Document, root: type[Part]) -> Problem:
    path: Path = error["loc"]
    is_key = bool(path) and path[-1] == "[key]"
    if is_key:
        path = path[:-1]
    name = _name(path)
    if error["type"] == "extra_forbidden":
        return document.problem(path, _unknown_key(path, root), at_key=True)
    if error["type"] == "missing":
        missing = f"'{name}' is missing{_within(path)}"
        return document.problem(path[:-1], missing, at_key=True) if len(path) > 1 else Problem(1, 1, missing)
    if not path and root is not PolicyFile:
        return document.problem(path, "the file must be a mapping with the key 'probes'")
    return document.problem(path, _value_message(error, path, name), at_key=is_key)


def _value_message(error: ErrorDetails, path: Path, name: str) -> str:
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "literal_error":
        return _not_one_of(name, value, re.findall(r"'([^']*)'", str(context["expected"])))
    if kind == "string_pattern_mismatch":
        return f"'{name}' must be {PATTERN_WORDS[context['pattern']]}"
    if kind == "too_short":
        return f"'{name}' may not be empty"
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        return f"'{name}' must be {words} {_figure(context[bound])}"
    wanted = _KINDS.get(kind, "something else")
    if not path:
        return "the file is empty" if value is None else f"a policy must be {wanted}, not {_kind_of(value)}"
    if value is None:
        return f"'{name}' has no value: it must be {wanted}"
    return f"'{name}' must be {wanted}, not {_kind_of(value)}"


def _figure(bound: float) -> str:
    return f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"


def _not_one_of(name: str, value: object, words: list[str]) -> str:
    if not isinstance(value, str):
        return f"'{name}' must be one of {', '.join(words)}"
    shown = f"'{value}'" if len(value) <= 40 else "this"
    return f"{shown} is not one of {', '.join(words)}{suggest(value, words)}"


def _unknown_key(path: Path, root: type[Part]) -> str:
    part = _part_at(path[:-1], root)
    key = str(path[-1])
    hint = suggest(key, part.model_fields)
    strange = next((char for char in key if not char.isascii()), "")
    looks = f" (it holds U+{ord(strange):04X}, which is no ASCII letter)" if strange else ""
    return f"unknown key '{key[:64]}'{looks}{_within(path)}{hint or _known(part)}"


def _known(part: type[Part]) -> str:
    return f"; the keys here are {', '.join(part.model_fields)}"


def _name(path: Path) -> str:
    """The last key of a path; for an item of a list, its list's."""
    return str(next((part for part in reversed(path) if isinstance(part, str)), ""))


def _within(path: Path) -> str:
    parents = [part for part in path[:-1] if isinstance(part, str)]
    return f" in '{'.'.join(parents)}'" if parents else ""


def _kind_of(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "a mapping"


def _part_at(path: Path, root: type[Part]) -> type[Part]:
    """The part of the shape that stands at a path: where its keys come from."""
    here: Any = root
    for step in path:
        is_part = isinstance(here, type) and issubclass(here, Part)
        here = _bare(here.model_fields[step].annotation if is_part else get_args(here)[-1])
    return cast(type[Part], here)


def _bare(kind: Any) -> Any:
    """A type without `| None`."""
    if get_origin(kind) in (Union, UnionType):
        return next(each for each in get_args(kind) if each is not NoneType)
    return kind
