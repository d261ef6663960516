"""Commands that change something of a gateway's state write the audit trail, as the admin API does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import typer

from router.keys import StateFolderError
from router.records.audit import audit_record, new_audit_id, this_user, write_entry
from router.records.store import StoreError
from router.settings import from_environment
from router.types import JsonObject


@contextlib.contextmanager
def audited(state_dir: Path | None, action: str, target: str | None, *, closes: bool = False) -> Iterator[JsonObject]:
    """Around a change: written down before and after it. What the caller puts into the dictionary is kept with it.

    Where it cannot be written down before, the command ends with 1 and nothing is done; with `closes`, what only takes
    rights away is done all the same.
    """
    settings, actor, audit_id = from_environment(state_dir=state_dir), this_user(), new_audit_id()
    detail: JsonObject = {}
    try:
        write_entry(settings, audit_record(audit_id, actor, action, "begun", target=target))
    except (StoreError, StateFolderError) as error:
        if not closes:
            typer.echo(f"Not done, for it cannot be written down: {error}", err=True)
            raise typer.Exit(1) from None
        typer.echo(f"This cannot be written down: {error}", err=True)
    result: JsonObject = {"result": "failed", "error": "not_done"}
    try:
        yield detail
        result = {"result": "done", "error": None}
    finally:
        try:
            entry = audit_record(audit_id, actor, action, result["result"], target=target, detail=detail)
            entry["audit"]["error"] = result["error"]
            write_entry(settings, entry)
        except (StoreError, StateFolderError) as error:
            typer.echo(f"The end of this cannot be written down: {error}", err=True)
