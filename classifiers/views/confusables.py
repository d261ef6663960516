"""Letters of other scripts that look like Latin letters or digits, in words that mix scripts or stand in Latin text.

Ordinary Cyrillic, Greek or Armenian prose changes nothing: a word all in one script stays as it is amid its like.
"""

from __future__ import annotations

import hashlib
import json
import re
from importlib.resources import files
from importlib.resources.abc import Traversable

from classifiers.linear import ArtifactError
from classifiers.views.view import Change

_WORD = re.compile(r"\S+")
_RUN = re.compile(r"[^\W_]+")
_HIGH = re.compile(r"[^\x00-\x7f]+")
_NO_LETTERS = bytes(code for code in range(128) if not chr(code).isalpha())
_NO_WORDS = bytes(code for code in range(128) if not chr(code).isalnum())
_DIGITS_OF = {"O": "0", "o": "0", "I": "1", "l": "1", "i": "1"}
_DIGIT_RUN = re.compile(r"(?<![^\W_])[0-9OoIl]+(?:[ .\-/]{1,2}[0-9OoIl]+)*(?![^\W_])")


class Confusables:
    """The shipped table. Raises `ArtifactError` when it is missing or altered."""

    def __init__(self, folder: Traversable | None = None) -> None:
        where = files("classifiers.artifacts") if folder is None else folder
        try:
            raw = where.joinpath("confusables.json").read_bytes()
            card = json.loads(where.joinpath("confusables.card.json").read_bytes())
        except (OSError, ValueError) as error:
            raise ArtifactError(
                f"artifact confusables.json or its card cannot be read ({type(error).__name__})"
            ) from error
        if card.get("sha256") != hashlib.sha256(raw).hexdigest():
            raise ArtifactError("artifact confusables.json is not the one that its card describes (SHA-256 differs)")
        table = json.loads(raw)
        self._letters = {alike: plain for plain, alikes in table.items() for alike in alikes}
        self._alike = frozenset(self._letters)
        self._digits = {alike: _DIGITS_OF.get(plain, plain) for alike, plain in self._letters.items()}
        self._maps = (str.maketrans(self._letters), str.maketrans(self._digits))

    def readings(self, text: str) -> list[list[Change]]:
        """Up to three lists of changes: look-alikes as letters, as digits where one can be read so, and by runs.

        By runs: each as what the letters and digits are that it stands among; `ІL-925І` is `IL-9251`.
        """
        if text.isascii() or self._alike.isdisjoint("".join(_HIGH.findall(text))):
            return []
        plain = text.encode("ascii", "ignore")
        is_in_latin = len(plain.translate(None, _NO_LETTERS)) >= len(text) - len(plain)
        words = [hit for hit in _WORD.finditer(text) if self._is_disguised(hit.group(), is_in_latin)]
        letters, digits = ([_change(hit, mapping) for hit in words] for mapping in self._maps)
        by_run = [Change(hit.start(), hit.end(), _RUN.sub(self._as_its_run, hit.group())) for hit in words]
        readings = [letters]
        for reading in (digits, by_run):
            if reading not in readings:
                readings.append(reading)
        return [reading for reading in readings if reading]

    def _as_its_run(self, run: re.Match[str]) -> str:
        """A run in digits where it is all digits so, else in letters."""
        number = run.group().translate(self._maps[1])
        return number if number.isdecimal() else run.group().translate(self._maps[0])

    def _is_disguised(self, word: str, is_in_latin: bool) -> bool:
        """Whether a word mixes look-alikes with ASCII, or is all look-alikes where the text around it is Latin."""
        if word.isascii() or self._alike.isdisjoint(word):
            return False
        if word.encode("ascii", "ignore").translate(None, _NO_WORDS):
            return True
        letters = [character for character in word if character.isalnum()]
        if not all(character in self._letters for character in letters):
            return False
        return is_in_latin or len(letters) >= 9 or (len(letters) > 1 and word.translate(self._maps[1]).isdigit())


def _change(hit: re.Match[str], mapping: dict[int, str]) -> Change:
    return Change(hit.start(), hit.end(), hit.group().translate(mapping))


def letters_for_digits(text: str) -> list[Change]:
    """Runs that are mostly digits, with the letters O, I and l in the places of 0 and 1."""
    found = []
    for hit in _DIGIT_RUN.finditer(text):
        run = hit.group()
        digits = sum(character.isdigit() for character in run)
        others = sum(character in "OoIl" for character in run)
        if others and digits >= 5 and digits + others >= 9 and digits >= 2 * others:
            found.append(Change(hit.start(), hit.end(), run.translate(str.maketrans("OoIl", "0011"))))
    return found
