"""The way to the gateway: straight to its address. No environment proxy and no redirect may carry it elsewhere."""

from __future__ import annotations

import asyncio
import os
import ssl
from contextlib import suppress

from openai import DefaultAsyncHttpxClient, DefaultHttpxClient


def _verify() -> ssl.SSLContext | bool:
    """The certificates to trust: those of SSL_CERT_FILE where it is set (a private gateway), else the usual ones."""
    own = os.environ.get("SSL_CERT_FILE")
    return ssl.create_default_context(cafile=own) if own else True


class DirectClient(DefaultHttpxClient):
    """The official client's HTTP client, that goes straight to the address."""

    def __init__(self) -> None:
        super().__init__(trust_env=False, follow_redirects=False, verify=_verify())

    def __del__(self) -> None:
        if not self.is_closed:
            self.close()


class AsyncDirectClient(DefaultAsyncHttpxClient):
    """The official client's async HTTP client, that goes straight to the address."""

    def __init__(self) -> None:
        super().__init__(trust_env=False, follow_redirects=False, verify=_verify())

    def __del__(self) -> None:
        if not self.is_closed:
            with suppress(RuntimeError):  # no loop runs any more: nothing is left to close
                self._closing = asyncio.get_running_loop().create_task(self.aclose())
