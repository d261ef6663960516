"""The policy in force in the process that watches its file: loads it, follows its changes, keeps the last good one.

The only part of this package with state and I/O. A bad file never replaces a good policy.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from policies.errors import PolicyError
from policies.schema import compile_policy
from policies.text.chain import Chain, Chains, Written
from policies.types import Policy

log = logging.getLogger("gatehouse.policy")

OnChange = Callable[[Policy | None], Awaitable[None]]

POLL_SECONDS = 0.5
SETTLE_SECONDS = 0.2  # a file that is being written in place may be a shorter, looser, valid policy for a moment
_MOST_LOOKS = 50


@dataclass(frozen=True, slots=True)
class PolicyStatus:
    """What is in force against what the files say (its own, and what that extends).

    Digests are SHA-256, `file_digest` of the bytes.
    """

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
class InForce:
    """What is in force, one whole: the compiled policy, and the texts that other processes compile for that day."""

    policy: Policy
    texts: tuple[Written, ...]  # its own file's, then what that extends
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
        read: Callable[[], Chain] | None = None,
    ) -> None:
        """`check` raises `PolicyError` for a policy that is good in itself but cannot be served here. `read` gives the
        texts where they are not in files; raises `PolicyError`."""
        self._name = name
        self._chains = Chains()
        self._read = read or (lambda: self._chains.read(name))
        self._check = check
        self._today = today
        self._loaded: InForce | None = None
        self._seen: str | None = None
        self._error: str | None = None
        self._one_at_a_time = threading.Lock()  # a signal and the watcher may come together

    @property
    def current(self) -> Policy:
        """The policy in force. Raises `LookupError` before `load`."""
        return self._in_force.policy

    @property
    def in_force(self) -> InForce:
        """Everything in force, taken at one moment. Raises `LookupError` before `load`."""
        return self._in_force

    @property
    def text(self) -> str:
        """The text of the policy in force, for processes that compile it themselves."""
        return self._in_force.texts[0].text

    @property
    def parents(self) -> tuple[Written, ...]:
        """The texts of what the policy in force extends, the nearest first."""
        return self._in_force.texts[1:]

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
    def _in_force(self) -> InForce:
        if self._loaded is None:
            raise LookupError("the policy store has not loaded anything yet")
        return self._loaded

    def load(self) -> Policy:
        """Read, check and put in force. Raises `PolicyError`: a bad file at the start is no start."""
        return self._put_in_force(self._read())

    def reload(self) -> Policy | None:
        """Read again, changed or not. The policy in force now, or None for a bad file: the last good one stays."""
        with self._one_at_a_time:
            try:
                chain = self._read()
            except PolicyError as error:
                self._seen = None
                self._refuse(error)
                return None
            try:
                return self._put_in_force(chain)
            except PolicyError as error:
                self._refuse(error)
                return None

    async def reload_settled(self, *, settle_seconds: float = SETTLE_SECONDS) -> Policy | None:
        """`reload`, once the file has stopped changing: whoever asks for it may come amid somebody's writing.

        A file that goes on changing is not taken for 50 looks; the last good one stays, and `watch` goes on looking.
        """
        seen = await asyncio.to_thread(self._look)
        for _ in range(_MOST_LOOKS):
            await asyncio.sleep(settle_seconds)
            before, seen = seen, await asyncio.to_thread(self._look)
            if before == seen:
                return await asyncio.to_thread(self.reload)
        log.error("the policy was not reloaded: its file does not stop changing; %s stays in force", self.current.label)
        return None

    async def watch(
        self, on_change: OnChange, *, poll_seconds: float = POLL_SECONDS, settle_seconds: float = SETTLE_SECONDS
    ) -> None:
        """Follow the file for ever, and those that it extends; `on_change` gets each new policy, or None for each new
        bad file.

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
            day, loaded = self._today(), self._in_force
            return self._settle(self._compile(loaded.texts, day), loaded.texts, loaded.file_digest, day)

    def _look(self) -> tuple[str | None, str | None]:
        """The digest of the files as they are now, or why the first cannot be read."""
        try:
            return self._read().digest, None
        except PolicyError as error:
            return None, str(error)

    def _put_in_force(self, chain: Chain) -> Policy:
        self._seen = chain.digest
        texts, day = chain.written(), self._today()
        policy = self._compile(texts, day)
        self._check(policy)
        self._error = None
        return self._settle(policy, texts, self._seen, day)

    def _compile(self, texts: tuple[Written, ...], day: date) -> Policy:
        return compile_policy(texts[0].text, self._name, today=day, parents=texts[1:])

    def _settle(self, policy: Policy, texts: tuple[Written, ...], file_digest: str, day: date) -> Policy:
        self._loaded = InForce(policy, texts, file_digest, day, datetime.now(UTC).isoformat(timespec="milliseconds"))
        for warning in policy.warnings:
            log.warning("%s", warning)
        log.info("policy %s in force (%s)", policy.label, self._name)
        return policy

    def _refuse(self, error: PolicyError) -> None:
        self._error = str(error)
        log.error("the policy was not reloaded, %s stays in force: %s", self.current.label, error)
