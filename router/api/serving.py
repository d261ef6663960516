"""The server of a worker, and its end in order: refuse, finish, say so to those who are left, and close.

uvicorn's own end cuts what is left without a word, and kills the process before anything could be written down.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn
from starlette.types import ASGIApp

from router.api.accepting import Acceptor
from router.api.connection import Connection, Door
from router.api.request_wire import answering_whole

_LAST_WORDS_SECONDS = 2.0  # for error events to be written
_KEEP_ALIVE_SECONDS = 75  # longer than clients and balancers keep theirs: they close first, and never ask a closing one
_CLOSE_SECONDS = 2.0  # for connections to take what was written
# At the very end, for requests that are on their way: on connections that wait for their first one, on all others.
_FIRST_SECONDS, _NEXT_SECONDS = 2.0, 0.25


class DrainingServer(uvicorn.Server):
    """Ends on SIGTERM or SIGINT within `grace_s`; a second signal ends the grace."""

    def __init__(
        self, config: uvicorn.Config, door: Door, grace_s: float, on_drain: Callable[[], None], *, is_alone: bool
    ) -> None:
        """`on_drain` is called first of all: readiness is off from then on. `is_alone`: see `Acceptor`."""
        super().__init__(config)
        self._door = door
        self._admission = door.admission
        self._is_alone = is_alone
        self._acceptors: list[Acceptor] = []
        self._grace_s = grace_s
        self._on_drain = on_drain
        self._hurried = asyncio.Event()

    def hurry(self) -> None:
        """End, without any grace."""
        self.should_exit = True
        self._hurried.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """uvicorn's, but for who takes the connections."""
        self.servers = []
        for listener in sockets or []:
            backlog = self.config.backlog
            self._acceptors.append(Acceptor(listener, self._connection, backlog=backlog, is_alone=self._is_alone))
        self.started = True

    def _connection(self) -> Connection:
        return Connection(self._door, config=self.config, server_state=self.server_state, app_state={})

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """For good: a signal that comes while the last things are written down must not kill."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told)
        yield

    def _told(self) -> None:
        if self.should_exit:
            self._hurried.set()
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Until the end the listener stays open: whoever comes is told, not left to guess.

        Nobody who is connected is cut off while asking; who comes later finds no listener, or that of another worker.
        """
        self._on_drain()
        for connection in list(self.server_state.connections):
            if isinstance(connection, Connection):
                connection.close_after_answer()
        drained = asyncio.ensure_future(self._admission.drain())
        hurried = asyncio.ensure_future(self._hurried.wait())
        await asyncio.wait({drained, hurried}, timeout=self._grace_s, return_when=asyncio.FIRST_COMPLETED)
        for waiting in (drained, hurried):
            waiting.cancel()
        await self._admission.end(_LAST_WORDS_SECONDS)
        for acceptor in self._acceptors:
            await acceptor.finish()
        for listener in sockets or []:
            listener.close()
        await self._hear_out()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                while self.server_state.connections:  # noqa: ASYNC110 - uvicorn has no event for it
                    await asyncio.sleep(0.01)
        for connection in list(self.server_state.connections):
            transport = connection.transport
            if transport is not None:
                transport.abort()

    async def _hear_out(self) -> None:
        """Wait for what those who are connected may be asking at this moment: they are told that this worker ends."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while any(loop.time() - began < _patience(each) for each in self.server_state.connections):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def _patience(connection: object) -> float:
    is_awaited = isinstance(connection, Connection) and connection.is_awaited
    return _FIRST_SECONDS if is_awaited else _NEXT_SECONDS


def make_server(
    app: ASGIApp, door: Door, grace_s: float, on_drain: Callable[[], None], *, is_alone: bool
) -> DrainingServer:
    """A worker's server, its connections standing behind `door`. For the running event loop."""
    config = uvicorn.Config(
        answering_whole(app),
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # nothing of a caller's headers says who it is
        server_header=False,
        date_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
    )
    return DrainingServer(config, door, grace_s, on_drain, is_alone=is_alone)


def most_connections(wanted: int) -> int:
    """How many callers may be connected: at most half of the files that this process may have open."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY:
        return wanted
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return min(wanted, most // 2)
