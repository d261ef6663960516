"""Secrets: the service rules, and credentials in prose, assignments, addresses and headers. Values here are made up."""

from __future__ import annotations

import json
import string
from collections.abc import Callable
from importlib import resources

import pytest
import re2

Find = Callable[..., list[tuple[str, str]]]

LETTERS = string.ascii_letters + string.digits


def mixed(length: int, alphabet: str = LETTERS) -> str:
    """A string that is random enough for every entropy floor, and the same at every run."""
    return "".join(alphabet[(7 * n * n + 13 * n + 5) % len(alphabet)] for n in range(length))


SECRETS = [
    ("ghp_" + mixed(36), "ghp_" + mixed(36)),
    ("AKIA" + "QYLPMN5HFIQR7XYA", "AKIA" + "QYLPMN5HFIQR7XYA"),
    ("xoxb-123456789012-1234567890123-" + mixed(24), "xoxb-123456789012-1234567890123-" + mixed(24)),
    ("glpat-" + mixed(20), "glpat-" + mixed(20)),
    ("sk_live_" + mixed(24), "sk_live_" + mixed(24)),
    ("SG." + mixed(66), "SG." + mixed(66)),
    ("npm_" + mixed(36, string.ascii_lowercase + string.digits), None),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0." + mixed(43), None),
    ("api_key = '" + mixed(32) + "'", mixed(32)),
    ("The password is Tr0ub4dor&3.", "Tr0ub4dor&3"),
    ("password: hunter2x", "hunter2x"),
    ("my password for the portal is swordfish.", "swordfish"),
    ('DB_PASSWORD="s3cr3t-Wert"', "s3cr3t-Wert"),
    ("das Passwort lautet nicht, das Passwort ist Geheim#77", "Geheim#77"),
    ("la contraseña es Perro-9931", "Perro-9931"),
    ("my pin is 4821", "4821"),
    ("postgres://app:pa55w0rdX@db.internal:5432/x", "pa55w0rdX"),
    ("redis://:fooBared99@cache:6379", "fooBared99"),
    ("Authorization: Bearer " + mixed(40), mixed(40)),
    ("curl -H 'Authorization: Basic dXNlcjpwYXNzd29yZDEyMw=='", "dXNlcjpwYXNzd29yZDEyMw=="),
    ("client_secret: " + mixed(24), mixed(24)),
    ("aws_secret_access_key=" + mixed(40), mixed(40)),
]
NO_SECRETS = [
    "I forgot my password",
    "my password is incorrect",
    "the password is not accepted by the app",
    "Password: required",
    "password: <your password>",
    "password=${DB_PASSWORD}",
    "password: ********",
    "password = os.environ['DB_PASSWORD']",
    "token = get_token(user)",
    "max_tokens: 1000",
    '"token_type": "bearer"',
    "postgres://user:${PASSWORD}@host/db",
    "https://example.com/a:b@c",
    "the secret of a good life is patience",
    "Authorization header is missing",
    "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
    "my pin was declined 3 times",
    "the key is under the mat",
    "public_key = primary_key_name_of_table",
    "commit 3f786850e387550fdab836ed7e6dc881de23001b",
    "password is ______",
]


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_a_secret_is_found(found: Find, text: str, secret: str | None) -> None:
    hits = found(f"here:\n{text}\n")
    assert "SECRET" in dict(hits), hits
    if secret is not None:
        assert any(entity == "SECRET" and secret in value for entity, value in hits), hits


@pytest.mark.parametrize("text", NO_SECRETS)
def test_talk_about_secrets_and_placeholders_are_none(found: Find, text: str) -> None:
    assert "SECRET" not in dict(found(text))


def test_a_private_key_is_one_secret_from_its_first_to_its_last_line(found: Find) -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\n" + mixed(64) + "\n" + mixed(64) + "\n-----END RSA PRIVATE KEY-----"
    assert found(f"see\n{key}\nthanks") == [("SECRET", key)]


def test_a_private_key_without_its_end_is_a_secret_too(found: Find) -> None:
    assert "SECRET" in dict(found("-----BEGIN PRIVATE KEY-----\n" + mixed(64)))


def test_every_service_rule_compiles_and_has_a_trigger() -> None:
    rules = json.loads((resources.files("classifiers") / "artifacts" / "gitleaks_rules.json").read_text("utf-8"))
    assert len(rules) == 221
    for rule in rules:
        assert rule["triggers"], rule["id"]
        for regex in (rule["regex"], *rule["triggers"], *rule["allow_secret"], *rule["allow_match"]):
            re2.compile(regex)
