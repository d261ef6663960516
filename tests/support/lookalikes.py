"""Harmless texts that look like identifiers: hashes, versions, order numbers, dates, sums, code. Seeded, all different.

lookalikes(200, seed=1)     (kind, text) pairs, the kinds in turn
"""

from __future__ import annotations

import random
import string
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from stdnum import ean, isbn

_HEX = "0123456789abcdef"
_BASE = datetime(2015, 1, 1, tzinfo=UTC)
_NOUNS = ("parser", "invoice", "cache", "widget", "report", "index", "session", "router", "queue", "ledger")


def _digits(length: int, chance: random.Random) -> str:
    return chance.choice("123456789") + "".join(chance.choices(string.digits, k=length - 1))


def _hex(length: int, chance: random.Random) -> str:
    return "".join(chance.choices(_HEX, k=length))


def _upper(length: int, chance: random.Random) -> str:
    return "".join(chance.choices(string.ascii_uppercase, k=length))


def _time(chance: random.Random) -> datetime:
    return _BASE + timedelta(seconds=chance.randrange(400_000_000))


def _isbn(chance: random.Random) -> str:
    body = "978" + _digits(9, chance)
    return isbn.format(body + ean.calc_check_digit(body))


def _uuid(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))


def _code(chance: random.Random) -> str:
    noun, other = chance.sample(_NOUNS, 2)
    return chance.choice(
        (
            (
                f"def {noun}_{other}(self, password: str, token: str | None = None) -> bool:\n    return "
                f"check(password, token)"
            ),
            f"const {noun} = await fetch(url, {{ headers: {{ Authorization: `Bearer ${{token}}` }} }});",
            f"password = getpass('Password for {noun}: ')\nclient.login(user, password=password)",
            f"secret = os.environ['{noun.upper()}_SECRET']",
            f"SELECT password_hash FROM users WHERE {noun}_id = $1 AND token IS NOT NULL;",
            f"if (request.password !== request.passwordConfirmation) throw new Error('{noun}');",
            f"for i in range(1000000): {noun}[i::2] = {other}[::-1]",
            f"tokens = tokenizer.encode({noun}, max_tokens=4096)",
            f"export const {noun}Key = '{other}-key'; // the cache key",
            (
                f"env:\n  - name: API_KEY\n    valueFrom:\n      secretKeyRef:\n        name: "
                f"{noun}-secret\n        key: api-key"
            ),
            f"y = {noun}.weights @ {other}.transpose()",
            f"std::vector<{noun}::{other}> items; return items.size() == 0x7fffffff;",
        )
    )


def _sum(chance: random.Random) -> str:
    left, right = chance.randrange(10**6, 10**10), chance.randrange(10**6, 10**10)
    return chance.choice(
        (
            f"What is {left} + {right}?",
            f"Compute {left} * {right} - {chance.randrange(1000)}.",
            (
                f"({chance.randrange(1000)} - {chance.randrange(1000)})({chance.randrange(1000)} + "
                f"{chance.randrange(1000)}) = ?"
            ),
            f"Find the {chance.randrange(100)}th digit of 0.{_digits(20, chance)}.",
            (
                f"The numbers are {chance.randrange(99)}, {chance.randrange(99)}, {chance.randrange(999)} "
                f"and {chance.randrange(9999)}."
            ),
            f"{left // 1000:,} people live there, {right // 1000:,} in all.",
        )
    )


def _prose(chance: random.Random) -> str:
    noun = chance.choice(_NOUNS)
    return chance.choice(
        (
            f"I forgot my password for the {noun}, how do I reset it?",
            f"The password must have at least {chance.randrange(8, 20)} characters and one of them a digit.",
            f"Your password has expired; choose a new one for the {noun} by {_time(chance):%B %d}.",
            f"Das Passwort ist abgelaufen, ich kann den {noun} nicht öffnen ({_digits(5, chance)}).",
            f"J'ai oublié mon mot de passe pour le {noun}, ticket {_digits(6, chance)}.",
            f"La contraseña es incorrecta desde la versión {chance.randrange(20)}.{chance.randrange(20)}.",
            f"The key to a good {noun} is patience; the secret of {noun} number {chance.randrange(100)} is none.",
            (
                f"Chapter {chance.randrange(40)}, section {chance.randrange(9)}.{chance.randrange(9)}: the "
                f"{noun} token is a sign."
            ),
            (
                f"In {_time(chance):%Y} the {noun} cost $ {chance.randrange(10**6):,}.00, up "
                f"{chance.randrange(99)}.{chance.randrange(99):02d} %."
            ),
            f"Follow @{noun}{chance.randrange(999)} and #{noun} for more.",
        )
    )


KINDS: dict[str, Callable[[random.Random], str]] = {
    "uuid": lambda chance: f"The job {_uuid(chance)} failed.",
    "sha1": lambda chance: f"Revert commit {_hex(40, chance)} please.",
    "sha256": lambda chance: f"sha256:{_hex(64, chance)}",
    "short-hash": lambda chance: f"git cherry-pick {_hex(8, chance)}",
    "version": lambda chance: (
        f"Upgrade to version {chance.randrange(9)}.{chance.randrange(30)}.{chance.randrange(99)}.{chance.randrange(99)}"
    ),
    "package": lambda chance: f"pip install thing=={chance.randrange(9)}.{chance.randrange(30)}.{chance.randrange(99)}",
    "isbn": lambda chance: f"The book is ISBN {_isbn(chance)}.",
    "order": lambda chance: f"Where is order {_digits(10, chance)}?",
    "order-dashed": lambda chance: f"Order {_digits(3, chance)}-{_digits(7, chance)}-{_digits(7, chance)} is late.",
    "invoice": lambda chance: (
        f"Invoice INV-{_time(chance):%Y}-{_digits(6, chance)} over "
        f"{chance.randrange(10**5)}.{chance.randrange(99):02d} EUR"
    ),
    "tracking": lambda chance: (
        f"Tracking 1Z{_upper(3, chance)}{_digits(3, chance)}{_digits(10, chance)} says delivered."
    ),
    "timestamp": lambda chance: f"{_time(chance):%Y-%m-%dT%H:%M:%S}.{chance.randrange(999999):06d}+00:00 started",
    "epoch": lambda chance: f"at {int(_time(chance).timestamp())} and {int(_time(chance).timestamp() * 1000)} ms",
    "date": lambda chance: f"Between {_time(chance):%d.%m.%Y} and {_time(chance):%m/%d/%Y}.",
    "times": lambda chance: f"Open {_time(chance):%H:%M} to {_time(chance):%H:%M:%S}.",
    "coordinates": lambda chance: f"It is at {chance.uniform(-90, 90):.6f}, {chance.uniform(-180, 180):.6f}.",
    "colour": lambda chance: f"background: #{_hex(6, chance)}; color: #{_hex(8, chance)};",
    "part": lambda chance: (
        f"The part {_upper(2, chance)}-{_digits(4, chance)}-{_upper(1, chance)}{_digits(2, chance)} is out of stock."
    ),
    "ticket": lambda chance: f"See PROJ-{_digits(5, chance)} and #{_digits(4, chance)}.",
    "phone-like": lambda chance: f"error code {_digits(3, chance)}{_digits(4, chance)}, line {_digits(4, chance)}",
    "sum": _sum,
    "code": _code,
    "prose": _prose,
    "list": lambda chance: "Sort: " + ", ".join(str(chance.randrange(100_000)) for _ in range(12)),
    "matrix": lambda chance: "\n".join(" ".join(str(chance.randrange(10, 999)) for _ in range(6)) for _ in range(4)),
    "years": lambda chance: (
        f"{chance.randrange(1900, 2000)}-{chance.randrange(2000, 2030)}, {chance.randrange(1900, 2030)}"
    ),
    "model": lambda chance: (
        f"Which is better, the WH-{_digits(4, chance)}XM{chance.randrange(9)} or the RTX {_digits(4, chance)}?"
    ),
    "placeholder": lambda chance: f"{chance.choice(_NOUNS).upper()}_PASSWORD=<your password>  # {_digits(5, chance)}",
    "masked": lambda chance: f"card ending in {_digits(4, chance)}, password ********",
    "path": lambda chance: f"/srv/data/{_time(chance):%Y/%m/%d}/{_digits(6, chance)}/{chance.choice(_NOUNS)}.json",
    "url": lambda chance: (
        f"https://www.site{chance.randrange(99)}.org/{chance.choice(_NOUNS)}"
        f"?page={chance.randrange(99)}&id={_digits(8, chance)}"
    ),
    "scores": lambda chance: (
        f"They won {chance.randrange(9)}-{chance.randrange(9)}, "
        f"{chance.randrange(9)}-{chance.randrange(9)}, {_digits(3, chance)} points."
    ),
}


def lookalikes(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """`count` different texts, the kinds in turn."""
    chance = random.Random(f"lookalikes/{seed}")
    kinds = list(KINDS)
    made: dict[str, str] = {}
    for turn in range(20 * count):
        kind = kinds[turn % len(kinds)]
        made.setdefault(KINDS[kind](chance), kind)
        if len(made) == count:
            break
    return [(kind, text) for text, kind in made.items()]
