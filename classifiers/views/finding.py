"""Finding with RE2 in a text of code points, and with Python's expressions only around what RE2 has found.

RE2 goes through a text many times faster; Python's expressions look around, and say where a value begins and ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any


def spans(regex: Any, text: str) -> list[tuple[int, int]]:
    """Where a compiled RE2 expression matches, in code points."""
    raw = text.encode("utf-8", "surrogatepass")
    found = [hit.span() for hit in regex.finditer(raw)]
    if len(raw) == len(text) or not found:
        return found
    placed, at, count = [], 0, 0
    for start, end in found:
        first = count + len(raw[at:start].decode("utf-8", "surrogatepass"))
        count = first + len(raw[start:end].decode("utf-8", "surrogatepass"))
        at = end
        placed.append((first, count))
    return placed


def around(
    regex: re.Pattern[str], text: str, seeds: Iterable[tuple[int, int]], before: int, behind: int
) -> Iterator[re.Match[str]]:
    """Matches of an expression that begin within `before` and `behind` characters of the seeds, in full length."""
    done = 0
    for first, last in _windows(seeds, before, behind):
        at = max(first, done)
        while at < last and (hint := regex.search(text, at, last)):
            hit = regex.match(text, hint.start())
            if hit is None:
                at = hint.start() + 1
                continue
            yield hit
            at = done = max(hit.end(), hit.start() + 1)


def _windows(seeds: Iterable[tuple[int, int]], before: int, behind: int) -> Iterator[tuple[int, int]]:
    first = last = -1
    for start, end in seeds:
        if first < 0:
            first, last = max(0, start - before), end + behind
        elif start - before <= last:
            last = max(last, end + behind)
        else:
            yield first, last
            first, last = start - before, end + behind
    if first >= 0:
        yield first, last
