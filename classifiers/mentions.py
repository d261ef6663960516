"""What else of a text mentions the values that were found in it: the values themselves, and the parts of names.

Who writes "Maria Schneider" goes on with "Maria" or "Ms Schneider", which no detector need know for a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from classifiers.occurrences import Flat, Needle, needle_of

_NAMES = frozenset({"PERSON"})  # labels of values that are mentioned by their parts
_PART = re.compile(r"[^\W\d_]{3,}")
# Words that are taken for parts of names, and are none: they would only make a text harder to understand.
_ADDRESSING = """
    and best bonjour cher chère ciao dear docteur doctor dott dottore dra frau good hallo hello herr herrn hey hola kind
    lady madame mademoiselle master meneer mevrouw miss missus mister monsieur mrs prof professor querida querido
    regards señor señora señorita signor signora signore sir the und von
"""
_FORMS_OF_ADDRESS = frozenset(_ADDRESSING.split())


def sought(texts: Iterable[str], found: Iterable[str], known: Mapping[str, str]) -> list[tuple[Needle, str]]:
    """The values to look for in these texts, longest first, each with its label: only those that stand there again.

    `found` are the stretches that have placeholders already; `known` holds the label of each value.
    """
    whole, inside = Flat("\n".join(texts)), Flat("\n".join(found))
    labels = dict(known)
    for value, label in known.items():
        for part in parts_of(value) if label in _NAMES else ():
            labels.setdefault(part, label)
    wanted = []
    for value in sorted(labels, key=lambda value: (-len(value), value)):
        needle = needle_of(value)
        if needle is not None and whole.count(needle) > inside.count(needle):
            wanted.append((needle, labels[value]))
    return wanted


def parts_of(name: str) -> list[str]:
    """The words of a name by which its bearer may be mentioned."""
    words = _PART.findall(name)
    return [word for word in words if word[0].isupper() and word.casefold() not in _FORMS_OF_ADDRESS and word != name]
