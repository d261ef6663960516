"""National identity, tax and health numbers, each with its checksum from python-stdnum.

A number whose check digit one in ten random numbers would pass is reported only beside a word that names it. A new kind
of number is one row of the table.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from classifiers.detectors.base import GAP, Piece, pattern
from classifiers.types import Match

_S = GAP + "?"


@dataclass(frozen=True, slots=True)
class Kind:
    """One row: what it is called, where it is used, how it looks, which `stdnum` module checks it.

    `needs`: whether a word of `context` must stand nearby: `always`, `bare` (when there is no separator), or `never`.
    """

    entity: str
    country: str
    regex: str
    module: str
    needs: Literal["always", "bare", "never"]
    context: str = ""


KINDS: tuple[Kind, ...] = (
    Kind(
        "US_SSN",
        "US",
        f"\\d{{3}}{GAP}\\d{{2}}{GAP}\\d{{4}}|\\d{{9}}",
        "us.ssn",
        "bare",
        "\\bssn|social security|\\bssa\\b|soc sec",
    ),
    Kind(
        "US_ITIN",
        "US",
        f"9\\d{{2}}{GAP}[5-9]\\d{GAP}\\d{{4}}|9\\d{{2}}[5-9]\\d{{5}}",
        "us.itin",
        "bare",
        "\\bitin\\b|taxpayer|tax id",
    ),
    Kind("UK_NHS", "GB", f"\\d{{3}}{_S}\\d{{3}}{_S}\\d{{4}}", "gb.nhs", "always", "\\bnhs\\b|national health"),
    Kind(
        "UK_NINO",
        "GB",
        f"(?i)[a-ceghj-prstw-z][a-ceghj-nprstw-z]{_S}\\d{{2}}{_S}\\d{{2}}{_S}\\d{{2}}{_S}[a-d]",
        "",
        "never",
    ),
    Kind("ES_NIF", "ES", f"(?i)\\d{{1,2}}[.]?\\d{{3}}[.]?\\d{{3}}{_S}[a-hj-np-tv-z]", "es.dni", "never"),
    Kind("ES_NIE", "ES", f"(?i)[xyz]{_S}\\d{{7}}{_S}[a-hj-np-tv-z]", "es.nie", "never"),
    Kind(
        "IT_FISCAL_CODE",
        "IT",
        f"(?i)[a-z]{{3}}{_S}[a-z]{{3}}{_S}[0-9l-v]{{2}}[a-ehlmprst][0-9l-v]{{2}}{_S}[a-z][0-9l-v]{{3}}[a-z]",
        "it.codicefiscale",
        "never",
    ),
    Kind(
        "FR_NIR",
        "FR",
        f"[1278]{_S}\\d{{2}}{_S}\\d{{2}}{_S}\\d[0-9abAB]{_S}\\d{{3}}{_S}\\d{{3}}{_S}\\d{{2}}",
        "fr.nir",
        "never",
    ),
    Kind(
        "DE_TAX_ID",
        "DE",
        f"\\d{{2}}{_S}\\d{{3}}{_S}\\d{{3}}{_S}\\d{{3}}",
        "de.idnr",
        "always",
        "steuer|\\bid-?nr|identifikationsnummer|tax id|\\btin\\b",
    ),
    Kind(
        "NL_BSN",
        "NL",
        f"\\d{{4}}{_S}\\d{{2}}{_S}\\d{{3}}|\\d{{3}}{_S}\\d{{3}}{_S}\\d{{3}}",
        "nl.bsn",
        "always",
        "\\bbsn\\b|burgerservice|sofi",
    ),
    Kind("PL_PESEL", "PL", "\\d{11}", "pl.pesel", "always", "pesel"),
    Kind("BR_CPF", "BR", "\\d{3}[.]?\\d{3}[.]?\\d{3}-?\\d{2}", "br.cpf", "bare", "\\bcpf\\b|cadastro de pessoa"),
    Kind(
        "CA_SIN", "CA", f"\\d{{3}}{_S}\\d{{3}}{_S}\\d{{3}}", "ca.sin", "always", "\\bsin\\b|social insurance|\\bnas\\b"
    ),
    Kind(
        "IN_AADHAAR", "IN", f"[2-9]\\d{{3}}{_S}\\d{{4}}{_S}\\d{{4}}", "in_.aadhaar", "bare", "aadhaa?r|uidai|\\buid\\b"
    ),
    Kind(
        "IN_PAN", "IN", "(?i)[a-z]{3}[abcfghljpt][a-z]\\d{4}[a-z]", "in_.pan", "always", "\\bpan\\b|permanent account"
    ),
    Kind("AU_TFN", "AU", f"\\d{{3}}{_S}\\d{{3}}{_S}\\d{{2,3}}", "au.tfn", "always", "\\btfn\\b|tax file"),
    Kind("CH_AHV", "CH", f"756{_S}\\d{{4}}{_S}\\d{{4}}{_S}\\d{{2}}", "ch.ssn", "never"),
    Kind(
        "AT_VNR", "AT", f"\\d{{4}}{_S}\\d{{6}}", "at.vnr", "always", "\\bsv-?nr|sozialversicherung|versicherungsnummer"
    ),
    Kind(
        "BE_NN",
        "BE",
        f"\\d{{2}}{_S}\\d{{2}}{_S}\\d{{2}}{_S}\\d{{3}}{_S}\\d{{2}}",
        "be.nn",
        "always",
        "rijksregister|registre national|\\bniss\\b|\\binsz\\b|national number",
    ),
    Kind("PT_NIF", "PT", f"\\d{{3}}{_S}\\d{{3}}{_S}\\d{{3}}", "pt.nif", "always", "\\bnif\\b|contribuinte"),
    Kind("IE_PPS", "IE", "(?i)\\d{7}[a-w][a-iw]?", "ie.pps", "always", "\\bpps"),
    Kind(
        "SE_PERSONNUMMER",
        "SE",
        "(?:19|20)?\\d{6}[-+]?\\d{4}",
        "se.personnummer",
        "always",
        "person-?(?:nummer|nr)|personal identity",
    ),
    Kind("DK_CPR", "DK", "\\d{6}[- ]?\\d{4}", "dk.cpr", "always", "\\bcpr\\b|personnummer"),
    Kind(
        "NO_FODSELSNUMMER",
        "NO",
        "\\d{6} ?\\d{5}",
        "no.fodselsnummer",
        "always",
        "f.{1,2}dselsnummer|personnummer|birth number",
    ),
    Kind("FI_PERSONAL_IDENTITY_CODE", "FI", "(?i)\\d{6}[-+a]\\d{3}[0-9a-fhj-np-y]", "fi.hetu", "never"),
    Kind("KR_RRN", "KR", "\\d{6}-[1-49]\\d{6}", "kr.rrn", "never"),
    Kind("CN_RIC", "CN", "[1-9]\\d{16}[0-9Xx]", "cn.ric", "never"),
    Kind("MX_CURP", "MX", "(?i)[a-z]{4}\\d{6}[hmx][a-z]{5}[0-9a-z]\\d", "mx.curp", "never"),
    Kind("ZA_ID_NUMBER", "ZA", "\\d{6} ?\\d{4} ?\\d{3}", "za.idnr", "always", "\\bid\\b|identity"),
    Kind("TR_NATIONAL_ID", "TR", "[1-9]\\d{10}", "tr.tckimlik", "always", "kimlik|\\btckn\\b"),
)


class NationalIdDetector:
    """The kinds of the table: of the countries that the policy lists, or all of them. US_SSN is always looked for."""

    name = "national_id"
    entities = frozenset(kind.entity for kind in KINDS)
    # A number that needs its word is not even looked for where the word does not occur.
    triggers = tuple("(?i)" + kind.context if kind.needs == "always" else kind.regex for kind in KINDS)

    def __init__(self) -> None:
        self._numbers = tuple(pattern(kind.regex) for kind in KINDS)
        self._contexts = tuple(pattern("(?i)" + kind.context) if kind.context else None for kind in KINDS)
        self._validators = tuple(_validator(kind.module) for kind in KINDS)

    def detect(self, piece: Piece, hits: Sequence[int]) -> list[Match]:
        """Valid numbers of the kinds in `hits`."""
        found = []
        for index in hits:
            kind = KINDS[index]
            if piece.countries and kind.country not in piece.countries and kind.entity != "US_SSN":
                continue
            for hit in piece.find(self._numbers[index]):
                start, end = hit.span()
                score = self._score(piece, start, end, index)
                if score:
                    found.append(Match(kind.entity, start, end, score))
        return found

    def _score(self, piece: Piece, start: int, end: int, index: int) -> float:
        """0 when it is not one; higher where its name stands nearby."""
        kind, context = KINDS[index], self._contexts[index]
        text = piece.data[start:end].decode("utf-8", "replace")
        if not piece.is_free(start, end) or _continues(piece, start, end):
            return 0.0
        number = "".join(character for character in text if character.isalnum())
        if not self._validators[index](_dashed(kind.entity, number)):
            return 0.0
        named = bool(context and (context.search(piece.before(start, 64)) or context.search(piece.after(end, 32))))
        if named:
            return 1.0
        if kind.needs == "always" or (kind.needs == "bare" and len(number) == len(text)):
            return 0.0
        return 0.85


def _continues(piece: Piece, start: int, end: int) -> bool:
    """Whether the number is only a part of a longer one: digits go on behind a dash, dot or slash."""
    data = piece.data
    return (data[start - 1 : start] in (b"-", b".", b"/") and data[max(start - 2, 0) : start - 1].isalnum()) or (
        data[end : end + 1] in (b"-", b".", b"/") and data[end + 1 : end + 2].isalnum()
    )


def _dashed(entity: str, number: str) -> str:
    """The separators that a validator insists on, because they carry meaning (the century of a Finnish code)."""
    if entity == "FI_PERSONAL_IDENTITY_CODE" and len(number) == 10:
        return number[:6] + "-" + number[6:]
    return number


def _validator(module: str) -> Callable[[str], bool]:
    if not module:
        return _is_nino
    check: Callable[[str], bool] = importlib.import_module("stdnum." + module).is_valid
    return check


def _is_nino(number: str) -> bool:
    """HMRC's rule: prefixes that were never issued."""
    return number[:2].upper() not in {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"}
