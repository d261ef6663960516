"""The admin API's socket and server, in the parent's event loop. What happens to it never stops the gateway."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterator
from typing import Any, Literal

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from router.admin.app import AdminApp
from router.admin.gate import AdminKey, Gate, host_names
from router.admin.types import House
from router.identity import is_loopback

log = logging.getLogger("gatehouse.admin")

State = Literal["off", "listening", "port_taken", "down"]

_RETRY_SECONDS = 5.0
_IDLE_SECONDS = 5
_MOST_CONNECTIONS = 32
_MOST_HEAD_BYTES = 32 * 1024


class _Impatient(H11Protocol):
    """Closes a connection on which no request has begun in time: waiting costs the caller, not the parent."""

    seconds: float

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn narrows it
        super().connection_made(transport)
        self._deadline = self.loop.call_later(self.seconds, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        self._deadline.cancel()
        super().connection_lost(exc)

    def _give_up(self) -> None:
        if getattr(self, "cycle", None) is None:  # what is in hand, if anything
            self.transport.close()


class QuietServer(uvicorn.Server):
    """Leaves signals to the parent."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class AdminListener:
    """Listens where the settings say, as long as `run` does; tries again where the port is taken or the server ends."""

    def __init__(
        self,
        house: House,
        key: AdminKey,
        on_change: Callable[[], None],
        retry_seconds: float = _RETRY_SECONDS,
        make_server: Callable[[uvicorn.Config], uvicorn.Server] = QuietServer,
    ) -> None:
        self._house = house
        self._key = key
        self._on_change = on_change
        self._retry_seconds = retry_seconds
        self._socket: socket.socket | None = None
        self._make_server = make_server
        self._warned = False
        self.state: State = "down"
        self.address: str | None = None  # where it answers

    @property
    def how_to_read_key(self) -> str:
        """The command that shows the admin's key."""
        return self._key.how_to_read

    def open(self) -> bool:
        """Take the port; False, with a line in the log the first time, when it cannot be had."""
        host, port = self._house.settings.admin_host, self._house.settings.admin_port or 0
        try:
            self._socket = _listen(host, port)
        except OSError as error:
            if not self._warned:
                self._warned = True
                log.error(
                    "the admin API does not listen: %s:%d cannot be had (%s); choose another with --admin-port, or "
                    "--admin-port off; the gateway goes on without it, and tries again",
                    *(host, port, error.strerror or "no such address"),
                )
            self._set("port_taken")
            return False
        name, number = self._socket.getsockname()[:2]
        self.address = f"http://[{name}]:{number}" if ":" in name else f"http://{name}:{number}"
        if not is_loopback(host):
            log.warning("the admin API is open to other machines at %s, without TLS", self.address)
        self._set("listening")
        return True

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            if self._socket is None and not self.open():
                await asyncio.sleep(self._retry_seconds)
                continue
            why = await self._served()
            log.error("the admin API has stopped (%s); the gateway goes on, and it is started again", why)
            self._set("down")
            await asyncio.sleep(self._retry_seconds)

    async def _served(self) -> str:
        """Serve until the server ends, and tell why in a word. What it dies of ends its own task and nothing else."""
        task = asyncio.get_running_loop().create_task(self._serve())
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise
        error = task.exception()
        return "its server ended" if error is None else type(error).__name__

    async def _serve(self) -> None:
        assert self._socket is not None
        sock, self._socket = self._socket, None
        with sock:
            names = host_names(self._house.settings, sock.getsockname()[1])
            gate = await asyncio.to_thread(Gate, self._house.settings, self._key, names)
            server = self._make_server(uvicorn.Config(AdminApp(self._house, gate), **self._config()))
            try:
                await server.serve(sockets=[sock])
            except asyncio.CancelledError:
                if server.started:
                    await server.shutdown([sock])
                raise

    def _config(self) -> dict[str, Any]:
        return {
            "lifespan": "off",
            "log_config": None,
            "access_log": False,
            "proxy_headers": False,  # nothing of a caller's headers says who it is
            "server_header": False,
            "http": type("_Bounded", (_Impatient,), {"seconds": self._house.settings.body_timeout_s}),
            "ws": "none",
            "timeout_keep_alive": _IDLE_SECONDS,
            "timeout_graceful_shutdown": 2,
            "limit_concurrency": _MOST_CONNECTIONS,
            "h11_max_incomplete_event_size": _MOST_HEAD_BYTES,
        }

    def _set(self, state: State) -> None:
        if state != self.state:
            self.state = state
            if state != "listening":
                self.address = None
            self._on_change()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(64)
    except OSError:
        listener.close()
        raise
    listener.set_inheritable(False)  # a worker that outlives the parent must not hold the port
    return listener
