"""Proves where a connection ends: every address, at every connection, is checked before a socket is made for it.

Names are never trusted, cached, or sent through a proxy; a name with one wrong address is refused whole.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from router.backends.sockets import Sockets

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
IsAllowed = Callable[[Address], bool]


class WrongPlaceError(OSError):
    """An address is not where the policy says that the model is. The message names no address."""


def parse_address(text: str) -> Address:
    """An IP address without its zone; an IPv4 address in IPv6 clothes is the IPv4 address. Raises `ValueError`."""
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def is_loopback(address: Address) -> bool:
    """Whether it is this host's own loopback (127.0.0.0/8, ::1)."""
    return address.is_loopback


def within(networks: Sequence[str]) -> IsAllowed:
    """A check against ranges in CIDR notation."""
    ranges = [ipaddress.ip_network(network) for network in networks]
    return lambda address: any(address in network for network in ranges)


class CheckedResolver(AbstractResolver):
    """Resolves through `inner` and raises `WrongPlaceError` unless every address is allowed."""

    def __init__(self, inner: AbstractResolver, is_allowed: IsAllowed, refusal: str) -> None:
        self._inner = inner
        self._is_allowed = is_allowed
        self._refusal = refusal

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """All addresses of a name, each checked."""
        results = await self._inner.resolve(host, port, family)
        if not results or not all(self._is_allowed(parse_address(result["host"])) for result in results):
            raise WrongPlaceError(self._refusal)
        return results

    async def close(self) -> None:
        """Close the inner resolver."""
        await self._inner.close()


def checked_connector(
    is_allowed: IsAllowed,
    refusal: str,
    limit: int,
    resolver: AbstractResolver | None = None,
    make: Callable[[tuple[Any, ...]], socket.socket] | None = None,
    **options: Any,
) -> aiohttp.TCPConnector:
    """A connector that reaches allowed addresses only. Call it inside the running loop.

    `make` makes the sockets, once their address is found to be allowed.
    """
    make_one = make or Sockets().make

    def make_socket(info: tuple[Any, ...]) -> socket.socket:
        # The last check, on the address itself: it also sees IP literals, which no resolver does.
        if not is_allowed(parse_address(str(info[4][0]))):
            raise WrongPlaceError(refusal)
        return make_one(info)

    return aiohttp.TCPConnector(
        limit=limit,
        use_dns_cache=False,
        resolver=CheckedResolver(resolver or aiohttp.ThreadedResolver(), is_allowed, refusal),
        socket_factory=make_socket,
        **options,
    )


def socket_path(base_url: str) -> Path | None:
    """The path of a `unix:///path` base URL; None for any other."""
    scheme, _, path = base_url.partition("://")
    return Path(path) if scheme == "unix" and path.startswith("/") else None
