"""Collects what the checks of a policy find, with its place: problems refuse the file, warnings do not."""

from __future__ import annotations

from policies.errors import PolicyError, Problem
from policies.text.document import Document, Path


class Notes:
    """Problems and warnings about one file."""

    def __init__(self, document: Document, source: str) -> None:
        self._document = document
        self._source = source
        self._problems: list[Problem] = []
        self._warnings: list[Problem] = []

    def problem(self, path: Path, message: str, *, at_key: bool = False) -> None:
        """Something that refuses the file, at the value (or the key) of `path`."""
        self._problems.append(self._note(path, message, at_key))

    def warn(self, path: Path, message: str, *, at_key: bool = False) -> None:
        """Something that the writer should know."""
        self._warnings.append(self._note(path, message, at_key))

    def _note(self, path: Path, message: str, at_key: bool) -> Problem:
        return self._document.problem(path, message, at_key=at_key)

    def raise_problems(self) -> None:
        """Raise `PolicyError` if there is any problem."""
        if self._problems:
            raise PolicyError(self._source, self._problems)

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings in the order of the file, each with its place."""
        return tuple(warning.render(self._source) for warning in sorted(set(self._warnings)))
