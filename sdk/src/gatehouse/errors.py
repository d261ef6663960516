"""The one error of our own: nobody is at the gateway's address. Everything else is the official client's."""

from __future__ import annotations

from typing import Any

import openai

_NOBODY_THERE = {"ConnectError", "ConnectTimeout"}  # by name: the client may run on httpx or on httpx2


class GatewayUnreachable(openai.APIConnectionError):
    """No gateway answers at `address`: nothing was sent."""

    address: str

    def __init__(self, *, address: str, request: Any) -> None:
        self.address = address
        text = f"No gateway answers at {address}. Start one with `gatehouse serve`, or name another with base_url=…"
        super().__init__(message=f"{text} or GATEHOUSE_BASE_URL.", request=request)


def unreachable(error: openai.APIConnectionError) -> GatewayUnreachable | None:
    """Our error, if this one means that the connection could not be made; None for any later failure."""
    kinds = {kind.__name__ for kind in type(error.__cause__).__mro__}
    if not kinds & _NOBODY_THERE:
        return None
    url = error.request.url
    host = f"[{url.host}]" if ":" in url.host else url.host
    return GatewayUnreachable(
        address=f"{url.scheme}://{host}{f':{url.port}' if url.port else ''}", request=error.request
    )
