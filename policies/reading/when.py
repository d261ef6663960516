"""From the `when` of a rule to a condition: which signals exist, which operators and values fit, how deep it goes."""

from __future__ import annotations

import math

from policies.errors import suggest
from policies.reading.notes import Notes
from policies.text.document import Path, Value
from policies.types import Condition, Leaf, Level, Operator
from policies.vocabulary import OPERATORS, SIGNAL_KINDS, SIGNAL_LABELS, UNIT_SIGNALS, Kind

MAX_DEPTH = 4
_LEVELS = tuple(level.word for level in Level)


def read_when(value: Value, path: Path, notes: Notes) -> Condition | None:
    """The condition, or None where there is none; what is wrong is noted. A bare leaf is short for `all` over it."""
    if value is None:
        notes.problem(path, "'when' has no value: leave the key out for a rule that always holds")
        return None
    part = _part(value, path, 1, notes)
    return Condition("all", (part,)) if isinstance(part, Leaf) else part


def _part(value: Value, path: Path, depth: int, notes: Notes) -> Condition | Leaf | None:
    if not isinstance(value, dict) or len(value) != 1:
        notes.problem(path, "an entry is one of {all: [...]}, {any: [...]} and {signal: {operator: value}}")
        return None
    ((key, inner),) = value.items()
    path = (*path, key)
    if key in ("not", "none"):
        notes.problem(path, "negation is not available: an unavailable signal would turn true", at_key=True)
        return None
    if key not in ("all", "any"):
        return _leaf(key, inner, path, notes)
    if depth > MAX_DEPTH:
        notes.problem(path, f"all and any may be nested {MAX_DEPTH} deep", at_key=True)
        return None
    if not isinstance(inner, list) or not inner:
        notes.problem(path, f"'{key}' must be a list of at least one entry")
        return None
    parts = [_part(each, (*path, index), depth + 1, notes) for index, each in enumerate(inner)]
    return Condition("all" if key == "all" else "any", tuple(part for part in parts if part is not None))


def _leaf(signal: str, value: Value, path: Path, notes: Notes) -> Leaf | None:
    kind = SIGNAL_KINDS.get(signal)
    if kind is None:
        hint = suggest(signal, (*SIGNAL_KINDS, "all", "any")) or f"; the signals are {', '.join(SIGNAL_KINDS)}"
        notes.problem(path, f"there is no signal '{signal[:64]}'{hint}", at_key=True)
        return None
    allowed = OPERATORS[kind]
    if not isinstance(value, dict) or len(value) != 1:
        notes.problem(path, f"'{signal}' needs one operator with a value, such as {{{allowed[0]}: {_EXAMPLES[kind]}}}")
        return None
    ((operator, operand),) = value.items()
    path = (*path, operator)
    if operator not in allowed:
        hint = suggest(operator, allowed)
        notes.problem(path, f"'{operator[:64]}' does not fit '{signal}': use {' or '.join(allowed)}{hint}", at_key=True)
        return None
    return _operand(signal, kind, operator, operand, path, notes)


_EXAMPLES: dict[Kind, str] = {"number": "0.7", "flag": "true", "label": "en", "labels": "image", "level": "internal"}


def _operand(signal: str, kind: Kind, operator: str, value: Value, path: Path, notes: Notes) -> Leaf | None:
    problem = _operand_problem(signal, kind, operator, value)
    if problem is not None:
        notes.problem(path, problem)
        return None
    operand: float | bool | str | tuple[str, ...]
    if isinstance(value, list):
        operand = tuple(str(each) for each in value)
    else:
        assert isinstance(value, bool | int | float | str), "checked just above"
        operand = value
    operators: dict[str, Operator] = {"at_least": "at_least", "at_most": "at_most", "in": "in", "is": "is"}
    return Leaf(signal, operators[operator], operand)


def _operand_problem(signal: str, kind: Kind, operator: str, value: Value) -> str | None:
    if kind == "number":
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return f"'{operator}' must be a number"
        is_outside = signal in UNIT_SIGNALS and not 0 <= value <= 1
        return f"'{signal}' lies between 0 and 1" if is_outside else None
    if kind == "flag":
        return None if isinstance(value, bool) else f"'{operator}' must be true or false"
    words = value if operator == "in" else [value]
    if not isinstance(words, list) or not words or not all(isinstance(word, str) and word for word in words):
        return "'in' must be a list of words" if operator == "in" else f"'{operator}' must be a word"
    valid = _LEVELS if kind == "level" else SIGNAL_LABELS[signal]
    wrong = next((word for word in words if word not in valid), None)
    named = "a level" if kind == "level" else f"'{signal}'"
    return f"{named} is one of {', '.join(valid)}{suggest(str(wrong), valid)}" if wrong is not None else None
