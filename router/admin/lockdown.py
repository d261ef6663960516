"""The kill switch over the admin API, through the functions of `gatehouse lockdown` and `unlock`.

For admins of the tenant `default`: whoever is locked may not end it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from router.admin.changing import Done, perform
from router.admin.reading import text_of
from router.admin.types import AdminRoute, Call
from router.errors import Denied, InvalidRequest, Unavailable
from router.keys import StateFolderError
from router.lockdown.lockdown import Lock, LockdownError, lock, lock_object, read_locks, reason_to_end, unlock
from router.lockdown.sharing import Action, lockdown_record, shared_locks, sync_once
from router.types import JsonObject

T = TypeVar("T")


async def show(call: Call) -> JsonObject:
    """What is locked now, as far as this key's tenant is concerned."""
    locks = await asyncio.to_thread(read_locks, call.house.settings.state_dir)
    concerned = [each for each in locks.in_force if call.tenant is None or each.tenant in (None, call.tenant)]
    return {"locked": locks.holds_all, "unreadable": locks.unreadable or None, "locks": _objects(concerned)}


async def begin(call: Call) -> JsonObject:
    """Let nothing leave from now on, of anybody or of one tenant; done even when it cannot be written down."""
    _of_the_house(call)
    reason, tenant = text_of(call, "reason", 200), _tenant(call)

    async def work() -> Done:
        made = await _changed(lambda: lock(call.house.settings.state_dir, reason=reason, tenant=tenant, by=_who(call)))
        return await _told(call, "lock", (made,))

    return await perform(call, "lockdown.lock", tenant, work, closes=True)


async def end(call: Call) -> JsonObject:
    """End the locks on everything, or those on one tenant alone."""
    _of_the_house(call)
    tenant, reason = _tenant(call), _why(call)

    async def work() -> Done:
        await _share(call)  # first: only a lock that has been seen can be ended
        over = await _changed(lambda: unlock(call.house.settings.state_dir, tenant=tenant))
        return await _told(call, "unlock", over, reason)

    return await perform(call, "lockdown.unlock", tenant, work)


async def _told(call: Call, action: Action, locks: tuple[Lock, ...], reason: str = "") -> Done:
    """Tell the other hosts and the records; a lock that one of them did not hear of is a lock all the same."""
    is_shared = await _share(call)
    if is_shared and action == "unlock" and call.house.settings.lockdown_key is None:
        is_shared = False  # the others take the end of a lock from nobody who cannot prove it
    if locks:
        call.house.sink.submit(lockdown_record(action, locks, source="admin", by=_who(call), reason=reason))
    found = {"action": action, "locks": _objects(locks)}
    return Done({**found, "shared": is_shared}, {**found, "reason": reason} if action == "unlock" else found)


async def _share(call: Call) -> bool | None:
    """Whether the other hosts were told; None where there are none."""
    shared = shared_locks(call.house.settings)
    if shared is None:
        return None
    try:
        return await sync_once(call.house.settings.state_dir, shared)
    except (StateFolderError, OSError, LockdownError):
        return False
    finally:
        await shared.close()


async def _changed(change: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(change)
    except LockdownError as error:
        raise InvalidRequest(f"Not done: {error}", code="lockdown_refused") from None
    except (StateFolderError, OSError):
        raise Unavailable("Not done: the state of locks cannot be written.", code="lockdown_unavailable") from None


def _objects(locks: tuple[Lock, ...] | list[Lock]) -> list[JsonObject]:
    return [{"id": each.id, **lock_object(each)} for each in locks]


def _tenant(call: Call) -> str | None:
    return text_of(call, "tenant", 200) if call.body.get("tenant") is not None else None


def _why(call: Call) -> str:
    if call.body.get("reason") is None:
        return ""
    try:
        return reason_to_end(text_of(call, "reason", 200))
    except LockdownError as error:
        raise InvalidRequest(f"`reason`: {error}.", param="reason") from None


def _who(call: Call) -> str:
    return f"key {call.principal.key_id}"


def _of_the_house(call: Call) -> None:
    if call.tenant is not None:
        raise Denied("Locks are for admins of the tenant `default`.", code="insufficient_scope")


ROUTES = (
    AdminRoute("GET", "/lockdown", "read", show),
    AdminRoute(
        *("POST", "/lockdown", "admin", begin),
        fields=frozenset({"reason", "tenant"}),
        changes=True,
        command="gatehouse lockdown",
    ),
    AdminRoute(
        *("POST", "/unlock", "admin", end),
        fields=frozenset({"reason", "tenant"}),
        changes=True,
        command="gatehouse unlock",
    ),
)
