"""From a validated call to what the decode loop needs: the prompt's tokens, checked against the context, and samplers.

Nothing is cut silently: what does not fit is refused with the numbers.
"""

from __future__ import annotations

import secrets
from dataclasses import replace

from router.engine.conversation import refuse_tools
from router.engine.loading import LoadedModel
from router.engine.native import NativeModel
from router.engine.sampling import GrammarError, Sampler
from router.engine.template import ChatTemplate, texts_of
from router.engine.types import ChatCall, EngineError, Generation, Sampling, invalid

DEFAULT_MAX_TOKENS = 1024  # of an answer whose caller names no limit, where the context has that much left
_SEED_SPACE = 2**32 - 1


def prepare(loaded: LoadedModel, call: ChatCall, adapter: str | None) -> list[tuple[Generation, Sampler]]:
    """One generation for each of the call's choices, seeds apart. Raises EngineError (400)."""
    template = loaded.template
    assert template is not None
    if template.tool_form is None:
        refuse_tools(call.messages, call.tools)
    prompt = tuple(_encode(loaded, template, call))
    room = loaded.context - len(prompt)
    wanted = call.max_tokens if call.max_tokens is not None else max(1, min(DEFAULT_MAX_TOKENS, room))
    if wanted > room:
        raise _overflow(loaded.context, len(prompt), wanted)
    salt = call.salt
    if salt is None and call.n > 1:
        salt = secrets.token_hex(16)  # the choices share their prompt with each other and with nobody else
    first = Generation(
        prompt=prompt,
        max_tokens=wanted,
        sampling=_sampling(call, template),
        stop=call.stop + template.stops,
        top_logprobs=call.top_logprobs,
        salt=salt,
        tenant=call.tenant,
        expires=call.expires,
        is_low=call.is_low,
        is_streamed=call.stream,
        adapter=adapter,
        public=template.public_length(prompt),
    )
    choices = [replace(first, sampling=_seeded(first.sampling, index)) for index in range(call.n)]
    return [(choice, _sampler(loaded.model, choice)) for choice in choices]


def _seeded(sampling: Sampling, index: int) -> Sampling:
    return replace(sampling, seed=(sampling.seed + index) % _SEED_SPACE)


def _sampler(model: NativeModel, generation: Generation) -> Sampler:
    try:
        return Sampler(model, generation.sampling, generation.prompt)
    except GrammarError:
        message = "This JSON schema cannot be turned into a grammar."
        raise invalid(message, "response_format", "unsupported_schema") from None


def _encode(loaded: LoadedModel, template: ChatTemplate, call: ChatCall) -> list[int]:
    size = sum(len(text.encode("utf-8")) for text in (*texts_of(call.messages), *texts_of(call.tools)))
    at_least = size // loaded.model.longest_piece
    if at_least > loaded.context:
        raise _overflow(loaded.context, at_least, call.max_tokens or 1, word="at least ")
    return template.encode(call.messages, call.tools)


def _sampling(call: ChatCall, template: ChatTemplate) -> Sampling:
    """With tools offered, the marks of calls are shown; a call that must come is forced by a grammar."""
    form = template.tool_form
    if form is None or not call.tools:
        return call.sampling
    forced = form.grammar(call.tools, call.must_call) if call.must_call else call.sampling.grammar
    return replace(call.sampling, grammar=forced, shown=template.shown)


def _overflow(context: int, prompt: int, answer: int, word: str = "") -> EngineError:
    message = (
        f"This model's context is {context} tokens, but {word}{prompt + answer} tokens were asked for: {word}{prompt} "
        f"in the messages and {answer} for the answer. Shorten the messages or ask for fewer tokens."
    )
    return invalid(message, "messages", "context_length_exceeded")
