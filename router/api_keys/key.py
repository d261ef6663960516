"""API keys: their form, what is kept of one, and the check of a key that came with a request. Pure; no key is kept.

A key reads `gh-<id>-<secret><checksum>`: the id is public and stands in records, the secret is 32 random bytes, and the
checksum tells a slip of the hand, and a scanner of source code, from a key that nobody issued.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from policies.allowances import Rate
from router.types import KeyScope, Principal

SECRET_BYTES = 32
_ID_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that are taken for each other
_ID_LENGTH = 12
_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SECRET_LENGTH = 43  # of 32 bytes in base 62
_CHECKSUM_LENGTH = 6  # of a CRC-32 in base 62
_FORM = re.compile(rb"gh-([a-z2-9]{12})-([0-9A-Za-z]{43})([0-9A-Za-z]{6})")
_ALMOST = re.compile(rb"gh-[a-z2-9]{12}-[^\s]*", re.IGNORECASE)
_NO_DIGEST = bytes(32)

Fault = Literal["unknown", "mistyped", "expired", "revoked", "unreadable"]


@dataclass(frozen=True, slots=True)
class Secret:
    """What is kept of a key's secret: the SHA-256 of the whole key, and until when it counts (Unix seconds)."""

    digest: bytes
    until: float | None = None  # None: as long as the key does


@dataclass(frozen=True, slots=True)
class StoredKey:
    """One API key as it is kept. Times are Unix seconds."""

    id: str
    name: str
    tenant: str
    scopes: frozenset[KeyScope]
    created: float
    groups: tuple[str, ...] = ()
    subject_header: str | None = None  # the request header that says for whom the caller asks; lower case
    expires: float | None = None
    revoked: float | None = None
    secrets: tuple[Secret, ...] = ()
    rate: Rate | None = None  # what it may ask for in a minute, whatever more the policy would give it

    def state(self, now: float) -> Literal["active", "expired", "revoked"]:
        """Whether it can be used at that time."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= now else "active"


def new_key_id() -> str:
    """A public id that no other key has."""
    return "".join(secrets.choice(_ID_LETTERS) for _ in range(_ID_LENGTH))


def new_key_text(key_id: str) -> str:
    """A new key for that id: the only time that it is whole anywhere."""
    whole = f"gh-{key_id}-{_base62(secrets.randbits(SECRET_BYTES * 8), _SECRET_LENGTH)}"
    return whole + _checksum(whole.encode())


def digest_of_key(text: bytes) -> bytes:
    """What is kept of a key: SHA-256, which is enough for 256 random bits."""
    return hashlib.sha256(text).digest()


def is_whole(text: bytes) -> bool:
    """Whether it has the form of a key and its checksum fits; says nothing of who issued it."""
    return (
        _FORM.fullmatch(text) is not None and _checksum(text[:-_CHECKSUM_LENGTH]).encode() == text[-_CHECKSUM_LENGTH:]
    )


def _checksum(text: bytes) -> str:
    return _base62(zlib.crc32(text), _CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_BASE62[digit])
    return "".join(reversed(digits))


class KeyRing:
    """The keys of an installation, as they were read; replaced whole when one changes.

    `is_unreadable`: keys are known to be there and cannot be read. Then none is good, and none is not needed.
    """

    def __init__(self, keys: Iterable[StoredKey] = (), *, is_unreadable: bool = False) -> None:
        self._keys = {key.id.encode(): (key, principal_of(key)) for key in keys}
        self.is_unreadable = is_unreadable

    @property
    def is_empty(self) -> bool:
        """Whether no key has ever been made: a revoked one counts, or the last revocation would open the door."""
        return not self._keys and not self.is_unreadable

    def find(self, text: bytes, digest: bytes, now: float) -> tuple[StoredKey, Principal] | Fault:
        """The key that `text` is, or why it is none; `digest` is `digest_of_key(text)`. Compares in constant time."""
        form = _FORM.fullmatch(text)
        if form is None:
            return "mistyped" if _ALMOST.fullmatch(text) else "unknown"
        if self.is_unreadable:
            return "unreadable"
        found = self._keys.get(form[1])
        if found is None:
            hmac.compare_digest(digest, _NO_DIGEST)
            return "unknown" if is_whole(text) else "mistyped"
        key = found[0]
        if not _has(key, digest, now):
            return "unknown" if is_whole(text) else "mistyped"
        state = key.state(now)
        return found if state == "active" else state


def _has(key: StoredKey, digest: bytes, now: float) -> bool:
    is_right = False
    for secret in key.secrets:
        is_in_time = secret.until is None or secret.until > now
        is_right |= hmac.compare_digest(digest, secret.digest) and is_in_time
    return is_right


def principal_of(key: StoredKey) -> Principal:
    """Who asks with this key; a subject is added where the key names its header."""
    return Principal(tenant=key.tenant, key_id=key.id, groups=key.groups, scopes=key.scopes, rate=key.rate)
