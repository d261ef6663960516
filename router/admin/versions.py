"""The versions of the policy that were in force, or are on their way there, as `gatehouse policy history` has them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from policies.comparing.reports import changes_in_words, version_json
from policies.version import NoSuchVersion, difference
from router.admin.reading import whole_number
from router.admin.types import AdminRoute, Call
from router.errors import NotFound, Unavailable
from router.keys import StateFolderError
from router.records.store import StoreError
from router.types import JsonObject
from router.versions.versions import VersionStore

T = TypeVar("T")


async def history(call: Call) -> JsonObject:
    """The newest versions first: when, who, why, and which is in force."""
    limit = whole_number(call, "limit", 50, 1000)

    def work(store: VersionStore) -> list[JsonObject]:
        return [version_json(each) for each in store.list(limit)]

    return {"versions": await asyncio.to_thread(_stored, call, work)}


async def show(call: Call) -> JsonObject:
    """One version, with its texts and what differs from the one before. Texts may name what is sensitive."""

    def work(store: VersionStore) -> JsonObject:
        version = store.get(call.path["which"])
        before = store.get(str(version.before)) if version.before is not None else None
        texts = [{"source": each.source, "text": each.text} for each in version.texts]
        words = changes_in_words(before, version)
        return {**version_json(version), "texts": texts, "diff": difference(before, version), "differences": words}

    return await asyncio.to_thread(_stored, call, work)


def _stored(call: Call, work: Callable[[VersionStore], T]) -> T:
    try:
        with VersionStore(call.house.settings.state_dir) as store:
            return work(store)
    except NoSuchVersion:
        raise NotFound("There is no such version, or several begin so.", code="no_such_version") from None
    except (StoreError, StateFolderError):
        raise Unavailable("The versions cannot be read at the moment.", code="versions_unavailable") from None


ROUTES = (
    AdminRoute(
        *("GET", "/policy/history", "read", history),
        query=frozenset({"limit"}),
        command="gatehouse policy history",
    ),
    AdminRoute("GET", "/policy/history/{which}", "admin", show, command="gatehouse policy show"),
)
