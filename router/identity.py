"""Who asks: from the request's key alone. Never believes a body, nor any other header, and never shows a key.

A web page in somebody's browser is not who it runs for: a request with an `Origin` that is not listed is refused.
"""

from __future__ import annotations

import hmac
import ipaddress
import logging
import secrets
import socket
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

from router.api_keys.key import Fault, KeyRing, digest_of_key
from router.api_keys.store import KEYS_FILE, read_mark, read_ring
from router.api_keys.tokens import Claims, TokenVerifying
from router.errors import Denied, GatehouseError, InvalidRequest, Unauthenticated, Unavailable
from router.keys import Keys, StateFolderError, create_private, ensure_private_folder, load_keys
from router.records.store import StoreError
from router.settings import Settings
from router.types import KeyScope, Principal

log = logging.getLogger("gatehouse.identity")

_START_KEY_FILE = "api.key"
_KEY_HEADERS = frozenset({b"authorization", b"x-api-key"})
_BEARER = b"bearer "
_MOST_SUBJECT_BYTES = 256
_TOKEN = "token"  # noqa: S105  # the key id of whoever came with a signed token
_TOKEN_DOTS = 2

Headers = Collection[tuple[bytes, bytes]]

# Who asks where no key is needed. Everybody on this machine may be that, so it may change nothing.
NOBODY = Principal(scopes=frozenset({"infer", "read"}))


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


def ensure_start_key(settings: Settings, *, has_keys: bool = False) -> StartKey | None:
    """The key that callers need when none is configured and the address is open to others; None when none is needed.

    Created once, 0600, in the state folder; not where other keys have been made (`has_keys`) and it is not there any
    more. Raises `router.keys.StateFolderError`.
    """
    if settings.api_key or is_loopback(settings.host):
        return None
    if has_keys and not (settings.state_dir / _START_KEY_FILE).exists():
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
    """Makes a `Principal` of a request's headers. On loopback, while no key was ever made, everybody is `NOBODY`.

    Who asks is known from here, what may be asked from `require`.
    """

    def __init__(
        self,
        settings: Settings,
        keys: Keys | None = None,
        clock: Callable[[], float] = time.time,
        tokens: TokenVerifying | None = None,
    ) -> None:
        """The rules for this address: the keys of the state folder, and the configured key, else the start key.

        `keys` are for pseudonyms of subjects; without them they are loaded when the first is needed. `tokens` are taken
        too where there is somebody to verify them. Raises `router.keys.StateFolderError` when the start key cannot be
        read or created.
        """
        self._tokens = tokens
        self._state_dir = settings.state_dir
        self._keys_file = str(settings.state_dir / KEYS_FILE)
        self._keys = keys
        self._clock = clock
        self._ring = KeyRing()
        self._mark = b""
        self.reload()
        start = ensure_start_key(settings, has_keys=not self._ring.is_empty)
        key = settings.api_key or (start.key if start is not None else None)
        self._digest = None if key is None else digest_of_key(key.encode())
        self._may_be_open = key is None and tokens is None and is_loopback(settings.host)
        self._origins = frozenset(origin.encode() for origin in settings.allowed_origins)
        self._principal = Principal(key_id="start" if start is not None else "configured") if key else NOBODY

    @property
    def is_failing(self) -> bool:
        """Whether keys are there that cannot be read; worth another `reload`."""
        return self._ring.is_unreadable

    def reload(self) -> None:
        """Read the keys of the state folder anew; blocks. When they cannot be read, none of them is good any more."""
        try:
            ring = read_ring(self._state_dir)
            why = "the file of API keys is gone: restore it, or start anew to go without"
        except StoreError as error:
            ring, why = KeyRing(is_unreadable=True), f"API keys cannot be read: {error}"
        if ring.is_empty and not self._ring.is_empty:
            ring = KeyRing(is_unreadable=True)
        if ring.is_unreadable and not self._ring.is_unreadable:
            log.error("none is accepted: %s", why)
        self._ring = ring

    def authenticate(self, headers: Headers) -> Principal:
        """Who sent a request with these raw headers (lower-case names).

        Raises `Denied` (403) for an `Origin` that is not listed, `Unauthenticated` (401) for a missing or wrong key,
        `Unavailable` (503) while keys cannot be read.
        """
        sent: set[bytes] = set()
        for name, value in headers:
            if name == b"origin" and value not in self._origins:
                raise Denied(
                    "Requests from this web origin are refused. List it in GATEHOUSE_ALLOWED_ORIGINS to allow it.",
                    code="origin_not_allowed",
                )
            if name in _KEY_HEADERS:
                sent.add(_key_in(name, value))
        if self._may_be_open and (self._ring.is_empty or self._ring.is_unreadable):
            self._look_again()
            if self._ring.is_empty:
                return self._principal
        sent.discard(b"")
        if not sent:
            raise Unauthenticated("An API key is needed: send it as `Authorization: Bearer …` or `x-api-key`.")
        if len(sent) > 1:
            raise Unauthenticated("Two different API keys were sent. Send one.")
        return self._check(sent.pop(), headers)

    def _look_again(self) -> None:
        """Read the keys if their file has changed: asked, in some microseconds, before anybody is let in without one,
        since nobody else may be in time to tell of the first key."""
        mark = read_mark(self._keys_file)
        if mark != self._mark:
            self._mark = mark  # as it was before the keys are read: what comes after is seen the next time
            self.reload()

    def _check(self, text: bytes, headers: Headers) -> Principal:
        digest = digest_of_key(text)
        if self._digest is not None and hmac.compare_digest(digest, self._digest):
            return self._principal
        if self._tokens is not None and text.count(b".") == _TOKEN_DOTS:
            return self._of_token(self._tokens.verify(text, self._clock()))
        found = self._ring.find(text, digest, self._clock())
        if isinstance(found, str):
            raise _refusal(found)
        key, principal = found
        return principal if key.subject_header is None else self._with_subject(principal, key.subject_header, headers)

    def _with_subject(self, principal: Principal, header: str, headers: Headers) -> Principal:
        wanted = header.encode()
        values = {value.strip() for name, value in headers if name == wanted}
        if len(values) > 1 or any(len(value) > _MOST_SUBJECT_BYTES for value in values):
            raise InvalidRequest(f"`{header}` names one subject, in at most {_MOST_SUBJECT_BYTES} bytes.", param=header)
        subject = values.pop() if values else b""
        if not subject:
            return principal
        return replace(principal, subject=self._pseudonym(principal.tenant, subject))

    def _of_token(self, claims: Claims) -> Principal:
        subject = self._pseudonym(claims.tenant, claims.subject.encode()) if claims.subject is not None else None
        return Principal(claims.tenant, _TOKEN, subject, claims.groups, claims.scopes)

    def _pseudonym(self, tenant: str, subject: bytes) -> str:
        if self._keys is None:
            self._keys = load_keys(self._state_dir)
        return subject_of(self._keys, tenant, subject)


def subject_of(keys: Keys, tenant: str, subject: bytes) -> str:
    """The pseudonym under which somebody stands in records: keyed, 32 hex digits, another one at each tenant."""
    return hmac.digest(keys.subkey("subjects", tenant), subject, "sha256")[:16].hex()


def require(principal: Principal, *scopes: KeyScope) -> None:
    """Raises `Denied` (403, `insufficient_scope`) unless the key has at least one of these scopes."""
    if principal.scopes.isdisjoint(scopes):
        raise Denied(f"This API key lacks the scope {' or '.join(scopes)}.", code="insufficient_scope")


def _refusal(fault: Fault) -> GatehouseError:
    if fault == "unreadable":
        return Unavailable("API keys cannot be checked at the moment. Retry.", code="keys_unavailable", retry_after=2)
    if fault == "mistyped":
        return Unauthenticated("The API key is mistyped or cut short: its checksum does not fit.")
    if fault == "unknown":
        return Unauthenticated("The API key is not valid.")
    return Unauthenticated(f"The API key is {fault}.", code=f"{fault}_api_key")


def _key_in(name: bytes, value: bytes) -> bytes:
    if name == b"authorization" and value[: len(_BEARER)].lower() == _BEARER:
        value = value[len(_BEARER) :]
    return value.strip()


def _is_loopback_address(address: str) -> bool:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return (mapped or parsed).is_loopback
