"""Makes secrets of many kinds, each in the text that carries it: keys of services, passwords, addresses, key blocks.

All are random and open nothing. `{}` in a carrier is where the secret stands.
"""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Callable

_LETTERS = string.ascii_letters
_MIXED = _LETTERS + string.digits
_LOWER = string.ascii_lowercase + string.digits
_UPPER = string.ascii_uppercase + string.digits
_URL = _MIXED + "-_"
_HEX = "0123456789abcdef"
_BASE64 = _MIXED + "+/"
_PLAIN = "Coffee Falcon Sommer Winter Dragon Purple Garden Lluvia Soleil Tulpe Nonna Fiets Otter Marble Rocket Harbor"
_WORDS = tuple(_PLAIN.split())

# Service keys that need no words around them: prefix, alphabet, length, ending.
_KEYS: dict[str, tuple[str, str, int, str]] = {
    "github-classic": ("ghp_", _MIXED, 36, ""),
    "github-oauth": ("gho_", _MIXED, 36, ""),
    "github-app": ("ghs_", _MIXED, 36, ""),
    "github-fine": ("github_pat_", _MIXED + "_", 82, ""),
    "gitlab": ("glpat-", _URL, 20, ""),
    "aws-key-id": ("AKIA", "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16, ""),
    "stripe": ("sk_live_", _MIXED, 24, ""),
    "stripe-restricted": ("rk_live_", _MIXED, 24, ""),
    "google-api": ("AIza", _URL, 35, ""),
    "sendgrid": ("SG.", _MIXED, 66, ""),
    "npm": ("npm_", _LOWER, 36, ""),
    "pypi": ("pypi-AgEIcHlwaS5vcmc", _URL, 80, ""),
    "openai-project": ("sk-proj-", _MIXED, 74, ""),
    "anthropic": ("sk-ant-api03-", _URL, 93, "AA"),
    "huggingface": ("hf_", _LETTERS.lower(), 34, ""),
    "digitalocean": ("dop_v1_", _HEX, 64, ""),
    "shopify": ("shpat_", _HEX, 32, ""),
    "twilio": ("SK", _HEX, 32, ""),
    "slack-app": ("xapp-1-A", _UPPER, 10, "-1234567890123-" + "0a1b2c3d4e5f" * 4),
    "linear": ("lin_api_", _LOWER, 40, ""),
    "postman": ("PMAK-", _HEX, 24, "-" + "0a1b2c3d4e5f60718293a4b5c6d7e8f901"),
    "databricks": ("dapi", _HEX, 32, ""),
    "age": ("AGE-SECRET-KEY-1", "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58, ""),
    "vault": ("hvs.", _URL, 95, ""),
    "grafana": ("glsa_", _MIXED, 32, "_0a1b2c3d"),
    "doppler": ("dp.pt.", _LOWER, 43, ""),
}
# A password in a sentence of its language.
PROSE: dict[str, tuple[str, ...]] = {
    "en": (
        "My password is {}",
        "the password for the wifi is {}",
        "Password: {}",
        "log in with user anna and password {}",
        "I set the new passphrase to {}",
        "pwd = {}",
    ),
    "de": (
        "Mein Passwort ist {}",
        "Das Passwort lautet {}",
        "Passwort: {}",
        "Das Kennwort für den Server ist {}",
        "Zugangsdaten: Benutzer anna, Passwort {}",
    ),
    "fr": (
        "Mon mot de passe est {}",
        "Mot de passe : {}",
        "le mot de passe du wifi est « {} »",
        "identifiant anna, mot de passe {}",
    ),
    "es": (
        "Mi contraseña es {}",
        "Contraseña: {}",
        "la contraseña del servidor es {}",
        "la clave de acceso es {}",
        "usuario anna y contraseña {}",
    ),
    "it": (
        "La mia password è {}",
        "la password è {}",
        "Password: {}",
        "la parola d'ordine è {}",
        "utente anna e password {}",
    ),
    "nl": (
        "Mijn wachtwoord is {}",
        "Wachtwoord: {}",
        "het wachtwoord van de server is {}",
        "gebruiker anna en wachtwoord {}",
    ),
}
# A password in configuration, commands and code.
_ASSIGNED: dict[str, str] = {
    "env": "DB_PASSWORD={}",
    "env-export": 'export PGPASSWORD="{}"',
    "yaml": "database:\n  user: app\n  password: {}\n  host: db",
    "yaml-quoted": "spring.datasource.password: '{}'",
    "json": '{{"user": "app", "password": "{}"}}',
    "json-escaped": '{{\\"user\\": \\"app\\", \\"password\\": \\"{}\\"}}',
    "flag": "mysqldump --user=app --password={} shop",
    "flag-blank": "docker login -u app --password {} registry.internal",
    "flag-p": "curl -u app:{} https://api.internal/v1/items",
    "sshpass": "sshpass -p '{}' ssh app@host",
    "python": 'conn = connect(host="db", user="app", password="{}")',
    "java": 'config.setPassword("{}");',
    "ini": "[client]\nuser = app\npassword = {}",
    "xml": "<password>{}</password>",
    "sql": "CREATE USER app IDENTIFIED BY '{}';",
    "netrc": "machine api.internal login app password {}",
    "properties": "spring.datasource.password={}",
    "terraform": 'variable "db_password" {{ default = "{}" }}',
    "ado-net": "Server=db;Database=shop;User Id=app;Password={};",
    "odbc": "Driver={{SQL Server}};Server=db;UID=app;PWD={};",
    "jdbc": "jdbc:postgresql://db/shop?user=app&password={}",
    "query": "https://api.internal/login?user=app&password={}",
}
_URLS: dict[str, str] = {
    "postgres": "postgres://app:{}@db.internal:5432/shop",
    "postgresql": "postgresql+asyncpg://app:{}@10.0.0.5/shop",
    "mysql": "mysql://root:{}@localhost/shop",
    "mongodb": "mongodb+srv://app:{}@cluster0.abcde.mongodb.net/?retryWrites=true",
    "redis": "redis://:{}@cache:6379/0",
    "amqp": "amqps://app:{}@mq.internal/vhost",
    "https": "https://deploy:{}@git.internal/team/repo.git",
    "ftp": "ftp://anna:{}@files.internal/",
}
_TOKENS: dict[str, tuple[str, str, int]] = {
    "bearer": ("Authorization: Bearer {}", _MIXED, 40),
    "bearer-json": ('"Authorization": "Bearer {}"', _URL, 48),
    "x-api-key": ("X-API-Key: {}", _MIXED, 32),
    "api-key": ("api_key = '{}'", _LOWER, 32),
    "api-key-hex": ("API_KEY={}", _HEX, 40),
    "client-secret": ("client_secret: {}", _MIXED, 32),
    "aws-secret": ("aws_secret_access_key = {}", _BASE64, 40),
    "session-cookie": ("Cookie: sessionid={}; theme=dark", _LOWER, 32),
    "set-cookie": ("Set-Cookie: session={}; Path=/; HttpOnly", _URL, 43),
    "php-session": ("PHPSESSID={}", _LOWER, 26),
    "access-token": ('{{"access_token": "{}", "expires_in": 3600}}', _URL, 64),
    "refresh-token": ("refresh_token={}", _URL, 48),
    "secret-key": ('SECRET_KEY = "{}"', _MIXED + "!#%^&*(-_=+)", 50),
    "azure-storage": ("DefaultEndpointsProtocol=https;AccountName=shop;AccountKey={}==", _BASE64, 86),
    "telegram": ("telegram bot token: 123456789:{}", _URL, 35),
}


def _random(alphabet: str, length: int, chance: random.Random) -> str:
    return "".join(chance.choices(alphabet, k=length))


def _mixed(alphabet: str, length: int, chance: random.Random) -> str:
    """Random, and with a digit and letters wherever the alphabet has them, as real keys of that length have."""
    while True:
        value = _random(alphabet, length, chance)
        has_digit = any(c.isdigit() for c in value) or not any(c.isdigit() for c in alphabet)
        if has_digit and len(set(value)) >= min(length, len(alphabet)) // 3 and any(c.isalpha() for c in value):
            return value


def password(chance: random.Random) -> str:
    """As people and generators make them: a word with digits and signs, or a random run."""
    word = chance.choice(_WORDS)
    return chance.choice(
        (
            f"{word}{chance.randrange(10, 9999)}{chance.choice('!#$%&*?')}",
            f"{word.replace('o', '0').replace('e', '3')}-{chance.choice(_WORDS)}-{chance.randrange(10, 99)}",
            f"{chance.choice(_WORDS).lower()}{chance.randrange(1000, 99999)}",
            _mixed(_MIXED + "!#$%*+-_", chance.randrange(10, 20), chance).strip("-_") + "7",
        )
    )


def _jwt(chance: random.Random) -> str:
    def part(value: dict[str, object]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    claims: dict[str, object] = {"sub": str(chance.randrange(10**9)), "iat": chance.randrange(10**9)}
    return f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}.{_random(_URL, 43, chance)}"


def _block(label: str, line_end: str, chance: random.Random) -> str:
    lines = [_random(_BASE64, 64, chance) for _ in range(chance.randrange(4, 12))]
    return line_end.join((f"-----BEGIN {label}-----", *lines, f"-----END {label}-----"))


def _slack(chance: random.Random) -> str:
    return (
        f"xoxb-{_random(string.digits, 12, chance)}-{_random(string.digits, 13, chance)}-{_random(_MIXED, 24, chance)}"
    )


def _webhook(chance: random.Random) -> str:
    return f"T{_random(_UPPER, 9, chance)}/B{_random(_UPPER, 9, chance)}/{_random(_MIXED, 24, chance)}"


Made = tuple[str, str, str]  # the secret, its carrier, the carrier's language ("" for any)
Maker = Callable[[random.Random], Made]


def _key(prefix: str, alphabet: str, length: int, ending: str) -> Maker:
    return lambda chance: (prefix + _mixed(alphabet, length, chance) + ending, "{}", "")


def _password_in(carrier: str, language: str = "") -> Maker:
    return lambda chance: (password(chance), carrier, language)


def _url(carrier: str) -> Maker:
    return lambda chance: (_mixed(_MIXED + "-_.!", chance.randrange(8, 24), chance), carrier, "")


def _token(carrier: str, alphabet: str, length: int) -> Maker:
    return lambda chance: (_mixed(alphabet, length, chance), carrier, "")


def _basic(chance: random.Random) -> Made:
    pair = f"app:{password(chance)}".encode()
    return base64.b64encode(pair).decode(), "Authorization: Basic {}", ""


SECRETS: dict[str, Maker] = {
    **{kind: _key(*row) for kind, row in _KEYS.items()},
    **{f"password-{kind}": _password_in(carrier) for kind, carrier in _ASSIGNED.items()},
    **{
        f"prose-{language}-{index}": _password_in(carrier, language)
        for language, carriers in PROSE.items()
        for index, carrier in enumerate(carriers)
    },
    **{f"url-{kind}": _url(carrier) for kind, carrier in _URLS.items()},
    **{f"token-{kind}": _token(*row) for kind, row in _TOKENS.items()},
    "token-slack-webhook": lambda chance: (_webhook(chance), "https://hooks.slack.com/services/{}", ""),
    "slack-bot": lambda chance: (_slack(chance), "{}", ""),
    "jwt": lambda chance: (_jwt(chance), "{}", ""),
    "basic": _basic,
    "pem-rsa": lambda chance: (_block("RSA PRIVATE KEY", "\n", chance), "{}", ""),
    "pem": lambda chance: (_block("PRIVATE KEY", "\n", chance), "{}", ""),
    "pem-ec": lambda chance: (_block("EC PRIVATE KEY", "\r\n", chance), "{}", ""),
    "pem-openssh": lambda chance: (_block("OPENSSH PRIVATE KEY", "\n", chance), "{}", ""),
    "pem-literal": lambda chance: (_block("PRIVATE KEY", "\\n", chance), '"private_key": "{}"', ""),
    "pgp": lambda chance: (_block("PGP PRIVATE KEY BLOCK", "\n", chance), "{}", ""),
}
