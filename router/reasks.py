"""Notices a question that is asked again in the same conversation: a weak sign that its answer would not do.

Only keyed digests are compared, in the parent's memory, for ten minutes; records get the id of the earlier request.
"""

from __future__ import annotations

import hashlib
import struct
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from router.keys import Keys
from router.processes.control import RecordWriting
from router.records.filing import FiledRecord
from router.types import JsonObject, Principal

WITHIN = timedelta(minutes=10)
_WITHIN_SECONDS = WITHIN.total_seconds()
_TIME = struct.Struct("<d")
_MOST = 8192  # asks that are remembered: ten minutes at thirteen a second
_READ = 4000  # characters of either end of a text
_END_USER = ("user", "safety_identifier", "prompt_cache_key")  # one key may serve many people: they are kept apart


def ask_digest(keys: Keys, principal: Principal, body: Mapping[str, Any]) -> str | None:
    """What two asks of the same thing share: key, end user, start of the conversation, last turn of the user.

    None where there is no text of a user. Letter case and blanks do not count.
    """
    messages = [each for each in body.get("messages") or () if isinstance(each, dict)]
    first_at, first = _said(messages)
    if not first:
        return None
    last = _said(reversed(messages[first_at + 1 :]))[1] or first
    opening = first if first_at == 0 else _text(messages[0].get("content"))
    parts = [principal.key_id or "", principal.subject or "", *(str(body.get(name) or "") for name in _END_USER)]
    parts += [opening, first, last]
    key = keys.subkey("reasks", principal.tenant)
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "replace"), key=key, digest_size=16).hexdigest()


def _said(messages: Iterable[Mapping[str, Any]]) -> tuple[int, str]:
    """The first of these messages that is a user's and has a text: its place, and that; -1 and nothing for none."""
    for index, each in enumerate(messages):
        if each.get("role") == "user" and (text := _text(each.get("content"))):
            return index, text
    return -1, ""


def _text(content: object) -> str:
    """The content's text in its normal form; of a long one, both ends and its length."""
    if isinstance(content, list):
        content = "\n".join(str(part["text"]) for part in content if isinstance(part, dict) and "text" in part)
    if not isinstance(content, str):
        return ""
    if len(content) > 2 * _READ:
        content = f"{content[:_READ]} {len(content)} {content[-_READ:]}"
    return " ".join(content.casefold().split())


class Reasks:
    """Takes the digest off each record on its way to the writer, and names the earlier request where there is one."""

    def __init__(self, writer: RecordWriting, on_reask: Callable[[str], None]) -> None:
        """`on_reask` hears the id of each request that was asked again."""
        self._writer = writer
        self._on_reask = on_reask
        # Digest -> when it had its answer, in seconds, and its id: as bytes, of which there are many.
        self._asked: OrderedDict[bytes, bytes] = OrderedDict()

    def submit(self, record: FiledRecord) -> bool:
        """Queue a record for writing; False: dropped."""
        if record.ask is not None:
            earlier = self._note(record.ask, record)
            if earlier is not None:
                record = record.with_member("reask_of", earlier)
                self._on_reask(earlier)
        return self._writer.submit(record)

    async def commit_intent(self, record: JsonObject) -> bool:
        """Have a record made durable."""
        return await self._writer.commit_intent(record)

    def _note(self, digest: str, record: FiledRecord) -> str | None:
        key, ended = bytes.fromhex(digest), datetime.fromisoformat(record.time).timestamp()
        began = ended - (record.latency_ms or 0.0) / 1000
        kept = self._asked.get(key)
        # Asks side by side are samples of one question, and one that failed had no answer to complain of.
        is_again = kept is not None and (answered := _TIME.unpack_from(kept)[0]) <= began <= answered + _WITHIN_SECONDS
        if record.error is None:
            self._asked[key] = _TIME.pack(ended) + record.id.encode()
            self._asked.move_to_end(key)
            while len(self._asked) > _MOST:
                self._asked.popitem(last=False)
        return kept[_TIME.size :].decode() if is_again and kept is not None else None
