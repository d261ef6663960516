"""Passwords, pass phrases and PINs in prose, assignments, commands and code. Never a placeholder or talk about one.

A name (`password`, `Passwort`, …) is looked for; behind it, in the same sentence, a link (`is`, `:`, `=`, `(`, `>`)
with a value that could be one. A value without a link must look like a password by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from classifiers.detectors.base import Piece, pattern
from classifiers.detectors.placeholders import (
    is_about,
    is_expression,
    is_placeholder,
    is_random,
    is_technical,
    shape,
)
from classifiers.types import Match

_WORDS = (
    "passw(?:or)?d|passphrase|passcode|pwd|passwort|kennwort|contrase[ñn]a|mot de passe|wachtwoord|parola|senha|"
    "palavra-passe|has[łl]o|heslo|l[öo]senord|passord|adgangskode|salasana|[şs]ifre|jelsz[óo]|парол[ьяюе]|"
    "\\bmdp\\b|密码|密碼|パスワード|비밀번호"
)
_SHORT = "\\b(?:db_?)?pass|_pass|\\bpw"  # names only in front of a sign
_GUARDED = (  # words that are as often about doors, rules and keys: what follows must look like a password by itself
    "\\bclave(?: de acceso| secreta| (?:del? |de la )?wi-?fi)?|access code|zugangscode|zugangsdaten|code d.acc[èe]s|"
    "c[óo]digo de acceso|codice (?:di accesso|segreto)|toegangscode|chiave (?:di rete|wi-?fi)|wi-?fi[ -](?:key|code)|"
    "wlan-?(?:schl[üu]ssel|code)|identified by|credentials?|login"
)
_NAME = pattern(f"(?i)(?P<plain>{_WORDS})|(?P<short>{_SHORT})|(?P<guarded>{_GUARDED})")
# What may stand between a name and a link: the rest of an identifier or the words of one sentence, or closing signs.
_BETWEEN = pattern(
    "(?i)^(?:"
    "[\\w-]{0,24}(?:[\"'`\\])\\\\]{0,4}\\s{0,3}|[ \\x{a0}](?:[^\\x00\\n.;:=?!\"'`<>{}()]|\\.\\w|'\\w){0,48})"
    "|[\\w-]{0,24}[\"']\\s{1,3}value"
    "|[\\w-]{0,24}[\"']?\\s{0,3}[{]\\s{0,3}(?:default|value)\\s{0,3}"
    "|[\\w-]{0,24}[\"']?\\s{0,2}\\n\\s{0,12}value"
    "|[\\w-]{0,24}[\"']?\\s{0,3}:\\s{0,3}(?:str|string|String|Optional\\[str\\]|const char ?\\*)\\s{0,3}"
    ")$"
)
_LINK = pattern(
    "(?i)(?P<verb>['’]s[\\s\\x{a0}]{1,2}|[\\s\\x{a0}]c['’]est[\\s\\x{a0}]{1,2}|[\\s\\x{a0}](?:is|was|are|ist|war|lautet|es|era|est|[ée]tait|è|e'|é)[\\s\\x{a0}]{1,2}"
    "(?:now |currently |still |jetzt |nun |maintenant |ahora |adesso |nu )?[:=]?[\\s\\x{a0}]{0,3})"
    "|(?P<change>[\\s\\x{a0}](?:to|auf|naar|en|à|in|a|as|als|comme|como|come)[\\s\\x{a0}]{1,2})"
    "|(?P<sign>[\\s\\x{a0}]{0,3}(?::=|=>|->|→|[:=]=?|：)[\\s\\x{a0}]{0,12})"
    "|(?P<call>\\(\\s{0,3}(?:[bru]{0,2}))"
    "|(?P<tag>>)"
)
_DIRECT = pattern('^(?:"?,?[\\s\\x{a0}]{1,3}"?)')
_VALUE = pattern("^(?:\\\\?[\"'`]|[“«‘„‹][\\s\\x{a0}]?)?([^\\s\\x{a0}\"'`“”«»‘’„<>\\x00]{1,160})")
_CUT = pattern("\\\\[\"'nrt]|[&;] ?[A-Za-z_. -]{2,40}=")
_QUOTES = b"\"'`"
_REACH = 72  # bytes behind a name in which its value begins
_TRIGGER = f"(?i)(?:{_WORDS})"
_ASSIGNED = "(?i)(?:\\bpass|_pass|\\bpw)[\"']?\\s?[:=]"
_PIN = pattern(
    "(?i)\\b(?:pin|geheimzahl)\\b(?:[- ]?(?:code|number|nummer|nr))?[\"']?(?: (?:is|was|ist|lautet|es|est|è)|"
    "\\s?[:=])\\s{0,3}[\"'`]?(\\d{4,8})\\b"
)
_CVV = pattern(
    "(?i)\\b(?:cvv2?|cvc2?|cid|security code|sicherheitscode|cryptogramme|"
    "pr[üu]fnummer)\\b[^\\x00\\d]{0,16}\\b(\\d{3,4})\\b"
)
_USER = pattern(
    "(?:\\s-u|--user|--proxy-user|--userpwd)[ =][\"']?[\\w.@+\\\\-]{1,64}:([^\\s\"'\\x00]{3,128})"
    "|\\bsshpass\\s+-p\\s?[\"']?([^\\s\"'\\x00]{3,128})"
    "|\\bmysql(?:dump|admin)?\\s[^\\n\\x00]{0,80}?\\s-p([^\\s\"'\\x00-]{4,128})"
    "|\\bredis-cli\\s[^\\n\\x00]{0,80}?\\s-a\\s[\"']?([^\\s\"'\\x00]{4,128})"
)
_PHRASE = pattern(
    "(?i)\\b(?:(?:seed|recovery|wallet|backup|secret) ?(?:phrase|words)|mnemonic)\\b[^\\x00\\n]{0,40}?(?::|=|"
    "\\bis\\b)[\\s\"'`]{1,3}"
    "((?:[a-z]{3,8}[ ,]{1,2}){11,23}[a-z]{3,8})\\b"
)


class PasswordDetector:
    """SECRET: passwords and PINs."""

    name = "passwords"
    entities = frozenset({"SECRET"})
    triggers = (
        _TRIGGER,
        _ASSIGNED,
        f"(?i)(?:{_GUARDED})",
        "(?i)\\b(?:pin|geheimzahl)\\b",
        "(?i)\\b(?:cvv|cvc|security code|sicherheitscode|cryptogramme|pr[üu]fnummer)",
        "(?:\\s-u|--user|--proxy-user|--userpwd)[ =]\\S|\\bsshpass\\s|\\bmysql\\w*\\s|redis-cli",
        "(?i)(?:seed|recovery|wallet|backup|secret) ?(?:phrase|words)|mnemonic",
    )

    def detect(self, piece: Piece, hits: Sequence[int]) -> list[Match]:
        """Spans of the values, without their names."""
        spans: list[tuple[int, int]] = []
        if hits and min(hits) <= 2:
            spans += self._named(piece)
        if 3 in hits:
            spans += [hit.span(1) for hit in piece.find(_PIN)]
        if 4 in hits:
            spans += [hit.span(1) for hit in piece.find(_CVV)]
        if 5 in hits:
            spans += self._in_commands(piece)
        if 6 in hits:
            spans += [hit.span(1) for hit in piece.find(_PHRASE)]
        return [Match("SECRET", start, end, 0.9) for start, end in spans]

    def _named(self, piece: Piece) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        names = list(piece.find(_NAME))
        plain = [name.start() for name in names if name.group("guarded") is None]
        for name in names:
            while plain and plain[0] <= name.start():
                plain.pop(0)
            stop = plain[0] if plain else len(piece.data)
            if found and name.start() < found[-1][1]:
                continue
            span = _behind(piece, name, stop)
            if span is not None:
                found.append(span)
        return found

    def _in_commands(self, piece: Piece) -> list[tuple[int, int]]:
        found = []
        for hit in piece.find(_USER):
            start, end = next(span for n in range(1, 5) if (span := hit.span(n)) != (-1, -1))
            value = piece.data[start:end]
            if not value.isdigit() and not is_placeholder(value) and not is_expression(value, b""):
                found.append((start, end))
        return found


def _behind(piece: Piece, name: Any, stop: int) -> tuple[int, int] | None:
    """The first value behind a name that could be its own: what links it stands in front of the next name."""
    data, at, guarded = piece.data, name.end(), name.group("guarded") is not None
    window = data[at : min(at + _REACH, max(stop, at + 4))].partition(b"\x00")[0]
    if not guarded and name.group("short") is None and (direct := _DIRECT.search(window)):
        span = _value(data, at + direct.end(), "direct")
        if span is not None:
            return span
    for kind, start, end in _links(window):
        if (guarded or name.group("short") is not None) and kind != "sign" and not (guarded and kind == "verb"):
            continue
        if not _BETWEEN.search(window[:start]):
            continue
        span = _value(data, at + end, kind)
        if span is not None and (not guarded or _is_strong(data[span[0] : span[1]])):
            return span
    if guarded and (direct := _DIRECT.search(window)):
        return _value(data, at + direct.end(), "direct")
    return None


def _links(window: bytes) -> Iterator[tuple[str, int, int]]:
    at = 0
    while (hit := _LINK.search(window, at)) is not None:
        kind = next(kind for kind in ("verb", "change", "sign", "call", "tag") if hit.group(kind) is not None)
        yield kind, hit.start(), hit.end()
        at = max(hit.end() - 1, hit.start() + 1)  # the blank behind one link may begin the next


def _value(data: bytes, at: int, kind: str) -> tuple[int, int] | None:
    """Where the value that begins here begins and ends, if it could be a password behind that kind of link."""
    hit = _VALUE.search(data[at : at + 240])
    if hit is None:
        return None
    start, end = at + hit.start(1), at + hit.end(1)
    cut = _CUT.search(data[start:end])
    if cut is not None:
        end = start + cut.start()
    opener = data[start - 1 : start] if hit.start(1) else b""
    quoted = opener in (b'"', b"'", b"`") and data[end : end + 1] in (opener, b"\\")
    while end > start and data[end - 1] in b".,;:)]}" and not quoted:
        end -= 1
    value, following = data[start:end], data[end : end + 1]
    if len(value) < 4 or is_placeholder(value.rstrip(b"!?")):
        return None
    if not quoted and is_expression(value, following):
        return None
    if kind == "call" and not quoted:
        return None
    return (start, end) if _could_be(value, kind, quoted, data[end : end + 2]) else None


def _could_be(value: bytes, kind: str, quoted: bool, behind: bytes) -> bool:
    word = value.rstrip(b"!?")
    letters, digits, signs = shape(word)
    if is_technical(word):
        return False
    if kind in ("direct", "change", "tag"):
        return _is_strong(value) or (quoted and letters and digits)
    if digits:
        return letters or len(word) >= 6 or signs
    if signs:
        return len(word) >= 6 and _is_sign_in_word(word, kind, quoted)
    if len(word) < 6 or not word.isalpha() or is_about(word):
        return False
    if quoted:
        return True
    ended = not behind.strip() or behind.strip()[:1] in b".,;!\n\x00"
    return ended and not behind.startswith(b" ")


def _is_sign_in_word(word: bytes, kind: str, quoted: bool) -> bool:
    """Whether letters with signs are a password and no identifier, list or sum."""
    if any(byte in b"!@#$%^&*~" for byte in word):
        return True
    return (quoted or kind == "verb") and any(byte in b"_-+=" for byte in word) and not is_about(word)


def _is_strong(value: bytes) -> bool:
    """Whether it looks like a password by itself: letters with two digits and more, or with a digit and a sign."""
    letters, digits, signs = shape(value)
    count = sum(48 <= byte <= 57 for byte in value)
    if not letters or not digits or len(value) < 6 or is_technical(value):
        return False
    return count >= 2 or (signs and any(byte in b"!@#$%^&*+=~?" for byte in value)) or is_random(value)
