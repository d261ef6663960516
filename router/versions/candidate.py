"""Follows the file of a second policy that is evaluated beside the first (`gatehouse serve --candidate FILE`).

A candidate that is broken is no candidate: it is said in `/readyz`, and changes nothing else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from policies.errors import PolicyError
from policies.schema import compile_policy
from policies.text.chain import Chains
from policies.types import Policy
from router.types import JsonObject

log = logging.getLogger("gatehouse.policy")

_SECONDS = 1.0


class CandidateWatch:
    """`look` again and again; then `message` is what workers are told, `report` what `/readyz` says."""

    def __init__(self, name: str | None, find: Callable[[Policy], JsonObject]) -> None:
        """`find` gives what the engine's models of a policy can do, as workers are told it; raises `PolicyError`."""
        self._name = name
        self._find = find
        self._chains = Chains()
        self._seen = ""
        self.message: JsonObject = {"t": "candidate", "parsed": None}
        self.report: JsonObject = {}

    async def watch(
        self, publish: Callable[[JsonObject], Awaitable[None]], on_change: Callable[[], Awaitable[None]]
    ) -> None:
        """Tell the workers of every change, until cancelled; nothing where no candidate is named."""
        while self._name is not None:
            if await asyncio.to_thread(self.look):
                await publish(self.message)
                await on_change()
            await asyncio.sleep(_SECONDS)

    def look(self) -> bool:
        """Whether what the file says has changed since the last look. Blocks."""
        if self._name is None:
            return False
        try:
            chain = self._chains.read(self._name)
            seen = chain.digest
        except PolicyError as error:
            return self._refuse(str(error), str(error))
        if seen == self._seen:
            return False
        try:
            own, *parents = chain.written()
            today = datetime.now(UTC).date()
            policy = compile_policy(own.text, own.source, today=today, parents=parents)
            engine_models = self._find(policy)
        except PolicyError as error:
            return self._refuse(str(error), seen)
        self._seen = seen
        self.message = {
            "t": "candidate",
            "parsed": policy.parsed,
            "source": own.source,
            "today": today.isoformat(),
            "engine_models": engine_models,
        }
        self.report = {"label": policy.label, "digest": policy.digest, "last_error": None}
        log.info("policy %s is evaluated beside the one in force, without effect", policy.label)
        return True

    def _refuse(self, error: str, seen: str) -> bool:
        if seen == self._seen:
            return False
        self._seen = seen
        self.message = {"t": "candidate", "parsed": None}
        self.report = {"label": None, "digest": None, "last_error": error}
        log.warning("the candidate is not evaluated: %s", error)
        return True
