"""From a validated call to what the decode loop needs: the prompt's tokens, checked against the context, and samplers.

Nothing is cut silently: what does not fit is refused with the numbers.
"""

from __future__ import annotations

import secrets
from dataclasses import replace

from router.engine.loading import LoadedModel
from router.engine.sampling import GrammarError, Sampler
from router.engine.types import ChatCall, EngineError, Generation, invalid

DEFAULT_MAX_TOKENS = 1024  # of an answer whose caller names no limit, where the context has that much left
_SEED_SPACE = 2**32 - 1  # llama.cpp takes the last 32-bit value for "choose one"


def prepare(loaded: LoadedModel, call: ChatCall, adapter: str | None) -> list[tuple[Generation, Sampler]]:
    """One generation for each of the call's choices, seeds apart. Raises EngineError."""
    prompt = tuple(_encode(loaded, call))
    room = loaded.context - len(prompt)
    wanted = call.max_tokens if call.max_tokens is not None else max(1, min(DEFAULT_MAX_TOKENS, room))
    if wanted > room:
        raise _overflow(loaded.context, len(prompt), wanted)
    salt = call.salt
    if salt is None and call.n > 1:
        salt = secrets.token_hex(16)  # the choices share their prompt with each other and with nobody else
    opening = loaded.opening
    prepared: list[tuple[Generation, Sampler]] = []
    for index in range(call.n):
        sampling = replace(call.sampling, seed=(call.sampling.seed + index) % _SEED_SPACE)
        generation = Generation(
            prompt,
            wanted,
            sampling,
            call.stop,
            call.top_logprobs,
            salt=salt,
            tenant=call.tenant,
            adapter=adapter,
            public=len(opening) if prompt[: len(opening)] == opening else 0,
        )
        try:
            prepared.append((generation, Sampler(loaded.model, sampling)))
        except GrammarError:
            message = "This JSON schema cannot be turned into a grammar."
            raise invalid(message, "response_format", "unsupported_schema") from None
    return prepared


def _encode(loaded: LoadedModel, call: ChatCall) -> list[int]:
    assert loaded.template is not None
    size = sum(len(message["content"].encode("utf-8")) for message in call.messages)
    at_least = size // loaded.model.longest_piece
    if at_least > loaded.context:
        raise _overflow(loaded.context, at_least, call.max_tokens or 1, word="at least ")
    return loaded.template.encode(call.messages)


def _overflow(context: int, prompt: int, answer: int, word: str = "") -> EngineError:
    message = (
        f"This model's context is {context} tokens, but {word}{prompt + answer} tokens were asked for: {word}{prompt} "
        f"in the messages and {answer} for the answer. Shorten the messages or ask for fewer tokens."
    )
    return invalid(message, "messages", "context_length_exceeded")
