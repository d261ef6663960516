"""A recording upstream for tests: the scripted server, with searches that also see through encodings."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson

from router.backends.scripted import Exchange, ScriptedServer, ScriptSource

_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{12,}={0,2}")
_HEX = re.compile(rb"(?:[0-9a-fA-F]{2}){6,}")


class Recorder(ScriptedServer):
    """A scripted server that answers whether it saw a value, in the bytes themselves or in any decoded view of them."""

    def saw(self, value: str) -> bool:
        """Whether `value` came in: raw, escaped, percent-, base64- or hex-encoded, in other case, with separators."""
        return bool(self.saw_which([value]))

    def saw_which(self, values: Iterable[str]) -> list[str]:
        """Those of the values that came in, in whatever view; the views are made once for all of them."""
        folded = {view.casefold() for raw in self._arrived() for view in views(raw)}
        squeezed = {_squeeze(view) for view in folded}
        return [value for value in values if _is_in(value, folded, squeezed)]

    def _arrived(self) -> Iterator[bytes]:
        """Everything as it came; and the bodies one by one, for a connection carries many."""
        yield self.received
        for exchange in self.exchanges:
            yield exchange.body

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """The JSON bodies of all requests, oldest first."""
        return [exchange.json for exchange in self.exchanges]


class RecorderThread:
    """A recorder with an event loop in a thread of its own, for tests whose client blocks."""

    def __init__(self, script: ScriptSource | None = None, **options: Any) -> None:
        self.recorder = Recorder(script, **options)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def up(self) -> None:
        """Listen; again on the same port after `down`."""
        asyncio.run_coroutine_threadsafe(self.recorder.start(), self._loop).result(60)

    def down(self) -> None:
        """Refuse connections and cut those that are open."""
        asyncio.run_coroutine_threadsafe(self.recorder.stop(), self._loop).result(60)

    def __enter__(self) -> Recorder:
        self._thread.start()
        self.up()
        return self.recorder

    def __exit__(self, *_: object) -> None:
        self.down()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()


def answering(answers: dict[str, ScriptSource], default: ScriptSource) -> Callable[[Exchange], Any]:
    """A script that depends on the model that a request names."""

    def choose(exchange: Exchange) -> Any:
        chosen = answers.get(str(exchange.json.get("model")), default)
        return chosen(exchange) if callable(chosen) else chosen

    return choose


def _is_in(value: str, folded: set[str], squeezed: set[str]) -> bool:
    wanted, bare = value.casefold(), _squeeze(value)
    return any(wanted in view for view in folded) or (len(bare) >= 6 and any(bare in view for view in squeezed))


def _squeeze(text: str) -> str:
    return "".join(char for char in text.casefold() if char.isalnum())


def views(raw: bytes) -> Iterator[str]:
    """The bytes as text, and every decoding of parts of them, two levels deep."""
    yield from _decodings(raw, 2)


def _decodings(raw: bytes, depth: int) -> Iterator[str]:
    text = raw.decode("utf-8", "replace")
    yield text
    if "\\u" in text or "\\/" in text:
        yield re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text).replace("\\/", "/")
    if "%" in text:
        yield unquote_to_bytes(raw).decode("utf-8", "replace")
    if depth == 0:
        return
    for found in _BASE64.findall(raw):
        padded = found.rstrip(b"=") + b"=" * (-len(found.rstrip(b"=")) % 4)
        for altchars in (b"+/", b"-_"):
            try:
                yield from _decodings(base64.b64decode(padded, altchars), depth - 1)
            except (ValueError, binascii.Error):
                continue
    for found in _HEX.findall(raw):
        yield from _decodings(bytes.fromhex(found.decode()), depth - 1)
    if depth == 2:
        for body in raw.split(b"\r\n\r\n"):
            yield from _json_strings(body)


def _json_strings(body: bytes) -> Iterator[str]:
    start = body.find(b"{")
    try:
        value = orjson.loads(body[start:]) if start >= 0 else None
    except orjson.JSONDecodeError:
        return
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            yield item
            yield from _json_strings(item.encode("utf-8", "replace"))
        elif isinstance(item, list):
            pending.extend(item)
        elif isinstance(item, dict):
            pending.extend(item)
            pending.extend(item.values())
