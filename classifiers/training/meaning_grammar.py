"""Expands the texts of `meaning_texts/*.txt`: slots, alternatives and made-up values.

A file holds slot lists (`@name`, values parted by ` | `), families (`# LABEL family`) and one template a line. In a
template `{slot}` is drawn from a list or made up, `[a|b]` is one of the alternatives, `\\n` is a line break.
"""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files

_SLOT = re.compile(r"\{([A-Za-z_]+[0-9]?)\}")
_CHOICE = re.compile(r"\[([^\[\]{}]*(?:\{[A-Za-z_]+[0-9]?\}[^\[\]{}]*)*)\]")
_WORDS = """
    order ledger claim quote batch user event risk match route price stock grid cart node queue token shift cargo meter
    trade rate feed sync audit policy invoice catalog session settle intake dispatch billing
""".split()  # noqa: SIM905  # a list of words reads better as words
_STREETS = ("Main Street", "Oak Avenue", "Lindenstraße", "Rue de la Paix", "Via Roma", "High Street", "Calle Mayor")


@dataclass(frozen=True, slots=True)
class Template:
    """One line of a file: its label (`benign` or a meaning) and the family that is never split in a measurement."""

    label: str
    family: str
    text: str


@dataclass(slots=True)
class Grammar:
    """All slot lists and templates of one or several files."""

    slots: dict[str, list[str]] = field(default_factory=dict)
    templates: list[Template] = field(default_factory=list)

    def read(self, name: str) -> None:
        """Add `meaning_texts/<name>.txt`. Raises `ValueError` for a line that stands in no family."""
        slot, label, family = "", "", ""
        for line in (files("classifiers.training.meaning_texts") / f"{name}.txt").read_text("utf-8").splitlines():
            if line.startswith("@"):
                slot = line[1:].strip()
                self.slots[slot] = []
            elif line.startswith("# ") and len(line.split()) == 3 and _is_label(line.split()[1]):
                slot, (label, family) = "", line[2:].split()
            elif slot:
                self.slots[slot] += [value if value.isspace() else value.strip() for value in line.split(" | ")]
            elif line.strip() and label:
                for text in line.split(" | ") if label == "benign" and line.count(" | ") > 3 else [line]:
                    self.templates.append(Template(label, _family(name, label, family), text))
            elif line.strip():
                raise ValueError(f"{name}.txt: a line stands in no family")

    def read_frames(self, name: str, objects: Mapping[str, str]) -> None:
        """Add a file whose `{obj}` stands for any class's things; `objects`: label -> slot. POSITIVE is each label."""
        frames = Grammar()
        frames.read(name)
        for template in frames.templates:
            for label, slot in objects.items():
                text = template.text.replace("{obj}", "{" + slot + "}")
                shown = label if template.label == "POSITIVE" else template.label
                self.templates.append(Template(shown, template.family, text))

    def fill(self, text: str, draw: random.Random) -> str:
        """One expansion of a template."""
        text = _choose(text, draw)
        made = _Made(self, draw)
        for _ in range(3):  # a slot's value may hold slots
            text = _SLOT.sub(lambda hit: made.value(hit.group(1), hit.group(0)), text)
        return text.replace("\\n", "\n").replace("\\t", "\t").replace("  ", " ").strip()


def _family(name: str, label: str, family: str) -> str:
    """What is held out together: a frame with all its labels, else one genre of one label."""
    return f"{name}/{family}" if name.startswith("frames") else f"{name}/{label}/{family}"


def _is_label(word: str) -> bool:
    return word == "benign" or (word.isupper() and len(word) > 4)


def _choose(text: str, draw: random.Random) -> str:
    """Resolve the alternatives that are left; brackets without a bar stay as they are (code has many)."""
    at = 0
    while (choice := _CHOICE.search(text, at)) is not None:
        if "|" not in choice.group(1):
            at = choice.end()
            continue
        text = text[: choice.start()] + draw.choice(choice.group(1).split("|")) + text[choice.end() :]
    return text


class _Made:
    """The values of one text: names that come again are drawn anew, what belongs to the company stays the same."""

    def __init__(self, grammar: Grammar, draw: random.Random) -> None:
        self._grammar, self._draw = grammar, draw
        self._slug = draw.choice(grammar.slots["stem"]).lower()

    def value(self, name: str, otherwise: str) -> str:
        """The value of a slot, or `otherwise` where no such slot exists (braces of code)."""
        made = getattr(self, f"make_{name}", None)
        if made is not None:
            return str(made())
        values = self._grammar.slots.get(name)
        return self._draw.choice(values) if values else otherwise

    def _pick(self, name: str) -> str:
        return self._draw.choice(self._grammar.slots[name])

    def make_person(self) -> str:
        first, last = self._pick("first"), self._pick("last")
        return self._draw.choice(
            (f"{first} {last}", f"{first} {last}", f"{first} {last}", f"Dr. {last}", f"{first[0]}. {last}")
        )

    def make_company(self) -> str:
        name = self._pick("stem")
        return f"{name} {self._pick('suffix')}" if self._draw.random() < 0.6 else name

    def make_slug(self) -> str:
        return self._slug

    def make_int1(self) -> int:
        return self._draw.randint(2, 9)

    def make_int2(self) -> int:
        return self._draw.randint(11, 98)

    def make_int3(self) -> int:
        return self._draw.randint(101, 240)

    def make_int4(self) -> int:
        return self._draw.randint(1010, 9890)

    def make_id(self) -> str:
        number = str(self._draw.randint(10**4, 10**7))
        return self._draw.choice((number, number, f"{self._draw.choice('ABCKR')}-{number}"))

    def make_number(self) -> str:
        draw = self._draw
        letters = draw.choice(("ORD", "CN", "LOT", "TK", "#", "QX"))
        forms = (
            f"{letters}-{draw.randint(1000, 99999999)}",
            str(draw.randint(100, 99999999)),
            f"v{draw.randint(0, 30)}.{draw.randint(0, 40)}.{draw.randint(0, 200)}",
            f"{draw.randint(0, 30)}.{draw.randint(0, 40)}",
            f"{draw.getrandbits(160):040x}"[: draw.choice((7, 10, 40))],
            str(uuid.UUID(int=draw.getrandbits(128))),
            f"ISBN 978-{draw.randint(0, 9)}-{draw.randint(1000, 9999)}-{draw.randint(1000, 9999)}-{draw.randint(0, 9)}",
            f"{draw.choice('ABCDKMXZ')}{draw.randint(10, 9999)}-{draw.randint(10, 999)}{draw.choice('ABX')}",
            f"{draw.randint(1, 999)},{draw.randint(100, 999)}",
        )
        return draw.choice(forms)

    def make_year(self) -> int:
        return self._draw.randint(2015, 2027)

    def make_age(self) -> int:
        return self._draw.randint(19, 88)

    def make_temp(self) -> str:
        return f"{self._draw.randint(30, 900)} " + self._draw.choice(("°C", "C", "degrees", "K", "°F"))

    def make_time(self) -> str:
        return f"{self._draw.randint(7, 19)}:{self._draw.randint(10, 59)}"

    def make_pct(self) -> str:
        number = self._draw.choice(
            (str(self._draw.randint(2, 60)), f"{self._draw.randint(1, 30)}.{self._draw.randint(1, 9)}")
        )
        return number + self._draw.choice(("%", "%", "%", " %", " percent"))

    def make_money(self) -> str:
        small, thousands = self._draw.randint(2, 95), self._draw.randint(11, 890)
        return self._draw.choice(
            (
                f"${small}M",
                f"€{small}.{small % 9}m",
                f"${thousands},000",
                f"{thousands}k",
                f"EUR {thousands}.000",
                f"${small} million",
                f"£{thousands},{thousands}",
                f"{small} million euros",
                f"${small}.{small % 7}B",
            )
        )

    def make_date(self) -> str:
        day, month, year = self._draw.randint(1, 28), self._pick("month"), self.make_year()
        number = self._draw.randint(1, 12)
        return self._draw.choice(
            (
                f"{month} {day}",
                f"{day} {month} {year}",
                f"{year}-{number:02}-{day:02}",
                f"{day}.{number}.{year}",
                f"{month} {day}, {year}",
                f"{number}/{day}/{year}",
            )
        )

    def make_email(self) -> str:
        return f"{self._pick('first')}.{self._pick('last')}@{self._pick('stem')}.com".lower().replace("'", "")

    def make_phone(self) -> str:
        return f"+{self._draw.randint(1, 49)} {self._draw.randint(100, 999)} {self._draw.randint(1000000, 9999999)}"

    def make_street(self) -> str:
        return f"{self._draw.randint(1, 190)} {self._draw.choice(_STREETS)}"

    def make_word(self) -> str:
        return self._draw.choice(_WORDS)

    def make_camel(self) -> str:
        return "".join(self._draw.choice(_WORDS).capitalize() for _ in range(2))

    def make_ticket(self) -> str:
        return f"{self._draw.choice(('OPS', 'CORE', 'PAY', 'INC', 'RISK'))}-{self._draw.randint(100, 9999)}"

    def make_host(self) -> str:
        ending = self._draw.choice(
            (f"{self._slug}.corp", f"int.{self._slug}.com", f"{self._slug}.internal", "prod.local")
        )
        return f"{self._draw.choice(_WORDS)}{self._draw.choice(('-db', '-api', '01', '-prod', ''))}.{ending}"

    def make_password(self) -> str:
        letters = "abcdefghkmnpqrstuvwxyzABCDEFGHKLMNPQRSTUVWXYZ23456789!#%?+"
        made = "".join(self._draw.choice(letters) for _ in range(self._draw.randint(8, 14)))
        return self._draw.choice(
            (made, f"{self._pick('project')}{self.make_int4()}!", f"{self._pick('month')}-{self.make_year()}")
        )


def expand(grammar: Grammar, each: int, seed: int) -> Iterator[tuple[Template, str]]:
    """Up to `each` different expansions of every template, in order; the same seed gives the same texts."""
    draw = random.Random(seed)  # noqa: S311  # reproducible texts, not a secret
    for template in grammar.templates:
        seen = set()
        for _ in range(each):
            text = grammar.fill(template.text, draw)
            if text not in seen:
                seen.add(text)
                yield template, text
