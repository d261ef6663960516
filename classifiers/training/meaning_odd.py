"""Texts that mean nothing at all: numbers, keys, logs, repeated words, alphabets that the model cannot read.

Without them a network takes whatever it has never seen for whatever it has seen least.
"""

from __future__ import annotations

import base64
import json
import random
import re
import uuid
from collections.abc import Callable, Iterator
from importlib.resources import files

_EACH = 40
_MANY = 300  # of the families below: no two of their texts are alike
VARIED = frozenset({"json", "fields", "call", "short", "named_numbers"})
_MEMBERS = """
    to from id user name email url title tags type status mode lang size count date city note text body query path key
    value color role label subject cc phone limit offset page sort format version locale address contact message state
""".split()  # noqa: SIM905  # a list of words reads better as words
_HOLE = re.compile(r"\{(9|f)(\d+)\}")
_SECRET = re.compile(r"\b(?:ssn|password|token|card|iban|secret|key|pin)\b")
_VERBS = ("get", "send", "set", "find", "delete", "list", "update", "open")
_LOREM = """
    lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore et dolore magna
    aliqua ut enim ad minim veniam quis nostrud exercitation ullamco laboris nisi ut aliquip ex ea commodo consequat
""".split()  # noqa: SIM905  # a list of words reads better as words
_PLAIN = """
    the a red green small old house river tree bird cloud table window walks sees holds finds under over near quickly
    slowly today again never two three many and but or is was has had with without from into about his her their it
""".split()  # noqa: SIM905  # as above
_SCRIPTS = (
    "今天天气很好我们去公园散步吧", "このレストランの料理はとても美味しいです",
    "오늘은 날씨가 정말 좋네요 산책하러 갈까요",
    "Сегодня хорошая погода, пойдём гулять в парк", "الطقس جميل اليوم ونريد أن نذهب إلى الحديقة",
    "आज मौसम बहुत अच्छा है",
    "Ο καιρός είναι πολύ καλός σήμερα", "מזג האוויר יפה היום", "Hava bugün çok güzel", "Dzisiaj jest ładna pogoda",
    "Idag är vädret väldigt fint", "O tempo está muito bom hoje",
)  # fmt: skip
_LEVELS = ("INFO", "WARN", "DEBUG", "ERROR")


def odd_texts(seed: int) -> Iterator[tuple[str, str]]:
    """(family, text), in order; the same seed gives the same texts."""
    for family, make in _MAKERS.items():
        draw = random.Random(f"{seed}/{family}")  # noqa: S311  # reproducible texts, not a secret
        for _ in range(_MANY if family in VARIED else _EACH):
            yield family, make(draw)


def _many(draw: random.Random, make: Callable[[], str]) -> str:
    glue = draw.choice((" ", ", ", "\n", "; ", "|"))
    return glue.join(make() for _ in range(draw.choice((3, 8, 20, 60))))


def _numbers(draw: random.Random) -> str:
    top = 10 ** draw.randint(1, 9)
    return _many(draw, lambda: str(draw.randrange(top)))


def _phones(draw: random.Random) -> str:
    number = f"+{draw.randint(1, 49)} {draw.randint(10, 99)} {draw.randint(1000, 9999)} {draw.randint(100, 9999)}"
    if draw.random() < 0.5:
        return _many(draw, lambda: number)
    return draw.choice(("Call {}", "My number is {}.", "tel. {}", "Phone: {}", "{}", "You can reach me at {}")).format(
        number
    )


def _digests(draw: random.Random) -> str:
    return _many(draw, lambda: f"{draw.getrandbits(draw.choice((64, 128, 160, 256))):x}")


def _ids(draw: random.Random) -> str:
    return _many(draw, lambda: str(uuid.UUID(int=draw.getrandbits(128))))


def _encoded(draw: random.Random) -> str:
    return base64.b64encode(draw.randbytes(draw.randint(30, 400))).decode()


def _addresses(draw: random.Random) -> str:
    name = draw.choice(_PLAIN) + str(draw.randint(1, 99))
    forms = (
        f"https://example.com/{name}/{draw.randint(1, 999)}?q={draw.choice(_PLAIN)}",
        f"{name}@example.org",
        f"Mail me at {name}@example.com, thanks",
        f"/usr/share/{name}/lib{draw.choice(_PLAIN)}.so.{draw.randint(1, 9)}",
        f"192.0.2.{draw.randint(1, 254)} - - GET /{name} HTTP/1.1 200",
        f"The IP address is 198.51.100.{draw.randint(1, 254)}",
    )
    return draw.choice(forms)


def _repeated(draw: random.Random) -> str:
    return (draw.choice((*_PLAIN, *_LOREM, "x", "test", "foo", "word", "hello", "a b c")) + " ") * draw.randint(8, 200)


def _lorem(draw: random.Random) -> str:
    return " ".join(draw.choices(_LOREM, k=draw.randint(6, 200))).capitalize() + "."


def _salad(draw: random.Random) -> str:
    return " ".join(draw.choices(_PLAIN, k=draw.randint(6, 150))).capitalize() + draw.choice((".", "?", "!", ""))


def _letters(draw: random.Random) -> str:
    def word() -> str:
        return "".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(3, 10)))

    return " ".join(word() for _ in range(draw.choice((4, 12, 40))))


def _scripts(draw: random.Random) -> str:
    return draw.choice((" ", "\n")).join(draw.choices(_SCRIPTS, k=draw.randint(1, 12)))


def _log(draw: random.Random) -> str:
    def line() -> str:
        clock = f"{draw.randint(0, 23):02}:{draw.randint(0, 59):02}:{draw.randint(0, 59):02}"
        return (
            f"{clock} {draw.choice(_LEVELS)} {draw.choice(_PLAIN)}.{draw.choice(_PLAIN)} took {draw.randint(1, 999)} ms"
        )

    return "\n".join(line() for _ in range(draw.choice((2, 6, 30))))


def _table(draw: random.Random) -> str:
    head = ",".join(draw.sample(("x", "y", "time", "value", "count", "label", "width", "height", "species"), 4))
    rows = (",".join(f"{draw.uniform(0, 99):.2f}" for _ in range(4)) for _ in range(draw.choice((3, 10, 40))))
    return head + "\n" + "\n".join(rows)


def _value(draw: random.Random) -> str:
    word = draw.choice(_PLAIN)
    forms = (
        word,
        f"{word} {draw.choice(_PLAIN)}",
        f"{word}{draw.randint(1, 99)}@example.{draw.choice(('com', 'org', 'net'))}",
        f"{word[0]}@{draw.choice(_PLAIN)[0]}.{draw.choice(('com', 'org', 'de', 'io'))}",
        f"https://example.org/{word}",
        f"+{draw.randint(1, 49)}{draw.randrange(10**9)}",
        str(uuid.UUID(int=draw.getrandbits(128))),
        f"20{draw.randint(10, 29)}-{draw.randint(1, 12):02}-{draw.randint(1, 28):02}",
        f"{draw.getrandbits(64):016x}",
    )
    return draw.choice(forms)


def _field(draw: random.Random) -> object:
    number = draw.random()
    if number < 0.15:
        return draw.randrange(10 ** draw.randint(1, 7))
    if number < 0.22:
        return draw.choice((True, False, None))
    return [_value(draw) for _ in range(draw.randint(1, 3))] if number < 0.3 else _value(draw)


def _json(draw: random.Random) -> str:
    names = draw.sample(_MEMBERS, draw.choice((1, 1, 1, 2, 2, 3, 5)))
    made: object = {name: _field(draw) for name in names}
    if draw.random() < 0.25:
        made = {draw.choice(_MEMBERS): made}
    if draw.random() < 0.1:
        made = [made]
    return json.dumps(made, separators=draw.choice(((", ", ": "), (",", ":"))))


def _fields(draw: random.Random) -> str:
    sign = draw.choice((": ", "=", " = ", " -> ", "\t"))
    glue = draw.choice(("\n", "; ", ", ", "&", " | "))
    return glue.join(name + sign + _value(draw) for name in draw.sample(_MEMBERS, draw.choice((2, 3, 5))))


def _call(draw: random.Random) -> str:
    names = draw.sample(_MEMBERS, draw.choice((1, 2, 3)))
    inner = ", ".join(f"{name}={_value(draw)!r}" for name in names)
    return f"{draw.choice(_VERBS)}_{draw.choice(_MEMBERS)}({inner})"


def _short(draw: random.Random) -> str:
    words = draw.choices(_PLAIN, k=draw.randint(4, 9))
    start = draw.choice(
        ("", "", "Note: ", "PS ", "Re: ", "Our ", "We ", "My ", "ok ", "Hello, ", "test: ", "Dear all, ")
    )
    return start + " ".join(words) + draw.choice((".", "?", "!", "", " ..."))


def _named_numbers(draw: random.Random) -> str:
    lines = (files("classifiers.training") / "tagger_numbers.txt").read_text("utf-8").splitlines()
    forms = [line for line in lines if not _SECRET.search(line)]

    def put(hole: re.Match[str]) -> str:
        return "".join(draw.choices("0123456789" if hole.group(1) == "9" else "0123456789abcdef", k=int(hole.group(2))))

    return _HOLE.sub(put, draw.choice((" ", "\n", "; ")).join(draw.choices(forms, k=draw.choice((1, 1, 2)))))


_MAKERS: dict[str, Callable[[random.Random], str]] = {
    "numbers": _numbers,
    "phones": _phones,
    "digests": _digests,
    "ids": _ids,
    "encoded": _encoded,
    "addresses": _addresses,
    "repeated": _repeated,
    "lorem": _lorem,
    "salad": _salad,
    "letters": _letters,
    "scripts": _scripts,
    "log": _log,
    "table": _table,
    "json": _json,
    "fields": _fields,
    "call": _call,
    "short": _short,
    "named_numbers": _named_numbers,
}
