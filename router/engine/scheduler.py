"""The decode loop: sequences wait, join, are stepped together, and leave. One thread; no content is printed.

The HTTP side reaches it through `submit` and `cancel` alone, which never wait for a step; it answers through each
sequence's `emit`. With one slot it serves one request at a time; more slots batch them.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque

from router.engine.native import BatchToken, Logits, NativeContext, NativeError, NativeModel
from router.engine.sampling import DeadEndError, Sampler, describe
from router.engine.text import TextAssembler
from router.engine.types import Emit, Event, Failed, Finished, Generation

# A prompt is decoded in pieces of this size, between which a cancellation is seen and another sequence may step.
# Measured with SmolLM2-135M on 2 cores: pieces of 64 are decoded as fast, a token, as pieces of 512.
PREFILL_CHUNK = 64
_FIRST_GUESS_S = 2.0  # of one request's duration, for Retry-After, until one has been measured


class QueueFullError(Exception):
    """No room to wait. `retry_after` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("the queue is full")
        self.retry_after = retry_after


class StoppedError(Exception):
    """The loop takes no more requests."""


class Sequence:
    """One request inside the loop. Only the decode thread touches it, but for `is_cancelled`."""

    def __init__(self, generation: Generation, sampler: Sampler, emit: Emit) -> None:
        self.generation = generation
        self.sampler = sampler
        self.emit = emit
        self.text = TextAssembler(generation.stop)
        self.slot = -1
        self.fed = 0  # prompt tokens decoded
        self.produced = 0  # answer tokens
        self.next_token = -1
        self.started = 0.0
        self.is_cancelled = False
        self.is_done = False

    @property
    def is_prefilling(self) -> bool:
        return self.fed < len(self.generation.prompt)

    def take(self, room: int) -> list[BatchToken]:
        """The next tokens to decode, at most `room`: a piece of the prompt, or the token chosen last."""
        prompt = self.generation.prompt
        if not self.is_prefilling:
            return [BatchToken(self.next_token, len(prompt) + self.produced - 1, self.slot, True)]
        end = min(self.fed + min(room, PREFILL_CHUNK), len(prompt))
        piece = [BatchToken(prompt[at], at, self.slot, at == len(prompt) - 1) for at in range(self.fed, end)]
        self.fed = end
        return piece


class Scheduler:
    """Owns the context, the waiting line and the running sequences."""

    def __init__(self, model: NativeModel, context: NativeContext, *, queue_limit: int, slots: int = 1) -> None:
        self._model = model
        self._context = context
        self._queue_limit = queue_limit
        self._free_slots = list(range(slots))
        self._slots = slots
        self._changed = threading.Condition()
        self._waiting: deque[Sequence] = deque()
        self._running: list[Sequence] = []
        self._is_stopped = False
        self._typical_s = _FIRST_GUESS_S

    # The HTTP side.

    @property
    def depth(self) -> tuple[int, int]:
        """How many wait, how many run."""
        return len(self._waiting), len(self._running)

    def submit(self, sequence: Sequence) -> None:
        """Put `sequence` in line. Raises QueueFullError, StoppedError."""
        with self._changed:
            if self._is_stopped:
                raise StoppedError
            busy = len(self._running) + len(self._waiting)
            if busy >= self._slots + self._queue_limit:
                raise QueueFullError(max(1, math.ceil(self._typical_s * (busy + 1 - self._slots) / self._slots)))
            self._waiting.append(sequence)
            self._changed.notify()

    def cancel(self, sequence: Sequence) -> None:
        """Take `sequence` out: at once while it waits, before the next step while it runs. Idempotent."""
        with self._changed:
            sequence.is_cancelled = True
            if sequence in self._waiting:
                self._waiting.remove(sequence)

    def stop(self) -> None:
        """Take no more requests, and end the loop at the next step; what is unfinished fails."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify()

    # The decode thread.

    def run(self) -> None:
        """The loop itself. Returns after `stop`."""
        while self._admit():
            self._step()
        with self._changed:
            unfinished = [*self._running, *self._waiting]
            self._waiting.clear()
        for sequence in unfinished:
            self._leave(sequence, Failed("local_unavailable", "The local engine is stopping."))

    def _admit(self) -> bool:
        """Let cancelled sequences go and waiting ones in; sleep while there is nothing to do. False: stopped."""
        for sequence in [running for running in self._running if running.is_cancelled]:
            self._leave(sequence, None)
        with self._changed:
            while not (self._waiting or self._running or self._is_stopped):
                self._changed.wait()
            while self._waiting and self._free_slots and not self._is_stopped:
                sequence = self._waiting.popleft()
                sequence.slot = self._free_slots.pop()
                sequence.started = time.monotonic()
                self._running.append(sequence)
            return not self._is_stopped

    def _step(self) -> None:
        """Decode once for every running sequence, and let those with logits choose their next token."""
        batch: list[BatchToken] = []
        due: list[tuple[Sequence, int]] = []
        for sequence in self._running:
            batch += sequence.take(self._context.batch_size - len(batch))
            if not sequence.is_prefilling:
                due.append((sequence, len(batch) - 1))
        try:
            self._context.decode(batch)
            rows = [(sequence, self._context.logits(index)) for sequence, index in due]
        except NativeError:
            for sequence in list(self._running):
                self._leave(sequence, Failed("engine_error", "The local engine could not decode this request."))
            return
        for sequence, logits in rows:
            self._advance(sequence, logits)

    def _advance(self, sequence: Sequence, logits: Logits) -> None:
        generation = sequence.generation
        try:
            token = sequence.sampler.pick(logits)
        except DeadEndError:
            self._leave(sequence, Failed("engine_error", "The response format leaves the model nothing to say."))
            return
        if self._model.is_end(token):
            self._finish(sequence, "stop")
            return
        sequence.next_token = token
        sequence.produced += 1
        top = generation.top_logprobs
        logprob = None if top is None else describe(self._model, logits, token, top)
        piece = sequence.text.push(self._model.piece(token), logprob)
        if piece is not None:
            sequence.emit(piece)
        if sequence.text.is_stopped:
            self._finish(sequence, "stop")
        elif sequence.produced >= generation.max_tokens:
            self._finish(sequence, "length")

    def _finish(self, sequence: Sequence, reason: str) -> None:
        piece = sequence.text.finish()
        if piece is not None:
            sequence.emit(piece)
        self._typical_s += 0.2 * (time.monotonic() - sequence.started - self._typical_s)
        self._leave(sequence, Finished(reason, len(sequence.generation.prompt), sequence.produced))

    def _leave(self, sequence: Sequence, last: Event | None) -> None:
        with self._changed:
            if sequence in self._running:
                self._running.remove(sequence)
                self._free_slots.append(sequence.slot)
        if sequence.slot >= 0:
            self._context.forget(sequence.slot)
        sequence.is_done = True
        if last is not None:
            sequence.emit(last)
