"""Takes connections from a worker's listening socket: all that wait, up to a bound, in each turn of the event loop.

uvloop's own server takes one a turn. While requests are served a turn takes long, so that of many callers who come at
the same moment the last would wait for as many turns as there are others, and be served none of it.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable

# In one turn. Several workers share the socket: who takes all that wait leaves the others without any.
_ALONE, _SHARING = 32, 4
_WAITING = 4096  # all that a listening socket holds
_PAUSE_SECONDS = 0.5  # when there is no room for one more file
_NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

log = logging.getLogger("gatehouse.api")


class Acceptor:
    """Takes connections from when it is made until `close`. For the running event loop."""

    def __init__(
        self, listener: socket.socket, make_protocol: Callable[[], asyncio.Protocol], *, backlog: int, is_alone: bool
    ) -> None:
        """`is_alone`: no other worker takes connections from the same socket."""
        self._listener = listener
        self._make_protocol = make_protocol
        self._at_once = _ALONE if is_alone else _SHARING
        self._loop = asyncio.get_running_loop()
        self._starting: set[asyncio.Task[None]] = set()
        self._again: asyncio.TimerHandle | None = None
        listener.setblocking(False)
        listener.listen(backlog)
        self._listen()

    def close(self) -> None:
        """Take no more. Idempotent; the socket itself stays open."""
        self._loop.remove_reader(self._listener)
        if self._again is not None:
            self._again.cancel()

    async def finish(self) -> None:
        """Take who waits already, for the socket may end with this worker; then no more. Returns when all are taken."""
        self.close()
        self._at_once = _WAITING
        self._take()
        if self._starting:
            await asyncio.wait(self._starting)

    def _listen(self) -> None:
        self._again = None
        self._loop.add_reader(self._listener, self._take)

    def _take(self) -> None:
        for _ in range(self._at_once):
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _NO_ROOM:
                    log.error("no more connections can be taken: %s", error.strerror)
                    if self._loop.remove_reader(self._listener):  # else it is being closed
                        self._again = self._loop.call_later(_PAUSE_SECONDS, self._listen)
                    return
                continue  # of this one alone: it went away before it was taken
            starting = self._loop.create_task(self._start(connection))
            self._starting.add(starting)
            starting.add_done_callback(self._starting.discard)

    async def _start(self, connection: socket.socket) -> None:
        try:
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.connect_accepted_socket(self._make_protocol, connection)
        except OSError:  # it went away
            connection.close()
