"""Fills the `{…}` of a template: invented people, addresses, organisations, dates and numbers, with their labels.

Training only. Every choice comes from the random source that is handed in.
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Final

from classifiers.training import tagger_names as names
from classifiers.training.tagger_words import (
    COMPANY_FORMS,
    COMPANY_WORDS,
    INSTITUTES,
    JOBS,
    KNOWN_COMPANIES,
    MONTHS,
    NATIONS,
    STREETS,
    TITLES,
    WEEKDAYS,
)

Span = tuple[int, int, str]
_HOLE = re.compile(r"\{(\w+)\}")
LABELS: Final = MappingProxyType(
    {
        "person": "PERSON", "first": "PERSON", "last": "PERSON", "lastfirst": "PERSON",
        "flat": "STREET_ADDRESS", "building": "STREET_ADDRESS", "state": "STREET_ADDRESS", "weekday": "DATE_TIME",
        "address": "STREET_ADDRESS", "street": "STREET_ADDRESS", "streetname": "STREET_ADDRESS",
        "city": "LOCATION", "country": "LOCATION", "region": "LOCATION", "place": "LOCATION", "zip": "STREET_ADDRESS",
        "org": "ORGANIZATION", "dob": "DATE_OF_BIRTH", "date": "DATE_TIME", "time": "DATE_TIME", "year": "DATE_TIME",
        "age": "AGE", "nrp": "NRP",
    }
)  # fmt: skip


class Filler:
    """Invents values in one language; names come from the whole world."""

    def __init__(self, rng: random.Random, language: str) -> None:
        self.rng = rng
        self.language = language if language in names.LANGUAGES else "en"

    def fill(self, template: str) -> tuple[str, list[Span]]:
        """The text and its labelled spans."""
        parts: list[str] = []
        spans: list[Span] = []
        size, last = 0, 0
        for hole in _HOLE.finditer(template):
            parts.append(template[last : hole.start()])
            size += len(parts[-1])
            last = hole.end()
            maker = _MAKERS.get(hole.group(1))
            value = maker(self) if maker else hole.group()
            if hole.group(1) in LABELS:
                spans.append((size, size + len(value), LABELS[hole.group(1)]))
            parts.append(value)
            size += len(value)
        return "".join((*parts, template[last:])), spans

    def pool(self) -> names.Pool:
        """The names of one region."""
        return names.pool(names.regions(self.rng, self.language))

    def first(self) -> str:
        """A first name, sometimes of two words."""
        name = self.rng.choice(self.pool().first)
        if self.rng.random() < 0.04:
            name += self.rng.choice("- ") + self.rng.choice(self.pool().first)
        return name

    def last(self) -> str:
        """A family name, sometimes a double one, sometimes none that a list holds."""
        pool, kind = self.pool(), self.rng.random()
        if kind < 0.05:
            return self.rng.choice(pool.last) + "-" + self.rng.choice(pool.last)
        return invent(self.rng) if kind < 0.09 else self.rng.choice(pool.last)

    def person(self) -> str:
        """A whole name in one of the usual forms."""
        pool = self.pool()
        first, last = self.rng.choice(pool.first), self.rng.choice(pool.last)
        if self.rng.random() < 0.1:
            first, last = self.first(), self.last()
        kind = self.rng.random()
        if kind < 0.06:
            return f"{first} {self.rng.choice(string.ascii_uppercase)}. {last}"
        if kind < 0.09:
            return f"{first[0]}. {last}"
        if kind < 0.14:
            return f"{first} {self.rng.choice(pool.first)} {last}"
        if kind < 0.18 or (self.language == "es" and kind < 0.5):
            return f"{first} {last} {self.rng.choice(pool.last)}"
        if kind < 0.52 and pool is names.pool("china"):
            return f"{last} {first}"
        return first + " " + last

    def lastfirst(self) -> str:
        """`Last, First`."""
        pool = self.pool()
        first = self.rng.choice(pool.first)
        return self.rng.choice(pool.last) + ", " + self.rng.choice([first, first, first[0] + "."])

    def title(self) -> str:
        """What stands before a name; no part of it."""
        return self.rng.choice(TITLES[self.language])

    def city(self) -> str:
        """A place, mostly where the language is spoken."""
        cities = self.pool().cities
        if cities and self.rng.random() < 0.3:
            return self.rng.choice(cities)
        places, weights = names.towns(self.language if self.rng.random() < 0.6 else "")
        return self.rng.choices(places, weights if self.rng.random() < 0.7 else None)[0]

    def country(self) -> str:
        """A country in the language."""
        return self.rng.choice(names.countries(self.language))

    def street_name(self) -> str:
        """A street, mostly in the language's manner."""
        region = self.language if self.rng.random() < 0.7 else self.rng.choice(list(STREETS))
        pool = names.pool(region if region in names.REGIONS else "slavic")
        person = self.rng.choice(pool.last if self.rng.random() < 0.7 else pool.first)
        if self.rng.random() < 0.25:
            person = self.rng.choice(COMPANY_WORDS).capitalize()
        form = self.rng.choice(STREETS[region])
        return form.replace("#", person.lower() if form.startswith("^") else person).lstrip("^")

    def number(self) -> str:
        """A house number."""
        number = str(self.rng.randint(1, self.rng.choice([40, 200, 999, 9999])))
        kind = self.rng.random()
        if kind < 0.08:
            return number + self.rng.choice("abcABC")
        return f"{number}-{int(number) + 2}" if kind < 0.11 else number

    def street(self) -> str:
        """Street and number in the order of the language, sometimes with a flat."""
        kind, street = self.rng.random(), self.street_name()
        if kind < 0.05:
            return f"P.O. Box {self.number()}"
        leading = self.language in ("en", "fr")
        if self.rng.random() < 0.15:
            leading = not leading
        separator = ", " if self.language in ("es", "it", "fr") and self.rng.random() < 0.4 else " "
        text = f"{self.number()}{separator}{street}" if leading else f"{street}{separator}{self.number()}"
        if self.rng.random() < 0.2:
            text += self.rng.choice([", ", " ", "\n"]) + self.flat()
        return text

    def flat(self) -> str:
        """What follows the number inside a building."""
        number = str(self.rng.randint(1, 950))
        forms = {
            "de": ["Whg. #", "3. OG", "Hinterhaus"],
            "fr": ["Apt. #", "bâtiment B", "appt #"],
            "es": ["3º B", "piso #", "Apto. #"],
            "it": ["int. #", "scala A", "interno #"],
            "nl": ["bus #", "#-hs", "appartement #"],
        }
        return self.rng.choice(
            ["Apt. #", "Suite #", "Apt #", "Unit #", "Flat #", *forms.get(self.language, [])]
        ).replace("#", number)

    def zip(self) -> str:
        """A postal code."""
        kind, digits = self.rng.random(), "".join(self.rng.choices(string.digits, k=9))
        letters = "".join(self.rng.choices(string.ascii_uppercase, k=4))
        if self.language == "nl" and kind < 0.8:
            return f"{self.rng.randint(1, 9)}{digits[:3]}{self.rng.choice([' ', ''])}{letters[:2]}"
        if self.language == "en" and kind < 0.3:
            return f"{letters[0]}{letters[1]}{digits[0]} {digits[1]}{letters[2:4]}"
        if self.language == "en" and kind < 0.4:
            return f"{digits[:5]}-{digits[5:]}"
        return digits[: self.rng.choice([5, 5, 5, 5, 4, 6])]

    def address(self) -> str:
        """A whole address, in one line or in several."""
        rng, street, city = self.rng, self.street(), self.city()
        line = rng.choice([", ", ", ", ", ", "\n", " ", "\n "])
        if self.language == "en":
            state = rng.choice([" " + rng.choice(_STATES), ", " + rng.choice(_STATES), ""])
            tail = rng.choice(
                [f"{city}{state} {self.zip()}", f"{city}, {self.zip()}", city, f"{city}{line}{self.zip()}"]
            )
        else:
            tail = rng.choice([f"{self.zip()} {city}", f"{self.zip()} {city}", city, f"{city} {self.zip()}"])
        if rng.random() < 0.15:
            tail += line + self.country()
        return street + line + tail

    def org(self) -> str:
        """An organisation, known or invented."""
        rng, kind = self.rng, self.rng.random()
        last, last2, last3 = self.last(), self.last(), self.last()
        word, word2 = rng.choice(COMPANY_WORDS), rng.choice(COMPANY_WORDS)
        form = rng.choice(COMPANY_FORMS[self.language] if rng.random() < 0.7 else COMPANY_FORMS["en"])
        if kind < 0.18:
            return rng.choice(KNOWN_COMPANIES)
        if kind < 0.34:
            return f"{last} {form}"
        if kind < 0.4:
            return rng.choice(
                [f"{last}-{last2}", f"{last}, {last2} and {last3}", f"{last} & {last2}", f"{last} and Sons"]
            )
        if kind < 0.55:
            return f"{word.capitalize()} {word2.capitalize()} {form}"
        if kind < 0.64:
            return rng.choice(
                [
                    word.capitalize() + word2,
                    word.capitalize() + word2.capitalize(),
                    word.capitalize() + rng.choice(["ly", "ify", "io", "ix", "us"]),
                ]
            )
        if kind < 0.72:
            return f"{word.capitalize()} {word2.capitalize()}" + rng.choice(
                ["", " Group", " Technologies", " Systems", " Partners", " Labs"]
            )
        if kind < 0.77:
            return "".join(rng.choices(string.ascii_uppercase, k=rng.choice([2, 3, 3, 4])))
        return (
            rng.choice(INSTITUTES[self.language])
            .replace("#", rng.choice([self.city(), last]))
            .replace("*", word.capitalize())
        )

    def nrp(self) -> str:
        """A nationality, a religion or a political group."""
        return self.rng.choice(NATIONS[self.language])

    def age(self) -> str:
        """Years of life."""
        return str(self.rng.randint(1, 99) if self.rng.random() < 0.9 else self.rng.randint(18, 65))

    def day(self, first: int, last: int) -> str:
        """A date between two years, in one of many forms."""
        rng = self.rng
        year, month, day = rng.randint(first, last), rng.randint(1, 12), rng.randint(1, 28)
        name = MONTHS[self.language][month - 1]
        short = name[:3]
        plain = {
            "en": [
                f"{name} {day}, {year}",
                f"{day} {name} {year}",
                f"{short} {day}, {year}",
                f"{day} {short} {year}",
                f"{month}/{day}/{year}",
                f"{month:02}/{day:02}/{year}",
            ],
            "de": [
                f"{day}. {name} {year}",
                f"{day:02}.{month:02}.{year}",
                f"{day}.{month}.{year}",
                f"{day}.{month}.{year % 100:02}",
            ],
            "fr": [f"{day} {name} {year}", f"{day:02}/{month:02}/{year}"],
            "es": [f"{day} de {name} de {year}", f"{day:02}/{month:02}/{year}"],
            "it": [f"{day} {name} {year}", f"{day:02}/{month:02}/{year}"],
            "nl": [f"{day} {name} {year}", f"{day:02}-{month:02}-{year}", f"{day}-{month}-{year}"],
        }[self.language]
        return rng.choice([*plain, *plain, f"{year}-{month:02}-{day:02}"])

    def date(self) -> str:
        """Any date: a day, a month, a weekday, a year."""
        rng, kind = self.rng, self.rng.random()
        month, weekday = rng.choice(MONTHS[self.language]), rng.choice(WEEKDAYS[self.language])
        if kind < 0.55:
            return self.day(1990, 2027)
        if kind < 0.7:
            return weekday
        if kind < 0.8:
            return f"{month} {rng.randint(1, 28)}" if self.language == "en" else f"{rng.randint(1, 28)} {month}"
        return f"{month} {self.year()}" if kind < 0.9 else month

    def year(self) -> str:
        """A year."""
        return str(self.rng.randint(1960, 2027))

    def time(self) -> str:
        """A time of day."""
        hour, minute = self.rng.randint(0, 23), self.rng.randint(0, 59)
        if self.language == "en" and self.rng.random() < 0.5:
            return self.rng.choice([f"{hour % 12 + 1}:{minute:02} pm", f"{hour % 12 + 1} am", f"{hour % 12 + 1}pm"])
        return f"{hour:02}:{minute:02}"

    def handle(self) -> str:
        """A user name."""
        return invent(self.rng).lower() + self.rng.choice(["", "_", "99", "x"])

    def digits(self, low: int, high: int) -> str:
        """Some digits."""
        return "".join(self.rng.choices(string.digits, k=self.rng.randint(low, high)))

    def id(self) -> str:
        """A number of a document or an order."""
        return self.rng.choice(["", "", "A", "INV-", "#", "DL", "TK-"]) + self.digits(4, 10)

    def phone(self) -> str:
        """A telephone number, invented."""
        form = self.rng.choice(
            ["+49 30 ######", "(###) ###-####", "+44 20 #### ####", "06 ## ## ## ##", "###-###-####", "+39 06 ######"]
        )
        return "".join(self.rng.choice(string.digits) if character == "#" else character for character in form)

    def email(self) -> str:
        """An address at a reserved domain."""
        return f"{self.handle()}@{self.rng.choice(['example.com', 'example.org', 'mail.example'])}"

    def amount(self) -> str:
        """Money."""
        return self.rng.choice(["€{}", "${}", "{} EUR", "{} €", "{},00"]).format(self.rng.randint(5, 9000))


def invent(rng: random.Random) -> str:
    """A word that sounds like a name and is none."""
    syllables = rng.choices(_SYLLABLES, k=rng.choice([2, 2, 3]))
    return "".join(syllables).capitalize()


_SYLLABLES: Final = """
    ba be bo da de do fa fe ga go ha he ja jo ka ke ko la le li lo ma me mi mo na ne ni no pa pe po ra re ri ro sa se
    si so ta te ti to va ve vi vo wa we za zo bran der dorf feld gard hart land man mann mer nor ric rod sen ski son
    stein ston ton vic well wick witz ova eva elli etti ini ez quist berg lund sky
""".split()
_STATES: Final = (
    "AL AZ CA CO CT FL GA IL IN KS MA MD MI MN NC NJ NV NY OH OR PA TX UT VA WA WI California Texas Ohio".split()
)
_MAKERS: Final[MappingProxyType[str, Callable[[Filler], str]]] = MappingProxyType(
    {
        "person": Filler.person, "first": Filler.first, "last": Filler.last, "lastfirst": Filler.lastfirst,
        "title": Filler.title, "address": Filler.address, "street": Filler.street, "streetname": Filler.street_name,
        "city": Filler.city, "country": Filler.country, "zip": Filler.zip, "org": Filler.org, "nrp": Filler.nrp,
        "region": lambda self: self.rng.choice([self.country(), self.city(), self.rng.choice(_STATES[-3:])]),
        "place": lambda self: self.rng.choice([self.country(), self.city()]),
        "dob": lambda self: self.day(1930, 2018), "date": Filler.date, "year": Filler.year, "time": Filler.time,
        "age": Filler.age, "id": Filler.id, "phone": Filler.phone, "email": Filler.email, "amount": Filler.amount,
        "handle": Filler.handle, "flat": Filler.flat, "building": Filler.number, "weekday": Filler.date,
        "state": lambda self: self.rng.choice(_STATES[:-3]), "job": lambda self: self.rng.choice(JOBS[self.language]),
        "card": lambda self: "4" + self.digits(15, 15), "iban": lambda self: "DE" + self.digits(20, 20),
        "ssn": lambda self: f"{self.digits(3, 3)}-{self.digits(2, 2)}-{self.digits(4, 4)}",
        "ip": lambda self: ".".join(str(self.rng.randint(1, 254)) for _ in range(4)),
        "url": lambda self: f"https://www.{self.handle()}.example/",
    }
)  # fmt: skip


def choose(rng: random.Random, options: Sequence[str]) -> str:
    """One of them."""
    return options[rng.randrange(len(options))]
