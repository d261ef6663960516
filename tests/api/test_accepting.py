"""Who waits at the listening socket is taken in, however busy the worker is with those who came before."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket

import pytest

from router.api.accepting import Acceptor
from router.processes.loop import loop_factory

CALLERS = 24


class Taken(asyncio.Protocol):
    """Notes in which turn of the loop it was made."""

    def __init__(self, turns: list[int], made: list[int]) -> None:
        self._turns, self._made = turns, made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._made.append(self._turns[0])
        transport.close()


def taken(*, is_alone: bool, listener: socket.socket) -> list[int]:
    """In which turn of the event loop each of those who wait at `listener` was taken."""
    turns, made = [0], list[int]()

    async def take() -> None:
        acceptor = Acceptor(listener, lambda: Taken(turns, made), backlog=100, is_alone=is_alone)
        while len(made) < CALLERS and turns[0] < 1000:
            await asyncio.sleep(0)
            turns[0] += 1
        acceptor.close()

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(take())
    return made


@contextlib.contextmanager
def waiting_callers():
    """A listener at which everybody waits already."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=100))
        for _ in range(CALLERS):
            stack.enter_context(socket.create_connection(listener.getsockname()))
        yield listener


def test_a_lone_worker_takes_all_who_wait_at_once():
    with waiting_callers() as listener:
        made = taken(is_alone=True, listener=listener)
    assert len(made) == CALLERS
    assert max(made) - min(made) <= 2  # uvloop's own server: one a turn


def test_a_worker_that_shares_the_socket_leaves_some_for_the_others():
    with waiting_callers() as listener:
        made = taken(is_alone=False, listener=listener)
    assert len(made) == CALLERS
    assert max(made) - min(made) >= 4


class NoRoom:
    """A listening socket in a process that has no file left, until it is asked for the third time."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.asked = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._listener, name)

    def accept(self) -> tuple[socket.socket, object]:
        self.asked += 1
        if self.asked < 3:
            raise OSError(errno.EMFILE, "Too many open files")
        return self._listener.accept()


def test_no_room_for_a_file_is_waited_out(caplog: pytest.LogCaptureFixture):
    turns, made = [0], list[int]()

    async def take(listener: NoRoom) -> None:
        acceptor = Acceptor(listener, lambda: Taken(turns, made), backlog=100, is_alone=True)
        for _ in range(1000):
            if len(made) == CALLERS:
                break
            await asyncio.sleep(0.01)
        acceptor.close()

    with waiting_callers() as real:
        listener = NoRoom(real)
        asyncio.run(take(listener))
    assert listener.asked > 2
    assert sum("no more connections can be taken" in line for line in caplog.messages) == 2


def test_at_its_end_a_worker_takes_all_who_wait_and_nobody_who_comes_later():
    turns, made = [0], list[int]()

    async def finish(listener: socket.socket) -> None:
        acceptor = Acceptor(listener, lambda: Taken(turns, made), backlog=100, is_alone=False)
        await acceptor.finish()
        assert len(made) == CALLERS
        with socket.create_connection(listener.getsockname()):
            await asyncio.sleep(0.05)
        assert len(made) == CALLERS

    with waiting_callers() as listener, asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(finish(listener))
