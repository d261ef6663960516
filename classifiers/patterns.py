"""Which of many RE2 patterns match a text: all of them in a few passes, or only those that the prefilter lets through.

Both say the same. It never passes over a pattern that it could not try: that is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import re2

from classifiers.prefilter import Prefilter

_SET_MEMORY: Final = 64 << 20  # bound of an automaton's cache; a few MB are used


class Patterns:
    """Patterns in groups, numbered in the order given. Raises `re2.error` for one that is none.

    With the compiled prefilter each pattern is tried by itself, on the few texts in which what it needs stands. Without
    it a group is one automaton, in which the numbers of states multiply: patterns that are unlike are not put together.
    """

    def __init__(self, groups: Iterable[Sequence[str]], *, prefiltered: bool = True) -> None:
        groups = [list(group) for group in groups]
        every = [pattern for group in groups for pattern in group]
        self._prefilter = Prefilter(every) if prefiltered else None
        self._each: list[Any] = []
        self._sets: list[tuple[Any, int]] = []  # with the number before the first of each
        if self._prefilter is not None and self._prefilter.is_compiled:
            self._each = [re2.compile(pattern, _options()) for pattern in every]
        else:
            before = -1  # in each set the first pattern is not one of those given
            for group in groups:
                self._sets.append((_as_set(group), before))
                before += len(group)

    def matching(self, data: bytes) -> list[int]:
        """The numbers of the patterns that match. Raises `RuntimeError` when that cannot be said."""
        if self._prefilter is not None and self._prefilter.is_compiled:
            return [number for number in self._prefilter.candidates(data) if self._each[number].search(data)]
        found: list[int] = []
        for patterns, before in self._sets:
            matched = patterns.Match(data)
            if 0 not in matched:
                raise RuntimeError("a set of patterns gave up")
            found += [before + number for number in matched if number]
        return found


def _as_set(group: Sequence[str]) -> Any:
    """The empty pattern, which always matches, so that its absence shows a failed pass; and those of the group."""
    patterns = re2.Set.SearchSet(_options())
    patterns.Add(b"")
    for pattern in group:
        patterns.Add(pattern.encode("utf-8"))
    patterns.Compile()
    return patterns


def _options() -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _SET_MEMORY
    return options
