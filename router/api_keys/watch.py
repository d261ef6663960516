"""Sees in the parent that an API key was made, rotated or revoked, and tells the workers, within half a second.

Never sends a key, nor what is kept of one: workers read the file themselves.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from router.api_keys.store import read_generation
from router.records.store import StoreError
from router.types import JsonObject

log = logging.getLogger("gatehouse.keys")

_SECONDS = 0.25
_UNREADABLE = "unreadable"


class KeyWatch:
    """Looks at the keys of a state folder."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._generation = ""

    @property
    def has_keys(self) -> bool:
        """Whether any key was ever made, as far as was seen."""
        return bool(self._generation)

    def look(self) -> bool:
        """Whether something has changed since the last look; blocks."""
        try:
            generation = read_generation(self._state_dir)
        except StoreError as error:
            generation = _UNREADABLE
            if self._generation != _UNREADABLE:
                log.error("API keys cannot be read: %s", error)
        before, self._generation = self._generation, generation
        return generation != before

    async def watch(self, tell: Callable[[JsonObject], Awaitable[None]]) -> None:
        """Tell of every change, until cancelled."""
        await tell({"t": "keys"})  # what changed while the workers started is read by them, too
        while True:
            if await asyncio.to_thread(self.look):
                await tell({"t": "keys"})
            await asyncio.sleep(_SECONDS)
