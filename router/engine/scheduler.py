"""Continuous batching over one context: sequences wait, join, are stepped together, and leave, one step at a time.

The HTTP side reaches a lane through `submit` and `cancel` alone, which never wait for a step; it answers through each
sequence's `emit`. No content is printed.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from router.engine.figures import LaneFigures
from router.engine.loop import NativeClock
from router.engine.native import Logits, NativeContext, NativeError, NativeModel, Step
from router.engine.openings import Openings
from router.engine.outbox import Outbox
from router.engine.pace import LONG_S, TARGET_S, Pace, passes
from router.engine.part import Part, index_of, may_be_long
from router.engine.prefix import SlotTable
from router.engine.queue import FairQueue, QueueFullError, QueueLimits
from router.engine.sampling import DeadEndError, Describer
from router.engine.sequence import Sequence
from router.engine.types import Event, Failed, Finished

_FIRST_GUESS_S = 2.0  # of one request's duration, for Retry-After, until one has been measured
_STOPPING = Failed("local_unavailable", "The local engine is stopping.")
_EXPIRED = Failed("deadline_exceeded", "The request's deadline passed while it waited.")


class Lane:
    """Owns one context, the line in front of it and the sequences in it."""

    def __init__(
        self,
        model: NativeModel,
        context: NativeContext,
        *,
        limits: QueueLimits,
        clock: NativeClock,
        wake: Callable[[], None],
        use_adapter: Callable[[str | None], None] | None = None,
        speculates: bool = True,
        rounds_alike: bool = True,
    ) -> None:
        """`wake` tells the loop that there is work. `use_adapter` is called before a step when the adapter changes.

        Without `rounds_alike` a step of several tokens rounds otherwise than single ones, and greedy answers, which
        must not depend on guesses, have none.
        """
        self._model = model
        self._describer = Describer(model)
        self._context = context
        self._clock = clock
        self._wake = wake
        self._use_adapter = use_adapter
        self._speculates = speculates
        self._rounds_alike = rounds_alike
        self._adapter: str | None = None
        self._lock = threading.Lock()
        self._queue: FairQueue[Sequence] = FairQueue(limits)
        self._table = SlotTable(context.sequences)
        self._running: list[Sequence] = []
        self._alone: Sequence | None = None  # whose prompt is all that the step in progress decodes
        self._is_long = False  # the step in progress is given up when somebody comes or goes
        self._has_news = False  # somebody has come or gone since the step was planned
        self._openings = Openings(context)
        self._pace = Pace()
        self._typical_s = _FIRST_GUESS_S
        self._figures = LaneFigures(slots=context.sequences)
        self._outbox = Outbox()
        self.used = time.monotonic()  # when a request came last

    # The HTTP side.

    @property
    def depth(self) -> tuple[int, int]:
        """How many wait, how many run."""
        return len(self._queue), len(self._running)

    def figures(self) -> LaneFigures:
        """The figures now; the same object each time."""
        self._figures.waiting, self._figures.running = self.depth
        self._figures.queue_tokens = self._queue.tokens
        return self._pace.shown_in(self._figures)

    def submit(self, sequence: Sequence) -> None:
        """Put `sequence` in line. Raises QueueFullError."""
        tenant, is_low = sequence.generation.tenant, sequence.generation.is_low
        with self._lock:
            self.used = time.monotonic()
            free = max(0, self._context.sequences - len(self._running))
            scope = self._queue.full_for(tenant, sequence.wanted, free, is_low=is_low)
            if scope is not None:
                self._figures.refused_total += 1
                ahead = len(self._queue) + len(self._running) + 1 - self._context.sequences
                raise QueueFullError(max(1, math.ceil(self._typical_s * ahead / self._context.sequences)), scope)
            self._figures.requests_total += 1
            self._queue.push(tenant, sequence, sequence.wanted, is_low=is_low)
        self._wake()

    def cancel(self, sequence: Sequence) -> None:
        """Take `sequence` out: at once while it waits, before the next step while it runs. Idempotent."""
        with self._lock:
            sequence.is_cancelled = True
            if self._queue.remove(sequence):
                sequence.is_done = True
                self._figures.cancelled_total += 1
            elif self._alone is sequence:
                self._context.abort()
        self._wake()

    def interrupt(self) -> None:
        """Somebody has come or gone, here or in another lane: a long step is given up."""
        with self._lock:
            self._has_news = True
            if self._is_long:
                self._context.abort()

    # The decode thread.

    @property
    def is_busy(self) -> bool:
        """Whether somebody runs or waits."""
        return bool(self._running or len(self._queue))

    def step(self, others_wait: Callable[[], bool] = lambda: False) -> bool:
        """Let cancelled sequences go and waiting ones in, then decode once. False: there is nothing more to do.

        `others_wait` tells whether another lane has something to do.
        """
        self._has_news = False  # before anybody is looked at: who comes from here on is news
        for sequence in [running for running in self._running if running.is_cancelled]:
            self._figures.cancelled_total += 1
            self._leave(sequence)
        self._admit()
        self._close_ranks()
        if self._running:
            is_long = may_be_long(self._running) and not others_wait()
            self._run_step(self._plan(LONG_S if is_long else TARGET_S), is_long)
        self._flush()
        return self.is_busy  # who leaves in this step makes room for those who wait

    def drop_adapter(self, key: str) -> None:
        """Forget the opening that was saved for an adapter: none of that key comes again."""
        self._openings.forget(key)

    def end(self) -> None:
        """Fail what is unfinished: the engine stops."""
        with self._lock:
            waiting = self._queue.drain()
        for sequence in waiting:
            sequence.is_done = True
            self._outbox.put(sequence, _STOPPING)
        for sequence in list(self._running):
            self._leave(sequence, _STOPPING)
        self._flush()

    def _flush(self) -> None:
        """Hand events on when the step's work is done: whoever takes them wants Python's lock."""
        self._outbox.flush(time.monotonic(), is_crowd=len(self._running) > 1)

    def _admit(self) -> None:
        self._drop_expired()
        while self._table.has_free:
            with self._lock:
                sequence = self._queue.pop(self._may_start)
                if sequence is None:
                    return
                self._running.append(sequence)
            sequence.started = time.monotonic()
            self._figures.wait_seconds_total += sequence.started - sequence.submitted
            self._settle(sequence)
            self._running.sort(key=index_of)  # neighbours in the cache are decoded together

    def _drop_expired(self) -> None:
        """Who is not waited for any more is not begun."""
        if len(self._queue):
            now = time.monotonic()
            with self._lock:
                expired = self._queue.take_out(lambda waiting: waiting.is_over(now))
            for sequence in expired:
                sequence.is_done = True
                self._figures.expired_total += 1
                self._outbox.put(sequence, _EXPIRED)

    def _may_start(self, waiting: Sequence) -> bool:
        """Those of low urgency leave a slot to the others, where there are several."""
        most = self._context.sequences - 1
        is_held = waiting.generation.is_low and sum(other.generation.is_low for other in self._running) >= most > 0
        return waiting.may_start and not is_held

    def _settle(self, sequence: Sequence) -> None:
        """Give `sequence` a slot, with as much of its prompt as the cache may lend it."""
        generation = sequence.generation
        place = self._table.place(generation.prompt, sequence.partition)
        slot, kept = place.slot, place.kept
        if place.source is not None and not self._context.load(slot.index, self._context.save(place.source.index)):
            slot.tokens, kept = [], 0
        if kept:
            self._figures.prefix_hits_total += 1
            self._figures.prefix_tokens_total += kept
        else:
            held = slot.tokens if slot.adapter == generation.adapter else []
            kept = self._openings.place(generation, held, slot.index)
        if not self._context.forget(slot.index, kept):
            kept = 0
        slot.tokens = list(generation.prompt[:kept])
        self._table.occupy(slot, sequence.partition, generation.adapter)
        sequence.slot, sequence.fed, sequence.cached = slot, kept, kept

    def _close_ranks(self) -> None:
        """Move a sequence into a gap between the others; what is kept there goes to its place."""
        move = self._table.gap()
        if move is None:
            return
        mover, hole = move
        kept = self._context.save(hole.index)
        if not self._context.load(hole.index, self._context.save(mover.index)):
            hole.tokens = []
            return
        if not hole.tokens or not self._context.load(mover.index, kept):
            self._context.forget(mover.index)
            hole.tokens = []
        mover.index, hole.index = hole.index, mover.index
        self._running.sort(key=index_of)

    def _plan(self, target_s: float) -> list[Part]:
        """What the next step decodes. Adapters apply to a whole step, so one adapter's sequences have their turn."""
        group = self._turn()
        parts = [Part(sequence, 0, []) for sequence in group]
        for part in parts:
            if not part.sequence.is_prefilling:
                said, prompt = part.sequence.said, part.sequence.generation.prompt
                part.start = len(prompt) + len(said) - 1
                part.tokens = [said[-1], *self._guess(part.sequence)]
        for part, count in zip(parts, self._shares(parts, target_s), strict=True):
            if part.sequence.is_prefilling:
                part.start = part.sequence.fed
                generation = part.sequence.generation
                end = part.start + self._openings.cut(generation, part.start, count)
                part.tokens = list(generation.prompt[part.start : end])
        return [part for part in parts if part.tokens]

    def _shares(self, parts: list[Part], target_s: float) -> list[int]:
        """How many tokens of its prompt each part reads in this step."""
        talking, remaining = [0] * self._context.sequences, [0] * self._context.sequences
        for part in parts:
            sequence, index = part.sequence, index_of(part.sequence)
            talking[index] = len(part.tokens)
            remaining[index] = len(sequence.generation.prompt) - sequence.fed
        if not any(remaining):
            return [0] * len(parts)
        shares = self._pace.shares(talking, remaining, self._context.batch_size, target_s)
        return [shares[index_of(part.sequence)] for part in parts]

    def _guess(self, sequence: Sequence) -> list[int]:
        """Tokens that may follow: there is room for them behind one lone talker."""
        if not self._speculates:
            return []
        is_safe = self._rounds_alike or not sequence.sampler.is_greedy
        return sequence.guess(self._model.ends) if is_safe and len(self._running) == 1 and not len(self._queue) else []

    def _turn(self) -> list[Sequence]:
        adapters = sorted({sequence.generation.adapter for sequence in self._running}, key=lambda name: name or "")
        if self._use_adapter is not None and adapters != [self._adapter]:
            after = [name for name in adapters if (name or "") > (self._adapter or "")]
            self._adapter = (after or adapters)[0]
            self._use_adapter(self._adapter)
        return [sequence for sequence in self._running if sequence.generation.adapter == self._adapter]

    def _run_step(self, parts: list[Part], is_long: bool) -> None:
        step = Step()
        rows = 0
        for part in parts:
            slot = part.sequence.slot
            assert slot is not None
            ends = part.start + len(part.tokens) >= len(part.sequence.generation.prompt)
            step.add(slot.index, part.start, part.tokens, wants_all=not part.is_prompt, wants_last=ends)
            if ends:
                part.row = rows
                rows += 1 if part.is_prompt else len(part.tokens)
        with self._lock:
            if is_long and self._has_news:
                return  # the next step is planned with it
            self._is_long = is_long
            self._alone = parts[0].sequence if len(self._running) == 1 and parts[0].is_prompt else None
        began = time.monotonic()
        try:
            with self._clock.running():
                is_whole = self._context.decode(step)
                logits = self._context.logits(rows) if rows and is_whole else None
        except NativeError:
            for part in parts:
                self._leave(part.sequence, Failed("engine_error", "The local engine could not decode this request."))
            return
        finally:
            with self._lock:
                self._alone, self._is_long = None, False
                self._context.rearm()
        decoded = time.monotonic()
        if not is_whole:
            for part in parts:
                part.sequence.lost_s += decoded - began
                self._context.forget(index_of(part.sequence), part.start)
            return
        self._note(parts, len(step), decoded - began)
        for part in parts:
            self._advance(part, logits)
        self._figures.sampling_seconds_total += time.monotonic() - decoded

    def _note(self, parts: list[Part], count: int, seconds: float) -> None:
        counts = [0] * self._context.sequences
        for part in parts:
            counts[index_of(part.sequence)] = len(part.tokens)
        read = sum(len(part.tokens) for part in parts if part.is_prompt)
        self._pace.learn(passes(counts), count - read, read, seconds)
        self._figures.count_step(read, count - read, seconds)

    def _advance(self, part: Part, logits: Logits | None) -> None:
        sequence, slot = part.sequence, part.sequence.slot
        assert slot is not None
        if part.is_prompt:
            slot.tokens += part.tokens
            sequence.fed += len(part.tokens)
            self._openings.save(sequence)
            if part.row >= 0 and logits is not None:
                self._choose(sequence, logits[part.row])
            return
        assert logits is not None
        right = 0
        for offset, token in enumerate(part.tokens):
            slot.tokens.append(token)
            is_last = offset + 1 == len(part.tokens)
            if not self._choose(sequence, logits[part.row + offset]) or is_last:
                break
            if sequence.said[-1] != part.tokens[offset + 1]:
                break
            right += 1
        guessed = len(part.tokens) - 1
        if guessed:
            self._figures.speculated_total += guessed
            self._figures.accepted_total += right
            sequence.learn(guessed, right)
            if sequence.slot is not None:
                self._context.forget(slot.index, len(slot.tokens))

    def _choose(self, sequence: Sequence, logits: Logits) -> bool:
        """Let `sequence` choose its next token. False: it has left."""
        generation = sequence.generation
        try:
            token = sequence.sampler.pick(logits)
        except DeadEndError:
            self._leave(sequence, Failed("engine_error", "The response format leaves the model nothing to say."))
            return False
        if not sequence.said:
            self._figures.first_tokens_total += 1
            self._figures.first_token_seconds_total += time.monotonic() - sequence.submitted
        if self._model.is_end(token):
            self._finish(sequence, "stop")
            return False
        sequence.choose(token)
        self._figures.decoded_tokens_total += 1
        top = generation.top_logprobs
        logprob = None if top is None else self._describer.describe(logits, token, top)
        piece = sequence.text.push(self._model.piece(token, special=token in generation.sampling.shown), logprob)
        if piece is not None:
            self._outbox.put(sequence, piece)
        if sequence.text.is_stopped:
            self._finish(sequence, "stop")
            return False
        if len(sequence.said) >= generation.max_tokens:
            self._finish(sequence, "length")
            return False
        return True

    def _finish(self, sequence: Sequence, reason: str) -> None:
        piece = sequence.text.finish()
        if piece is not None:
            self._outbox.put(sequence, piece)
        self._typical_s += 0.2 * (time.monotonic() - sequence.started - self._typical_s)
        prompt = len(sequence.generation.prompt)
        self._leave(sequence, Finished(reason, prompt, len(sequence.said), sequence.cached, sequence.text.stopped_by))

    def _leave(self, sequence: Sequence, last: Event | None = None) -> None:
        slot, sequence.slot = sequence.slot, None
        with self._lock:
            self._running.remove(sequence)
            sequence.is_done = True
        if slot is not None:
            self._context.forget(slot.index, len(slot.tokens))
            self._table.free(slot)
        if last is not None:
            self._outbox.put(sequence, last)
        else:
            self._outbox.drop(sequence)
