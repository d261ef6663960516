"""Ids of health, papers, accounts, devices and crypto: what is one, and what only looks like one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from classifiers.types import ScanRules
from tests.support.identifiers import ENTITIES, sentences

Find = Callable[..., list[tuple[str, str]]]

# Kinds that the sentences of tests/support/identifiers.py cover; every one of sixty must be found whole.
MADE = sorted(set(ENTITIES))

FOUND = [
    ("pay 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "CRYPTO", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
    ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "CRYPTO", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"),
    (
        "BC1P0XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQZK5JJ0",
        "CRYPTO",
        "BC1P0XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQZK5JJ0",
    ),
    ("0x52908400098527886E0F7030069857D2E4169EE7", "CRYPTO", "0x52908400098527886E0F7030069857D2E4169EE7"),
    (
        "my wallet 5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ",
        "SECRET",
        "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ",
    ),
    ("card 00:1b:44:11:3a:b7 is down", "MAC_ADDRESS", "00:1b:44:11:3a:b7"),
    ("card 001B.4411.3AB7", "MAC_ADDRESS", "001B.4411.3AB7"),
    ("MAC address 001b44113ab7", "MAC_ADDRESS", "001b44113ab7"),
    ("49-015420-323751-8", "IMEI", "49-015420-323751-8"),
    ("imei: 490154203237518", "IMEI", "490154203237518"),
    ("1M8GDM9AXKP042788", "VIN", "1M8GDM9AXKP042788"),
    ("Fahrgestellnummer WVWZZZ1JZ3W386752", "VIN", "WVWZZZ1JZ3W386752"),
    ("driver's license D400-7836-0001", "US_DRIVER_LICENSE", "D400-7836-0001"),
    ("MORGA 657054 SM 9IJ", "UK_DRIVER_LICENSE", "MORGA 657054 SM 9IJ"),
    ("Führerschein B072RRE2I55", "DRIVER_LICENSE", "B072RRE2I55"),
    ("US passport number 340020013", "US_PASSPORT", "340020013"),
    ("passport no. X1234567", "PASSPORT", "X1234567"),
    ("Reisepass C01X00T47", "PASSPORT", "C01X00T47"),
    (
        "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10",
        "PASSPORT",
        "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10",
    ),
    ("DEA AB1234563", "MEDICAL_LICENSE", "AB1234563"),
    ("medical license number MD123456", "MEDICAL_LICENSE", "MD123456"),
    ("NPI 1234567893", "US_NPI", "1234567893"),
    ("1EG4-TE5-MK73", "US_MBI", "1EG4-TE5-MK73"),
    ("KVNR A123456780", "DE_KVNR", "A123456780"),
    ("Medicare 2123 45670 1", "AU_MEDICARE", "2123 45670 1"),
    ("OHIP 1234-567-890-AB", "CA_HEALTH_NUMBER", "1234-567-890-AB"),
    ("MRN: 00482913", "MEDICAL_RECORD_NUMBER", "00482913"),
    ("patient id P-7741223", "MEDICAL_RECORD_NUMBER", "P-7741223"),
    ("member ID: XYZ123456789", "HEALTH_INSURANCE_NUMBER", "XYZ123456789"),
    ("routing number 021000021", "ABA_ROUTING_NUMBER", "021000021"),
    ("checking account number 000123456789", "US_BANK_NUMBER", "000123456789"),
    ("Kontonummer 1234567890", "BANK_ACCOUNT", "1234567890"),
    ("sort code 20-00-00", "BANK_ACCOUNT", "20-00-00"),
    ("rodné číslo 710319/2745", "CZ_SK_BIRTH_NUMBER", "710319/2745"),
    ("nhs_number: 9434765919", "UK_NHS", "9434765919"),
    ('"nhsNumber": 9434765919', "UK_NHS", "9434765919"),
    ("accountNumber\n:\n000123456789", "US_BANK_NUMBER", "000123456789"),
    ("passportNumber=C01X00T47", "PASSPORT", "C01X00T47"),
    ("CNP 1630615123457", "RO_CNP", "1630615123457"),
    ("RUT 12.531.909-2", "CL_RUT", "12.531.909-2"),
    ("NRIC S1234567D", "SG_NRIC_FIN", "S1234567D"),
]
NOT_FOUND = [
    "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",  # the checksum of base58check
    "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
    "0x52908400098527886E0F7030069857D2E4169E",  # too short
    "00:00:00:00:00:00 and ff:ff:ff:ff:ff:ff",
    "SHA1 Fingerprint=A0:8B:DF:3B:AA:EE:3F:9D:64:6C:47:81:23:21:D4:A6:18:81:67:1D",
    "it takes 12:34:56",
    "490154203237518",  # no word for it
    "imei 490154203237517",
    "1M8GDM9A1KP042788",  # check digit
    "the vehicle identification number is on the dashboard",
    "my driver's license expired in 2021",
    "passport office, room 12",
    "I lost my passport in May 2019.",
    "DEA AB1234562",
    "AB1234563",
    "NPI 1234567890",
    "KVNR A123456781",
    "Medicare covers 100 % of 2023",
    "the patient is 47, ward 3",
    "patient number one",
    "routing number 021000022",
    "account number is required",
    "open an account in 2024",
    "sort codes have six digits",
    "P<T><<X>>",
    "member of 12345 groups",
    "E0F7-1A2B-3C4D",
]
FOREIGN = {"US_DRIVER_LICENSE": "US", "DE_KVNR": "DE", "AU_MEDICARE": "AU"}


@pytest.mark.parametrize("entity", MADE)
def test_every_made_identifier_is_found_whole_in_its_sentence(found: Find, entity: str) -> None:
    missed = [
        made.kind
        for made in sentences(entity, 60, seed=5)
        if not any(kind == entity and made.value in value for kind, value in found(made.text))
    ]
    assert missed == []


@pytest.mark.parametrize(("text", "entity", "value"), FOUND)
def test_an_id_is_found(found: Find, text: str, entity: str, value: str) -> None:
    assert (entity, value) in found(text)


@pytest.mark.parametrize("text", NOT_FOUND)
def test_what_only_looks_like_an_id_is_none(found: Find, text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(("entity", "country"), FOREIGN.items())
def test_ids_of_a_country_are_looked_for_where_the_policy_lists_it_or_no_country(
    found: Find, entity: str, country: str
) -> None:
    text = sentences(entity, 1)[0].text
    assert entity in dict(found(text))
    assert entity in dict(found(text, ScanRules(countries=(country,))))
    assert entity not in dict(found(text, ScanRules(countries=("FR",))))


def test_devices_and_addresses_of_coins_have_no_country(found: Find) -> None:
    assert ("IMEI", "49-015420-323751-8") in found("49-015420-323751-8", ScanRules(countries=("FR",)))
