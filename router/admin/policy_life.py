"""Changing the policy in force over the admin API, through the functions of `gatehouse policy apply` and its kin.

Who approves must be told apart: `admin.key` is whoever owns the state folder, and no approver.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from policies.comparing.reports import version_json
from policies.errors import PolicyError
from policies.version import NoSuchVersion, Version, WrongState
from router.admin.changing import Done, perform
from router.admin.gate import ADMIN_KEY_ID
from router.admin.policy import CANDIDATE, candidate_texts
from router.admin.reading import text_of, whole_number
from router.admin.types import AdminRoute, Call
from router.errors import Denied, InvalidRequest, NotFound, Unavailable
from router.keys import StateFolderError
from router.records.store import StoreError
from router.types import JsonObject
from router.versions import changing
from router.versions.versions import VersionStore

_REASON = 500


async def apply(call: Call) -> JsonObject:
    """Put a candidate in the place of the policy in force; refused when more may leave, unless `may_newly_leave`."""
    reason, may = text_of(call, "reason", _REASON, ""), _flag(call, "may_newly_leave")
    days = whole_number(call, "days", changing.DAYS, 3650)

    def work(store: VersionStore) -> Version:
        texts, state = candidate_texts(call), call.house.settings.state_dir
        how = {"author": _author(call), "reason": reason}
        return changing.apply(store, texts, state, may_newly_leave=may, days=days, **how).version

    return await _change(call, "policy.apply", None, work)


async def rollback(call: Call) -> JsonObject:
    """Back to the version before, or to the one that is named."""
    which = text_of(call, "version", 64) if "version" in call.body else None
    reason, may = text_of(call, "reason", _REASON, ""), _flag(call, "may_newly_leave")

    def work(store: VersionStore) -> Version:
        state, author = call.house.settings.state_dir, _author(call)
        return changing.rollback(store, state, which, author=author, reason=reason, may_newly_leave=may).version

    return await _change(call, "policy.rollback", which, work)


async def propose(call: Call) -> JsonObject:
    """A new version of the store, for others to approve; with `draft`, one that only its author goes on with."""
    reason, is_draft = text_of(call, "reason", _REASON, ""), _flag(call, "draft")

    def work(store: VersionStore) -> Version:
        texts, state = candidate_texts(call), call.house.settings.state_dir
        return changing.propose(store, texts, state, author=_author(call), reason=reason, is_draft=is_draft).version

    return await _change(call, "policy.propose", None, work)


async def propose_draft(call: Call) -> JsonObject:
    """Propose one's own draft, judged against what is in force now."""
    which = call.path["which"]

    def work(store: VersionStore) -> Version:
        return changing.propose_draft(store, which, call.house.settings.state_dir, author=_author(call)).version

    return await _change(call, "policy.propose", which, work)


async def approve(call: Call) -> JsonObject:
    """Say yes to a proposed version; never to one's own."""
    which = call.path["which"]
    return await _change(
        call, "policy.approve", which, lambda store: changing.approve(store, which, author=_author(call))
    )


async def activate(call: Call) -> JsonObject:
    """Put an approved version in force."""
    which = call.path["which"]
    return await _change(
        call, "policy.activate", which, lambda store: changing.activate(store, which, author=_author(call))
    )


async def _change(call: Call, action: str, target: str | None, work: Callable[[VersionStore], Version]) -> JsonObject:
    if call.tenant is not None:
        raise Denied("The policy is changed by admins of the tenant `default`.", code="insufficient_scope")

    async def run() -> Done:
        told = {"version": version_json(await asyncio.to_thread(_stored, call, work))}
        return Done(told, told, target=str(told["version"]["number"]))

    return await perform(call, action, target, run)


def _stored(call: Call, work: Callable[[VersionStore], Version]) -> Version:
    try:
        with VersionStore(call.house.settings.state_dir) as store:
            return work(store)
    except changing.NewlyLeaves as error:
        message = f"More would leave; `may_newly_leave: true` says that it may: {str(error)[:2000]}"
        raise InvalidRequest(message, status=409, code="newly_leaves") from None
    except (changing.Refused, WrongState) as error:
        raise InvalidRequest(f"Not done: {error}", status=409, code="change_refused") from None
    except NoSuchVersion:
        raise NotFound("There is no such version, or several begin so.", code="no_such_version") from None
    except PolicyError as error:
        raise InvalidRequest(f"The policy is not good: {str(error)[:2000]}", code="policy_not_good") from None
    except (StoreError, StateFolderError):
        raise Unavailable("The versions cannot be read or written now.", code="versions_unavailable") from None


def _author(call: Call) -> str:
    who = call.principal.key_id
    return f"user:{who}" if who == ADMIN_KEY_ID else f"key:{who}"


def _flag(call: Call, name: str) -> bool:
    value = call.body.get(name, False)
    if not isinstance(value, bool):
        raise InvalidRequest(f"`{name}` is true or false.", param=name)
    return value


ROUTES = (
    AdminRoute(
        *("POST", "/policy/apply", "admin", apply),
        fields=CANDIDATE | {"reason", "may_newly_leave", "days"},
        changes=True,
        command="gatehouse policy apply",
    ),
    AdminRoute(
        *("POST", "/policy/rollback", "admin", rollback),
        fields=frozenset({"version", "reason", "may_newly_leave"}),
        changes=True,
        command="gatehouse policy rollback",
    ),
    AdminRoute(
        *("POST", "/policy/propose", "admin", propose),
        fields=CANDIDATE | {"reason", "draft"},
        changes=True,
        command="gatehouse policy propose",
    ),
    AdminRoute("POST", "/policy/history/{which}/propose", "admin", propose_draft, changes=True),
    AdminRoute(
        "POST", "/policy/history/{which}/approve", "admin", approve, changes=True, command="gatehouse policy approve"
    ),
    AdminRoute(
        "POST", "/policy/history/{which}/activate", "admin", activate, changes=True, command="gatehouse policy activate"
    ),
)
