"""Makes valid numbers that name somebody or something: cards, accounts, ids, telephones, addresses. Nobody's own.

Every check digit comes from the library that the detectors ask, so a value made here is one by that library's word.
"""

from __future__ import annotations

import importlib
import random
import string
from collections.abc import Callable

import phonenumbers
from stdnum import iban, luhn, numdb

DIGITS, UPPER, LOWER = string.digits, string.ascii_uppercase, string.ascii_lowercase
HEX = "0123456789abcdef"
ALNUM = UPPER + DIGITS
_SETS = {"9": DIGITS, "A": UPPER, "a": LOWER, "h": HEX, "H": HEX.upper(), "*": ALNUM, "8": "123456789"}

# Issuer: prefixes, lengths, the issuer's own grouping.
CARDS: dict[str, tuple[tuple[str, ...], tuple[int, ...], tuple[int, ...]]] = {
    "visa": (("4",), (16, 16, 16, 19), (4, 4, 4, 4, 3)),
    "visa-13": (("4",), (13,), (4, 3, 3, 3)),
    "mastercard": (("51", "52", "53", "54", "55", "2221", "2345", "2499", "2720"), (16,), (4, 4, 4, 4)),
    "amex": (("34", "37"), (15,), (4, 6, 5)),
    "discover": (("6011", "644", "649", "65"), (16,), (4, 4, 4, 4)),
    "diners": (("300", "305", "36", "38", "3095"), (14,), (4, 6, 4)),
    "jcb": (("3528", "3550", "3589"), (16,), (4, 4, 4, 4)),
    "unionpay": (("62",), (16, 19), (4, 4, 4, 4, 3)),
    "mir": (("2200", "2204"), (16,), (4, 4, 4, 4)),
    "rupay": (("60", "81", "82"), (16,), (4, 4, 4, 4)),
    "troy": (("9792",), (16,), (4, 4, 4, 4)),
    "maestro": (("5018", "5020", "5893", "6304", "6759", "6761"), (16, 19), (4, 4, 4, 4, 3)),
}
SEPARATORS = {
    "plain": "",
    "blank": " ",
    "dash": "-",
    "dot": ".",
    "slash": "/",
    "no-break": "\u00a0",
    "thin": "\u2009",
    "narrow": "\u202f",
    "en-dash": "\u2013",
    "hyphen": "\u2010",
    "tab": "\t",
    "blank-dash": " - ",
    "two-blanks": "  ",
}
IBAN_WRITTEN: dict[str, Callable[[str], str]] = {
    "plain": str,
    "lower": str.lower,
    "fours": lambda number: _cut(number, 4, " "),
    "fours-lower": lambda number: _cut(number.lower(), 4, " "),
    "fours-dash": lambda number: _cut(number, 4, "-"),
    "fours-dot": lambda number: _cut(number, 4, "."),
    "fours-no-break": lambda number: _cut(number, 4, "\u00a0"),
    "threes": lambda number: _cut(number, 3, " "),
    "twos": lambda number: _cut(number, 2, " "),
    "ones": lambda number: _cut(number, 1, " "),
    "head": lambda number: number[:4] + " " + number[4:],
}
# The forty countries and more whose telephone numbers are made.
_REGIONS = """
    US GB DE FR ES IT NL IN AU BR CA MX AR CL CO AT CH BE LU IE PT DK SE NO FI IS PL CZ SK HU RO BG GR TR UA RU JP KR CN
    HK SG MY TH VN ID PH NZ ZA NG KE EG MA SA AE IL PK
"""
REGIONS = tuple(_REGIONS.split())
DEFAULT_REGIONS = frozenset({"US", "GB", "DE", "FR", "ES", "IT", "NL", "IN", "AU", "BR"})


def fill(template: str, chance: random.Random) -> str:
    """`9` a digit, `8` one from 1 on, `A`/`a` a letter, `*` either, `h`/`H` a hex digit; `\\x` is x itself."""
    result, escaped = [], False
    for character in template:
        if escaped or (character not in _SETS and character != "\\"):
            result.append(character)
            escaped = False
        elif character == "\\":
            escaped = True
        else:
            result.append(chance.choice(_SETS[character]))
    return "".join(result)


def valid(module: str, template: str, chance: random.Random) -> str:
    """A number of that form that `stdnum.<module>` calls valid; tried until one is."""
    check = importlib.import_module("stdnum." + module).is_valid
    for _ in range(200_000):
        number = fill(template, chance)
        if check(number):
            return number
    raise ValueError(module)


def card(issuer: str, separator: str, chance: random.Random) -> str:
    """A card number of an issuer, grouped as the issuer does."""
    prefixes, lengths, groups = CARDS[issuer]
    prefix, length = chance.choice(prefixes), chance.choice(lengths)
    body = prefix + "".join(chance.choices(DIGITS, k=length - len(prefix) - 1))
    number = body + luhn.calc_check_digit(body)
    parts, at = [], 0
    for size in groups:
        parts.append(number[at : at + size])
        at += size
    return SEPARATORS[separator].join(part for part in (*parts, number[at:]) if part)


def iban_countries() -> list[str]:
    """Every country of the IBAN registry."""
    return sorted(str(prefix[1]) for prefix in numdb.get("iban").prefixes)


def iban_number(country: str, chance: random.Random) -> str:
    """An IBAN of that country's structure, its national check digits right where they are known."""
    structure = numdb.get("iban").info(country + "00")[0][1]["bban"]
    module = {"BE": "be.iban", "ES": "es.iban", "NO": "no.iban", "ME": "me.iban"}.get(country)
    for _ in range(20_000):
        bban = _bban(structure, chance)
        number = country + iban.calc_check_digits(country + "00" + bban) + bban
        if module is None or iban.is_valid(number):
            return number
    raise ValueError(country)


_KINDS = {"n": DIGITS, "a": UPPER, "c": ALNUM}


def _bban(structure: str, chance: random.Random) -> str:
    parts, size = [], ""
    for character in structure:
        if character.isdigit():
            size += character
        elif character in _KINDS:
            alphabet = _KINDS[character]
            parts.append("".join(chance.choices(alphabet, k=int(size))))
            size = ""
    return "".join(parts)


def _cut(number: str, size: int, separator: str) -> str:
    return separator.join(number[at : at + size] for at in range(0, len(number), size))


def imei_number(chance: random.Random) -> str:
    """Fifteen digits, the last by Luhn, beginning as a type allocation code does."""
    body = chance.choice(("35", "86", "01")) + fill("999999999999", chance)
    return body + luhn.calc_check_digit(body)


def telephone(region: str, chance: random.Random) -> phonenumbers.PhoneNumber:
    """A valid number of the region: its example number with other digits at the end."""
    kinds = (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE)
    for _ in range(500):
        example = phonenumbers.example_number_for_type(region, chance.choice(kinds))
        if example is None:
            continue
        text = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
        changed = text[:-6] + fill("999999", chance)
        number = phonenumbers.parse(changed, None)
        if phonenumbers.is_valid_number_for_region(number, region) and len(set(changed[-8:])) > 3:
            return number
    raise ValueError(region)


def vin(chance: random.Random) -> str:
    """A North American vehicle number: its ninth character is the check digit (49 CFR 565)."""
    values = {**{d: int(d) for d in DIGITS}, **dict(zip("ABCDEFGHJKLMNPRSTUVWXYZ", _VIN_VALUES, strict=True))}
    letters = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"
    body = chance.choice(("1HG", "1FT", "2T1", "3VW", "4T1", "5YJ", "1G1", "1C4"))
    body += "".join(chance.choices(letters, k=5)) + "0" + chance.choice("ABCDEFGHJKLMNPRSTVWXY123456789")
    body += chance.choice(UPPER.replace("I", "").replace("O", "").replace("Q", "")) + fill("999999", chance)
    total = sum(values[character] * weight for character, weight in zip(body, _VIN_WEIGHTS, strict=True)) % 11
    return body[:8] + ("X" if total == 10 else str(total)) + body[9:]


_VIN_VALUES = (1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 7, 9, 2, 3, 4, 5, 6, 7, 8, 9)
_VIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)


def npi(chance: random.Random) -> str:
    """A US provider number: Luhn over 80840 and the number."""
    body = chance.choice("12") + fill("99999999", chance)
    return body + luhn.calc_check_digit("80840" + body)


def dea(chance: random.Random) -> str:
    """A US prescriber's registration: two letters, six digits, and the last digit of (d1+d3+d5) + 2(d2+d4+d6)."""
    digits = fill("999999", chance)
    odd, even = sum(map(int, digits[::2])), sum(map(int, digits[1::2]))
    return chance.choice("ABFGM") + chance.choice(UPPER) + digits + str((odd + 2 * even) % 10)


def kvnr(chance: random.Random) -> str:
    """A German health insurance number: letter, eight digits, Luhn over the letter's two digits and the eight."""
    letter, digits = chance.choice(UPPER), fill("99999999", chance)
    number = f"{ord(letter) - 64:02d}{digits}"
    total = sum(sum(map(int, str(int(d) * (1 + at % 2)))) for at, d in enumerate(number))
    return letter + digits + str(total % 10)


def medicare(chance: random.Random) -> str:
    """An Australian Medicare number: eight digits, their weighted sum mod 10, the issue number."""
    digits = chance.choice("23456") + fill("9999999", chance)
    total = sum(int(d) * weight for d, weight in zip(digits, (1, 3, 7, 9, 1, 3, 7, 9), strict=True))
    return f"{digits}{total % 10}{chance.choice('123456789')}"


def mbi(chance: random.Random) -> str:
    """A US Medicare beneficiary identifier: no S, L, O, I, B or Z, letters and digits in fixed places."""
    letters = "ACDEFGHJKMNPQRTUVWXY"
    kinds = {"C": "123456789", "A": letters, "N": DIGITS, "X": letters + DIGITS}
    return "".join(chance.choice(kinds[kind]) for kind in "CAXNAXNAANN")
