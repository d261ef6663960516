"""What may stand as the address of a model of each locality. Looks at the text only: connections are checked anew.

Messages never repeat an address: it may hold a password that does not belong there.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_WIDEST = {4: 8, 6: 7}  # bits: fc00::/7 and 10.0.0.0/8 are the widest private ranges


def local_problem(base_url: str) -> str | None:
    """Why a local model may not be here, or None: loopback or a unix socket only."""
    if base_url.startswith("unix:"):
        is_absolute = base_url.startswith("unix:///") and len(base_url) > len("unix:///")
        return None if is_absolute else "a unix socket is written unix:///absolute/path"
    parts, problem = _split(base_url)
    if parts is None:
        return problem
    if parts.hostname == "localhost" or is_loopback(parts.hostname or ""):
        return None
    return "a local model is on loopback (127.0.0.1, ::1, localhost) or a unix socket; elsewhere it is lan or cloud"


def lan_problem(base_url: str, networks: Sequence[Network]) -> str | None:
    """Why a lan model may not be here, or None: a literal address must be in networks.lan; names are checked later."""
    parts, problem = _split(base_url)
    if parts is None:
        return problem
    if not networks:
        return "a lan model needs networks.lan, the ranges in which it may be"
    address = _literal(parts.hostname or "")
    if address is None or any(address in network for network in networks):
        return None
    return "this address is in no range of networks.lan"


def cloud_problem(base_url: str) -> str | None:
    """Why this is no address at all, or None."""
    return _split(base_url)[1]


def is_plain(base_url: str) -> bool:
    """Whether what goes there crosses a network unencrypted."""
    parts, _ = _split(base_url)
    return parts is not None and parts.scheme == "http" and not is_loopback(parts.hostname or "")


def is_loopback(host: str) -> bool:
    """Whether a literal address is this host's own loopback."""
    address = _literal(host)
    return address is not None and address.is_loopback


def is_cloud_name(model: str) -> bool:
    """Whether Ollama would pass this model on to its own cloud: `…-cloud` or the tag `:cloud`, in any case.

    A name that ends so before its tag is held to be one as well: nobody should have to know which of the two counts.
    """
    name = model.strip().casefold()
    return any(part.endswith(("-cloud", ":cloud")) for part in (name, name.rpartition(":")[0]))


def read_network(text: str) -> tuple[Network | None, str | None]:
    """A CIDR range and what is wrong with it, if anything."""
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        return None, "this is not a range in CIDR notation, such as 10.20.0.0/16"
    if network.prefixlen < _WIDEST[network.version]:
        return None, f"a range this wide is no network of yours (at least /{_WIDEST[network.version]})"
    return network, None


def _split(base_url: str) -> tuple[SplitResult | None, str | None]:
    try:
        parts = urlsplit(base_url)
        has_host = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return None, "this is not an address"
    if parts.scheme not in ("http", "https") or not has_host or not base_url.isascii() or " " in base_url:
        return None, "an address is written http(s)://HOST[:PORT]/PATH"
    if parts.username is not None or parts.password is not None:
        return None, "an address may not hold a user or password: name the key by api_key_env or api_key_file"
    if parts.query or parts.fragment:
        return None, "an address may not have a query (?) or a fragment (#)"
    return parts, None


def _literal(host: str) -> Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
