"""Numbers of patients, their insurances and those who treat them. Never a number without a check digit or its name."""

from __future__ import annotations

from stdnum import luhn

from classifiers.detectors.numbered import HEAD, Kind, NumberedDetector, S, triggers_of

_MBI = "ac-hj-km-np-rt-y"  # no S, L, O, I, B, Z


def is_npi(number: str) -> bool:
    """45 CFR 162.406: Luhn over 80840 (the card issuer's prefix of US health) and the number."""
    return bool(luhn.is_valid("80840" + number))


def is_dea(number: str) -> bool:
    """21 CFR 1301: the last digit of the odd places' sum plus twice the even places' sum is the seventh digit."""
    digits = [int(character) for character in number[2:]]
    return (sum(digits[0:6:2]) + 2 * sum(digits[1:6:2])) % 10 == digits[6]


def is_kvnr(number: str) -> bool:
    """GKV: the letter as two digits and eight digits, weighted 1 and 2 in turn, sums of digits, mod 10."""
    digits = f"{ord(number[0].upper()) - 64:02d}{number[1:9]}"
    total = sum(sum(divmod(int(digit) * (1 + at % 2), 10)) for at, digit in enumerate(digits))
    return total % 10 == int(number[9])


def is_medicare(number: str) -> bool:
    """Services Australia: eight digits weighted 1 3 7 9 1 3 7 9, mod 10, is the ninth."""
    weights = (1, 3, 7, 9, 1, 3, 7, 9)
    return sum(int(digit) * weight for digit, weight in zip(number, weights, strict=False)) % 10 == int(number[8])


def has_four_digits(number: str) -> bool:
    """Whether it is a number at all: words that follow a name are none."""
    return sum(character.isdigit() for character in number) >= 4


KINDS: tuple[Kind, ...] = (
    Kind("UK_NHS", "GB", f"\\d{{3}}{S}\\d{{3}}{S}\\d{{4}}", "gb.nhs", "always", "\\bnhs\\b|national health"),
    Kind("US_NPI", "US", "[12]\\d{9}", is_npi, "always", "\\bnpi\\b|national provider"),
    Kind(
        "MEDICAL_LICENSE",
        "US",
        "(?i)[a-hj-mprstux][a-z0-9]-?\\d{7}",  # a digit may be a letter of another script that looks like it
        is_dea,
        "always",
        "\\bdea\\b|drug enforcement|prescriber|controlled substance|medical licen[sc]e|(?:\\b|_)dea(?:\\b|_)",
    ),
    Kind(
        "MEDICAL_LICENSE",
        "",
        HEAD + "\\d{4,9}[A-Za-z]?\\b",
        has_four_digits,
        "follows",
        "(?:medical|physician'?s?|nursing|doctor'?s) licen[sc]e(?: (?:number|no\\.?|#))?|\\bgmc (?:number|no\\.?|"
        "reg\\w*)|approbationsnummer|"
        "lebenslange arztnummer|\\blanr\\b|\\brpps\\b|n[úu]mero de colegiado|\\bbig-(?:nummer|registratie)",
    ),
    Kind(
        "US_MBI",
        "US",
        f"(?i)[1-9][{_MBI}][0-9{_MBI}]\\d-?[{_MBI}][0-9{_MBI}]\\d-?[{_MBI}]{{2}}\\d{{2}}",
        None,
        "bare",
        "\\bmbi\\b|medicare",
    ),
    Kind(
        "DE_KVNR",
        "DE",
        f"(?i)[a-z]{S}\\d{{3}}{S}\\d{{3}}{S}\\d{{3}}",
        is_kvnr,
        "always",
        "\\bkvnr\\b|krankenversicher|versichertennummer|versicherten-?nr|gesundheitskarte|krankenkasse|\\begk\\b",
    ),
    Kind("AU_MEDICARE", "AU", f"[2-6]\\d{{3}}{S}\\d{{5}}{S}\\d(?:[ /-]?\\d)?", is_medicare, "always", "medicare"),
    Kind(
        "CA_HEALTH_NUMBER", "CA", f"9\\d{{3}}{S}\\d{{3}}{S}\\d{{3}}", "ca.bc_phn", "always", "\\bphn\\b|personal health"
    ),
    Kind(
        "CA_HEALTH_NUMBER",
        "CA",
        f"(?i)\\b(?:[1-9]\\d{{3}}{S}\\d{{3}}{S}\\d{{3}}{S}[a-z]{{0,2}}|[a-z]{{4}}{S}\\d{{4}}{S}\\d{{4}})\\b",
        has_four_digits,
        "follows",
        "\\bohip\\b|health (?:card|insurance) (?:number|no\\.?|#)|\\bramq\\b|carte soleil|assurance maladie|"
        "\\bahcip\\b",
    ),
    Kind(
        "HEALTH_INSURANCE_NUMBER",
        "",
        HEAD + "\\d[A-Za-z0-9-]{4,16}\\b",
        has_four_digits,
        "follows",
        "(?:member|subscriber|beneficiary|insurance|insured|health plan)[ _]?(?:id|number|no\\.?|#)|"
        "num[ée]ro d'assur[ée]|"
        "n[úu]mero de asegurado|verzekeringsnummer|numero (?:di )?tessera sanitaria|polisnummer",
    ),
    Kind(
        "MEDICAL_RECORD_NUMBER",
        "",
        HEAD + "\\d[A-Za-z0-9-]{3,14}\\b",
        has_four_digits,
        "follows",
        "(?:\\b|_)mrn(?:\\b|_)|medical record(?: (?:number|no\\.?|#|id))?|patient[ _-]?(?:id|number|no\\.?|#|"
        "identifier)|chart (?:number|no\\.?)|"
        "hospital (?:number|no\\.?)|patient(?:en)?(?:nummer|-?nr)|fallnummer|num[ée]ro de dossier|\\bnhc\\b|"
        "historia cl[íi]nica|"
        "cartella clinica|pati[ëe]ntnummer",
    ),
)


class HealthIdDetector(NumberedDetector):
    """The kinds of the table."""

    name = "health_id"
    entities = frozenset(kind.entity for kind in KINDS)
    triggers = triggers_of(KINDS)

    def __init__(self) -> None:
        super().__init__(KINDS)
