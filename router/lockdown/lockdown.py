"""The kill switch's state: locks on all exits, or on one tenant's, in a file that every process of this host reads.

A state that cannot be read locks everything. Locks have ids and are only ended by those who have seen them, so that
states of several hosts can be put together in any order, and a lock that somebody missed stays.
"""

from __future__ import annotations

import getpass
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from router.keys import StateFolderError, ensure_private_folder, locked_folder, read_private, replace_whole
from router.types import JsonObject

LOCKDOWN_FILE = "lockdown.json"

_VERSION = 1
_LONGEST_REASON = 200
_LONGEST_TENANT = 200
_MOST_BYTES = 60_000  # of the file: `read_private` reads no more than 64 KB
_MOST_ENDED = 100  # that are remembered; a host that was away for longer keeps its lock


class LockdownError(Exception):
    """A lock cannot be made or ended as asked; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Lock:
    """One order to let nothing leave: of `tenant`, or of anybody (None). Made by an admin; never holds content."""

    id: str
    tenant: str | None
    reason: str
    since: str  # ISO 8601, UTC
    by: str


@dataclass(frozen=True, slots=True)
class Locks:
    """The locks that are known, and which ones were ended (id -> when); `unreadable` says why, if the state is."""

    made: Mapping[str, Lock] = field(default_factory=dict)
    ended: Mapping[str, str] = field(default_factory=dict)
    unreadable: str = ""

    @property
    def in_force(self) -> tuple[Lock, ...]:
        """The locks that were not ended, the oldest first."""
        found = [lock for lock in self.made.values() if lock.id not in self.ended]
        return tuple(sorted(found, key=lambda lock: (lock.since, lock.id)))

    @property
    def holds_all(self) -> bool:
        """Whether nothing of anybody may leave."""
        return bool(self.unreadable) or any(lock.tenant is None for lock in self.in_force)

    @property
    def tenants(self) -> frozenset[str]:
        """The tenants of whom nothing may leave."""
        return frozenset(lock.tenant for lock in self.in_force if lock.tenant is not None)

    def holds(self, tenant: str) -> bool:
        """Whether nothing of this tenant may leave."""
        if not self.made and not self.unreadable:  # asked several times a request, and mostly there is no lock
            return False
        return self.holds_all or tenant in self.tenants


def lock(state_dir: Path, *, reason: str, tenant: str | None = None, by: str = "") -> Lock:
    """Let nothing leave from now on, on every gateway of this state folder, at the latest within half a second.

    `by` says who asks; this user when empty. Raises `LockdownError` for a reason or a tenant that is none,
    `StateFolderError` and `OSError` when the state cannot be written.
    """
    reason = _one_line(reason, "the reason", _LONGEST_REASON)
    if tenant is not None:
        tenant = _one_line(tenant, "the tenant", _LONGEST_TENANT)
    made = Lock(secrets.token_hex(8), tenant, reason, _now(), _one_line(by or _user(), "by", _LONGEST_TENANT))
    with locked_folder(ensure_private_folder(state_dir)):
        before = _salvaged(state_dir)
        _write(state_dir, Locks({**before.made, made.id: made}, before.ended))
    return made


def reason_to_end(text: str) -> str:
    """Why a lock ends, as it is kept. Raises `LockdownError` for a reason that is none."""
    return _one_line(text, "the reason", _LONGEST_REASON)


def unlock(state_dir: Path, *, tenant: str | None = None) -> tuple[Lock, ...]:
    """End the locks on everything (or those on one tenant alone); returns those that were ended.

    A state that could not be read is set aside and begun anew, which ends every lock in it: only without `tenant`.
    Raises `LockdownError`, `StateFolderError`, `OSError`.
    """
    with locked_folder(ensure_private_folder(state_dir)):
        before = read_locks(state_dir)
        if before.unreadable and tenant is not None:
            raise LockdownError(
                f"the state of locks cannot be read ({before.unreadable}), so everything is locked: "
                "`gatehouse unlock` without --tenant ends that, and every lock"
            )
        if before.unreadable:
            _set_aside(state_dir)
            _write(state_dir, Locks())
            return (Lock("unreadable", None, before.unreadable, _now(), ""),)
        over = tuple(each for each in before.in_force if each.tenant == tenant)
        if over:
            _write(state_dir, Locks(before.made, {**before.ended, **{each.id: _now() for each in over}}))
        return over


def adopt(state_dir: Path, theirs: Locks) -> Locks:
    """Put what other hosts know together with what this one does, and keep it. Raises what `lock` raises."""
    with locked_folder(ensure_private_folder(state_dir)):
        mine = read_locks(state_dir)
        if mine.unreadable:
            return mine
        both = merged(mine, theirs)
        if both != mine:
            _write(state_dir, both)
        return both


def merged(mine: Locks, theirs: Locks) -> Locks:
    """Every lock that either knows and neither has ended. In any order the same."""
    ended = {**theirs.ended, **mine.ended}
    ended = dict(sorted(ended.items(), key=lambda item: (item[1], item[0]))[-_MOST_ENDED:])
    made = {name: each for name, each in {**mine.made, **theirs.made}.items() if name not in ended}
    return Locks(made, ended, mine.unreadable or theirs.unreadable)


def read_locks(state_dir: Path) -> Locks:
    """The state as it stands on the disk. No file: nothing was ever locked. Raises nothing: see `Locks.unreadable`."""
    try:
        data = read_private(state_dir / LOCKDOWN_FILE)
    except FileNotFoundError:
        return Locks()
    except StateFolderError as error:
        return Locks(unreadable=str(error))
    except OSError as error:
        return Locks(unreadable=error.strerror or type(error).__name__)
    try:
        value = orjson.loads(data)
        if value["version"] != _VERSION:
            raise ValueError
        return Locks({name: lock_of(name, each) for name, each in value["locks"].items()}, _ended(value["ended"]))
    except (ValueError, KeyError, TypeError, AttributeError):  # orjson's error is a ValueError
        return Locks(unreadable=f"{LOCKDOWN_FILE} is damaged")


def lock_of(name: str, value: Any) -> Lock:
    """One lock as it stands in files and in Redis. Raises `KeyError`, `TypeError`, `ValueError` for anything else."""
    texts = [value[key] for key in ("reason", "since", "by")]
    tenant = value["tenant"]
    if not all(isinstance(text, str) for text in (*texts, tenant or "")):
        raise ValueError
    return Lock(name, tenant, *texts)


def lock_object(each: Lock) -> JsonObject:
    """The same the other way round; the id stands outside."""
    return {"tenant": each.tenant, "reason": each.reason, "since": each.since, "by": each.by}


def _ended(value: Any) -> dict[str, str]:
    if not all(isinstance(when, str) for when in value.values()):
        raise ValueError
    return dict(value)


def _salvaged(state_dir: Path) -> Locks:
    """The state, to which a lock is added: one that could not be read goes on as a lock on everything."""
    before = read_locks(state_dir)
    if not before.unreadable:
        return before
    _set_aside(state_dir)
    left = Lock(secrets.token_hex(8), None, f"the state could not be read: {before.unreadable}", _now(), "gatehouse")
    return Locks({left.id: left})


def _set_aside(state_dir: Path) -> None:
    path = state_dir / LOCKDOWN_FILE
    path.rename(path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"))


def _write(state_dir: Path, state: Locks) -> None:
    state = merged(state, Locks())
    locks = {name: lock_object(each) for name, each in state.made.items()}
    value = {"version": _VERSION, "locks": locks, "ended": state.ended}
    content = orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n"
    if len(content) > _MOST_BYTES:
        raise LockdownError("there are too many locks: lock everything, or end some with `gatehouse unlock --tenant T`")
    replace_whole(state_dir / LOCKDOWN_FILE, content)


def _one_line(text: str, what: str, longest: int) -> str:
    text = text.strip()
    if not text or len(text) > longest or not text.isprintable():
        raise LockdownError(f"{what} must be one line of 1 to {longest} printable characters")
    return text


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"uid {os.geteuid()}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
