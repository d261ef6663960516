"""One model being served: loads it, proves that it answers, then runs the decode loop; all in one thread of its own.

It says that it is ready only after a self-test prompt of several tokens, because some native builds die on
the first one.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import jinja2
import llama_cpp
import numpy as np

from router.engine.loop import DecodeLoop
from router.engine.native import NativeContext, NativeError, NativeModel, Step
from router.engine.queue import QueueFullError, QueueLimits
from router.engine.sampling import GrammarError, Sampler
from router.engine.scheduler import Lane
from router.engine.sequence import Sequence
from router.engine.template import ChatTemplate
from router.engine.types import ChatCall, EngineError, Event, Failed, Finished, Generation, invalid

DEFAULT_MAX_TOKENS = 1024  # of an answer whose caller names no limit, where the context has that much left
_BATCH = 256  # tokens that one step can hold at most
_SELF_TEST = ({"role": "user", "content": "Say hello."},)
# Below this size a prompt is tokenized in well under a millisecond, on the event loop itself.
_INLINE_CHARACTERS = 8192


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    model: str
    alias: str
    threads: int
    context: int
    queue: int
    queue_tokens: int = 131_072
    slots: int = 8
    speculates: bool = True
    verbose: bool = False
    confined: bool = False  # what `/health` says: the process has no network and bounded memory


@dataclass(frozen=True, slots=True)
class _Loaded:
    model: NativeModel
    template: ChatTemplate
    scheduler: Lane
    context: int
    fingerprint: str


class Answer:
    """The events of one submitted request, in order; `close` cancels what is not finished."""

    def __init__(self, scheduler: Lane, generation: Generation, sampler: Sampler) -> None:
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._scheduler = scheduler
        self._sequence = Sequence(generation, sampler, self._emit)
        self._is_over = False

    def _emit(self, event: Event) -> None:
        """Called by the decode thread. The loop is closed only when the process ends."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._events.put_nowait, event)

    def submit(self) -> None:
        """Raises EngineError (503) when the queue is full or the engine is stopping."""
        try:
            self._scheduler.submit(self._sequence)
        except QueueFullError as full:
            status = 429 if full.scope == "tenant" else 503
            raise EngineError(
                status, "local_overloaded", "The local model's queue is full.", retry_after=full.retry_after
            ) from None

    async def next(self) -> Event:
        """The next event; after Finished or Failed there is none. Raises EngineError for Failed."""
        event = await self._events.get()
        self._is_over = isinstance(event, Finished | Failed)
        if isinstance(event, Failed):
            status = 503 if event.code == "local_unavailable" else 500
            raise EngineError(status, event.code, event.message, retry_after=1 if status == 503 else None)
        return event

    def close(self) -> None:
        """Cancel, if the answer is not over. Idempotent."""
        if not self._is_over:
            self._scheduler.cancel(self._sequence)


def _unavailable(message: str) -> EngineError:
    return EngineError(503, "local_unavailable", message, retry_after=1)


class Engine:
    """The model, its thread, and what the HTTP side may ask of them."""

    def __init__(self, options: Options, on_death: Callable[[str], None]) -> None:
        """`on_death` is called from the decode thread when it ends without having been asked to, with the reason."""
        self.options = options
        self.created = int(time.time())
        self._on_death = on_death
        self._loaded: _Loaded | None = None
        self._is_stopping = False
        self.loop = DecodeLoop()
        self._thread = threading.Thread(target=self._live, name="decode", daemon=True)

    @property
    def is_ready(self) -> bool:
        """Whether the self-test has passed."""
        return self._loaded is not None and not self._is_stopping

    @property
    def context(self) -> int:
        """Tokens of prompt and answer together; 0 before the model is loaded."""
        return 0 if self._loaded is None else self._loaded.context

    @property
    def fingerprint(self) -> str:
        """`system_fingerprint`: changes with the model, its quantisation and llama.cpp's version."""
        return "" if self._loaded is None else self._loaded.fingerprint

    @property
    def depth(self) -> tuple[int, int]:
        """How many requests wait, how many run."""
        return (0, 0) if self._loaded is None else self._loaded.scheduler.depth

    def start(self) -> None:
        """Begin to load. Returns at once."""
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """End the decode thread at its next step."""
        self._is_stopping = True
        self.loop.stop()
        if self._thread.is_alive():
            self._thread.join(timeout)

    async def submit(self, call: ChatCall) -> Answer:
        """Tokenize, check the size, and put the request in line. Raises EngineError."""
        loaded = self._loaded
        if loaded is None or self._is_stopping:
            raise _unavailable("The local model is loading." if loaded is None else "The local engine is stopping.")
        size = sum(len(message["content"]) for message in call.messages)
        if size <= _INLINE_CHARACTERS and call.sampling.grammar is None:
            generation, sampler = _prepare(loaded, call)
        else:
            generation, sampler = await asyncio.to_thread(_prepare, loaded, call)
        answer = Answer(loaded.scheduler, generation, sampler)
        answer.submit()
        return answer

    def _live(self) -> None:
        reason = "the decode thread ended unexpectedly"
        try:
            loaded = _load(self.options, self.loop)
            self.loop.attach(loaded.scheduler)
            self._loaded = loaded
            self.loop.run()
        except (NativeError, jinja2.TemplateError) as error:
            reason = str(error) if isinstance(error, NativeError) else "the chat template does not compile"
        finally:
            if not self._is_stopping:
                self._on_death(reason)


def _load(options: Options, loop: DecodeLoop) -> _Loaded:
    model = NativeModel(options.model, verbose=options.verbose)
    source = model.template
    if source is None:
        raise NativeError("the model file has no chat template")
    length = min(options.context, model.context_trained)
    context = NativeContext(model, context=length, batch=_BATCH, sequences=options.slots, threads=options.threads)
    template = ChatTemplate(model, source)
    _self_test(model, context, template)
    limits = QueueLimits(options.queue, options.queue_tokens)
    scheduler = Lane(model, context, limits=limits, clock=loop.clock, wake=loop.wake, speculates=options.speculates)
    known = f"{options.alias} {model.description} {llama_cpp.__version__} {source}"
    fingerprint = "fp_" + hashlib.sha256(known.encode()).hexdigest()[:10]
    return _Loaded(model, template, scheduler, min(length, context.length), fingerprint)


def _self_test(model: NativeModel, context: NativeContext, template: ChatTemplate) -> None:
    """Decode a prompt and two tokens; numbers that are not finite mean a broken build. Raises NativeError."""
    step = Step()
    tokens = template.encode(_SELF_TEST)[-_BATCH:]
    step.add(0, 0, tokens, wants_all=False, wants_last=True)
    for _ in range(3):
        context.decode(step)
        logits = context.logits(1)[0]
        if not np.isfinite(logits).all() or float(np.ptp(logits)) == 0.0:
            raise NativeError(
                "the self-test prompt gave numbers that make no sense: this build does not suit this machine"
            )
        position = step.positions[-1] + 1
        step = Step()
        step.add(0, position, [int(logits.argmax())], wants_all=False, wants_last=True)
    context.forget(0)


def _prepare(loaded: _Loaded, call: ChatCall) -> tuple[Generation, Sampler]:
    prompt = _encode(loaded, call)
    room = loaded.context - len(prompt)
    wanted = call.max_tokens if call.max_tokens is not None else max(1, min(DEFAULT_MAX_TOKENS, room))
    if wanted > room:
        raise _overflow(loaded.context, len(prompt), wanted)
    try:
        sampler = Sampler(loaded.model, call.sampling)
    except GrammarError:
        message = "This JSON schema cannot be turned into a grammar."
        raise invalid(message, "response_format", "unsupported_schema") from None
    generation = Generation(
        tuple(prompt), wanted, call.sampling, call.stop, call.top_logprobs, salt=call.salt, tenant=call.tenant
    )
    return generation, sampler


def _encode(loaded: _Loaded, call: ChatCall) -> list[int]:
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
