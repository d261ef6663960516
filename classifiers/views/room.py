"""How much the views of one body may still hold, and how long they may still take."""

from __future__ import annotations

from collections.abc import Callable

from classifiers.types import UnknownKind


class OutOfRoom(Exception):
    """There is more to read than may be read. `kind` says which bound was met."""

    def __init__(self, kind: UnknownKind) -> None:
        super().__init__(kind)
        self.kind: UnknownKind = kind


class Room:
    """`left` characters, while `is_over` says no."""

    def __init__(self, characters: int, is_over: Callable[[], bool]) -> None:
        self.left = characters
        self._is_over = is_over
        self._since = 0

    def take(self, characters: int) -> None:
        """Use some of the room. Raises `OutOfRoom`."""
        self.left -= characters
        if self.left < 0:
            raise OutOfRoom("truncated")
        self.check()

    def check(self) -> None:
        """Look at the clock now and then. Raises `OutOfRoom`."""
        self._since += 1
        if self._since & 63 == 0 and self._is_over():
            raise OutOfRoom("timeout")
