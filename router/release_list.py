"""What approvers see and say of releases, for the command and the admin API alike."""

from __future__ import annotations

from datetime import UTC, datetime

from router.release_store import Entry
from router.types import JsonObject

MOST_REASON = 200


class BadReason(Exception):
    """A reason that says nothing, or too much for one line."""


def reason_of(text: str) -> str:
    """The reason, as it is kept. Raises `BadReason`."""
    reason = text.strip()
    if not 3 <= len(reason) <= MOST_REASON or not reason.isprintable():
        raise BadReason(f"a reason is one line of 3 to {MOST_REASON} characters")
    return reason


def release_json(entry: Entry) -> JsonObject:
    """One entry, without content: there is none in it."""
    about = entry.about
    return {
        "id": entry.id,
        "state": entry.state,
        "tenant": entry.tenant,
        "key_id": entry.key_id,
        "asked": _moment(entry.asked),
        "until": _moment(entry.until),
        "model": about.model if about is not None else None,
        "level": about.level if about is not None else None,
        "rule": about.rule if about is not None else None,
        "because": list(about.because) if about is not None else [],
        "bytes": about.size if about is not None else None,
        "request_id": about.request_id if about is not None else None,
        "used_by": entry.used_by,
        "decided_by": entry.decided_by,
        "reason": entry.reason,
    }


def _moment(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds")
