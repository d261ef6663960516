"""Which form a prompt has: what makes a question of one form hard says little about another form.

Decided by marks that are plainly there, never by a model.
"""

from __future__ import annotations

import re
from typing import Final

from classifiers.kernels import KERNELS

FORMS: Final = ("open", "choice", "sum")
OPEN, CHOICE, SUM = range(len(FORMS))
_READ: Final = 4000  # characters
_OPTION: Final = re.compile(r"\n\(?B[.):] ?")
_WRITTEN: Final = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "twice", "half", "third")
_DIGITS: Final = re.compile(r"\d+")
_NUMBER: Final = re.compile(rf"\d+|\b(?:{'|'.join(_WRITTEN)})\b")
_NUMBERS: Final = 2
_WORDY: Final = 60  # characters: shorter questions with numbers are no word problems
_MARK: Final = re.compile(r"[\\^{}$;\n]")  # no notation without one of them; quick to look for
_NOTATION: Final = re.compile(r"[\\^{}$]{2}|\\[a-z]|\n[^\S\n]*(?:def|class|import|return)\b|[{};][^\S\n]*\n")


def form_of(text: str) -> int:
    """`CHOICE`: lettered options on lines of their own; `SUM`: a word problem with numbers; `OPEN`: all others."""
    read = text[:_READ]
    kernels = KERNELS.module() if read.isascii() else None
    return reference(read) if kernels is None else int(kernels.form_of(read.encode()))


def reference(read: str) -> int:
    """The same of what is read: for all of Unicode, and what the kernel is held to."""
    if _OPTION.search(read):
        return CHOICE
    if len(read) >= _WORDY and "?" in read and _numbers(read) and not (_MARK.search(read) and _NOTATION.search(read)):
        return SUM
    return OPEN


def _numbers(text: str) -> bool:
    """Whether there are two numbers, in digits or written out. Most texts are told without the slow pattern."""
    if sum(1 for _ in zip(range(_NUMBERS), _DIGITS.finditer(text), strict=False)) == _NUMBERS:
        return True
    if not any(word in text for word in _WRITTEN):
        return False
    return sum(1 for _ in zip(range(_NUMBERS), _NUMBER.finditer(text), strict=False)) == _NUMBERS
