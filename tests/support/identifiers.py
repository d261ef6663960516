"""Identifiers to evaluate detection with: valid, unique, seeded, each alone or in a sentence of six languages.

    values("CREDIT_CARD", 100, seed=1)      identifiers, each with the topic and the kind that it was made as
    sentences("US_SSN", 100, seed=1)        sentences that hold one, with its place in code points

`CLEAN` are the entities of which nearly every one must be found. Nothing here belongs to anybody or opens anything.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import phonenumbers

from tests.support import identifier_numbers as numbers
from tests.support.crypto_addresses import ADDRESSES
from tests.support.identifier_frames import FRAMES, LANGUAGES
from tests.support.identifier_ids import IDS
from tests.support.secret_values import SECRETS

__all__ = ["CLEAN", "ENTITIES", "LANGUAGES", "Sentence", "Value", "sentences", "values"]

_MARK = "\ue000"  # stands for the value while a sentence is put together


@dataclass(frozen=True, slots=True)
class Value:
    """One identifier as somebody would write it. `carrier` is the text that it needs around it (`{}` alone: none)."""

    entity: str
    kind: str
    text: str
    topic: str
    carrier: str = "{}"
    language: str = ""  # of the carrier; empty: any
    label: str = ""  # what an id is called beside it


@dataclass(frozen=True, slots=True)
class Sentence:
    """A text with one identifier at `start` to `end`, in code points."""

    entity: str
    kind: str
    language: str
    text: str
    start: int
    end: int

    @property
    def value(self) -> str:
        return self.text[self.start : self.end]


def values(entity: str, count: int, seed: int = 0) -> list[Value]:
    """`count` different identifiers, going round the entity's kinds so that each comes about equally often."""
    chance = random.Random(f"{entity}/{seed}")
    made: dict[str, Value] = {}
    makers = _MAKERS[entity]
    for turn in range(20 * count + 100):
        value = makers[turn % len(makers)](chance)
        made.setdefault(value.text, value)
        if len(made) == count:
            return list(made.values())
    raise ValueError(f"only {len(made)} different values of {entity}")


def sentences(entity: str, count: int, seed: int = 0, languages: tuple[str, ...] = LANGUAGES) -> list[Sentence]:
    """`count` sentences, each with a different identifier; the languages take turns."""
    chance = random.Random(f"{entity}/{seed}/sentences")
    result: list[Sentence] = []
    for value in values(entity, count * (1 if len(languages) > 1 else 6), seed):
        language = value.language or languages[len(result) % len(languages)]
        if language in languages and len(result) < count:
            result.append(_sentence(value, language, chance))
    return result


def _sentence(value: Value, language: str, chance: random.Random) -> Sentence:
    frame = chance.choice(FRAMES[value.topic][language])
    inner = value.carrier.format(_MARK)
    text = frame.format(inner, label=value.label) if value.topic == "named" else frame.format(inner)
    at = text.index(_MARK)
    text = text.replace(_MARK, value.text, 1)
    return Sentence(value.entity, value.kind, language, text, at, at + len(value.text))


Maker = Callable[[random.Random], Value]


def _cards() -> Iterator[Maker]:
    for separator in numbers.SEPARATORS:
        for issuer in numbers.CARDS:
            carrier = "card {}" if issuer in ("maestro", "visa-13") else "{}"
            yield lambda chance, i=issuer, s=separator, c=carrier: Value(  # type: ignore[misc]
                "CREDIT_CARD", f"{i}/{s}", numbers.card(i, s, chance), "card", c
            )


def _ibans() -> Iterator[Maker]:
    for written, write in numbers.IBAN_WRITTEN.items():
        for country in numbers.iban_countries():
            yield lambda chance, c=country, w=write, name=written: Value(  # type: ignore[misc]
                "IBAN_CODE", f"{c}/{name}", w(numbers.iban_number(c, chance)), "iban"
            )


def _ssn(template: str, topic: str) -> Maker:
    def make(chance: random.Random) -> Value:
        digits = numbers.valid("us.ssn", "999-99-9999", chance).replace("-", "")
        parts = iter(digits)
        text = "".join(next(parts) if character == "9" else character for character in template)
        return Value("US_SSN", f"{template}/{topic}", text, topic)

    return make


def _phones() -> Iterator[Maker]:
    shapes: dict[str, Callable[[phonenumbers.PhoneNumber], str]] = {
        "e164": _formatted(phonenumbers.PhoneNumberFormat.E164),
        "international": _formatted(phonenumbers.PhoneNumberFormat.INTERNATIONAL),
        "national": _formatted(phonenumbers.PhoneNumberFormat.NATIONAL),
        "dotted": lambda number: shapes["international"](number).replace(" ", ".").replace("-", "."),
        "dashed": lambda number: shapes["international"](number).replace(" ", "-"),
        "zeros": lambda number: "00" + shapes["international"](number)[1:],
        "bare": lambda number: "".join(filter(str.isdigit, shapes["national"](number))),
        "bracketed": _bracketed,
    }
    for shape, write in shapes.items():
        for region in numbers.REGIONS:
            for topic in ("phone", "bare") if shape in ("e164", "international", "dashed") else ("phone",):
                yield lambda chance, r=region, w=write, s=shape, t=topic: Value(  # type: ignore[misc]
                    "PHONE_NUMBER", f"{s}/{r}/{t}", w(numbers.telephone(r, chance)), t
                )


def _formatted(kind: int) -> Callable[[phonenumbers.PhoneNumber], str]:
    return lambda number: phonenumbers.format_number(number, kind)


def _bracketed(number: phonenumbers.PhoneNumber) -> str:
    """`+44 (0)20 …` where the country has a trunk zero, `(212) …` where it has areas, else `+41 (44) …`."""
    country, _, rest = _formatted(phonenumbers.PhoneNumberFormat.INTERNATIONAL)(number).partition(" ")
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(phonenumbers.region_code_for_number(number))
    if country == "+1":
        return f"({rest[:3]}) {rest[4:]}"
    if metadata is not None and metadata.national_prefix == "0":
        return f"{country} (0){rest}"
    head, _, tail = rest.partition(" ")
    return f"{country} ({head}) {tail}" if tail else f"({country}) {rest}"


_GIVEN = "anna ben chloe dario elif farid greta hugo ines jonas kim lena marco nora omar petra quinn rosa sven tara"
_FAMILY = "abbott berger costa dubois eriksen fischer garcia hansen ito jansen kowalski lopez moreau novak ortiz rossi"
_HOSTS = (
    "gmail.com",
    "mail.co.uk",
    "uni-koeln.de",
    "sub.dept.company.io",
    "museum.museum",
    "firma.com.br",
    "bücher.de",
    "xn--bcher-kva.ch",
    "почта.рф",
    "例え.jp",
    "posteo.net",
    "a-b.fr",
)
_LOCALS = (
    "{f}.{l}{n}",
    "{f}{n}",
    "{F}.{L}{n}",
    "{f}_{l}.{n}",
    "{f}-{l}{n}",
    "{f}.{l}+news{n}",
    "{f}+{n}",
    "{n}.{l}",
    "{f}'{l}{n}",
    "jörg.{l}{n}",
    '"{f} {l}{n}"',
    "{f}.{l}.{n}",
    "иван.{n}",
)


def _emails() -> Iterator[Maker]:
    for local in _LOCALS:
        for host in _HOSTS:
            yield lambda chance, p=local, h=host: _email(p, h, chance)  # type: ignore[misc]


def _email(local: str, host: str, chance: random.Random) -> Value:
    first, last = chance.choice(_GIVEN.split()), chance.choice(_FAMILY.split())
    name = local.format(f=first, l=last, F=first.title(), L=last.title(), n=chance.randrange(1, 9999))
    return Value("EMAIL_ADDRESS", f"{local}@{host}", f"{name}@{host}", "email")


def _secrets() -> Iterator[Maker]:
    for kind in SECRETS:
        yield lambda chance, k=kind: _secret(k, chance)  # type: ignore[misc]


def _secret(kind: str, chance: random.Random) -> Value:
    text, carrier, language = SECRETS[kind](chance)
    return Value("SECRET", kind, text, "prose" if language else "secret", carrier, language)


def _ip4(chance: random.Random) -> Value:
    first = chance.choice([n for n in range(1, 224) if n != 127])
    rest = (chance.randrange(256), chance.randrange(256), chance.randrange(1, 255))
    return Value("IP_ADDRESS", "v4", ".".join(map(str, (first, *rest))), "machine")


def _ip6(chance: random.Random) -> Value:
    groups = [f"{chance.randrange(1, 65536):x}" for _ in range(8)]
    groups[0] = f"2{chance.randrange(4096):03x}"
    return Value("IP_ADDRESS", "v6", ":".join(groups), "machine")


def _ip6_short(chance: random.Random) -> Value:
    groups = [f"{chance.randrange(4096, 65536):x}" for _ in range(3)]
    return Value(
        "IP_ADDRESS", "v6-short", f"2a0{chance.randrange(10)}:{':'.join(groups)}::{chance.randrange(1, 99)}", "machine"
    )


def _mac(separator: str, size: int) -> Maker:
    def make(chance: random.Random) -> Value:
        digits = numbers.fill("h" * 12, chance)
        digits = digits[0] + chance.choice("048c26ae") + digits[2:]
        text = separator.join(digits[at : at + size] for at in range(0, 12, size))
        return Value("MAC_ADDRESS", separator + str(size), chance.choice((text, text.upper())), "machine")

    return make


def _crypto(kind: str) -> Maker:
    return lambda chance: Value("CRYPTO", kind, ADDRESSES[kind](chance), "bare")


def _id(entity: str, kind: int) -> Maker:
    def make(chance: random.Random) -> Value:
        row = IDS[entity][kind]
        return Value(entity, row.name, row.make(chance), "named", label=chance.choice(row.labels))

    return make


CLEAN = ("CREDIT_CARD", "IBAN_CODE", "US_SSN", "PHONE_NUMBER", "EMAIL_ADDRESS", "SECRET")
_MAKERS: dict[str, tuple[Maker, ...]] = {
    "CREDIT_CARD": tuple(_cards()),
    "IBAN_CODE": tuple(_ibans()),
    "US_SSN": tuple(
        _ssn(template, topic)
        for template, topic in (
            ("999-99-9999", "ssn"),
            ("999 99 9999", "ssn"),
            ("999.99.9999", "ssn"),
            ("999999999", "ssn"),
            ("999\u201399\u20139999", "ssn"),
            ("999-99-9999", "bare"),
        )
    ),
    "PHONE_NUMBER": tuple(_phones()),
    "EMAIL_ADDRESS": tuple(_emails()),
    "SECRET": tuple(_secrets()),
    "IP_ADDRESS": (_ip4, _ip6, _ip4, _ip6_short),
    "MAC_ADDRESS": (_mac(":", 2), _mac("-", 2), _mac(".", 4)),
    "CRYPTO": tuple(_crypto(kind) for kind in ADDRESSES),
    **{entity: tuple(_id(entity, kind) for kind in range(len(rows))) for entity, rows in IDS.items()},
}
ENTITIES = tuple(_MAKERS)
