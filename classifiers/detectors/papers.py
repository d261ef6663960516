"""Passports and driving licences, by a word beside them, their form, or lines for machines. Never a bare number."""

from __future__ import annotations

from classifiers.detectors.numbered import HEAD, Kind, NumberedDetector, S, triggers_of


def is_document(number: str) -> bool:
    """Whether it has the digits of a document's number, and is no year."""
    digits = sum(character.isdigit() for character in number)
    return digits >= 5 and len(number) >= 6


def is_foreign(number: str) -> bool:
    """Whether it is a document's number of another form than the passports of the United States have."""
    american = number[1:].isdigit() and len(number) in ((8, 9) if number[0].isdigit() else (9, 10))
    return is_document(number) and not american


_NUMBER = HEAD + "(?:\\d{2,9}[A-Za-z]{0,2}[0-9A-Za-z]{0,8}|[0-9A-Z]{8,9})\\b"
_MACHINE_READ = "[PIAC][A-Z<][A-Z<]{3}[A-Z<]{25,39}\\s{1,4}[A-Z0-9<]{9}\\d[A-Z<]{3}\\d{7}[MFX<]\\d{7}[A-Z0-9<]{2,16}"
_BRITISH = f"(?i)[a-z9]{{5}}{S}\\d[0156]\\d[0-3]\\d{{2}}{S}[a-z9]{{2}}{S}[0-9a-z]{S}[a-z]{{2}}"
_OTHERS = "(?i)\\b(?:[a-z]{0,2}\\d{4,12}[a-z0-9]{0,6}|[a-z]\\d{2}[a-z0-9]{8})\\b"
_PASSPORT = "passport(?:s|[ _]?(?:number|no\\.?|#|nr))?"
_PASSPORTS = (
    "reisepass\\w*|\\bpass-?(?:nummer|nr)|passnummer|passeport|pasaporte|passaporto|paspoort\\w*|identity card|"
    "id card|personalausweis\\w*|"
    "ausweis-?(?:nummer|nr)|carte (?:nationale )?d'identit[ée]|\\bcni\\b|carta d'identit[àa]|identiteitskaart|"
    "passaporte|paszport|cestovní pas"
)
_LICENCE = (
    "driv(?:er|ing)(?:'|’)?s?[ _-]?licen[sc]es?(?: (?:number|no\\.?|#|id))?|\\bdl ?(?:#|no\\.?|number|:)|"
    "driver'?s? permit|driver_license"
)
_LICENCES = (
    "f[üu]hrerschein\\w*|permis de conduire|(?:permiso|licencia|carn[ée]t?) de conduci?r|patente(?: di guida)?|"
    "rijbewijs\\w*|"
    "carta de condu[çc][ãa]o|prawo jazdy|driving licen[sc]e"
)
# Every form that a US state issues: letters and digits, some with dashes; the word beside it does the rest.
_STATES = (
    "(?i)\\b(?:[a-z]\\d{3}[- ]\\d{3}[- ]\\d{2}[- ]\\d{3}[- ]\\d|[a-z]\\d{3}[- ]\\d{4}[- ]\\d{4}|"
    "[a-z]\\d{4}[- ]\\d{5}[- ]\\d{5}|"
    "[a-z]\\d{3}[- ]\\d{3}[- ]\\d{3}[- ]\\d{3}|[a-z]\\d{2}[- ]\\d{2}[- ]\\d{4}|\\d{2}[- ]\\d{3}[- ]\\d{4}|"
    "\\d{3}[- ]\\d{2}[- ]\\d{4}|\\d{3}[- ]\\d{3}[- ]\\d{3}|"
    "[a-z]{1,7}[0-9*]{2,14}[a-z0-9]{0,4}|\\d{2}[a-z]{3}\\d{4,5}|\\d{5,14}[a-z]{0,2})\\b"
)

KINDS: tuple[Kind, ...] = (
    Kind("US_PASSPORT", "", "(?i)\\b[a-z]?\\d{8,9}\\b", is_document, "follows", _PASSPORT),
    Kind("PASSPORT", "", _NUMBER, is_foreign, "follows", _PASSPORT),
    Kind("PASSPORT", "", _NUMBER, is_document, "follows", _PASSPORTS),
    Kind("PASSPORT", "", _MACHINE_READ, None, "never", trigger="[A-Z<]{10}<<[A-Z<]"),
    Kind("US_DRIVER_LICENSE", "US", _STATES, is_document, "follows", _LICENCE),
    Kind(
        "UK_DRIVER_LICENSE", "GB", _BRITISH, None, "never", trigger="(?i)[a-z9]{5} ?\\d[0156]\\d[0-3]\\d{2} ?[a-z9]{2}"
    ),
    Kind("DRIVER_LICENSE", "", _OTHERS, is_document, "follows", _LICENCES),
)


class PaperDetector(NumberedDetector):
    """The kinds of the table."""

    name = "papers"
    entities = frozenset(kind.entity for kind in KINDS)
    triggers = triggers_of(KINDS)

    def __init__(self) -> None:
        super().__init__(KINDS)
