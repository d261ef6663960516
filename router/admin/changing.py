"""One change over the admin API: written down before it begins, done, written down as it ended.

A change that cannot be written down does not happen, unless it only closes something.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from router.admin.types import Call, House
from router.errors import GatehouseError, Unavailable
from router.records.audit import Actor, audit_record, new_audit_id
from router.types import JsonObject, Principal


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a change: the reply's body, and what the audit trail keeps of it (never a key, never content)."""

    body: JsonObject = field(repr=False)
    detail: JsonObject = field(default_factory=dict)
    target: str | None = None


def actor_of(principal: Principal) -> Actor:
    """Who asks, as the trail names them."""
    return Actor("api", key_id=principal.key_id, tenant=principal.tenant)


async def perform(
    call: Call, action: str, target: str | None, change: Callable[[], Awaitable[Done]], *, closes: bool = False
) -> JsonObject:
    """Run `change` and keep both ends of it in the trail.

    `closes`: it only takes rights away, and is done even when nothing can be written down. Raises `Unavailable` (503,
    `audit_unavailable`) when it was not begun for that reason.
    """
    sink, actor, audit_id = call.house.sink, actor_of(call.principal), new_audit_id()
    begun = audit_record(audit_id, actor, action, "begun", target=target)
    is_kept = sink.submit(begun) if closes else await sink.commit_intent(begun)
    if not is_kept and not closes:
        raise Unavailable("The change was not begun: it cannot be written down.", code="audit_unavailable")
    try:
        done = await change()
    except BaseException as error:
        code = error.code if isinstance(error, GatehouseError) else "internal_error"
        sink.submit(audit_record(audit_id, actor, action, "failed", target=target, error=code))
        raise
    kept = await sink.commit_intent(
        audit_record(audit_id, actor, action, "done", target=done.target or target, detail=done.detail)
    )
    return {**done.body, "audit_id": audit_id, "audited": is_kept and kept}


def note_refusal(house: House, principal: Principal | None, action: str, error: GatehouseError) -> None:
    """Keep an attempt that was turned away: who, if a key was right, and which route; nothing that the caller chose."""
    actor = actor_of(principal) if principal is not None else Actor("api")
    house.sink.submit(audit_record(new_audit_id(), actor, action, "refused", error=error.code))
