"""Ports of loopback for what must be started again on the same one, or on which nobody may listen."""

from __future__ import annotations

import itertools
import os
import socket

# Below those that a system gives to outgoing connections (Linux from 32768, macOS from 49152): a port that is free for
# a moment stays so. Each process of the tests begins elsewhere.
_FIRST, _COUNT = 20_000, 12_000
_turns = itertools.count(os.getpid() * 97)


def free_port() -> int:
    """A port on which nobody listens; another with each call."""
    for turn in itertools.islice(_turns, _COUNT):
        port = _FIRST + turn % _COUNT
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise RuntimeError("no port of loopback is free")
