"""A condition in Google's Common Expression Language, for what the matchers cannot say: over signals, never content.

Three-valued like every condition: a signal that is unavailable is a variable that is not there; whatever needs it is
unknown, as is an error or an outcome that is no truth value. No macro and no function that loops: an expression costs
no more than its length.
"""

from __future__ import annotations

import re
from typing import Any

from policies.errors import suggest
from policies.types import Measured, Test
from policies.vocabulary import SIGNAL_KINDS

MAX_LENGTH = 500
INSTALL = "pip install 'gatehouse-server[cel]'"
_FUNCTIONS = frozenset({"size", "int", "double", "startsWith", "endsWith", "contains"})
_TEXT = re.compile(r'"[^"]*"|\'[^\']*\'')
_CALL = re.compile(r"([A-Za-z_]\w*)\s*\(")
_SIGNALS = tuple(SIGNAL_KINDS)
# What an evaluation raises: a variable that is not there, operands that do not fit, a division by zero.
_UNKNOWN = (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)


def problem_of(expression: str) -> str | None:
    """Why this is no condition, or None. The expression is compiled, and never evaluated here."""
    if re.search(r"[\\\n\r]|'''|\"\"\"", expression.strip()):
        return "a CEL expression is one line, without escapes and triple quotes"
    for name in _CALL.findall(_TEXT.sub("''", expression)):
        if name not in _FUNCTIONS and name != "in":
            hint = suggest(name, _FUNCTIONS) or f"; there are {', '.join(sorted(_FUNCTIONS))}"
            return f"'{name[:32]}' may not be called: nothing that loops or reads text by patterns{hint}"
    try:
        program = _compiled(expression)
    except ImportError:
        return f"'cel' needs a library that is not installed: {INSTALL}"
    except ValueError as error:
        return f"not a CEL expression: {_cause(error)}"
    for name in sorted(program.variables()):
        if name not in _SIGNALS:
            hint = suggest(name, _SIGNALS) or f"; the signals are {', '.join(_SIGNALS)}"
            return f"there is no signal '{name[:32]}'{hint}"
    return None


def cel_test(expression: str) -> tuple[Test, tuple[str, ...]]:
    """The condition as a function, and the signals that it names. For an expression without a problem."""
    program = _compiled(expression)
    names = tuple(sorted(program.variables()))

    def test(measured: Measured) -> bool | None:
        variables = {name: value for name in names if (value := _value(name, measured)) is not None}
        try:
            outcome = program.execute(variables)
        except _UNKNOWN:
            return None
        return outcome if type(outcome) is bool else None

    return test, names


def _value(name: str, measured: Measured) -> Any:
    """A signal as CEL has it, None where it is unavailable or of another kind than it should be."""
    kind = SIGNAL_KINDS[name]
    if kind == "level":
        return measured.level.word
    if kind == "number":
        return measured.numbers.get(name)
    signal = measured.signals.get(name)
    value = signal.value if signal is not None and signal.error is None else None
    if kind == "flag":
        return value if type(value) is bool else None
    if kind == "label":
        return value if type(value) is str else None
    return sorted(value) if isinstance(value, frozenset) else None


def _compiled(expression: str) -> Any:
    import cel  # an extra: only who writes such a condition needs it

    return cel.compile(expression.strip())


def _cause(error: ValueError) -> str:
    """What the parser says, without the expression, which it repeats."""
    found = re.search(r"ERROR: <input>:\d+:(\d+): ([^\n]{1,80})", str(error))
    return f"{found[2]} (at its character {found[1]})" if found else "it cannot be parsed"
