"""Sensitive values for the matrix: generated, unique to a cell, with the checksums that make them count.

The same cell always gives the same value, so that a failure can be repeated. None of them is anybody's.
"""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from dataclasses import dataclass

import phonenumbers
from stdnum import luhn
from stdnum.gb import nhs
from stdnum.iso7064 import mod_97_10
from stdnum.us import ssn

_SYLLABLES = "bradorfengulhaxjovkellummoxnarpivquarelsovtukvorwexyunzal"  # three letters each


@dataclass(frozen=True, slots=True)
class Value:
    """`text` is what is planted; `needle` the part of it that nobody outside may see."""

    text: str
    needle: str


def value_of(entity: str, cell: str) -> Value:
    """The value of this entity for this cell."""
    return ENTITIES[entity](random.Random(f"{entity} in {cell}"))


def _digits(source: random.Random, count: int) -> str:
    return "".join(source.choice(string.digits) for _ in range(count))


def _mixed(source: random.Random, alphabet: str, count: int) -> str:
    return "".join(source.choice(alphabet) for _ in range(count))


def _card(source: random.Random) -> Value:
    body = "4" + _digits(source, 14)
    number = body + luhn.calc_check_digit(body)
    if source.random() < 0.5:
        number = " ".join(number[at : at + 4] for at in range(0, 16, 4))
    return Value(number, number)


def _iban(source: random.Random) -> Value:
    account = _digits(source, 18)
    number = f"DE{mod_97_10.calc_check_digits(account + 'DE')}{account}"
    return Value(number, number)


def _ssn(source: random.Random) -> Value:
    while not ssn.is_valid(number := f"{_digits(source, 3)}-{_digits(source, 2)}-{_digits(source, 4)}"):
        pass
    return Value(number, number)


def _email(source: random.Random) -> Value:
    address = f"{_word(source)}.{_word(source)}{_digits(source, 3)}@{_word(source)}.example.net"
    return Value(address, address)


def _phone(source: random.Random) -> Value:
    while True:
        number = f"+1 {source.choice(('212', '415', '617'))}-{_digits(source, 3)}-{_digits(source, 4)}"
        if phonenumbers.is_valid_number(phonenumbers.parse(number)):
            return Value(number, number)


def _ip(source: random.Random) -> Value:
    address = f"{source.randint(80, 99)}.{source.randint(100, 250)}.{source.randint(100, 250)}.{source.randint(2, 250)}"
    return Value(address, address)


def _nhs(source: random.Random) -> Value:
    while not nhs.is_valid(number := _digits(source, 10)):
        pass
    number = f"{number[:3]} {number[3:6]} {number[6:]}"
    return Value(f"NHS number {number}", number)


def _aws(source: random.Random) -> Value:
    key = "AKIA" + _mixed(source, string.ascii_uppercase + "234567", 16)
    return Value(key, key)


def _github(source: random.Random) -> Value:
    key = "ghp_" + _mixed(source, string.ascii_letters + string.digits, 36)
    return Value(key, key)


def _password(source: random.Random) -> Value:
    password = f"{_word(source).title()}-{_digits(source, 4)}!{_word(source)}"
    return Value(f"the password is {password}", password)


def _connection(source: random.Random) -> Value:
    password = _mixed(source, string.ascii_letters + string.digits, 14)
    return Value(f"postgres://app:{password}@db.internal:5432/main", password)


def _term(source: random.Random) -> Value:
    term = f"{_word(source)} {_word(source)}".title()
    return Value(term, term)


def _pattern(source: random.Random) -> Value:
    case = f"ZK-{_digits(source, 7)}-{_mixed(source, string.ascii_uppercase, 2)}"
    return Value(case, case)


def _word(source: random.Random) -> str:
    starts = range(0, len(_SYLLABLES), 3)
    return "".join(_SYLLABLES[at : at + 3] for at in source.choices(starts, k=3))


TERM = "dictionary_term"
PATTERN = r"\bZK-[0-9]{7}-[A-Z]{2}\b"
ENTITIES: dict[str, Callable[[random.Random], Value]] = {
    "card": _card,
    "iban": _iban,
    "us_ssn": _ssn,
    "email": _email,
    "phone": _phone,
    "ipv4": _ip,
    "national_id": _nhs,
    "aws_key": _aws,
    "github_token": _github,
    "password": _password,
    "connection_string": _connection,
    TERM: _term,
    "policy_pattern": _pattern,
}
