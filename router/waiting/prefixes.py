"""Which beginnings of conversations a model has read lately, so that their tokens are not counted again. No content.

Kept are the process's own keyed hashes (SipHash) of messages, the last few only: a server forgets them, too.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

_MOST = 64  # conversations


class SeenPrefixes:
    """Beginnings of one model's conversations, and how many tokens it had read of each."""

    def __init__(self) -> None:
        self._tokens: OrderedDict[int, int] = OrderedDict()

    def find(self, keys: tuple[int, ...]) -> int:
        """Tokens that need not be read again: of the longest beginning that was seen; 0 if none was."""
        return next((tokens for key in reversed(keys) if (tokens := self._tokens.get(key)) is not None), 0)

    def learn(self, keys: tuple[int, ...], tokens: int) -> None:
        """A conversation has been read whole."""
        if keys:
            self._tokens[keys[-1]] = tokens
            self._tokens.move_to_end(keys[-1])
            while len(self._tokens) > _MOST:
                self._tokens.popitem(last=False)


def prefix_keys(tenant: str, messages: Any) -> tuple[int, ...]:
    """A hash for each beginning of these messages that holds plain text alone, the shortest first."""
    keys: list[int] = []
    key = hash(tenant)
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content") if isinstance(message, dict) else None
        if not isinstance(content, str) or not isinstance(message.get("role"), str):
            break
        key = hash((key, message["role"], content))
        keys.append(key)
    return tuple(keys)
