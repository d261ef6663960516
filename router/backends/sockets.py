"""The sockets of one upstream, so that all can be broken off at once, with what waits in their buffers."""

from __future__ import annotations

import contextlib
import socket
import struct
import weakref
from typing import Any

_NO_LINGER = struct.pack("ii", 1, 0)  # what the kernel has not sent by then is thrown away


class Sockets:
    """Makes sockets and remembers those that live."""

    def __init__(self) -> None:
        self._made: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def make(self, info: tuple[Any, ...]) -> socket.socket:
        """A socket that does not block, as aiohttp's `socket_factory` wants it."""
        family, kind, protocol, _, _ = info
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        self._made.add(made)
        return made

    def break_off(self) -> None:
        """Let nothing more go over any of them, whatever was written and waits to be sent."""
        for each in list(self._made):
            with contextlib.suppress(OSError):  # closed already, or never connected
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
                each.shutdown(socket.SHUT_RDWR)
