"""A policy file with all that it extends: read one after the other, followed by name, and not yet checked.

What a file extends is a recipe, or a file beside it. At most five stand above one another, and none twice.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

from policies.errors import PolicyError, Problem
from policies.text.document import Document, Place, decode, parse
from policies.text.sources import read_source, recipes

MAX_PARENTS = 5
_REMEMBERED = 32


@dataclass(frozen=True, slots=True)
class Written:
    """The text of one policy file, and the name that messages show."""

    source: str
    text: str


@dataclass(frozen=True, slots=True)
class Chain:
    """The bytes of a policy's own file first, then of what it extends. `error`: why that could not be followed."""

    files: tuple[tuple[str, bytes], ...]
    error: PolicyError | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of the file's bytes; of several files, of their digests."""
        digests = [hashlib.sha256(data).digest() for _, data in self.files]
        return digests[0].hex() if len(digests) == 1 else hashlib.sha256(b"".join(digests)).hexdigest()

    def written(self) -> tuple[Written, ...]:
        """The texts. Raises `PolicyError` for a chain that is not whole, or a file that is no text."""
        if self.error is not None:
            raise self.error
        return tuple(Written(source, decode(data, source)) for source, data in self.files)


class Chains:
    """Reads chains. What a file extends is remembered by the digest of its bytes: watching costs no parsing."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[str, Place] | None] = {}

    def read(self, name: str) -> Chain:
        """The chain of a recipe or a file as it is now. Raises `PolicyError` when the first cannot be read."""
        data, source = read_source(name)
        files = [(source, data)]
        seen = {_identity(source)}
        while (link := self._link(data, source)) is not None:
            word, place = link
            try:
                data, parent = _read_parent(word, source, seen, len(files))
            except PolicyError as error:
                message = error.problems[0].message
                return Chain(tuple(files), PolicyError(source, [Problem(*place, message)]))
            source = parent
            seen.add(_identity(source))
            files.append((source, data))
        return Chain(tuple(files))

    def _link(self, data: bytes, source: str) -> tuple[str, Place] | None:
        """What the file extends and where it says so; None also for a file that is no policy: that is told later."""
        if b"extends" not in data:
            return None
        digest = hashlib.sha256(data).digest()
        if digest not in self._known:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[digest] = _extended_by(data, source)
        return self._known[digest]


def parents_of(document: Document, chain: Sequence[Written]) -> Sequence[Written]:
    """What the first of a chain extends, the nearest first. Recipes that nobody has read are read here.

    Raises `PolicyError` where another file is extended and is not in the chain.
    """
    word = document.value.get("extends") if isinstance(document.value, dict) else None
    if not isinstance(word, str) or len(chain) > 1:
        return chain[1:] if isinstance(word, str) else ()
    if word in recipes():
        return read_chain(word)
    message = "what this extends is a file of its own, and has not been read with it"
    raise PolicyError(chain[0].source, [document.problem(("extends",), message)])


def read_chain(name: str) -> tuple[Written, ...]:
    """The texts of a policy and of all that it extends. Raises `PolicyError`."""
    return Chains().read(name).written()


def _extended_by(data: bytes, source: str) -> tuple[str, Place] | None:
    try:
        document = parse(decode(data, source), source)
    except PolicyError:
        return None
    word = document.value.get("extends") if isinstance(document.value, dict) else None
    return (word, document.value_at(("extends",))) if isinstance(word, str) else None


def _read_parent(word: str, child: str, seen: set[str], above: int) -> tuple[bytes, str]:
    name = _parent_of(word, child)
    if _identity(name) in seen:
        raise _refused(name, "this goes round in a circle: it leads back to a file that extends this one")
    if above > MAX_PARENTS:
        raise _refused(name, f"more than {MAX_PARENTS} files above one another")
    return read_source(name)


def _parent_of(word: str, child: str) -> str:
    if word in recipes():
        return word
    if child in recipes():
        raise _refused(child, f"a recipe extends recipes only: {', '.join(recipes())}")
    return os.path.join(os.path.dirname(child), word)


def _refused(source: str, message: str) -> PolicyError:
    return PolicyError(source, [Problem(0, 0, message)])


def _identity(name: str) -> str:
    return name if name in recipes() else os.path.realpath(name)
