"""The policy in force in the process that watches its file: loads it, follows its changes, keeps the last good one.

The only part of this package with state and I/O. A bad file never replaces a good policy.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from policies.document import decode
from policies.errors import PolicyError
from policies.schema import compile_policy
from policies.sources import read_source
from policies.types import Policy

log = logging.getLogger("gatehouse.policy")

OnChange = Callable[[Policy | None], Awaitable[None]]

POLL_SECONDS = 0.5
SETTLE_SECONDS = 0.2  # a file that is being written in place may be a shorter, looser, valid policy for a moment


@dataclass(frozen=True, slots=True)
class PolicyStatus:
    """What is in force against what the file says. Digests are SHA-256, `file_digest` of the file's bytes."""

    source: str
    running_digest: str
    running_file_digest: str
    file_digest: str | None  # None: the file could not be read
    last_error: str | None
    loaded_at: str  # of what is in force, ISO 8601, UTC

    @property
    def is_current(self) -> bool:
        """Whether what is in force is what the file says."""
        return self.last_error is None and self.file_digest == self.running_file_digest


@dataclass(frozen=True, slots=True)
class _Loaded:
    policy: Policy
    text: str
    file_digest: str
    day: date
    at: str


class PolicyStore:
    """One policy by a recipe's name or a file's path. `load` first; then `reload` and `watch`.

    `today` tells the day: what the policy lets pass until a day stops when it comes, without a change of the file.
    Everything in force is one reference, replaced whole: readers in other threads never see half of a change.
    """

    def __init__(
        self,
        name: str,
        check: Callable[[Policy], None] = lambda policy: None,
        today: Callable[[], date] = lambda: datetime.now(UTC).date(),
    ) -> None:
        """`check` raises `PolicyError` for a policy that is good in itself but cannot be served here."""
        self._name = name
        self._check = check
        self._today = today
        self._loaded: _Loaded | None = None
        self._seen: str | None = None
        self._error: str | None = None
        self._one_at_a_time = threading.Lock()  # a signal and the watcher may come together

    @property
    def current(self) -> Policy:
        """The policy in force. Raises `LookupError` before `load`."""
        return self._in_force.policy

    @property
    def text(self) -> str:
        """The text of the policy in force, for processes that compile it themselves."""
        return self._in_force.text

    @property
    def day(self) -> date:
        """The day that the policy in force was compiled for."""
        return self._in_force.day

    @property
    def status(self) -> PolicyStatus:
        """What `/readyz` and metrics say."""
        loaded = self._in_force
        return PolicyStatus(
            source=self._name,
            running_digest=loaded.policy.digest,
            running_file_digest=loaded.file_digest,
            file_digest=self._seen,
            last_error=self._error,
            loaded_at=loaded.at,
        )

    @property
    def _in_force(self) -> _Loaded:
        if self._loaded is None:
            raise LookupError("the policy store has not loaded anything yet")
        return self._loaded

    def load(self) -> Policy:
        """Read, check and put in force. Raises `PolicyError`: a bad file at the start is no start."""
        data, _ = read_source(self._name)
        return self._put_in_force(data)

    def reload(self) -> Policy | None:
        """Read again, changed or not. The policy in force now, or None for a bad file: the last good one stays."""
        with self._one_at_a_time:
            try:
                data, _ = read_source(self._name)
            except PolicyError as error:
                self._seen = None
                self._refuse(error)
                return None
            try:
                return self._put_in_force(data)
            except PolicyError as error:
                self._refuse(error)
                return None

    async def watch(
        self, on_change: OnChange, *, poll_seconds: float = POLL_SECONDS, settle_seconds: float = SETTLE_SECONDS
    ) -> None:
        """Follow the file for ever; `on_change` gets each new policy, or None for each new bad file.

        It is the content that is watched, at the path anew each time: a rename by an editor, a write in place and the
        swap of a symbolic link (as Kubernetes does it) are all alike. A file counts once it has stopped changing.
        """
        while True:
            await asyncio.sleep(poll_seconds)
            if self._has_expired():
                await on_change(await asyncio.to_thread(self._take_day))
            seen, error = await asyncio.to_thread(self._look)
            if seen == self._seen and (seen is not None or error == self._error):
                continue
            await asyncio.sleep(settle_seconds)
            if (seen, error) != await asyncio.to_thread(self._look):
                continue
            await on_change(await asyncio.to_thread(self.reload))

    def _has_expired(self) -> bool:
        expiry = self._in_force.policy.next_expiry
        return expiry is not None and expiry <= self._today()

    def _take_day(self) -> Policy:
        """What is in force, as it is today: also while the file is a bad one, and whatever else has changed here."""
        with self._one_at_a_time:
            day = self._today()
            policy = compile_policy(self._in_force.text, self._name, today=day)
            return self._settle(policy, self._in_force.text, self._in_force.file_digest, day)

    def _look(self) -> tuple[str | None, str | None]:
        """The digest of the file as it is now, or why it cannot be read."""
        try:
            return _digest(read_source(self._name)[0]), None
        except PolicyError as error:
            return None, str(error)

    def _put_in_force(self, data: bytes) -> Policy:
        self._seen = _digest(data)
        text, day = decode(data, self._name), self._today()
        policy = compile_policy(text, self._name, today=day)
        self._check(policy)
        self._error = None
        return self._settle(policy, text, self._seen, day)

    def _settle(self, policy: Policy, text: str, file_digest: str, day: date) -> Policy:
        self._loaded = _Loaded(policy, text, file_digest, day, datetime.now(UTC).isoformat(timespec="milliseconds"))
        for warning in policy.warnings:
            log.warning("%s", warning)
        log.info("policy %s in force (%s)", policy.label, self._name)
        return policy

    def _refuse(self, error: PolicyError) -> None:
        self._error = str(error)
        log.error("the policy was not reloaded, %s stays in force: %s", self.current.label, error)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
