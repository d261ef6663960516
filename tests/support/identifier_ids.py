"""The ids of persons and things that go by a name: how each is made, and what it is called beside it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.support import identifier_numbers as numbers


@dataclass(frozen=True, slots=True)
class Id:
    """One way to write one kind of id."""

    name: str
    make: Callable[[random.Random], str]
    labels: tuple[str, ...]


def _plain(template: str, *labels: str) -> tuple[Id, ...]:
    return (Id(template, lambda chance: numbers.fill(template, chance), labels),)


def _checked(module: str, template: str, *labels: str) -> tuple[Id, ...]:
    return (Id(template, lambda chance: numbers.valid(module, template, chance), labels),)


def _made(make: Callable[[random.Random], str], *labels: str) -> tuple[Id, ...]:
    return (Id(make.__name__, make, labels),)


def _nino(chance: random.Random) -> str:
    prefix = chance.choice(("AB", "CE", "HJ", "JK", "NP", "PR", "SW", "WM", "YZ"))
    return prefix + numbers.fill("999999", chance) + chance.choice("ABCD")


_STATE_LICENCES = (
    "A9999999",
    "A999-9999-9999",
    "999999999",
    "A999999999999",
    "AA999999A",
    "A99999999999999",
    "99AAA9999",
)

IDS: dict[str, tuple[Id, ...]] = {
    "US_ITIN": _checked("us.itin", "999-99-9999", "ITIN", "taxpayer identification number"),
    "IMEI": _made(numbers.imei_number, "IMEI", "IMEI number"),
    "VIN": _made(numbers.vin, "VIN", "vehicle identification number", "chassis number"),
    "US_DRIVER_LICENSE": tuple(
        Id(
            template,
            lambda chance, t=template: numbers.fill(t, chance),
            ("driver's license", "driver license number", "DL#"),
        )  # type: ignore[misc]
        for template in _STATE_LICENCES
    ),
    "US_PASSPORT": (
        *_plain("A89999999", "passport", "US passport number", "passport no."),
        *_plain("899999999", "passport number", "US passport"),
    ),
    "PASSPORT": (
        *_plain("C89999999", "Reisepass", "Passnummer"),
        *_plain("99AA99999", "numéro de passeport", "passeport"),
        *_plain("AAA999999", "pasaporte", "número de pasaporte"),
        *_plain("AA9999999", "passaporto", "numero di passaporto"),
    ),
    "MEDICAL_LICENSE": _made(numbers.dea, "DEA number", "DEA", "DEA registration"),
    "US_NPI": _made(numbers.npi, "NPI", "national provider identifier"),
    "US_MBI": _made(numbers.mbi, "Medicare number", "MBI"),
    "DE_KVNR": _made(numbers.kvnr, "Krankenversichertennummer", "KVNR", "Versichertennummer"),
    "AU_MEDICARE": _made(numbers.medicare, "Medicare number", "Medicare card"),
    "US_BANK_NUMBER": _plain("899999999999", "account number", "bank account", "checking account number"),
    "ABA_ROUTING_NUMBER": _checked("us.rtn", "099999999", "routing number", "ABA", "routing"),
    "UK_NHS": _checked("gb.nhs", "9999999999", "NHS number", "NHS no."),
    "UK_NINO": _made(_nino, "National Insurance number", "NINO"),
    "DE_TAX_ID": _checked("de.idnr", "89999999999", "Steueridentifikationsnummer", "Steuer-ID", "IdNr"),
    "FR_NIR": _checked("fr.nir", "199019999999999", "numéro de sécurité sociale", "NIR"),
    "ES_NIF": _checked("es.dni", "99999999A", "DNI", "NIF"),
    "ES_NIE": _checked("es.nie", "X9999999A", "NIE"),
    "IT_FISCAL_CODE": _checked("it.codicefiscale", "AAAAAA99A19A999A", "codice fiscale"),
    "NL_BSN": _checked("nl.bsn", "999999999", "BSN", "burgerservicenummer"),
    "PL_PESEL": _checked("pl.pesel", "89019199999", "PESEL"),
    "BR_CPF": _checked("br.cpf", "999.999.999-99", "CPF"),
    "CA_SIN": _checked("ca.sin", "999 999 999", "SIN", "social insurance number"),
    "IN_AADHAAR": _checked("in_.aadhaar", "8999 9999 9999", "Aadhaar", "Aadhaar number"),
    "CH_AHV": _checked("ch.ssn", "756.9999.9999.99", "AHV-Nummer"),
}
