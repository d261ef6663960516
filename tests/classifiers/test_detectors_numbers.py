"""Numbers with a check digit, a plan or a structure: what is one, and what only looks like one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from classifiers.placing import settle
from classifiers.scanner import Hit
from classifiers.types import ScanRules

Find = Callable[..., list[tuple[str, str]]]

CARDS = [
    ("pay with 4111111111111111 now", "4111111111111111"),
    ("4111 1111 1111 1111", "4111 1111 1111 1111"),
    ("4111-1111-1111-1111", "4111-1111-1111-1111"),
    ("4111.1111.1111.1111", "4111.1111.1111.1111"),
    ("4111\u00a01111\u00a01111\u00a01111", "4111\u00a01111\u00a01111\u00a01111"),
    ("4111\u20091111\u20091111\u20091111", "4111\u20091111\u20091111\u20091111"),
    ("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"),
    ("amex 378282246310005.", "378282246310005"),
    ("3782 822463 10005", "3782 822463 10005"),
    ("mc 5555555555554444", "5555555555554444"),
    ("2223003122003222", "2223003122003222"),
    ("6011111111111117", "6011111111111117"),
    ("JCB 3530111333300000", "3530111333300000"),
    ("diners 30569309025904", "30569309025904"),
    ("in 2024 5105 1051 0510 5100 08", "5105 1051 0510 5100"),
    ("card: 6759649826438453", "6759649826438453"),
    ("6212345678900000003 is nineteen long", "6212345678900000003"),
    ("4111 - 1111 - 1111 - 1111", "4111 - 1111 - 1111 - 1111"),
    ("4111_1111_1111_1111", "4111_1111_1111_1111"),
    ("4111,1111,1111,1111", "4111,1111,1111,1111"),
    ("4111\n1111\n1111\n1111", "4111\n1111\n1111\n1111"),
    ("41 11 11 11 11 11 11 11", "41 11 11 11 11 11 11 11"),
    ("card 411 111 111 111 1111", "411 111 111 111 1111"),
]
NO_CARDS = [
    "4111111111111112",  # Luhn
    "1234567812345670",  # no issuer
    "0000000000000000",
    "order 204111111111111111123",  # inside a longer run
    "id_4111111111111111",
    "1699999999999",  # milliseconds since 1970
    "54.99520038396929",  # a fraction
    "550e8400-e29b-41d4-a716-446655440000",
    "978-3-16-148410-0",
    "5018000000000000",  # a wide range without a word about cards
    "+44 0121 250 6980",  # a telephone number that Luhn happens to like
    "647-5555038-9980589",  # grouped as no card is
    "305 127 67 440 708 396",
    "sort 4111, 1111, 1111, 1111, 7",
]


@pytest.mark.parametrize(("text", "number"), CARDS)
def test_a_payment_card_is_found_with_any_separator(found: Find, text: str, number: str) -> None:
    assert ("CREDIT_CARD", number) in found(text)


@pytest.mark.parametrize("text", NO_CARDS)
def test_what_only_looks_like_a_card_is_not_one(found: Find, text: str) -> None:
    assert "CREDIT_CARD" not in dict(found(text))


@pytest.mark.parametrize(
    "text",
    [
        "GB82WEST12345698765432",
        "GB82 WEST 1234 5698 7654 32",
        "gb82 west 1234 5698 7654 32",
        "GB82-WEST-1234-5698-7654-32",
        "DE89 3704 0044 0532 0130 00",
        "FR14 2004 1010 0505 0001 3M02 606",
        "NO9386011117947",
        "MT84MALT011000012345MTLCAST001S",
        "G B".replace(" ", "") + "82\u00a0WEST\u00a01234\u00a05698\u00a07654\u00a032",
    ],
)
def test_an_iban_is_found_in_any_grouping_and_case(found: Find, text: str) -> None:
    assert ("IBAN_CODE", text) in found(f"Please send it to {text} today")


@pytest.mark.parametrize(
    "text",
    [
        "GB82WEST12345698765431",  # mod 97
        "ZZ82WEST12345698765432",  # no such country
        "GB82WEST1234569876543",  # one short
        "XGB82WEST12345698765432",
        "GB82WEST12345698765432X",
    ],
)
def test_what_only_looks_like_an_iban_is_not_one(found: Find, text: str) -> None:
    assert "IBAN_CODE" not in dict(found(text))


IDS = [
    ("my social security number is 078-05-1120.", "US_SSN", "078-05-1120"),
    ("Mi número de seguro social es 536904399", "US_SSN", "536904399"),
    ("536\u201390\u20134399", "US_SSN", "536\u201390\u20134399"),
    ("my ssn is 536-90-4399", "US_SSN", "536-90-4399"),
    ("536 90 4399", "US_SSN", "536 90 4399"),
    ("social security 536904399", "US_SSN", "536904399"),
    ("itin 912-90-3456", "US_ITIN", "912-90-3456"),
    ("NHS number 943 476 5919", "UK_NHS", "943 476 5919"),
    ("AB 12 34 56 C", "UK_NINO", "AB 12 34 56 C"),
    ("ab123456c", "UK_NINO", "ab123456c"),
    ("DNI 54362315K", "ES_NIF", "54362315K"),
    ("54.362.315-K", "ES_NIF", "54.362.315-K"),
    ("X-2482300W", "ES_NIE", "X-2482300W"),
    ("RCCMNL83S18D969H", "IT_FISCAL_CODE", "RCCMNL83S18D969H"),
    ("2 95 10 99 126 111 93", "FR_NIR", "2 95 10 99 126 111 93"),
    ("Steuer-ID 36 574 261 809", "DE_TAX_ID", "36 574 261 809"),
    ("BSN 1112.22.333", "NL_BSN", "1112.22.333"),
    ("PESEL 44051401359", "PL_PESEL", "44051401359"),
    ("390.533.447-05", "BR_CPF", "390.533.447-05"),
    ("SIN 123-456-782", "CA_SIN", "123-456-782"),
    ("2341 2341 2346", "IN_AADHAAR", "2341 2341 2346"),
    ("PAN ACUPA7085R", "IN_PAN", "ACUPA7085R"),
    ("TFN 123 456 782", "AU_TFN", "123 456 782"),
    ("756.9217.0769.85", "CH_AHV", "756.9217.0769.85"),
    ("131052-308T", "FI_PERSONAL_IDENTITY_CODE", "131052-308T"),
    ("personnummer 880320-0016", "SE_PERSONNUMMER", "880320-0016"),
    ("360426199101010071", "CN_RIC", "360426199101010071"),
    ("BOXW310820HNERXN09", "MX_CURP", "BOXW310820HNERXN09"),
]
NO_IDS = [
    "536904399",  # nine digits, and no word for it
    "ssn 000-12-3456",
    "ssn 666-12-3456",
    "ssn 536-00-4399",
    "12345.6789",
    "943 476 5919",  # no word for it
    "nhs 943 476 5918",
    "GB 12 34 56 C",  # a prefix that was never issued
    "54362315A",  # the wrong letter
    "RCCMNL83S18D969A",
    "44051401359",
    "123-456-782",
    "12-536-90-4399-77",
]


@pytest.mark.parametrize(("text", "entity", "number"), IDS)
def test_a_national_id_is_found(found: Find, text: str, entity: str, number: str) -> None:
    assert (entity, number) in found(text)


@pytest.mark.parametrize("text", NO_IDS)
def test_what_only_looks_like_a_national_id_is_not_one(found: Find, text: str) -> None:
    assert not {entity for entity, _ in found(text)} - {"PHONE_NUMBER"}


def test_the_policy_may_name_the_countries_whose_ids_it_wants(found: Find) -> None:
    text = "RCCMNL83S18D969H and 54362315K and ssn 536-90-4399"
    assert {"ES_NIF", "US_SSN"} == {entity for entity, _ in found(text, ScanRules(countries=("es",)))}


PHONES = [
    ("call (212) 555-2368", "(212) 555-2368"),
    ("212-555-2368", "212-555-2368"),
    ("+44 20 7946 0958", "+44 20 7946 0958"),
    ("+44 (0)20 7946 0958", "+44 (0)20 7946 0958"),
    ("+4930123456", "+4930123456"),
    ("tel 06 12 34 56 78", "06 12 34 56 78"),
    ("020 7946 0958", "020 7946 0958"),
    ("my mobile is 07911123456", "07911123456"),
    ("+1 212.555.2368", "+1 212.555.2368"),
    ("Telefon: 030 901820", "030 901820"),
    ("call 0049 30 901820", "0049 30 901820"),
    ("(978)645-9740x11144", "(978)645-9740x11144"),
    ("+81 3-1234-5678", "+81 3-1234-5678"),
    ("phone 042 078 6381", "042 078 6381"),
    ("555-123-4567", "555-123-4567"),
    ("0170 1234567", "0170 1234567"),
    ("(555) 123-4567 is hers", "(555) 123-4567"),
    ("call 33 93 31", "33 93 31"),
    ("+82 10-2038-8671", "+82 10-2038-8671"),
    ("+420.212.000.705", "+420.212.000.705"),
    ("Tél. : 0111523443570", "0111523443570"),
    ("https://wa.me/4915112345679", "4915112345679"),
]
NO_PHONES = [
    "2021-05-12 10:33:21",
    "12/05/2021",
    "12.05.2021",
    "version 10.15.7.1234567",
    "1 000 000 000",
    "3.1415926535",
    "978-3-16-148410-0",
    "order number 1234567890",
    "112-1234567-1234567",
    "550e8400-e29b-41d4-a716-446655440000",
    "1990 1991 1992 1993",
    "4111 1111 1111 1112",
    "$1234567890",
    "sha 1234567890abcdef1234567890abcdef12345678",
    "192.168.10.20",
    "call me at 5 or 6",
    "id=1234567890",
    "2023-04-05T11:02:31.782000+00:00 2023-04-05",
    "(972 - 268)(973 - 267)(974 - 266)",
    "What is 3353045365 + 6594896855?",
    "626 815 32 79 45 12",
    "in 12 34 56 steps",
    "4111 1111 1111 1112 1234",
]


@pytest.mark.parametrize(("text", "number"), PHONES)
def test_a_telephone_number_is_found(found: Find, text: str, number: str) -> None:
    assert ("PHONE_NUMBER", number) in found(text)


@pytest.mark.parametrize("text", NO_PHONES)
def test_what_only_looks_like_a_telephone_number_is_not_one(found: Find, text: str) -> None:
    assert "PHONE_NUMBER" not in dict(found(text))


@pytest.mark.parametrize(
    ("entity", "detector", "kept"),
    [
        ("LEGAL_MATTER", "meaning", True),
        ("DATE_TIME", "names", True),
        ("our-numbers", "policy", True),
        ("CREDIT_CARD", "card", False),
        ("US_SSN", "national_id", False),
    ],
)
def test_a_telephone_number_gives_way_only_to_numbers_that_are_surer(entity: str, detector: str, kept: bool) -> None:
    phone = Hit("PHONE_NUMBER", 10, 22, 0.9, "phone")
    assert (phone in settle([phone, Hit(entity, 5, 30, 1.0, detector)])) is kept


def test_a_text_full_of_telephone_numbers_is_judged_by_their_shape(found: Find) -> None:
    assert len(found("+44 20 7946 0958, " * 100)) == 100
