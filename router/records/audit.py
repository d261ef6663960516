"""The audit trail: who changed what, when, and with which result, as records of kind `audit` in the chain of records.

A change is written down twice, before it begins and when it has ended; what could not be written down does not begin.
Policy text may stand in an entry, request content never does.
"""

from __future__ import annotations

import difflib
import getpass
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from router.records.store import RECORDS_FILE, SqliteStore
from router.settings import Settings
from router.types import JsonObject

KIND = "audit"
SCHEMA_VERSION = 1
Result = Literal["begun", "done", "failed", "refused"]

_MOST_DIFF = 64 * 1024  # characters of one text's diff that are kept


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it: a key of the admin API (`via: api`), a user of this machine (`cli`), or whoever wrote a file."""

    via: Literal["api", "cli", "file"]
    key_id: str | None = None
    tenant: str | None = None
    user: str | None = None


def this_user() -> Actor:
    """The user of this machine who runs a command."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        name = f"uid {os.geteuid()}"
    return Actor("cli", user=name)


def new_audit_id() -> str:
    """96 random bits; the entries of one change share it."""
    return "au-" + secrets.token_hex(12)


def audit_record(
    audit_id: str,
    actor: Actor,
    action: str,
    result: Result,
    *,
    target: str | None = None,
    detail: Mapping[str, object] | None = None,
    error: str | None = None,
) -> JsonObject:
    """One entry. `action` is a word of ours (`keys.create`), `error` a stable code; `detail` is plain JSON."""
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": KIND,
        "id": audit_id,
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "principal": {"tenant": actor.tenant, "key_id": actor.key_id},
        "audit": {
            "via": actor.via,
            "user": actor.user,
            "action": action,
            "target": target,
            "result": result,
            "error": error,
            "detail": dict(detail or {}),
        },
    }


def write_entry(settings: Settings, record: JsonObject) -> None:
    """Put an entry on the disk, for a command; blocks. Raises `router.records.store.StoreError`, `StateFolderError`."""
    store = SqliteStore(settings.state_dir / RECORDS_FILE, settings.records_max_bytes)
    try:
        store.append([record], durable=True)
    finally:
        store.close()


def text_diff(before: str, after: str) -> str:
    """What differs between two texts of a policy, as `diff -u` writes it; cut off where it is very long."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "before", "after", lineterm="", n=2)
    found = "\n".join(lines)
    return found if len(found) <= _MOST_DIFF else f"{found[:_MOST_DIFF]}\n… cut off"
