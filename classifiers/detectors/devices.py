"""Numbers of machines that lead to their owners: network cards, telephones, vehicles. Never a hash, never a serial."""

from __future__ import annotations

from classifiers.detectors.numbered import Kind, NumberedDetector, triggers_of

_VALUES = dict(
    zip("ABCDEFGHJKLMNPRSTUVWXYZ", (1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 7, 9, 2, 3, 4, 5, 6, 7, 8, 9), strict=True)
)
_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
_NOBODY = frozenset({"000000000000", "FFFFFFFFFFFF"})


def is_mac(number: str) -> bool:
    """Whether it names one card: neither everybody's address nor nobody's, and not the fingerprint of a key."""
    return len(number) == 12 and number.upper() not in _NOBODY


def has_vin_form(number: str) -> bool:
    """Letters and digits, the last four of them digits (ISO 3779)."""
    return number[-4:].isdigit() and any(character.isalpha() for character in number) and not number[:4].isdigit()


def is_vin(number: str) -> bool:
    """49 CFR 565.15: the ninth character is the weighted sum mod 11 (X for ten). European makers do not use it."""
    upper = number.upper()
    total = sum(
        (int(character) if character.isdigit() else _VALUES[character]) * weight
        for character, weight in zip(upper, _WEIGHTS, strict=True)
    )
    return has_vin_form(upper) and upper[8] == ("X" if total % 11 == 10 else str(total % 11))


_VIN = "[A-HJ-NPR-Z0-9]{8}[0-9X][A-HJ-NPR-Z0-9]{4}\\d{4}"
_ANY_VIN = "(?i)[a-hj-npr-z0-9]{13}\\d{4}"
_VIN_WORDS = (
    "\\bvin\\b|vehicle identification|chassis|fahrgestell|fahrzeug-?ident|\\bfin\\b|"
    "num[ée]ro de s[ée]rie|bastidor|telaio|chassisnummer"
)

KINDS: tuple[Kind, ...] = (
    Kind(
        "MAC_ADDRESS",
        "",
        "(?i)(?:[0-9a-f]{2}:){5,63}[0-9a-f]{2}|(?:[0-9a-f]{2}-){5,63}[0-9a-f]{2}|[0-9a-f]{4}\\.[0-9a-f]{4}\\.[0-9a-f]{4}",
        is_mac,
        "never",
        trigger="(?i)\\b(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}\\b|\\b[0-9a-f]{4}\\.[0-9a-f]{4}\\.[0-9a-f]{4}\\b",
    ),
    Kind("MAC_ADDRESS", "", "(?i)\\b[0-9a-f]{12}\\b", is_mac, "follows", "\\bmac[ _-]?(?:address|addr|id|adresse)"),
    Kind("IMEI", "", "\\d{2}-\\d{6}-\\d{6}-\\d", "imei", "never"),
    Kind(
        "IMEI",
        "",
        "\\d{2}[ -]?\\d{6}[ -]?\\d{6}[ -]?\\d{1,2}|\\d{6}[ -]\\d{2}[ -]\\d{6}[ -]\\d",
        "imei",
        "always",
        "\\bimei",
    ),
    Kind("VIN", "", _VIN, is_vin, "never", trigger="\\b[A-HJ-NPR-Z0-9]{12}[0-9A-Z]\\d{4}\\b"),
    Kind("VIN", "", _ANY_VIN, has_vin_form, "always", _VIN_WORDS),
)


class DeviceDetector(NumberedDetector):
    """The kinds of the table."""

    name = "devices"
    entities = frozenset(kind.entity for kind in KINDS)
    triggers = triggers_of(KINDS)

    def __init__(self) -> None:
        super().__init__(KINDS)
