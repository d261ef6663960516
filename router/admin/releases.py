"""Releases over the admin API, through the functions of `gatehouse release`: nobody approves their own.

An admin of a tenant sees and decides what its own keys ask for; one of the tenant `default`, all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from router.admin.changing import Done, perform
from router.admin.reading import text_of
from router.admin.types import AdminRoute, Call
from router.errors import Denied, InvalidRequest, NotFound, Unavailable
from router.releases.listing import MOST_REASON, BadReason, ReleaseList, reason_of, release_json
from router.releases.store import Entry, NoSuchRelease, NotWaiting, ReleaseStoreError
from router.types import JsonObject


async def list_releases(call: Call) -> JsonObject:
    """What waits, was decided or used in the last week, the newest first; `whole`: with that of all hosts."""
    with _told():
        found, is_whole = await ReleaseList(call.house.settings).entries(call.tenant)
    return {"releases": [release_json(entry) for entry in found], "whole": is_whole}


async def approve(call: Call) -> JsonObject:
    """Let one request leave once."""
    return await _decide(call, "approved", "release.approve")


async def deny(call: Call) -> JsonObject:
    """Say no; done even when it cannot be written down."""
    return await _decide(call, "denied", "release.deny")


async def _decide(call: Call, state: Literal["approved", "denied"], action: str) -> JsonObject:
    try:
        reason = reason_of(text_of(call, "reason", MOST_REASON))
    except BadReason as error:
        raise InvalidRequest(f"`reason`: {error}.", param="reason") from None
    which, by = call.path["id"], f"key {call.principal.key_id}"

    def check(found: Entry) -> None:
        if call.tenant not in (None, found.tenant):
            raise NoSuchRelease
        if state == "approved" and found.key_id is not None and found.key_id == call.principal.key_id:
            raise Denied("Nobody approves what their own key asks for.", code="own_release")

    async def work() -> Done:
        with _told():
            told = release_json(await ReleaseList(call.house.settings).decide(which, state, by, reason, check))
        return Done({"release": told}, told, target=which)

    return await perform(call, action, which, work, closes=state == "denied")


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except NoSuchRelease:
        raise NotFound("Nothing of this id waits here.", code="no_such_release") from None
    except NotWaiting as error:
        raise InvalidRequest(
            f"It does not wait any more: it is {error.state}.", status=409, code="release_decided"
        ) from None
    except ReleaseStoreError:
        raise Unavailable("Releases cannot be read or written at the moment.", code="release_unavailable") from None


_FIELDS = frozenset({"reason"})
ROUTES = (
    AdminRoute("GET", "/releases", "read", list_releases, command="gatehouse release list"),
    AdminRoute(
        *("POST", "/releases/{id}/approve", "admin", approve),
        fields=_FIELDS,
        changes=True,
        command="gatehouse release approve",
    ),
    AdminRoute(
        *("POST", "/releases/{id}/deny", "admin", deny), fields=_FIELDS, changes=True, command="gatehouse release deny"
    ),
)
