"""Tells a secret from what stands in its place: placeholders of manuals, expressions of code, words about secrets.

It judges a value by itself; it never sees what is around it, and what it does not know counts as a secret.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from classifiers.detectors.base import pattern

# A value made of nothing but these (and signs between them) is a manual's placeholder or a program's variable.
_PART = (
    "your|yours|my|the|new|old|current|own|this|that|example|sample|dummy|fake|some|any|insert|enter|put|type|here|goes|change|"
    "changeme|change me|replace|me|it|with|in|production|placeholder|redacted|removed|hidden|masked|secret|"
    "confidential|"
    "pass|passw|passwd|password|passphrase|passcode|pwd|pw|passwort|kennwort|contrase[ñn]a|clave|wachtwoord|mot|de|passe|"
    "senha|token|api|apikey|key|access|auth|bearer|jwt|client|private|public|signing|value|val|var|arg|input|field|hash|hashed|"
    "user|username|login|admin|account|db|database|mysql|postgres|redis|app|service|string|str|text|varchar|bool|boolean|"
    "number|int|integer|object|array|any|char|bytes|optional|required|nullable|null|nil|none|undefined|true|false|empty|todo|"
    "tbd|foo|bar|baz|qux|xyz|abc|test|testing|confirm|confirmation|repeat|reset|forgot|forgotten|update|plain|raw|random|"
    "generated|encrypted|base64|encoded|env|environment|file|path|name|id|ref|from|credentials?|creds"
)
_PLACEHOLDER = pattern(
    "(?i)^(?:"
    "[$%@&!]{0,2}[{<\\[].*"  # ${X}, <x>, {{ x }}, [x]
    "|\\$(?-i:[A-Z_][A-Z0-9_]*|[a-z_]+|\\d)|%\\w+%|%\\(.*"  # $X, %X%
    "|!vault.*|enc\\[.*|vault:.*|ref\\+.*|op://.*|arn:aws:.*"
    "|[*xX.•●_#?-]+"  # ********, xxxxxx
    f"|(?:(?:{_PART}|x{{2,}}|\\*{{2,}}|\\.{{2,}})[\\s_.:/*!-]{{0,3}})+"
    ").?$"
)
_INSIDE = pattern("\\*{3}|[xX]{5}|\\.{3}|[<{]|…|EXAMPLE(?:KEY)?$|(?i:your[_-]|-here$|_here$|^changeme)")
_EXPRESSION = pattern(
    "^(?:self|this|os|process|config|conf|cfg|settings|env|environ|req|request|args|argv|options|opts|props|params|form|body|"
    "ctx|context|secrets?|vault|state|vars?|local|module|std|System|app|current_app|input|payload|event|credentials|creds|"
    "cls|data|user|account|db|client|session|event|import|Rails|ENV|Deno|build|inputs|github|steps|values|Values|spec)"
    "(?:\\.|->|::|\\?\\.)[A-Za-z_]"
)
_CALL = pattern("^[A-Za-z_][\\w.:>-]*[(\\[]")
_VARIABLE = pattern("(?i)^(?:[a-z]+_)?(?:pass(?:w(?:or)?d)?|pwd|pw|secret|token|tok|key|str|val|arg|hash)_?\\d{1,2}$")
# What is written behind `password` when the talk is of methods, standards and rules.
_TECHNICAL = pattern(
    "(?i)^(?:sha-?\\d+\\S*|md5\\S*|pbkdf2\\S*|argon2\\S*|bcrypt\\S*|scrypt\\S*|oauth\\S*|base\\d\\d\\S*|utf-?\\d+|\\dfa|aes-?\\d+\\S*|"
    "[hre]s\\d{3}|ip?v\\d\\S*|http\\S*|\\d+(?:st|nd|rd|th)|\\d+[- ]?(?:char|digit|day|bit|min|hour|symbol|"
    "zeichen)\\S*|v?\\d+(?:\\.\\d+)*[a-z]?|"
    "(?:office|m|o)365|win(?:dows)?\\d+|python\\d\\S*|web2\\w+|k8s|s3|ec2|ldap\\d*|pkcs\\S*|x509|rfc\\S*|\\d+-\\d+|\\d+%|chapter\\d+|step\\d+|"
    "line\\d*|level\\d*|wpa\\d\\S*|user\\d+|test\\d{1,2}|[a-z]+/[a-z/]+)$"
)
_EMAIL_OR_URL = pattern(
    "(?i)^(?:[\\w.+-]+@[\\w-]+\\.[\\w.-]+|https?://\\S*|www\\.\\S*|/[\\w./-]*|\\./\\S*|[\\w-]+\\.(?:json|yaml|yml|txt|py|js|ts|env|pem|key|md|html?))$"
)
# Python's own engine: classes without alternatives to go back to, on values of at most a few hundred bytes.
_CHUNK = re.compile(rb"[A-Za-z0-9]{6,}")
_RUNS = re.compile(rb"[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_VOWELS = b"aeiouyAEIOUY"
_CLUSTER = re.compile(rb"[bcdfghjklmnpqrstvwxzBCDFGHJKLMNPQRSTVWXZ]{5}")

# What people say about a password with one word, other than the password.
_ABOUT_TEXT = """
    incorrect correct wrong right invalid valid required needed necessary expired expiring secure insecure
    unsecure weak strong hashed encrypted stored saved visible hidden shown displayed accepted rejected denied
    changed unchanged updated reset resetting missing empty blank blocked locked unlocked disabled enabled
    forgotten lost stolen compromised leaked exposed protected available unavailable unknown known different
    similar identical optional mandatory important sensitive private public working stuck broken failing failed
    entered typed case-sensitive obvious guessable simple complex unique shared same default temporary permanent
    active inactive confirmed verified checked generated created deleted removed asked something anything
    nothing everything already always never still actually really simply just also only maybe probably
    please thanks there their where which what when that this because correctly incorrectly below above follows
    following between minimum maximum length characters letters numbers symbols written given provided sent shown
    falsch richtig korrekt ungültig gültig abgelaufen vergessen gesperrt verloren nicht erforderlich notwendig unsicher
    sicher schwach geändert gespeichert bekannt unbekannt leer gleich verschlüsselt zurücksetzen ändern
    incorrecte correcte expiré expirée oublié oubliée invalide valide requis requise bloqué bloquée faible perdu erroné
    obligatoire nécessaire changé identique oublie inconnu
    incorrecta correcta incorrecto correcto caducada caducado olvidada olvidado inválida válida requerida requerido
    bloqueada débil perdida necesaria obligatoria cambiada segura insegura desconocida
    errata sbagliata corretta scaduta dimenticata richiesta necessaria obbligatoria bloccata debole persa cambiata
    sicura insicura sconosciuta valida smarrita
    verkeerd onjuist correct verlopen vergeten ongeldig geldig vereist verplicht geblokkeerd zwak kwijt gewijzigd
    veilig onveilig onbekend nodig
"""
_ABOUT = frozenset(word.encode("utf-8") for word in _ABOUT_TEXT.split())


def is_placeholder(value: bytes) -> bool:
    """Whether a manual's author wrote it so that the reader puts the real thing in its place."""
    return bool(_PLACEHOLDER.search(value) or _INSIDE.search(value))


def is_expression(value: bytes, following: bytes) -> bool:
    """Whether it is code that yields the secret: a call, an index, a member of a known object, a variable."""
    return following in (b"(", b"[") or bool(
        _EXPRESSION.search(value) or _VARIABLE.search(value) or _CALL.search(value)
    )


def is_about(word: bytes) -> bool:
    """Whether it is a word that people say about secrets."""
    lowered = word.decode("utf-8", "replace").lower().encode("utf-8")
    return lowered in _ABOUT or lowered.endswith((b"ed", b"ing", b"able", b"ible", b"ly"))


def is_technical(value: bytes) -> bool:
    """Whether it names a method, a version, an address or a file."""
    return bool(_TECHNICAL.search(value) or _EMAIL_OR_URL.search(value))


def is_random(value: bytes) -> bool:
    """Whether a machine made it: digits and letters (or cases) alternate, and few stretches could be words."""
    for chunk in _CHUNK.findall(value):
        runs = _RUNS.findall(chunk)
        words = sum(len(run) for run in runs if _is_word(run)) / len(chunk)
        borders = sum(left.isdigit() != right.isdigit() for left, right in pairwise(runs))
        if (borders >= 3 or (borders == 2 and len(chunk) >= 12)) and words < 0.6:
            return True
        if len(chunk) >= 16 and words < 0.45 and len(runs) >= 4:
            return True
    return _is_mixed(value)


def _is_word(run: bytes) -> bool:
    """Whether letters could be a word: vowels among them, and not too many consonants in a row."""
    if len(run) < (3 if 65 <= run[0] <= 90 else 4):
        return False
    return 0.2 <= sum(byte in _VOWELS for byte in run) / len(run) <= 0.75 and not _CLUSTER.search(run)


def _is_mixed(value: bytes) -> bool:
    """Letters, digits and two different signs that no identifier or path holds."""
    signs = {byte for byte in value if byte in b"!#$%^&*+=~?@("}
    return len(signs) >= 2 and any(48 <= byte <= 57 for byte in value) and value.lower() != value.upper()


def shape(value: bytes) -> tuple[bool, bool, bool]:
    """Whether it holds letters, digits, and signs that words do not hold."""
    text: Any = value.decode("utf-8", "replace")
    return (
        any(character.isalpha() for character in text),
        any(character.isdigit() for character in text),
        any(not character.isalnum() for character in text),
    )
