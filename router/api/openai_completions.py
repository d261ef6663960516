"""OpenAI's text completions (`POST /v1/completions`), for clients that know nothing newer: a prompt is asked as a chat.

So it is answered, not continued. What only a bare continuation could give (`echo`, `suffix`, `best_of`, old
log-probabilities, prompts as tokens, several prompts) is refused.
"""

from __future__ import annotations

from router.api.dialect import Asked, Told, read_model, read_stream, refuse, sort_fields, text_of, unsupported
from router.api.errors import openai_envelope
from router.api.openai_chat import ChatEvents
from router.errors import GatehouseError
from router.types import JsonObject, Principal

_SAME = frozenset(
    {"max_tokens", "temperature", "top_p", "n", "stop", "seed", "presence_penalty", "frequency_penalty", "logit_bias"}
    | {"stream_options", "top_k", "min_p", "repetition_penalty"}
)
_REFUSED = ("suffix", "echo", "best_of", "logprobs")
_IDLE = frozenset({"user"})
_DEFAULTS = {"best_of": 1, "echo": False}
_FINISH = {"tool_calls": "stop"}


class Completions:
    """The dialect of `POST /v1/completions`."""

    async def read(self, body: JsonObject, principal: Principal) -> Asked:
        """A chat of one message. Raises `InvalidRequest`."""
        ignored = sort_fields(body, _SAME | {"model", "prompt", "stream", *_REFUSED}, _IDLE)
        for name in _REFUSED:
            if body.get(name) not in (None, _DEFAULTS.get(name)):
                raise unsupported(name, "prompts are answered as chats. Use /v1/chat/completions.")
        prompt = body.get("prompt")
        if isinstance(prompt, list) and len(prompt) == 1:
            prompt = prompt[0]
        if not isinstance(prompt, str) or not prompt:
            raise refuse("prompt", "one text: several prompts, or prompts as tokens, are not taken")
        options = body.get("stream_options") or {}
        if not isinstance(options, dict):
            raise refuse("stream_options", "an object")
        stream = read_stream(body)
        chat: JsonObject = {"model": read_model(body), "messages": [{"role": "user", "content": prompt}]}
        chat |= {name: body[name] for name in _SAME if body.get(name) is not None}
        chat.setdefault("max_tokens", 16)  # the dialect's own default
        if stream:
            chat["stream"] = True
        return Asked(chat, chat["model"], stream, options.get("include_usage") is True, ignored=ignored)

    def whole(self, asked: Asked, told: Told, completion: JsonObject) -> JsonObject:
        """OpenAI's `text_completion`."""
        choices = [
            _choice(choice, text_of((choice.get("message") or {}).get("content")))
            for choice in completion.get("choices") or ()
        ]
        return {**_head(told.request_id, completion), "choices": choices, "usage": completion.get("usage")}

    def events(self, asked: Asked, told: Told) -> CompletionEvents:
        """Chunks of `text_completion`."""
        return CompletionEvents(told.request_id, told.pending)

    async def keep(self, asked: Asked, principal: Principal, answer: JsonObject) -> None:
        """There is no state."""

    def envelope(self, error: GatehouseError, request_id: str) -> bytes:
        """OpenAI's error object."""
        return openai_envelope(error)


class CompletionEvents(ChatEvents):
    """The same lines, with chunks of `text_completion`."""

    def __init__(self, request_id: str, pending: bool) -> None:
        super().__init__(pending)
        self._request_id = request_id

    def chunk(self, chunk: JsonObject) -> bytes:
        """The chunk, or the one before it; none for a delta without text or end."""
        told = [(choice, text_of((choice.get("delta") or {}).get("content"))) for choice in chunk.get("choices") or ()]
        choices = [_choice(choice, text) for choice, text in told if text or choice.get("finish_reason")]
        usage = chunk.get("usage")
        if not choices and not usage:
            return b""
        mapped = {**_head(self._request_id, chunk), "choices": choices}
        if "gatehouse" in chunk:
            mapped["gatehouse"] = chunk["gatehouse"]
        return super().chunk({**mapped, "usage": usage} if usage else mapped)


def _head(request_id: str, answer: JsonObject) -> JsonObject:
    own_id = f"cmpl-{request_id.removeprefix('gh-')}"
    return {
        "id": own_id,
        "object": "text_completion",
        "created": answer.get("created"),
        "model": answer.get("model"),
    }


def _choice(choice: JsonObject, text: str) -> JsonObject:
    finish = choice.get("finish_reason")
    return {
        "text": text,
        "index": choice.get("index", 0),
        "logprobs": None,
        "finish_reason": _FINISH.get(finish, finish) if isinstance(finish, str) else None,
    }
