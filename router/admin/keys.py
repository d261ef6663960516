"""API keys, through the store that `gatehouse keys` uses. A new key is in its reply and nowhere else.

A key of another tenant than `default` may neither see nor change keys: what it could make would outrank it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, TypeVar

from router.admin.changing import Done, perform
from router.admin.reading import text_of
from router.admin.types import AdminRoute, Call
from router.api_keys.key import StoredKey
from router.api_keys.orders import BadOrder, duration, key_json, moment, order_key
from router.api_keys.store import KEYS_FILE, KeyStore, NoSuchKey
from router.errors import Denied, InvalidRequest, NotFound, Unavailable
from router.keys import StateFolderError
from router.records.store import StoreError
from router.types import JsonObject

T = TypeVar("T")


async def list_keys(call: Call) -> JsonObject:
    """Every key that was ever made."""
    _of_the_house(call)
    if not (call.house.settings.state_dir / KEYS_FILE).exists():
        return {"keys": []}
    return {"keys": await asyncio.to_thread(_stored, call, lambda store: [_shown(key) for key in store.list()])}


async def create(call: Call) -> JsonObject:
    """Make a key. From the first one on every request needs one, on loopback too."""
    _of_the_house(call)
    order = _ordered(lambda: order_key(time.time(), **_order_of(call)))

    def make(store: KeyStore) -> tuple[StoredKey, str]:
        return store.create(
            order.name,
            tenant=order.tenant,
            scopes=order.scopes,
            groups=order.groups,
            subject_header=order.subject_header,
            expires=order.expires,
            rate=order.rate,
        )

    async def work() -> Done:
        key, text = await asyncio.to_thread(_stored, call, make)
        return Done({"key": text, **_about(key)}, _about(key), target=key.id)

    return await perform(call, "keys.create", order.name, work)


async def rotate(call: Call) -> JsonObject:
    """Give a key a new secret."""
    _of_the_house(call)
    overlap = _ordered(lambda: duration(text_of(call, "overlap", 20, "24h"), "overlap"))
    until = _ordered(lambda: moment(_optional(call, "expires"), "expires", time.time()))

    async def work() -> Done:
        key, text = await asyncio.to_thread(_stored, call, lambda store: store.rotate(call.path["id"], overlap, until))
        return Done({"key": text, **_about(key)}, {**_about(key), "overlap_s": overlap}, target=key.id)

    return await perform(call, "keys.rotate", call.path["id"], work)


async def revoke(call: Call) -> JsonObject:
    """End a key for good; done even when it cannot be written down."""
    _of_the_house(call)

    async def work() -> Done:
        key = await asyncio.to_thread(_stored, call, lambda store: store.revoke(call.path["id"]))
        return Done(_about(key), _about(key), target=key.id)

    return await perform(call, "keys.revoke", call.path["id"], work, closes=True)


def _of_the_house(call: Call) -> None:
    if call.tenant is not None:
        raise Denied("Keys are managed by admins of the tenant `default`.", code="insufficient_scope")


def _order_of(call: Call) -> dict[str, Any]:
    order: dict[str, Any] = {"name": text_of(call, "name", 64)}
    for field, name in (("tenant", "tenant"), ("expires", "expires"), ("subject_header", "subject_header")):
        if field in call.body:
            order[name] = text_of(call, field, 64)
    for field in ("requests_per_minute", "tokens_per_minute"):
        if field in call.body:
            if type(call.body[field]) is not int:
                raise InvalidRequest(f"`{field}` is a whole number.", param=field)
            order[field] = call.body[field]
    for field in ("scopes", "groups"):
        if field in call.body:
            order[field] = _words(call, field)
    return order


def _words(call: Call, name: str) -> list[str]:
    value = call.body[name]
    if not isinstance(value, list) or len(value) > 32 or not all(isinstance(word, str) for word in value):
        raise InvalidRequest(f"`{name}` is a list of at most 32 words.", param=name)
    return value


def _optional(call: Call, name: str) -> str | None:
    return text_of(call, name, 64) if name in call.body else None


def _ordered(check: Callable[[], T]) -> T:
    try:
        return check()
    except BadOrder as error:
        raise InvalidRequest(f"{error.what}: {error}", param=error.what) from None


def _stored(call: Call, work: Callable[[KeyStore], T]) -> T:
    try:
        with KeyStore(call.house.settings.state_dir) as store:
            return work(store)
    except NoSuchKey:
        raise NotFound("No key that can be changed has this id.", code="no_such_key") from None
    except (StoreError, StateFolderError):
        raise Unavailable("The keys cannot be read or written at the moment.", code="keys_unavailable") from None


def _shown(key: StoredKey) -> JsonObject:
    return key_json(key, time.time())


def _about(key: StoredKey) -> JsonObject:
    return {"about": _shown(key)}


ROUTES = (
    AdminRoute("GET", "/keys", "admin", list_keys, command="gatehouse keys list"),
    AdminRoute(
        *("POST", "/keys", "admin", create),
        fields=frozenset(
            {
                "name",
                "tenant",
                "scopes",
                "groups",
                "expires",
                "subject_header",
                "requests_per_minute",
                "tokens_per_minute",
            }
        ),
        changes=True,
        command="gatehouse keys create",
    ),
    AdminRoute(
        *("POST", "/keys/{id}/rotate", "admin", rotate),
        fields=frozenset({"overlap", "expires"}),
        changes=True,
        command="gatehouse keys rotate",
    ),
    AdminRoute("POST", "/keys/{id}/revoke", "admin", revoke, changes=True, command="gatehouse keys revoke"),
)
