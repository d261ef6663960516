"""Sealing of cached replies (AES-256-GCM, a subkey a tenant), and the `Cache` over any place that keeps sealed bytes.

Nothing plain ever goes past this file, and nothing that fails to open is ever served.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from router.cache.base import CachedReply, SealedBytes
from router.keys import KeyName, Keys

_HEAD = struct.Struct(">B8sQ")  # version, key id, expiry (Unix time in ms)
_VERSION = 1
_NONCE_BYTES = 12
_MAX_TENANTS = 1024  # ciphers remembered
_MAX_VALUE_BYTES = 1 << 20  # a longer answer is not kept

Clock = Callable[[], float]


class Sealer:
    """Seals and opens. The key's id, the expiry and the place (the cache key) are authenticated with the text.

    So a value that was moved to another key, another tenant or another time does not open.
    """

    def __init__(self, keys: Keys, clock: Clock = time.time, name: KeyName = "cache") -> None:
        """`name`: whose subkeys these are, so that what one seals another never opens."""
        self._keys = keys
        self._name: KeyName = name
        self._clock = clock
        self._ciphers: dict[str, tuple[bytes, AESGCM]] = {}

    def seal(self, tenant: str, place: bytes, plain: bytes, ttl: float) -> bytes:
        """`plain`, sealed for `ttl` seconds."""
        key_id, cipher = self._cipher(tenant)
        head = _HEAD.pack(_VERSION, key_id, int((self._clock() + ttl) * 1000))
        nonce = os.urandom(_NONCE_BYTES)
        return head + nonce + cipher.encrypt(nonce, plain, head + place)

    def open(self, tenant: str, place: bytes, sealed: bytes) -> bytes | None:
        """The plain bytes; None when expired, sealed under another key or for another place, or changed."""
        if len(sealed) < _HEAD.size + _NONCE_BYTES:
            return None
        key_id, cipher = self._cipher(tenant)
        head, nonce = sealed[: _HEAD.size], sealed[_HEAD.size : _HEAD.size + _NONCE_BYTES]
        version, sealed_by, expiry_ms = _HEAD.unpack(head)
        if version != _VERSION or sealed_by != key_id or expiry_ms <= self._clock() * 1000:
            return None
        try:
            return cipher.decrypt(nonce, sealed[_HEAD.size + _NONCE_BYTES :], head + place)
        except InvalidTag:
            return None

    def _cipher(self, tenant: str) -> tuple[bytes, AESGCM]:
        found = self._ciphers.get(tenant)
        if found is None:
            if len(self._ciphers) >= _MAX_TENANTS:
                self._ciphers.clear()
            key_id = self._keys.subkey(self._name, f"id/{tenant}")[
                :8
            ]  # tells one key from another, and nothing about it
            found = self._ciphers[tenant] = (key_id, AESGCM(self._keys.subkey(self._name, f"seal/{tenant}")))
        return found


class SealedCache:
    """The `Cache` of the gateway: seals a reply, and hands it to the place that keeps it."""

    def __init__(self, sealer: Sealer, place: SealedBytes) -> None:
        self._sealer = sealer
        self._place = place

    async def get(self, tenant: str, key: bytes) -> CachedReply | None:
        """The reply stored under `key` for `tenant`; None for anything that is not exactly that."""
        sealed = await self._place.get(key)
        plain = None if sealed is None else self._sealer.open(tenant, key, sealed)
        return None if plain is None else _decode(plain)

    async def put(self, tenant: str, key: bytes, reply: CachedReply, ttl: float) -> None:
        """Seal and store `reply` for `ttl` seconds; one over 1 MiB is left out."""
        plain = _encode(reply)
        if ttl > 0 and len(plain) <= _MAX_VALUE_BYTES:
            await self._place.put(key, self._sealer.seal(tenant, key, plain, ttl), ttl)

    async def close(self) -> None:
        """Close the place."""
        await self._place.close()


def _encode(reply: CachedReply) -> bytes:
    head = orjson.dumps({"model": reply.model, "confidence": reply.confidence})
    return len(head).to_bytes(4, "big") + head + reply.body


def _decode(plain: bytes) -> CachedReply:
    end = 4 + int.from_bytes(plain[:4], "big")
    head = orjson.loads(plain[4:end])
    return CachedReply(body=plain[end:], model=head["model"], confidence=head["confidence"])
