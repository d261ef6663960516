"""Tokens and keys in assignments, headers, cookies and addresses: values that a machine made. Never a mere word."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from classifiers.detectors.base import Piece, pattern
from classifiers.detectors.entropy import entropy
from classifiers.detectors.placeholders import is_expression, is_placeholder, is_random
from classifiers.types import Match

_URL = pattern("(?i)\\b[a-z][a-z0-9+.-]{1,20}://[^\\s:@/'\"<>\\x00]{0,64}:([^\\s@/'\"<>\\x00]{1,128})@[^\\s/@\\x00]")
_HEADER = pattern(
    "(?i)\\bauthorization\\\\?[\"']?\\s{0,3}[:=]\\s{0,3}\\\\?[\"'`]?(?:(?:bearer|basic|token|apikey|digest|key)[\\s:=]{1,3})?"
    "([a-z0-9._~+/=-]{8,1000})"
)
_BEARER = pattern("(?i)\\bbearer\\s{1,3}([a-z0-9._~+/-]{16,1000}=*)")
_NAMED = pattern(
    "(?i)(?:secret|token|credential|(?:api|access|private|signing|encryption|account|master|storage|service|shared|auth|license|"
    "subscription|session|web)[_ -]?key|x-[a-z-]{0,20}key|[?&](?:sig|signature|x-amz-signature|"
    "x-amz-security-token)\\b)"
    "[\\w.-]{0,24}?(?:\\\\?[\"'`\\])]){0,2}"
    "(?:\\s{0,3}(?:=>|:=|->|=|:|,|：)\\s{0,3}|\\s{1,3}(?:is|ist|es|est|è|was|lautet)\\s{1,3}|>|[ ]|"
    "\\([bru]{0,2}[\"'`]|[\"']\\s{1,3}value=)"
    "(?:[bru]{0,2}\\\\?[\"'`])?([^\\s\"'`,;<>{}\\[\\]\\x00\\\\]{8,512})"
)
_SESSION = pattern(
    "(?i)\\b(?:sess(?:ion)?[_.-]?(?:id|key)?|phpsessid|jsessionid|asp\\.net_sessionid|connect\\.sid|[a-z]{0,12}sid|remember_?\\w*|"
    "[a-z_-]{0,12}csrf\\w*|xsrf-token|auth\\w*)[\"']?\\s{0,2}[:=]\\s{0,2}[\"']?([a-z0-9._~%+/=-]{16,512})"
)
_TELEGRAM = pattern("\\b\\d{8,10}:[A-Za-z0-9_-]{35}\\b")
# Prefixes by which services mark their keys, beside those of the rules in `secrets`.
_PREFIXES = (
    "sk|rk|pk|ak|gsk|xai|nvapi|r8|tvly|pplx|whsec|sbp|sb_secret|fw|fc|jina|voyage|pa|tgp|cog|e2b|lsv2_pt|lsv2_sk|dckr_pat|"
    "rnd|re|phx|phc|pcsk|up|ory_at|ory_st|sntrys|figd|secret|key|ghu|ghr|glrt|gldt|api|tok|token"
)
_PREFIXED = pattern(f"\\b(?:{_PREFIXES})[-_](?:[a-z0-9]{{2,12}}[-_]){{0,3}}[A-Za-z0-9_-]{{20,200}}\\b")


class TokenDetector:
    """SECRET: what proves who somebody's program is."""

    name = "tokens"
    entities = frozenset({"SECRET"})
    triggers = (
        "://[^\\s/@]*@",
        "(?i)authorization",
        "(?i)\\bbearer\\s",
        "(?i)(?:secret|token|credential|[_ -]key|apikey|[a-z]Key|[?&](?:sig|signature|x-amz-s)\\w*=)",
        "(?i)(?:sess(?:ion)?[_.-]?(?:id|key)?|sid|remember_\\w+|csrf\\w*|xsrf-token|auth)[\"']?[:=]",
        "\\d:[A-Za-z0-9_-]{8}",
        f"\\b(?:{_PREFIXES})[-_][A-Za-z0-9]{{3}}",
    )

    def detect(self, piece: Piece, hits: Sequence[int]) -> list[Match]:
        """Spans of the values, without their names."""
        spans: list[tuple[int, int]] = []
        if 0 in hits:
            spans += [hit.span(1) for hit in piece.find(_URL) if not is_placeholder(_of(piece, hit.span(1)))]
        if 1 in hits:
            spans += [hit.span(1) for hit in piece.find(_HEADER) if _is_header(_of(piece, hit.span(1)))]
        if 2 in hits:
            spans += [hit.span(1) for hit in piece.find(_BEARER) if _is_key(_of(piece, hit.span(1)), 3.0)]
        if 3 in hits:
            spans += self._named(piece)
        if 4 in hits:
            spans += [hit.span(1) for hit in piece.find(_SESSION) if _is_session(_of(piece, hit.span(1)))]
        if 5 in hits:
            spans += [hit.span() for hit in piece.find(_TELEGRAM) if is_random(_of(piece, hit.span()))]
        if 6 in hits:
            spans += [hit.span() for hit in piece.find(_PREFIXED) if is_random(_of(piece, hit.span()).split(b"_")[-1])]
        return [Match("SECRET", start, end, 0.9) for start, end in spans]

    def _named(self, piece: Piece) -> list[tuple[int, int]]:
        found = []
        for hit in piece.find(_NAMED):
            start, end = hit.span(1)
            while end > start and piece.data[end - 1] in b".:)":
                end -= 1
            value = piece.data[start:end]
            quoted = piece.data[start - 1 : start] in (b'"', b"'", b"`")
            if (quoted or not is_expression(value, piece.data[end : end + 1])) and _is_made(value):
                found.append((start, end))
        return found


def _of(piece: Piece, span: tuple[int, int]) -> bytes:
    return piece.data[span[0] : span[1]]


def _is_made(value: bytes) -> bool:
    if len(value) < 8 or entropy(value) < 2.5 or is_placeholder(value):
        return False
    return is_random(value) or _is_run(value)


def _is_run(value: bytes) -> bool:
    """One long run of digits and letters of one case, as no word or name has."""
    digits = sum(48 <= byte <= 57 for byte in value)
    return len(value) >= 20 and value.isalnum() and digits >= 2 and value in (value.lower(), value.upper())


def _is_session(value: bytes) -> bool:
    """A made value; or, since its name says what it is, a long run of letters with a digit."""
    digits = sum(48 <= byte <= 57 for byte in value)
    return _is_made(value) or (digits > 0 and len(value) >= 20 and value.isalnum() and entropy(value) >= 3.0)


def _is_header(value: bytes) -> bool:
    """A key, or a pair of name and password in base64."""
    if _is_key(value, 2.5):
        return True
    try:
        pair = base64.b64decode(value + b"=" * (-len(value) % 4), validate=True).decode("utf-8")
    except ValueError:
        return False
    name, _, password = pair.partition(":")
    return bool(name) and len(password) >= 4 and pair.isprintable() and not is_placeholder(password.encode("utf-8"))


def _is_key(value: bytes, floor: float) -> bool:
    """Letters and digits mixed, or letters of both cases; random enough; no placeholder."""
    has_digit = any(48 <= byte <= 57 for byte in value)
    mixed = value.lower() != value.upper() if has_digit else value not in (value.lower(), value.upper())
    return mixed and entropy(value) >= floor and not is_placeholder(value) and (has_digit or is_random(value))
