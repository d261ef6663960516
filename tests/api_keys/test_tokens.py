"""A token counts only if a key of the file has signed it, for us, now; everything else is one and the same 401."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA512
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from router.api_keys.tokens import Claims, JwksVerifier, TokenKeysError, TokenRules, read_jwks, verifier_of
from router.errors import Unauthenticated, Unavailable
from router.identity import Identity, subject_of
from router.keys import load_keys
from router.settings import Settings
from router.types import Principal

NOW = 1_800_000_000.0
RSA = rsa.generate_private_key(65537, 2048)
OTHER = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
CLAIMS: dict[str, Any] = {
    "iss": "https://id.example.org",
    "aud": "gatehouse",
    "sub": "anna",
    "exp": NOW + 300,
    "nbf": NOW - 5,
    "tenant": "acme",
    "groups": ["nurses"],
    "scope": "openid gatehouse:infer gatehouse:read",
}
RULES = TokenRules("https://id.example.org", "gatehouse")


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int) -> str:
    return b64(value.to_bytes((value.bit_length() + 7) // 8))


def jwk(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, kid: str, **more: Any) -> dict[str, Any]:
    if isinstance(key, rsa.RSAPrivateKey):
        public = key.public_key().public_numbers()
        return {"kty": "RSA", "kid": kid, "n": number(public.n), "e": number(public.e), **more}
    point = key.public_key().public_numbers()
    return {
        "kty": "EC",
        "crv": "P-256",
        "kid": kid,
        "x": b64(point.x.to_bytes(32)),
        "y": b64(point.y.to_bytes(32)),
        **more,
    }


JWKS = {"keys": [jwk(RSA, "rsa-1", use="sig", alg="RS256"), jwk(EC, "ec-1")]}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(JWKS))
    return path


def signed(header: dict[str, Any] | str, claims: dict[str, Any] | str, sign: Callable[[bytes], bytes]) -> bytes:
    parts = [part if isinstance(part, str) else json.dumps(part) for part in (header, claims)]
    text = ".".join(b64(part.encode()) for part in parts).encode()
    return text + b"." + b64(sign(text)).encode()


def by_rsa(text: bytes, key: rsa.RSAPrivateKey = RSA) -> bytes:
    return key.sign(text, padding.PKCS1v15(), SHA256())


def by_ec(text: bytes) -> bytes:
    r, s = decode_dss_signature(EC.sign(text, ec.ECDSA(SHA256())))
    return r.to_bytes(32) + s.to_bytes(32)


RS256 = {"alg": "RS256", "typ": "JWT", "kid": "rsa-1"}
ES256 = {"alg": "ES256", "kid": "ec-1"}


def test_a_token_of_either_kind_says_who_asks(file: Path) -> None:
    verifier = JwksVerifier(file, RULES)
    expected = Claims("acme", frozenset({"infer", "read"}), ("nurses",), "anna")
    assert verifier.verify(signed(RS256, CLAIMS, by_rsa), NOW) == expected
    assert verifier.verify(signed(ES256, CLAIMS, by_ec), NOW) == expected
    several = {**CLAIMS, "aud": ["other", "gatehouse"], "iat": NOW, "exp": int(NOW) + 1}
    assert verifier.verify(signed(RS256, several, by_rsa), NOW) == expected


PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def by_public_key(text: bytes) -> bytes:
    return hmac.digest(PEM, text, hashlib.sha256)


def nothing(text: bytes) -> bytes:
    return b"x"


GOOD = signed(RS256, CLAIMS, by_rsa)
HEAD, _, TAIL = GOOD.split(b".")
ATTACKS: dict[str, bytes] = {
    "no algorithm": signed({"alg": "none", "kid": "rsa-1"}, CLAIMS, nothing),
    "no algorithm, no signature": GOOD.split(b".")[0] + b"." + GOOD.split(b".")[1] + b".",
    "none in other case": signed({"alg": "nOnE", "kid": "rsa-1"}, CLAIMS, nothing),
    "the public key as a shared secret": signed({"alg": "HS256", "kid": "rsa-1"}, CLAIMS, by_public_key),
    "the same, said to be RS256": signed(RS256, CLAIMS, by_public_key),
    "an RSA signature said to be ES256": signed({"alg": "ES256", "kid": "rsa-1"}, CLAIMS, by_rsa),
    "an EC signature said to be RS256": signed({"alg": "RS256", "kid": "ec-1"}, CLAIMS, by_ec),
    "a DER signature": signed(ES256, CLAIMS, lambda text: EC.sign(text, ec.ECDSA(SHA256()))),
    "r and s of nothing": signed(ES256, CLAIMS, lambda text: bytes(64)),
    "another hash": signed({**RS256, "alg": "RS512"}, CLAIMS, lambda t: RSA.sign(t, padding.PKCS1v15(), SHA512())),
    "another padding": signed(RS256, CLAIMS, lambda t: RSA.sign(t, padding.PSS(padding.MGF1(SHA256()), 32), SHA256())),
    "somebody else's key": signed(RS256, CLAIMS, lambda text: by_rsa(text, OTHER)),
    "a key in the header": signed({**RS256, "jwk": jwk(OTHER, "rsa-1")}, CLAIMS, lambda text: by_rsa(text, OTHER)),
    "a key set to fetch": signed({**RS256, "jku": "https://evil.example/jwks"}, CLAIMS, by_rsa),
    "a certificate to fetch": signed({**RS256, "x5u": "https://evil.example/c"}, CLAIMS, by_rsa),
    "a critical extension": signed({**RS256, "crit": ["b64"], "b64": False}, CLAIMS, by_rsa),
    "no kid": signed({"alg": "RS256"}, CLAIMS, by_rsa),
    "another kid": signed({**RS256, "kid": "rsa-2"}, CLAIMS, by_rsa),
    "a path as kid": signed({**RS256, "kid": "../../../../dev/null"}, CLAIMS, by_rsa),
    "a query as kid": signed({**RS256, "kid": "' UNION SELECT 'x"}, CLAIMS, by_rsa),
    "a list as kid": signed({**RS256, "kid": ["rsa-1"]}, CLAIMS, by_rsa),
    "claims changed": b".".join([HEAD, b64(json.dumps({**CLAIMS, "tenant": "b"}).encode()).encode(), TAIL]),
    "a claim twice": signed(RS256, json.dumps(CLAIMS)[:-1] + ', "tenant": "other"}', by_rsa),
    "alg twice": signed('{"alg": "none", "alg": "RS256", "kid": "rsa-1"}', CLAIMS, by_rsa),
    "not for us": signed(RS256, {**CLAIMS, "aud": "other"}, by_rsa),
    "for a part of our name": signed(RS256, {**CLAIMS, "aud": "gatehouse-2"}, by_rsa),
    "for nobody": signed(RS256, {key: CLAIMS[key] for key in CLAIMS if key != "aud"}, by_rsa),
    "of another issuer": signed(RS256, {**CLAIMS, "iss": "https://id.example.org.evil.example"}, by_rsa),
    "without an issuer": signed(RS256, {key: CLAIMS[key] for key in CLAIMS if key != "iss"}, by_rsa),
    "without an end": signed(RS256, {key: CLAIMS[key] for key in CLAIMS if key != "exp"}, by_rsa),
    "without a beginning": signed(RS256, {key: CLAIMS[key] for key in CLAIMS if key != "nbf"}, by_rsa),
    "an end in words": signed(RS256, {**CLAIMS, "exp": "9999999999"}, by_rsa),
    "an end that is true": signed(RS256, {**CLAIMS, "exp": True}, by_rsa),
    "an end that is no number": signed(RS256, json.dumps({**CLAIMS, "exp": float("nan")}), by_rsa),
    "not yet": signed(RS256, {**CLAIMS, "nbf": NOW + 60}, by_rsa),
    "made in the future": signed(RS256, {**CLAIMS, "iat": NOW + 60}, by_rsa),
    "no tenant": signed(RS256, {key: CLAIMS[key] for key in CLAIMS if key != "tenant"}, by_rsa),
    "a tenant like another": signed(RS256, {**CLAIMS, "tenant": "аcme"}, by_rsa),
    "a list of tenants": signed(RS256, {**CLAIMS, "tenant": ["acme"]}, by_rsa),
    "groups in words": signed(RS256, {**CLAIMS, "groups": "nurses"}, by_rsa),
    "a subject that is a number": signed(RS256, {**CLAIMS, "sub": 7}, by_rsa),
    "claims that are a list": signed(RS256, "[]", by_rsa),
    "padding": GOOD + b"==",
    "four parts": GOOD + b".x",
    "five parts, encrypted": GOOD + b".x.y",
    "blanks": GOOD.replace(b".", b". ", 1),
    "too long": signed(RS256, {**CLAIMS, "x": "y" * 9000}, by_rsa),
    "too deep": signed(RS256, "[" * 3000 + "]" * 3000, by_rsa),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_every_trick_is_the_same_401_that_holds_nothing_of_the_token(file: Path, name: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        JwksVerifier(file, RULES).verify(ATTACKS[name], NOW)
    assert (caught.value.status, caught.value.code) == (401, "invalid_token")
    assert "anna" not in caught.value.message
    assert "acme" not in caught.value.message


def test_a_signature_in_another_spelling_of_base64_is_another_token(file: Path) -> None:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = letters[letters.index(chr(GOOD[-1])) ^ 1].encode()  # the lowest bit says nothing
    with pytest.raises(Unauthenticated):
        JwksVerifier(file, RULES).verify(GOOD[:-1] + last, NOW)


def test_a_token_ends_half_a_minute_after_its_time_and_says_so(file: Path) -> None:
    verifier = JwksVerifier(file, RULES)
    assert verifier.verify(GOOD, NOW + 300 + 29).tenant == "acme"
    with pytest.raises(Unauthenticated) as caught:
        verifier.verify(GOOD, NOW + 300 + 30)
    assert caught.value.code == "expired_token"


@pytest.mark.parametrize(
    ("said", "scopes"),
    [
        ("admin infer gatehouse:infer x-gatehouse:read", {"infer"}),
        (["gatehouse:read", "gatehouse:root"], {"read"}),
        ("gatehouse:admin", {"admin"}),
        ({"gatehouse:admin": True}, set()),
        (None, set()),
    ],
)
def test_scopes_are_only_those_with_our_prefix(file: Path, said: object, scopes: set[str]) -> None:
    """An identity provider's own `admin` gives nothing here."""
    token = signed(RS256, {**CLAIMS, "scope": said}, by_rsa)
    assert JwksVerifier(file, RULES).verify(token, NOW).scopes == scopes


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        '{"keys": []}',
        '{"keys": [{}]}',
        '{"keys": [{"kty": "oct", "kid": "a", "k": "c2VjcmV0"}]}',
        json.dumps({"keys": [jwk(RSA, "a"), jwk(EC, "a")]}),
        json.dumps({"keys": [jwk(RSA, "a", use="enc")]}),
        json.dumps({"keys": [jwk(RSA, "a", alg="RS512")]}),
        json.dumps({"keys": [jwk(RSA, "a", d="AQAB")]}),
        json.dumps({"keys": [jwk(EC, "a", crv="P-384")]}),
        json.dumps({"keys": [{**jwk(EC, "a"), "y": b64(bytes(31) + b"1")}]}),
        json.dumps({"keys": [{**jwk(RSA, "a"), "n": number(3**600 | 1)}]}),
        json.dumps({"keys": [{**jwk(RSA, "a"), "e": 3}]}),
        json.dumps({"keys": [{key: value for key, value in jwk(RSA, "a").items() if key != "kid"}]}),
    ],
)
def test_a_file_that_is_no_set_of_public_keys_is_refused(content: str) -> None:
    with pytest.raises(TokenKeysError):
        read_jwks(content.encode())


def test_new_keys_are_taken_up_and_while_the_file_is_bad_no_token_counts(file: Path) -> None:
    verifier = JwksVerifier(file, RULES)
    assert verifier.verify(GOOD, NOW)
    file.write_text('{"keys": []}')
    with pytest.raises(Unavailable) as caught:
        verifier.verify(GOOD, NOW)
    assert caught.value.code == "keys_unavailable"
    file.write_text(json.dumps({"keys": [jwk(OTHER, "rsa-1")]}))
    with pytest.raises(Unauthenticated):
        verifier.verify(GOOD, NOW)
    assert verifier.verify(signed(RS256, CLAIMS, lambda text: by_rsa(text, OTHER)), NOW).tenant == "acme"


def test_the_settings_name_all_of_it_or_nothing(file: Path) -> None:
    assert verifier_of(Settings()) is None
    with pytest.raises(TokenKeysError, match="GATEHOUSE_JWT_ISSUER"):
        verifier_of(Settings(jwks_file=file))
    with pytest.raises(TokenKeysError):
        verifier_of(Settings(jwks_file=file.parent / "none", jwt_issuer="a", jwt_audience="b"))
    settings = Settings(jwks_file=file, jwt_issuer=RULES.issuer, jwt_audience="gatehouse", jwt_tenant_claim="")
    verifier = verifier_of(settings)
    assert verifier is not None
    assert verifier.verify(GOOD, NOW).tenant == "default"


def test_who_comes_with_a_token_is_a_principal_with_a_pseudonym_and_without_one_a_key_is_needed(
    file: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    house = Identity(Settings(state_dir=state), clock=lambda: NOW, tokens=JwksVerifier(file, RULES))
    who = house.authenticate([(b"authorization", b"Bearer " + GOOD)])
    subject = subject_of(load_keys(state), "acme", b"anna")
    assert who == Principal("acme", "token", subject, ("nurses",), frozenset({"infer", "read"}))
    with pytest.raises(Unauthenticated):
        house.authenticate([])
    without = Identity(Settings(state_dir=state, api_key="k"), clock=lambda: NOW)
    with pytest.raises(Unauthenticated):
        without.authenticate([(b"authorization", b"Bearer " + GOOD)])
