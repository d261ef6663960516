"""The token of a release: under a key of this gateway's own, bound to one request, its caller, a model and a level.

It holds no content: an id, an end, a level and the policy's name of a model. Nothing here writes it anywhere.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
from dataclasses import dataclass

import orjson

from policies.types import Level, Release
from router.keys import Keys
from router.types import ChatRequest

_PREFIX = "ghr1_"
_HEAD = struct.Struct(">8sQB")  # id, end in Unix milliseconds, level; the model's name follows
_MAC_BYTES = 32
_MOST_CHARACTERS = 256
_NOT_BOUND = frozenset({"stream", "stream_options"})  # how an answer is sent, not what it is asked for


class BadToken(Exception):
    """Not a token that this gateway gave for this very request. It does not say what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Bound:
    """What a token is bound to beside what it says itself. Without logic; made by `bound_of`."""

    tenant: str
    key_id: str | None
    subject: str | None
    requested: str  # the model's name as the caller wrote it
    policy_digest: str
    body: bytes  # SHA-256 of the request in canonical JSON


def bound_of(request: ChatRequest, policy_digest: str) -> Bound:
    """What a token for this request is bound to: every value and key of the body, in whatever dialect it came."""
    kept = {name: value for name, value in request.body.items() if name not in _NOT_BOUND}
    body = orjson.dumps({"task": request.task, "body": kept}, option=orjson.OPT_SORT_KEYS)
    caller = request.principal
    digest = hashlib.sha256(body).digest()
    return Bound(caller.tenant, caller.key_id, caller.subject, request.model, policy_digest, digest)


class ReleaseTokens:
    """Makes and reads tokens under the subkey `releases`. `host` names the store in which their use is kept."""

    def __init__(self, keys: Keys, host: str) -> None:
        self._key = keys.subkey("releases")
        self._host = host

    def make(self, release: Release, bound: Bound) -> str:
        """The token, printable ASCII. `release.id` is `rl-` and 16 hex digits."""
        number = bytes.fromhex(release.id.removeprefix("rl-"))
        said = _HEAD.pack(number, int(release.until * 1000), int(release.level)) + release.model.encode()
        return _PREFIX + _encode(said + self._mac(said, bound))

    def read(self, token: str, bound: Bound) -> Release:
        """What the token says. Raises `BadToken` unless it was made here for exactly this. Its end is not looked at."""
        whole = _decode(token)
        said, mac = whole[:-_MAC_BYTES], whole[-_MAC_BYTES:]
        if len(said) <= _HEAD.size or not hmac.compare_digest(mac, self._mac(said, bound)):
            raise BadToken
        number, milliseconds, level = _HEAD.unpack_from(said)
        return Release(f"rl-{number.hex()}", said[_HEAD.size :].decode(), Level(level), milliseconds / 1000)

    def _mac(self, said: bytes, bound: Bound) -> bytes:
        parts = (
            *(self._host.encode(), bound.tenant.encode(), _optional(bound.key_id), _optional(bound.subject)),
            *(bound.requested.encode("utf-8", "surrogatepass"), bound.policy_digest.encode(), bound.body, said),
        )
        # Each with its length, so that no two different sets of parts read the same.
        return hmac.digest(self._key, b"".join(len(part).to_bytes(4, "big") + part for part in parts), "sha256")


def _optional(value: str | None) -> bytes:
    return b"" if value is None else b"=" + value.encode()


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decode(token: str) -> bytes:
    text = token.removeprefix(_PREFIX)
    if len(token) > _MOST_CHARACTERS or text == token or not text.isascii():
        raise BadToken
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise BadToken from None
    if _encode(data) != text:  # one token, one spelling
        raise BadToken
    return data
