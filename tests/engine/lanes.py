"""A lane of the engine inside the test's own process: a real model and context, stepped by the test itself."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Seq
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as llama

from router.engine.loop import NativeClock
from router.engine.native import NativeContext, NativeModel, Step
from router.engine.prefix import Slot
from router.engine.queue import QueueLimits
from router.engine.sampling import Sampler
from router.engine.scheduler import Lane
from router.engine.sequence import Sequence
from router.engine.types import Event, Failed, Finished, Generation, Piece, Sampling, TokenLogprob
from tests.support.tiny_gguf import make_model

GREEDY = Sampling(temperature=0.0, top_p=1.0, seed=1)
# How far every token of a prompt's answer must lead, in natural log-probability, for the prompt to be used where
# answers are compared. What else is in a step changes a token's log-probability by at most 0.009 (test_architectures).
LEAD = 0.05
_WORDS = ("city", "river", "ship", "wind", "stone", "bird", "tree", "number", "sea", "people", "tell", "think")


@dataclass
class Request:
    """A sequence and all that it was told."""

    sequence: Sequence
    events: list[Event]

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, Piece))

    @property
    def logprobs(self) -> list[TokenLogprob]:
        return [entry for event in self.events if isinstance(event, Piece) for entry in event.logprobs]

    @property
    def ends(self) -> list[Finished | Failed]:
        return [event for event in self.events if isinstance(event, Finished | Failed)]

    @property
    def finished(self) -> Finished:
        """Its only last event."""
        (last,) = self.ends
        assert isinstance(last, Finished), last
        assert self.events[-1] is last, "something came after the last event"
        return last

    @property
    def answer(self) -> tuple[str, str, int, int]:
        """What must not depend on who else was there."""
        last = self.finished
        return self.text, last.reason, last.prompt_tokens, last.completion_tokens


class MeddledContext(NativeContext):
    """A context that lets the test do something while a decode is in progress, as another thread would."""

    def __init__(self, model: NativeModel, **options: Any) -> None:
        super().__init__(model, **options)
        self.meddle: Callable[[Step], None] = lambda _step: None
        self._batch = _MeddledBatch(self._batch, self)  # type: ignore[assignment]  # it is filled once the decode has begun


class _MeddledBatch:
    def __init__(self, batch: Any, context: MeddledContext) -> None:
        self._batch = batch
        self._context = context

    def fill(self, step: Step) -> Any:
        self._context.meddle(step)
        return self._batch.fill(step)


@dataclass
class Workbench:
    """A lane and its context. Nothing happens but in `step` and `run`."""

    model: NativeModel
    context: NativeContext
    lane: Lane
    woken: list[None] = field(default_factory=list)

    def request(
        self, prompt: str | Seq[int], max_tokens: int = 8, *, leader: Request | None = None, **fields: Any
    ) -> Request:
        """One that is not in line yet; `fields` are Generation's."""
        tokens = self.model.tokenize(prompt, special=True) if isinstance(prompt, str) else prompt
        generation = Generation(tuple(tokens), max_tokens, **{"sampling": GREEDY, **fields})
        sampler = Sampler(self.model, generation.sampling, generation.prompt)
        events: list[Event] = []
        first = leader.sequence if leader is not None else None
        return Request(Sequence(generation, sampler, events.append, leader=first), events)

    def submit(self, prompt: str | Seq[int], max_tokens: int = 8, **fields: Any) -> Request:
        request = self.request(prompt, max_tokens, **fields)
        self.lane.submit(request.sequence)
        return request

    def run(self, most: int = 20_000) -> None:
        """Step until there is nothing left to do."""
        for _ in range(most):
            if not self.lane.step():
                return
        raise AssertionError("the lane never came to rest")

    def ask(self, prompt: str | Seq[int], max_tokens: int = 8, **fields: Any) -> Request:
        request = self.submit(prompt, max_tokens, **fields)
        self.run()
        return request

    def until_talking(self, *requests: Request) -> None:
        """Step until each of them has said something."""
        while not all(request.sequence.said for request in requests):
            self.lane.step()

    @property
    def slots(self) -> list[Slot]:
        """What the lane believes to be in the cache."""
        return self.lane._table.slots

    def held(self, index: int) -> tuple[int, int]:
        """The first and the last position that llama.cpp's memory holds of a sequence; (-1, -1): none."""
        memory = llama.llama_get_memory(self.context.handle)
        return llama.llama_memory_seq_pos_min(memory, index), llama.llama_memory_seq_pos_max(memory, index)

    def check_memory(self) -> None:
        """The slots' lists of tokens agree with what llama.cpp holds."""
        for slot in self.slots:
            wanted = (0, len(slot.tokens) - 1) if slot.tokens else (-1, -1)
            assert self.held(slot.index) == wanted, (slot.index, len(slot.tokens))

    def check_idle(self) -> None:
        """Nobody is left anywhere, and every counted request has ended in one way."""
        figures = self.lane.figures()
        assert (figures.waiting, figures.running, figures.queue_tokens) == (0, 0, 0)
        assert self.lane.depth == (0, 0)
        assert not any(slot.is_busy for slot in self.slots)
        self.check_memory()


@contextmanager
def workbench(
    model: NativeModel,
    *,
    slots: int = 4,
    context: int = 512,
    batch: int = 64,
    limits: QueueLimits | None = None,
    speculates: bool = True,
    kind: type[NativeContext] = NativeContext,
    **options: Any,
) -> Iterator[Workbench]:
    native = kind(model, context=context, batch=batch, sequences=slots, threads=1)
    woken: list[None] = []

    def wake() -> None:
        woken.append(None)
        lane.interrupt()  # as the loop does with a lane that is at its step

    lane = Lane(
        model,
        native,
        limits=limits or QueueLimits(),
        clock=NativeClock(),
        wake=wake,
        speculates=speculates,
        **options,
    )
    try:
        yield Workbench(model, native, lane, woken)
    finally:
        native.close()


@contextmanager
def tiny_model(folder: Path, name: str = "smollm2") -> Iterator[NativeModel]:
    model = NativeModel(str(make_model(name, folder)))
    try:
        yield model
    finally:
        model.close()


class Alone:
    """The oracle of a lane: each request by itself, nothing reused, nothing guessed; remembered."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._known: dict[Any, Request] = {}

    def ask(self, prompt: str | Seq[int], max_tokens: int = 8, **fields: Any) -> Request:
        key = (prompt if isinstance(prompt, str) else tuple(prompt), max_tokens, tuple(sorted(fields.items())))
        if key not in self._known:
            self._known[key] = self._bench.ask(prompt, max_tokens, **fields)
        return self._known[key]

    def lead(self, prompt: str | Seq[int], max_tokens: int) -> float:
        """By how much the least sure token of its answer leads."""
        entries = self.ask(prompt, max_tokens, top_logprobs=2).logprobs
        return min(entry.top[0][1] - entry.top[1][1] for entry in entries)

    def sure_prompts(self, count: int, max_tokens: int, *, words: int = 12, seed: int = 1) -> list[str]:
        """Different prompts whose answers do not hang on a rounding."""
        chosen: list[str] = []
        source = random.Random(seed)
        while len(chosen) < count:
            text = " ".join(source.choices(_WORDS, k=source.randint(2, words)))
            if text not in chosen and self.lead(text, max_tokens) >= LEAD:
                chosen.append(text)
        return chosen


@contextmanager
def alone(model: NativeModel, *, context: int = 512) -> Iterator[Alone]:
    with workbench(model, slots=1, context=context, speculates=False) as bench:
        yield Alone(bench)
