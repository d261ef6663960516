"""The one listening socket of a gateway, that its workers share."""

from __future__ import annotations

import socket


def listen(host: str, port: int) -> socket.socket:
    """Bound, listening, and handed on to children; port 0 takes a free one. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(2048)
    listener.set_inheritable(True)
    return listener


def url_of(listener: socket.socket) -> str:
    """Where it can be reached, without a path."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
