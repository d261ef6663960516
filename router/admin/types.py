"""The nouns of the admin API: one call, one reply, one route, and what the house gives to both."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from policies.store import PolicyStore
from policies.types import Policy
from router.settings import Settings
from router.types import JsonObject, KeyScope, Principal


class Gateway(Protocol):
    """What the parent shows of itself and lets be done (`router.parent.Parent`)."""

    store: PolicyStore
    policy: Policy

    def report(self) -> JsonObject:
        """How it stands, as plain JSON without content."""
        ...

    async def reload(self) -> bool:
        """Read the policy's file again; False for a bad one."""
        ...


class AuditSink(Protocol):
    """Where entries of the audit trail go (`router.records.writer.RecordWriter`)."""

    def submit(self, record: JsonObject) -> bool: ...

    async def commit_intent(self, record: JsonObject) -> bool: ...


@dataclass(frozen=True, slots=True)
class House:
    """What routes work on."""

    settings: Settings
    gateway: Gateway
    sink: AuditSink


@dataclass(frozen=True, slots=True)
class Call:
    """One admitted request. `query` and `body` hold nothing but what the route takes."""

    house: House
    principal: Principal
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: JsonObject = field(repr=False)

    @property
    def tenant(self) -> str | None:
        """Whose records may be shown: a key of another tenant than `default` sees its own alone; None: all."""
        return None if self.principal.tenant == "default" else self.principal.tenant


Handler = Callable[[Call], Awaitable[JsonObject]]


@dataclass(frozen=True, slots=True)
class AdminRoute:
    """One route. A GET changes nothing; what `changes` something is in the audit trail, under its `action`."""

    method: Literal["GET", "POST"]
    path: str
    scope: KeyScope
    handler: Handler
    query: frozenset[str] = frozenset()
    fields: frozenset[str] = frozenset()  # of the body
    changes: bool = False
    command: str = ""  # the command that does the same
