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
    ("user anna and password Nonna5949&", "Nonna5949&"),
    ("the password I was given is Tr0ub4dor&3", "Tr0ub4dor&3"),
    ("I changed the password to Falcon-2231!", "Falcon-2231!"),
    ("Das Kennwort für den Server lautet Sommer2024!", "Sommer2024!"),
    ("le mot de passe du wifi est « Soleil-88 »", "Soleil-88"),
    ("la parola d'ordine è Nonna2231", "Nonna2231"),
    ("het wachtwoord is Fiets-7731", "Fiets-7731"),
    ("пароль: Zima2024!", "Zima2024!"),
    ("the password for the login is swordfish.", "swordfish"),
    ("the password for the password safe is Otter-7731", "Otter-7731"),
    ("mon mdp c'est Azerty!2024", "Azerty!2024"),
    ("my password's hunter22", "hunter22"),
    ("密码：Longmen88x", "Longmen88x"),
    ("la clave del wifi es Perro2231x", "Perro2231x"),
    ("password=MyExample#2024", "MyExample#2024"),
    ("password is password123", "password123"),
    ('{\\"password\\": \\"Kj7x9Lq2\\"}', "Kj7x9Lq2"),
    ("mysql -u root -pS3cretWord shop", "S3cretWord"),
    ("curl -u admin:Winter2024 https://x.internal", "Winter2024"),
    ("sshpass -p 'Otter-7731' ssh app@host", "Otter-7731"),
    ("CREATE USER app IDENTIFIED BY 'Rocket7731'", "Rocket7731"),
    ("<password>Rocket7731</password>", "Rocket7731"),
    ("- name: DB_PASSWORD\n  value: Rocket7731", "Rocket7731"),
    ('password: str = "Rocket7731"', "Rocket7731"),
    ("Server=db;User Id=sa;Password=Rocket7731;Timeout=3", "Rocket7731"),
    ("https://x.internal/login?user=a&password=Rocket7731&next=b", "Rocket7731"),
    ("--token " + mixed(24), mixed(24)),
    ("Cookie: theme=dark; sessionid=" + mixed(32).lower(), mixed(32).lower()),
    ("sk-proj-" + mixed(48), "sk-proj-" + mixed(48)),
    ("use gh-abcdefghjkmn-" + mixed(49) + " then", "gh-abcdefghjkmn-" + mixed(49)),
    ("gh-Zk3vQ9xT1bLw7RmC5yHs8NfJ2dGp6UaE4tKoX0iVnBq", "gh-Zk3vQ9xT1bLw7RmC5yHs8NfJ2dGp6UaE4tKoX0iVnBq"),
    ("my key is ghp_" + mixed(36) + ", please rotate it", "ghp_" + mixed(36)),
    ("$2b$12$" + mixed(53), "$2b$12$" + mixed(53)),
    ("seed phrase: " + "apple river stone cloud " * 3, ("apple river stone cloud " * 3).strip()),
    ("card 4111, CVV 123", "123"),
    ("Meine PIN ist 4821", "4821"),
]
NO_SECRETS = [
    "I forgot my password",
    "gh-pages-are-built-from-the-branch-of-the-same-name",
    "gh-abcdefghjkmn-short",
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
    "password=changeme",
    "password: your-password-here",
    "DB_PASSWORD=$DB_PASSWORD",
    "password: {{ vault_password }}",
    "password = getpass('Password: ')",
    "self.password = password",
    "user.password = req.body.password",
    "password: string",
    "def login(user, password: str) -> bool:",
    "connect(user=user, password=user_password)",
    "The password must have 12 characters",
    "the password uses SHA-256 and PBKDF2",
    "mot de passe oublié",
    "la contraseña es incorrecta",
    "Passwort: vergessen?",
    'type="password" placeholder="Password"',
    "api_key: YOUR_API_KEY",
    "token: ${{ secrets.GITHUB_TOKEN }}",
    "class UserApiKeyCache(BaseTokenCounter):",
    "secretName: my-app-tls",
    "tokenizer = AutoTokenizer.from_pretrained('bert-base-uncased')",
    "Authorization: Bearer <token>",
    "authorization: Optional[str] = None",
    "the session id is kept for 30 days",
    "git commit -p src",
    "docker run --user 1000:1000 image",
    "seed phrase: keep it in a safe place",
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


def test_a_private_key_with_written_out_line_ends_is_one_secret(found: Find) -> None:
    key = "-----BEGIN PRIVATE KEY-----\\n" + mixed(64) + "\\n-----END PRIVATE KEY-----\\n"
    assert ("SECRET", key[:-2]) in found('{"private_key": "' + key + '"}')


def test_a_private_key_goes_on_behind_the_piece_that_it_begins_in(found: Find) -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\n" + (mixed(64) + "\n") * 70 + "-----END RSA PRIVATE KEY-----"
    assert ("SECRET", key) in found("x " * 1500 + "\n" + key)
