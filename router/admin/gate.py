"""Who may speak to the admin API at all: the Host, the Origin and the key of a request. It is never open.

Anybody's web page and any process of this machine can reach loopback, so a key is needed there too.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

from router.api_keys.watch import KeyWatch
from router.errors import Denied, InvalidRequest, Unauthenticated
from router.identity import Headers, Identity, is_loopback
from router.keys import StateFolderError, create_private
from router.settings import Settings
from router.types import Principal

ADMIN_KEY_FILE = "admin.key"
ADMIN_KEY_ID = "admin.key"

_LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
_ANY = ("0.0.0.0", "::", "")  # noqa: S104  # names that no caller uses, not an address to listen on
_FAILURES_A_MINUTE = 30


@dataclass(frozen=True, slots=True)
class AdminKey:
    """The key of this installation's admin, made at the first start."""

    path: Path
    key: str = field(repr=False)

    @property
    def how_to_read(self) -> str:
        """The command that shows it."""
        return f"cat {self.path}"


def ensure_admin_key(state_dir: Path) -> AdminKey:
    """The admin's key, created 0600 in the state folder when it is not there. Raises `StateFolderError`."""
    path = state_dir / ADMIN_KEY_FILE
    key = create_private(path, _new_key).decode("ascii", "replace").strip()
    if not key:
        raise StateFolderError(f"{path} is empty: remove it, and the next start makes a new key")
    return AdminKey(path, key)


def _new_key() -> bytes:
    return f"gha-{secrets.token_urlsafe(32)}\n".encode()


def host_names(settings: Settings, port: int) -> frozenset[bytes]:
    """What a `Host` header may say, in lower case: where this listener is, and what the operator listed."""
    host = settings.admin_host
    names = {f"[{host}]" if ":" in host else host} if host not in _ANY else set()
    if host in _ANY or is_loopback(host):
        names.update(_LOOPBACK_NAMES)
    found = {f"{name}:{port}" for name in names}
    if port == 80:
        found |= names
    return frozenset(name.lower().encode() for name in (*found, *settings.admin_names))


class Failures:
    """Bounds what failed attempts may cost: so many a minute are told apart and written down, the rest is one word."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, most: int = _FAILURES_A_MINUTE) -> None:
        self._clock = clock
        self._most = most
        self._left = float(most)
        self._at = clock()

    def note(self) -> bool:
        """Count one; whether it is within bounds."""
        now = self._clock()
        self._left = min(float(self._most), self._left + (now - self._at) * self._most / 60)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Gate:
    """Makes a `Principal` of a request's headers, or refuses it."""

    def __init__(self, settings: Settings, key: AdminKey, names: Collection[bytes]) -> None:
        self._names = frozenset(names)
        # The keys of the gateway's callers are no admin's: of those that are configured only the admin's counts here.
        own = {"api_key": key.key, "allowed_origins": settings.admin_origins}
        self._identity = Identity(settings.model_copy(update=own))
        self._watch = KeyWatch(settings.state_dir)
        self._watch.look()
        self._one_at_a_time = threading.Lock()

    def refresh(self) -> None:
        """See whether keys have changed; blocks. A key that was revoked a moment ago opens nothing."""
        with self._one_at_a_time:
            if self._watch.look() or self._identity.is_failing:
                self._identity.reload()

    def admit(self, headers: Headers) -> Principal:
        """Raises `Denied` (403) for a Host or Origin that is not listed, `Unauthenticated` (401) for a bad key."""
        hosts = [value for name, value in headers if name == b"host"]
        if len(hosts) != 1 or hosts[0].strip().lower() not in self._names:
            raise Denied(
                "This listener does not go by that name. List it in GATEHOUSE_ADMIN_NAMES to allow it.",
                code="host_not_allowed",
            )
        try:
            principal = self._identity.authenticate(headers)
        except InvalidRequest:
            raise Unauthenticated("The key's subject header cannot be used.") from None
        except Denied as error:
            raise Denied(
                "Requests from this web origin are refused. List it in GATEHOUSE_ADMIN_ORIGINS to allow it.",
                code=error.code,
            ) from None
        return replace(principal, key_id=ADMIN_KEY_ID) if principal.key_id == "configured" else principal
