"""The YAML subset that policies are written in, as values that remember where everything stands.

Only what an admin can read at a glance is accepted: no anchors, aliases, merge keys, tags, directives, second documents
or duplicate keys, within fixed bounds. It must never construct anything but plain values.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from policies.errors import PolicyError, Problem

MAX_BYTES = 256 * 1024  # a policy of 1,000 rules has about 130 KB
MAX_DEPTH = 32
MAX_NODES = 50_000

Value = bool | int | float | str | list["Value"] | dict[str, "Value"] | None
Path = tuple[str | int, ...]
Place = tuple[int, int]  # line and column, from 1

# Characters that make text read differently from what it says (bidirectional controls, invisible ones).
_HIDDEN = re.compile("[\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]")


@dataclass(slots=True)
class Document:
    """A parsed file: its value, and the place of each value and each key by path."""

    value: Value = None
    values: dict[Path, Place] = field(default_factory=dict)
    keys: dict[Path, Place] = field(default_factory=dict)
    origins: dict[Path, str] = field(default_factory=dict)  # the file of what stands in another one than this

    def problem(self, path: Path, message: str, *, at_key: bool = False) -> Problem:
        """What is wrong at the value (or the key) of `path`, or at the nearest thing around it."""
        place = self.key_at(path) if at_key else self.value_at(path)
        return Problem(*place, message, self.origins.get(self._nearest(path), ""))

    def value_at(self, path: Path) -> Place:
        """Where the value at `path` starts, or that of the nearest thing around it."""
        return self.values.get(self._nearest(path), (1, 1))

    def key_at(self, path: Path) -> Place:
        """Where the key of the member at `path` starts; for an item of a list, the item."""
        return self.keys.get(path) or self.value_at(path)

    def _nearest(self, path: Path) -> Path:
        while path and path not in self.values:
            path = path[:-1]
        return path


def decode(data: bytes, source: str) -> str:
    """The text of a policy file. Raises `PolicyError` for one that is too long or not UTF-8."""
    if len(data) > MAX_BYTES:
        raise PolicyError(source, [_too_long(len(data))])
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        raise PolicyError(source, [Problem(line, column, "not UTF-8: save the file as UTF-8")]) from None


def parse(text: str, source: str) -> Document:
    """Parse one policy. Raises `PolicyError` with every problem that was met."""
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        raise PolicyError(source, [_too_long(size)])
    text = text.removeprefix("\ufeff")
    problems = [_hidden(text, match.start()) for match in _HIDDEN.finditer(text)]
    from policies.composing import compose  # a worker, which is told what the parent has parsed, needs no YAML

    document = compose(text, problems)
    if problems:
        raise PolicyError(source, problems)
    return document


def at_offset(text: str, offset: int, message: str) -> Problem:
    """What is wrong at a character of the text."""
    before = text[:offset]
    return Problem(before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1, message)


def _hidden(text: str, offset: int) -> Problem:
    code = f"U+{ord(text[offset]):04X}"
    return at_offset(text, offset, f"the invisible character {code}: write it as an escape in double quotes")


def _too_long(size: int) -> Problem:
    return Problem(0, 0, f"{size:,} bytes: a policy may have {MAX_BYTES:,}")
