"""The classifier boundary: whatever a detector or a signal raises becomes a value here, and nowhere else.

The value names the exception's class and never holds its message, which may quote the text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Failure:
    """What stands in the place of a result: the exception's class."""

    error: str


def attempt(call: Callable[_P, _T], *arguments: _P.args, **named: _P.kwargs) -> _T | Failure:
    """The call's result, or the failure that it ended in."""
    try:
        return call(*arguments, **named)
    except Exception as error:  # noqa: BLE001 - the classifier boundary: every foreign failure is a value
        return Failure(type(error).__name__)
