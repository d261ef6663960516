"""The digests of the segments of texts that come again with each turn, so that they are not cut and hashed each time.

Keyed digests only, by the keyed digest of the text: no text is kept. Bounded; least recently used first out.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

_LEAST_CHARACTERS = 200  # a shorter text is cut as fast as it is looked up
_MOST_DIGESTS = 32 * 1024  # about 2 MB


class KnownTexts:
    """For any thread: large bodies are cut in threads."""

    def __init__(self, most_digests: int = _MOST_DIGESTS) -> None:
        self._most = most_digests
        self._held = 0
        self._lock = threading.Lock()
        self._texts: OrderedDict[bytes, tuple[bytes, ...]] = OrderedDict()

    def find(self, text: str, key_of: Callable[[str], bytes]) -> tuple[bytes, ...] | None:
        """What was made of a text when it came before. `key_of` names the text, and whose it is."""
        if len(text) < _LEAST_CHARACTERS:
            return None
        key = key_of(text)
        with self._lock:
            known = self._texts.get(key)
            if known is not None:
                self._texts.move_to_end(key)
            return known

    def digests(
        self, text: str, key_of: Callable[[str], bytes], cut: Callable[[str], list[bytes]]
    ) -> tuple[bytes, ...]:
        """What `cut` makes of a text, now or when it came before."""
        known = self.find(text, key_of)
        if known is not None:
            return known
        made = tuple(cut(text))
        if len(text) < _LEAST_CHARACTERS:
            return made
        key = key_of(text)
        with self._lock:
            if key not in self._texts and _cost(made) <= self._most:
                self._texts[key] = made
                self._held += _cost(made)
                while self._held > self._most:
                    self._held -= _cost(self._texts.popitem(last=False)[1])
        return made

    def __len__(self) -> int:
        return len(self._texts)


def _cost(digests: tuple[bytes, ...]) -> int:
    return len(digests) + 2  # the key and its place in the table
