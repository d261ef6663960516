"""Signed tokens (JWT, RFC 7519) in place of API keys: the seam, and a verifier with a file of public keys (RFC 7517).

Strict and small: RS256 and ES256 alone, the algorithm is the key's and never the token's, nothing is ever fetched, and
a token names a key of the file or none.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from router.errors import Unauthenticated, Unavailable
from router.settings import Settings
from router.types import SCOPES, KeyScope

_MOST_BYTES = 8192
_LEEWAY_SECONDS = 30.0
_PART = re.compile(rb"[A-Za-z0-9_-]+")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,63}")  # as tenants are named in a policy
_MOST_GROUPS = 100
_RSA_BITS = (2048, 8192)
_P256_BYTES = 32
# What would have a verifier fetch a key, take one from the token, or read the token in another way.
_REFUSED_HEADERS = frozenset({"crit", "jku", "jwk", "x5u", "x5c", "b64", "zip", "enc"})
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "k"})

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


class TokenKeysError(Exception):
    """The file of public keys cannot be used as it is; the message says why and holds no key."""


@dataclass(frozen=True, slots=True)
class Claims:
    """Who a verified token says is asking. `subject` is as the issuer wrote it: only its pseudonym is ever kept."""

    tenant: str
    scopes: frozenset[KeyScope]
    groups: tuple[str, ...] = ()
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class TokenRules:
    """Whose tokens are taken, for whom they must be meant, and which claims say what."""

    issuer: str
    audience: str
    tenant_claim: str = "tenant"  # "": every token is of the tenant `default`
    groups_claim: str = "groups"
    scopes_claim: str = "scope"
    scope_prefix: str = "gatehouse:"  # `gatehouse:infer` gives `infer`; other words give nothing


class TokenVerifying(Protocol):
    """What `router.identity` needs of whoever checks tokens."""

    def verify(self, token: bytes, now: float) -> Claims:
        """What a token says, once it is proven. Raises `Unauthenticated`, `Unavailable` (its keys cannot be read)."""
        ...


class JwksVerifier:
    """Verifies with the public keys of a file, which is read anew when it changes."""

    def __init__(self, path: Path, rules: TokenRules) -> None:
        """Raises `TokenKeysError`, so that a gateway does not start with a file that it cannot use."""
        self._path = path
        self._rules = rules
        self._mark = _mark(path)
        self._keys: Mapping[str, PublicKey] | None = read_jwks(_read(path))

    def verify(self, token: bytes, now: float) -> Claims:
        """See `TokenVerifying`."""
        header, claims, signed, signature = _parts(token)
        alg, kid = header.get("alg"), header.get("kid")
        if _REFUSED_HEADERS & header.keys() or alg not in ("RS256", "ES256") or not isinstance(kid, str):
            raise _invalid("its header is not one that is taken here")
        key = self._current().get(kid)
        if key is None or not _is_signed(key, str(alg), signed, signature):
            raise _invalid("no key of the issuer has signed it")
        self._check_times(claims, now)
        if claims.get("iss") != self._rules.issuer:
            raise _invalid("another issuer has made it")
        audience = claims.get("aud")
        if self._rules.audience not in (audience if isinstance(audience, list) else [audience]):
            raise _invalid("it is meant for somebody else")
        return self._claims(claims)

    def _current(self) -> Mapping[str, PublicKey]:
        mark = _mark(self._path)
        if mark != self._mark:
            self._mark = mark
            try:
                self._keys = read_jwks(_read(self._path))
            except TokenKeysError:
                self._keys = None
        if self._keys is None:
            raise Unavailable("Tokens cannot be checked at the moment. Retry.", code="keys_unavailable", retry_after=2)
        return self._keys

    def _check_times(self, claims: Mapping[str, Any], now: float) -> None:
        expires, begins = _time(claims, "exp"), _time(claims, "nbf")
        if now >= expires + _LEEWAY_SECONDS:
            raise Unauthenticated("The token has expired.", code="expired_token")
        if now < begins - _LEEWAY_SECONDS or ("iat" in claims and now < _time(claims, "iat") - _LEEWAY_SECONDS):
            raise _invalid("it does not count yet")

    def _claims(self, claims: Mapping[str, Any]) -> Claims:
        rules = self._rules
        tenant = claims.get(rules.tenant_claim) if rules.tenant_claim else "default"
        if not isinstance(tenant, str) or not _NAME.fullmatch(tenant):
            raise _invalid("it names no tenant")
        groups = claims.get(rules.groups_claim, [])
        is_list = isinstance(groups, list) and len(groups) <= _MOST_GROUPS
        if not is_list or not all(isinstance(each, str) and len(each) <= 256 for each in groups):
            raise _invalid("its groups are no list of names")
        said = claims.get(rules.scopes_claim, [])
        words = said.split() if isinstance(said, str) else said if isinstance(said, list) else []
        scopes = frozenset(scope for scope in SCOPES if f"{rules.scope_prefix}{scope}" in words)
        subject = claims.get("sub")
        if subject is not None and not isinstance(subject, str):
            raise _invalid("its subject is no text")
        return Claims(tenant, scopes, tuple(groups), subject or None)


def verifier_of(settings: Settings) -> TokenVerifying | None:
    """The verifier that the settings name; None where no tokens are taken. Raises `TokenKeysError`."""
    if settings.jwks_file is None:
        return None
    if not settings.jwt_issuer or not settings.jwt_audience:
        raise TokenKeysError("GATEHOUSE_JWKS_FILE needs GATEHOUSE_JWT_ISSUER and GATEHOUSE_JWT_AUDIENCE beside it")
    rules = TokenRules(
        settings.jwt_issuer,
        settings.jwt_audience,
        settings.jwt_tenant_claim,
        settings.jwt_groups_claim,
        settings.jwt_scopes_claim,
        settings.jwt_scope_prefix,
    )
    return JwksVerifier(settings.jwks_file, rules)


def read_jwks(data: bytes) -> dict[str, PublicKey]:
    """The public keys of a key set, by their ids. Raises `TokenKeysError` for anything that is no such key."""
    try:
        entries = _object(data)["keys"]
        keys = [(entry["kid"], _public_key(entry)) for entry in entries]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TokenKeysError(f"it is no set of public keys (JWKS): {type(error).__name__}") from None
    named = dict(keys)
    if len(named) < len(keys) or not keys or not all(isinstance(kid, str) and kid for kid in named):
        raise TokenKeysError("each key needs a `kid` of its own")
    return named


def _public_key(entry: Mapping[str, Any]) -> PublicKey:
    if _PRIVATE & entry.keys():
        raise TokenKeysError("it holds a private or a shared key: only public ones belong there")
    if entry.get("use", "sig") != "sig" or "verify" not in entry.get("key_ops", ["verify"]):
        raise TokenKeysError("it holds a key that is not for signatures")
    kind, alg = entry["kty"], entry.get("alg")
    if kind == "RSA" and alg in (None, "RS256"):
        key = rsa.RSAPublicNumbers(_number(entry["e"]), _number(entry["n"])).public_key()
        if not _RSA_BITS[0] <= key.key_size <= _RSA_BITS[1]:
            raise TokenKeysError(f"an RSA key has {_RSA_BITS[0]} to {_RSA_BITS[1]} bits")
        return key
    if kind == "EC" and entry["crv"] == "P-256" and alg in (None, "ES256"):
        return ec.EllipticCurvePublicNumbers(_number(entry["x"]), _number(entry["y"]), ec.SECP256R1()).public_key()
    raise TokenKeysError("keys are RSA (RS256) or EC P-256 (ES256)")


def _is_signed(key: PublicKey, alg: str, signed: bytes, signature: bytes) -> bool:
    """Whether this key has signed; `alg` must be the one that its kind is for."""
    try:
        if isinstance(key, rsa.RSAPublicKey):
            if alg != "RS256":
                return False
            key.verify(signature, signed, padding.PKCS1v15(), SHA256())
        else:
            if alg != "ES256" or len(signature) != 2 * _P256_BYTES:
                return False
            r, s = (int.from_bytes(half) for half in (signature[:_P256_BYTES], signature[_P256_BYTES:]))
            key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def _parts(token: bytes) -> tuple[dict[str, Any], dict[str, Any], bytes, bytes]:
    """Header, claims, what is signed, and the signature."""
    parts = token.split(b".")
    if len(token) > _MOST_BYTES or len(parts) != 3:
        raise _invalid("it has not the form of one")
    try:
        header, claims, signature = (_decoded(part) for part in parts)
        return _object(header), _object(claims), b".".join(parts[:2]), signature
    except (ValueError, RecursionError):
        raise _invalid("it has not the form of one") from None


def _decoded(part: bytes) -> bytes:
    if not _PART.fullmatch(part):
        raise ValueError("not base64url without padding")
    try:
        data = base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
    except binascii.Error as error:
        raise ValueError(str(error)) from None
    if base64.urlsafe_b64encode(data).rstrip(b"=") != part:
        raise ValueError("another spelling of the same bytes")
    return data


def _object(data: bytes) -> dict[str, Any]:
    """A JSON object in which no key stands twice, nor a number that is none."""
    value = json.loads(data, object_pairs_hook=_once, parse_constant=_no_constant)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return cast("dict[str, Any]", value)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _number(text: str) -> int:
    return int.from_bytes(_decoded(text.encode()))


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if type(value) is not int and type(value) is not float:
        raise _invalid(f"it lacks `{name}`")
    return float(min(value, 1e12))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TokenKeysError(f"{path}: {error.strerror}") from None


def _mark(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _invalid(why: str) -> Unauthenticated:
    return Unauthenticated(f"The token is not valid: {why}.", code="invalid_token")
