"""What is wrong with a policy file, as data: each problem has its place, its cause and the nearest valid word.

Messages repeat keys and enum words of the file, never secrets' names, terms of dictionaries or request content.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong, at a 1-based line and column; line 0 means the file as a whole."""

    line: int
    column: int
    message: str
    source: str = ""  # the file, where it is another one: one that the policy extends

    def render(self, source: str) -> str:
        """`file:line:column: what is wrong`, the form that editors and CI systems jump to."""
        source = self.source or source
        place = f"{source}:{self.line}:{self.column}" if self.line else source
        return f"{place}: {self.message}"


class PolicyError(Exception):
    """A policy that must not be loaded. `problems` is never empty and stands in the order of the file."""

    def __init__(self, source: str, problems: Iterable[Problem]) -> None:
        self.source = source
        self.problems = tuple(sorted(set(problems), key=lambda each: (each.source, each)))
        super().__init__("\n".join(problem.render(source) for problem in self.problems))


def nearest(word: str, words: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The valid word that the writer most likely meant, or None when nothing is close."""
    by_fold: dict[str, str] = {}
    for each in words:
        by_fold.setdefault(each.casefold(), each)
    close = difflib.get_close_matches(word.casefold(), by_fold, n=1, cutoff=cutoff)
    return by_fold[close[0]] if close else None


def suggest(word: str, words: Iterable[str], cutoff: float = 0.6) -> str:
    """`; did you mean 'x'?` for the nearest valid word, or nothing."""
    found = nearest(word, words, cutoff)
    return f"; did you mean '{found}'?" if found and found != word else ""
