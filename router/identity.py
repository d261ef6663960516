"""Who asks: from the request's key alone. Never believes a body, nor any other header, and never shows a key.

A web page in somebody's browser is not who it runs for: a request with an `Origin` that is not listed is refused.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from router.errors import Denied, Unauthenticated
from router.keys import StateFolderError, create_private, ensure_private_folder
from router.settings import Settings
from router.types import Principal

_START_KEY_FILE = "api.key"
_BEARER = b"bearer "

Headers = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class StartKey:
    """The key that the first start on an open address creates."""

    path: Path
    key: str = field(repr=False)

    @property
    def how_to_read(self) -> str:
        """The command that shows it."""
        return f"cat {self.path}"


def is_loopback(host: str) -> bool:
    """True when a listener on `host` can be reached from this machine only. A name other than `localhost` never is."""
    try:
        addresses = [host] if host != "localhost" else [str(info[4][0]) for info in socket.getaddrinfo(host, None)]
        return all(_is_loopback_address(address) for address in addresses)
    except (OSError, ValueError):
        return False


def ensure_start_key(settings: Settings) -> StartKey | None:
    """The key that callers need when none is configured and the address is open to others; None when none is needed.

    Created once, 0600, in the state folder. Raises `router.keys.StateFolderError`.
    """
    if settings.api_key or is_loopback(settings.host):
        return None
    path = ensure_private_folder(settings.state_dir) / _START_KEY_FILE
    content = create_private(path, _new_key)
    key = content.decode("ascii", "replace").strip()
    if not key:
        raise StateFolderError(f"{path} is empty: remove it, and the next start makes a new key")
    return StartKey(path, key)


def _new_key() -> bytes:
    return f"gh-{secrets.token_urlsafe(32)}\n".encode()


class Identity:
    """Makes a `Principal` of a request's headers. With no key (loopback only), everybody is `default`."""

    def __init__(self, settings: Settings) -> None:
        """The rules for this address: the configured key, else the start key, else (on loopback) none.

        Raises `router.keys.StateFolderError` when the start key cannot be read or created.
        """
        start = ensure_start_key(settings)
        key = settings.api_key or (start.key if start is not None else None)
        self._digest = None if key is None else hashlib.sha256(key.encode()).digest()
        self._origins = frozenset(origin.encode() for origin in settings.allowed_origins)
        self._principal = Principal(key_id=None if key is None else "start" if start is not None else "configured")

    def authenticate(self, headers: Headers) -> Principal:
        """Who sent a request with these raw headers (lower-case names).

        Raises `Denied` (403) for an `Origin` that is not listed, `Unauthenticated` (401) for a missing or wrong key.
        """
        keys: set[bytes] = set()
        for name, value in headers:
            if name == b"origin" and value not in self._origins:
                raise Denied(
                    "Requests from this web origin are refused. List it in GATEHOUSE_ALLOWED_ORIGINS to allow it.",
                    code="origin_not_allowed",
                )
            if self._digest is not None and name in {b"authorization", b"x-api-key"}:
                keys.add(_key_in(name, value))
        keys.discard(b"")
        if self._digest is not None:
            self._check(keys)
        return self._principal

    def _check(self, keys: set[bytes]) -> None:
        if not keys:
            raise Unauthenticated("An API key is needed: send it as `Authorization: Bearer …` or `x-api-key`.")
        if len(keys) > 1:
            raise Unauthenticated("Two different API keys were sent. Send one.")
        (key,) = keys
        if not hmac.compare_digest(hashlib.sha256(key).digest(), self._digest or b""):
            raise Unauthenticated("The API key is not valid.")


def _key_in(name: bytes, value: bytes) -> bytes:
    if name == b"authorization" and value[: len(_BEARER)].lower() == _BEARER:
        value = value[len(_BEARER) :]
    return value.strip()


def _is_loopback_address(address: str) -> bool:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return (mapped or parsed).is_loopback
