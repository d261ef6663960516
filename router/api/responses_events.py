"""A stream as clients of the Responses API read it: numbered events around items, and the whole response at its end.

A client that reads no `error` event waits for `response.completed`, `.incomplete` or `.failed`: one of them always ends
a stream.
"""

from __future__ import annotations

from typing import Any

import orjson

from router.api import sse
from router.api.dialect import text_of
from router.api.foreign_tools import custom_item, input_of, names_of_custom
from router.api.responses_shape import begun, call_item, ended, message_item, response_id, text_part
from router.errors import GatehouseError
from router.types import JsonObject


class ResponseEvents:
    """Only the first choice is told: the dialect has one."""

    heartbeat = sse.HEARTBEAT

    def __init__(self, asked: JsonObject, request_id: str) -> None:
        self._asked = asked
        self._custom = names_of_custom(asked)
        self._request_id = request_id
        self._response: JsonObject | None = None
        self._number = -1
        self._output: list[JsonObject] = []  # items that are done
        self._open: JsonObject | None = None  # the item that is being told
        self._call: Any = None  # which call of the chunks it is; None: text
        self._text: list[str] = []  # of the open item: its text, or its arguments
        self._logprobs: list[JsonObject] = []
        self._finish: Any = None
        self._usage: Any = None
        self._notice: JsonObject = {}
        self._answer: JsonObject | None = None

    def chunk(self, chunk: JsonObject) -> bytes:
        """Events of one chunk."""
        out = [self._begin(chunk)] if self._response is None else []
        if isinstance(chunk.get("usage"), dict):
            self._usage = chunk["usage"]
        self._notice = chunk.get("gatehouse") or self._notice
        for choice in chunk.get("choices") or ():
            if choice.get("index", 0) != 0:
                continue
            delta = choice.get("delta") or {}
            text = text_of(delta.get("content")) or text_of(delta.get("refusal"))
            if text:
                out.append(self._say(text, (choice.get("logprobs") or {}).get("content") or []))
            out.extend(self._tell_call(call) for call in delta.get("tool_calls") or ())
            self._finish = choice.get("finish_reason") or self._finish
        return b"".join(out)

    def end(self, gatehouse: JsonObject | None) -> bytes:
        """The item that is open, done, and the whole response."""
        out = [self._begin({})] if self._response is None else []
        if self._open is None and not self._output:
            out.append(self._open_text())
        out.append(self._close())
        assert self._response is not None
        self._answer = ended(self._response, self._output, self._finish, self._usage)
        said = {**self._notice, **(gatehouse or {})}
        shown = {**self._answer, "gatehouse": said} if said else self._answer
        out.append(self._event(f"response.{self._answer['status']}", response=shown))
        return b"".join(out)

    def error(self, error: GatehouseError) -> bytes:
        """The error, and the response as failed."""
        out = [self._begin({})] if self._response is None else []
        assert self._response is not None
        failure = {"code": error.code, "message": error.message}
        failed = {**self._response, "status": "failed", "error": failure, "output": self._output}
        out.append(self._event("response.failed", response=failed))
        out.append(self._event("error", **failure, param=error.param))
        return b"".join(out)

    def answer(self) -> JsonObject | None:
        """The response, once it has ended."""
        return self._answer

    def _event(self, kind: str, **fields: Any) -> bytes:
        self._number += 1
        payload = {"type": kind, "sequence_number": self._number, **fields}
        return b"event: " + kind.encode() + b"\ndata: " + orjson.dumps(payload) + b"\n\n"

    def _begin(self, chunk: JsonObject) -> bytes:
        response = self._response = begun(self._asked, response_id(self._request_id), chunk.get("model"))
        return self._event("response.created", response=response) + self._event(
            "response.in_progress", response=response
        )

    def _say(self, text: str, logprobs: list[JsonObject]) -> bytes:
        opened = b"" if self._open is not None and self._call is None else self._close() + self._open_text()
        self._text.append(text)
        self._logprobs += logprobs
        return opened + self._told("response.output_text.delta", content_index=0, delta=text, logprobs=logprobs)

    def _open_text(self) -> bytes:
        item = message_item(self._request_id, len(self._output), "", status="in_progress")
        self._open, self._call, self._text, self._logprobs = {**item, "content": []}, None, [], []
        added = self._event("response.output_item.added", output_index=len(self._output), item=self._open)
        return added + self._told("response.content_part.added", content_index=0, part=text_part(""))

    def _tell_call(self, call: JsonObject) -> bytes:
        index = call.get("index", 0)
        opened = b""
        if self._open is None or self._call != index:
            opened = self._close()
            told = {**call, "function": {**(call.get("function") or {}), "arguments": ""}}
            item = call_item(self._request_id, len(self._output), told, "in_progress")
            self._open, self._call, self._text = custom_item(item, self._custom), index, []
            opened += self._event("response.output_item.added", output_index=len(self._output), item=self._open)
        piece = (call.get("function") or {}).get("arguments")
        if not piece:
            return opened
        self._text.append(piece)
        if self._open["type"] == "custom_tool_call":  # its text stands in JSON, and is told when that is whole
            return opened
        return opened + self._told("response.function_call_arguments.delta", delta=piece)

    def _told(self, kind: str, **fields: Any) -> bytes:
        """An event about the open item."""
        assert self._open is not None
        return self._event(kind, item_id=self._open["id"], output_index=len(self._output), **fields)

    def _close(self) -> bytes:
        if self._open is None:
            return b""
        item, whole = self._open, "".join(self._text)
        if self._call is None:
            part = text_part(whole, self._logprobs)
            done = {**item, "status": "completed", "content": [part]}
            out = self._told("response.output_text.done", content_index=0, text=whole, logprobs=self._logprobs)
            out += self._told("response.content_part.done", content_index=0, part=part)
        elif item["type"] == "custom_tool_call":
            text = input_of(whole)
            done = {**item, "status": "completed", "input": text}
            out = self._told("response.custom_tool_call_input.delta", delta=text)
            out += self._told("response.custom_tool_call_input.done", input=text)
        else:
            done = {**item, "status": "completed", "arguments": whole}
            out = self._told("response.function_call_arguments.done", name=item["name"], arguments=whole)
        out += self._event("response.output_item.done", output_index=len(self._output), item=done)
        self._output.append(done)
        self._open = None
        return out
