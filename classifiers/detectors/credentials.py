"""Passwords and keys in prose, assignments, addresses and headers; private keys. Never a placeholder or a mere word."""

from __future__ import annotations

from collections.abc import Sequence

from classifiers.detectors.base import Piece, pattern
from classifiers.detectors.secrets import entropy
from classifiers.types import Match

_NAMES = (
    "passw(?:or)?d|passphrase|passcode|pwd|passwort|kennwort|contrase[ñn]a|mot de passe|wachtwoord|parola d.ordine"
    "|senha"
)
_PROSE = pattern(
    f"(?i)\\b(?:{_NAMES})\\b(?:[^\\x00\\n.:=\"'`]{{0,40}}?)\\s{{0,3}}(?:\\bis\\b|\\bwas\\b|\\bare\\b|\\bist\\b|\\bes\\b|\\best\\b|\\bè\\b|:|=|->)"
    "\\s{0,3}[\"'`“«‘]?([^\\s\"'`“”«»‘’<>\\x00]{4,128})"
)
_PIN = pattern("(?i)\\bpin(?: code| number)?(?: is|:|=| was)\\s{0,3}[\"'`]?(\\d{4,8})\\b")
_URL = pattern("(?i)\\b[a-z][a-z0-9+.-]{1,20}://[^\\s:@/'\"<>\\x00]{0,64}:([^\\s@/'\"<>\\x00]{1,128})@[^\\s/@\\x00]")
_HEADER = pattern(
    "(?i)\\bauthorization[\"']?\\s{0,3}[:=]\\s{0,3}[\"']?(?:(?:bearer|basic|token|apikey|digest)\\s{1,3})?([a-z0-9._~+/=-]{8,1000})"
)
_BEARER = pattern("(?i)\\bbearer\\s{1,3}([a-z0-9._~+/-]{16,1000}=*)")
_BLOCK = pattern("-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_ASSIGNED = pattern(
    "(?i)(?:secret|token|passw(?:or)?d|passphrase|pwd|api[_-]?key|access[_-]?key|private[_-]?key|signing[_-]?key|encryption[_-]?key"
    "|credential)[\\w.-]{0,20}[\"'`\\]]{0,2}\\s{0,3}(?:=>|:=|=|:)\\s{0,3}[\"'`]?([^\\s\"'`,;<>{}()\\[\\]\\x00]{8,256})"
)
_PLACEHOLDER = pattern(
    "(?i)^[$%{<\\[]|^(?:x+|\\*+|\\.+|-+|#+)$|\\*{3}|x{5}|\\.{3}|your|example|changeme|placeholder|redacted|dummy|sample|insert|<|"
    "environ|getenv|^env[.\\[]|process\\.|config\\.|settings\\.|secrets?\\.|vault:|^(?:null|none|true|false|undefined|string|"
    "pass|passwd|password|secret|token|pw)$"
)
# What people say about a password with one word, other than the password.
_ABOUT = frozenset(
    b"""
    incorrect correct wrong right invalid valid required needed necessary expired expiring secure insecure
    unsecure weak strong hashed encrypted stored saved visible hidden shown displayed accepted rejected denied
    changed unchanged updated reset resetting missing empty blank blocked locked unlocked disabled enabled
    forgotten lost stolen compromised leaked exposed protected available unavailable unknown known different
    similar identical optional mandatory important sensitive private public working stuck broken failing failed
    entered typed case-sensitive obvious guessable simple complex unique shared same default temporary permanent
    active inactive confirmed verified checked generated created deleted removed asked something anything
    nothing everything already always never still still actually really simply just also only maybe probably
    please thanks there their where which what when that this because correctly incorrectly
    """.split()
)


class CredentialDetector:
    """SECRET: what protects something, in the forms that people and configuration files use."""

    name = "credentials"
    entities = frozenset({"SECRET"})
    triggers = (
        f"(?i)(?:{_NAMES})",
        "(?i)\\bpin\\b",
        "://[^\\s/@]{0,160}@",
        "(?i)authorization",
        "(?i)\\bbearer\\s",
        "-----BEGIN ",
        "(?i)(?:secret|token|credential|passphrase|[_ -]key|apikey|[a-z]Key)",
    )

    def detect(self, piece: Piece, hits: Sequence[int]) -> list[Match]:
        """Spans of the values, without their names."""
        spans: list[tuple[int, int]] = []
        if 0 in hits:
            spans += self._in_prose(piece)
        if 1 in hits:
            spans += [hit.span(1) for hit in piece.find(_PIN)]
        if 2 in hits:
            spans += [hit.span(1) for hit in piece.find(_URL) if not _is_placeholder(_value(piece, hit.span(1)))]
        if 3 in hits:
            spans += [hit.span(1) for hit in piece.find(_HEADER) if _is_key(_value(piece, hit.span(1)), 2.5)]
        if 4 in hits:
            spans += [hit.span(1) for hit in piece.find(_BEARER) if _is_key(_value(piece, hit.span(1)), 3.0)]
        if 5 in hits:
            spans += [(hit.start(), _end_of_block(piece, hit.end())) for hit in piece.find(_BLOCK)]
        if 6 in hits or 0 in hits:
            spans += [hit.span(1) for hit in piece.find(_ASSIGNED) if _is_key(_value(piece, hit.span(1)), 2.75)]
        return [Match("SECRET", start, end, 0.9) for start, end in spans]

    def _in_prose(self, piece: Piece) -> list[tuple[int, int]]:
        found = []
        for hit in piece.find(_PROSE):
            start, end = hit.span(1)
            while end > start and piece.data[end - 1] in b".,;!?)]}":
                end -= 1
            value = piece.data[start:end]
            if end - start >= 4 and not _is_placeholder(value) and _is_password(piece, start, end):
                found.append((start, end))
        return found


def _end_of_block(piece: Piece, start: int) -> int:
    """Where the key ends: behind its END line, or else with the piece or the string."""
    rest = piece.data[start : piece.stop].partition(b"\x00")[0]
    end = rest.find(b"-----END ")
    if end < 0:
        return start + len(rest.rstrip())
    close = rest.find(b"-----", end + 9)
    return start + (close + 5 if close >= 0 else len(rest))


def _value(piece: Piece, span: tuple[int, int]) -> bytes:
    return piece.data[span[0] : span[1]]


def _is_placeholder(value: bytes) -> bool:
    return bool(_PLACEHOLDER.search(value))


def _is_key(value: bytes, floor: float) -> bool:
    """Letters and digits mixed, random enough, and no placeholder or expression of code."""
    has_digit = any(48 <= byte <= 57 for byte in value)
    has_letter = value.lower() != value.upper()
    return has_digit and has_letter and not _is_placeholder(value) and entropy(value) >= floor


def _is_password(piece: Piece, start: int, end: int) -> bool:
    """Whether what follows `password is` is one: odd for a word, or a lone word that nobody says about a password."""
    value = piece.data[start:end]
    letters = bytes(byte for byte in value.lower() if 97 <= byte <= 122)
    if any(48 <= byte <= 57 for byte in value):
        return bool(letters) or len(value) >= 6 or any(byte in b"!@#$%^&*+=~?" for byte in value)
    if letters and len(value) >= 6 and any(byte in b"!@#$%^&*+=~_" for byte in value):
        return True
    quoted = piece.data[start - 1 : start] in (b'"', b"'", b"`") and piece.data[end : end + 1] in (b'"', b"'", b"`")
    if value.lower() in _ABOUT or len(value) < 6 or not value.isalpha():
        return False
    if quoted:
        return True
    closing = piece.data[end : end + 2].strip()
    ended = not closing or closing[:1] in b".,;!\n\x00"
    return (
        ended
        and piece.data[end : end + 1] != b" "
        and not value.lower().endswith((b"ed", b"ing", b"able", b"ible", b"ly"))
    )
