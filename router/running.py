"""What is in force: one policy version with the backends of its models. A request takes one and keeps it to its end.

Replaced whole at a reload: a request never sees two versions, and backends close when their last request has ended.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

from policies.override import with_local_model
from policies.types import Model, Policy
from router.backends.base import Backend
from router.settings import Settings, secret

log = logging.getLogger("gatehouse.policy")

BackendFactory = Callable[[Model, Policy], Backend]
_KEY_CHECK_SECONDS = 1.0


def with_local_server(policy: Policy, settings: Settings) -> Policy:
    """The policy as this process serves it: `--local-url` takes the place of its default local model."""
    if settings.local_url is None:
        return policy
    return with_local_model(policy, settings.local_url, settings.local_model)


class Running:
    """One policy version in force. Counted: `acquire` and `release` bracket each request."""

    def __init__(self, policy: Policy, backends: Mapping[str, Backend]) -> None:
        self.policy = policy
        self.backends = backends
        self._users = 0
        self._retired = False
        self._unavailable: dict[str, str] = {}
        self._checked = float("-inf")

    def unavailable(self) -> Mapping[str, str]:
        """Models that cannot be called, with the reason as a code; keys are looked up again once a second."""
        now = time.monotonic()
        if now - self._checked >= _KEY_CHECK_SECONDS:
            self._checked = now
            self._unavailable = unavailable_models(self.policy)
        return self._unavailable

    def acquire(self) -> Running:
        self._users += 1
        return self

    def release(self) -> None:
        self._users -= 1
        self._close_if_done()

    def retire(self) -> None:
        """No new request will come; close the backends once the last one has ended."""
        self._retired = True
        self._close_if_done()

    def _close_if_done(self) -> None:
        if self._retired and self._users == 0:
            self._closing = asyncio.get_running_loop().create_task(self._close())

    async def _close(self) -> None:
        for backend in self.backends.values():
            await backend.close()


def unavailable_models(policy: Policy) -> dict[str, str]:
    """The models whose key is neither in the environment nor in its file."""
    return {name: "missing_key" for name, model in policy.models.items() if _lacks_key(model)}


def _lacks_key(model: Model) -> bool:
    named = model.api_key_env or model.api_key_file
    return bool(named) and secret(model.api_key_env or "", model.api_key_file) is None


class RunningPolicy:
    """Holds the version in force and replaces it."""

    def __init__(self, policy: Policy, make_backend: BackendFactory) -> None:
        self._make_backend = make_backend
        self.current = self._build(policy)

    def _build(self, policy: Policy) -> Running:
        running = Running(policy, {name: self._make_backend(model, policy) for name, model in policy.models.items()})
        for name, why in running.unavailable().items():
            log.warning("model %s is not available: %s (%s)", name, why, policy.models[name].api_key_env or "key file")
        return running

    def swap(self, policy: Policy) -> None:
        """Put `policy` in force for every request that has not begun."""
        before, self.current = self.current, self._build(policy)
        before.retire()

    async def close(self) -> None:
        await self.current._close()
