"""One model's line as a worker sees it: calls on their way, what they cost, and how well that was foreseen."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from router.waiting.flow import Costs, Job, advance, seconds_to_last
from router.waiting.lengths import AnswerLengths
from router.waiting.prefixes import SeenPrefixes

_NO_LIMIT = 1 << 20  # slots of a server that does not say how many it has
_DEFAULT_CAP = 1024  # tokens of an answer whose caller names no limit, as the embedded engine has it
_RELATIVE = (1.0, 0.3, 0.1)  # what a pass, a token of an answer and one of a prompt cost, before anything is known
_STEP = 0.2  # of what is learned of a server's costs from one call
_WEIGHT = 0.1  # of one call in the correction
_FARTHEST = 2.0  # log of the greatest correction
_SHORTEST_S = 0.005  # nothing is learned from less


@dataclass(frozen=True, slots=True)
class Ask:
    """What a request asks of a model: tokens by the gateway's own estimate, 0 for a limit that is not named."""

    prompt: int
    cap: int = 0
    choices: int = 1
    prefixes: tuple[int, ...] = field(default=(), repr=False)


@dataclass(eq=False, slots=True)
class Call:
    """One call on its way. `foreseen`: seconds before correction, None where that was not known."""

    ask: Ask
    jobs: tuple[Job, ...]
    began: float
    foreseen: float | None
    crowd: int
    area: float  # of the line, when it began


class Line:
    """Forecasts for one model. `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._jobs: list[Job] = []
        self._moved = clock()
        self._area = 0.0  # requests on their way, over time
        self._told: tuple[Costs, int] | None = None  # what an engine says of itself: costs, slots
        self._others = 0  # requests of others at the engine when it was asked last
        self._learned: list[float] | None = None  # factors on `_RELATIVE`, seconds
        self._lengths = AnswerLengths()
        self._prefixes = SeenPrefixes()
        self._per_estimate = 1.0  # tokens that a model counts, to one of our estimate
        self._corrections: dict[int, tuple[float, int]] = {}  # by crowd: log of observed to foreseen, calls

    def tell(self, costs: Costs | None, slots: int = 0, present: int = 0) -> None:
        """What the engine says of itself: `present` requests are with it, this worker's included. None: nothing."""
        self._move()
        self._told = (costs, slots) if costs is not None else None
        self._others = max(0, present - len(self._jobs))

    def seconds(self, ask: Ask) -> float | None:
        """Until the whole answer would be there, were it asked for now; None while nothing is known of the model."""
        self._move()
        raw = self._raw(self._jobs_of(ask))
        return None if raw is None else raw * math.exp(self._correction(self._crowd()))

    def begin(self, ask: Ask) -> Call:
        """The request is on its way."""
        self._move()
        jobs = self._jobs_of(ask)
        call = Call(ask, jobs, self._moved, self._raw(jobs), self._crowd(), self._area)
        self._jobs.extend(jobs)
        return call

    def end(self, call: Call) -> None:
        """It is over, however it ended. Once for each call."""
        self._move()
        self._jobs = [job for job in self._jobs if not any(job is own for own in call.jobs)]

    def learn(self, call: Call, prompt: int, cached: int, answer: int, *, was_cut: bool) -> None:
        """What a whole answer took, in tokens as the model counts them. After `end`."""
        seconds = self._moved - call.began
        if seconds < _SHORTEST_S or answer <= 0:
            return
        self._learn_costs(prompt - cached, answer, seconds, max(1.0, (self._area - call.area) / seconds))
        self._correct(call, seconds)
        self._lengths.learn(round(answer / call.ask.choices), was_cut=was_cut)
        if call.ask.prompt > 0 and prompt > 0:
            self._per_estimate += _WEIGHT * (min(4.0, prompt / call.ask.prompt) - self._per_estimate)
        self._prefixes.learn(call.ask.prefixes, prompt + answer)

    def learn_least(self, call: Call) -> None:
        """What was broken off took at least so long: only a forecast that was shorter is mended. After `end`.

        Not where many came after it, whom the forecast could not know of.
        """
        seconds = self._moved - call.began
        came_later = (self._area - call.area) / max(seconds, 1e-9) > 1.1 * (1 << call.crowd)
        if call.foreseen is None or came_later or seconds <= call.foreseen * math.exp(self._correction(call.crowd)):
            return
        self._correct(call, seconds)

    def _correct(self, call: Call, seconds: float) -> None:
        if call.foreseen is None:
            return
        known, calls = self._corrections.get(call.crowd, (self._correction(call.crowd), 0))
        error = math.log(seconds / max(call.foreseen, 1e-4)) - known
        known += max(_WEIGHT, 1 / (calls + 2)) * error
        self._corrections[call.crowd] = (min(_FARTHEST, max(-_FARTHEST, known)), calls + 1)

    # -- what is asked now ------------------------------------------------------------------------------------------

    def _jobs_of(self, ask: Ask) -> tuple[Job, ...]:
        """A job for each choice; the first reads the prompt for all."""
        prompt = ask.prompt * self._per_estimate
        unread = max(1.0, prompt - min(self._prefixes.find(ask.prefixes), prompt))
        cap = ask.cap or _DEFAULT_CAP
        return (Job(unread, cap), *(Job(1.0, cap) for _ in range(ask.choices - 1)))

    def _raw(self, jobs: tuple[Job, ...]) -> float | None:
        costs, slots = self._known()
        if costs is None:
            return None
        strangers = [(0.0, self._lengths.left(0, _DEFAULT_CAP))] * self._others
        ours = [(job.prompt, self._lengths.left(job.said, job.cap)) for job in (*self._jobs, *jobs)]
        return seconds_to_last(strangers + ours, costs, slots)

    def _known(self) -> tuple[Costs | None, int]:
        if self._told is not None:
            return self._told
        if self._learned is None:
            return None, _NO_LIMIT
        return Costs(*(base * factor for base, factor in zip(_RELATIVE, self._learned, strict=True))), _NO_LIMIT

    def _crowd(self) -> int:
        """How full it is, in powers of two."""
        return (len(self._jobs) + self._others).bit_length()

    def _correction(self, crowd: int) -> float:
        """The log of what calls took to what was foreseen, of as full a line as this or the nearest that is known."""
        if not self._corrections:
            return 0.0
        return self._corrections[min(self._corrections, key=lambda known: abs(known - crowd))][0]

    def _move(self) -> None:
        now = self._clock()
        costs, slots = self._known()
        if costs is not None and self._jobs:
            advance(self._jobs, costs, max(1, slots - self._others), now - self._moved)
        self._area += (now - self._moved) * (len(self._jobs) + self._others)
        self._moved = now

    def _learn_costs(self, read: int, answer: int, seconds: float, crowd: float) -> None:
        """Fit the costs so that they explain this call, in a line as full as it was on average.

        Source: normalised least mean squares (Widrow and Hoff, 1960), on shares of the call's duration.
        """
        parts = (answer, answer * crowd, read * crowd)
        weighed = [base * part / seconds for base, part in zip(_RELATIVE, parts, strict=True)]
        if self._learned is None:
            self._learned = [1 / sum(weighed)] * len(weighed)
        error = 1 - sum(factor * part for factor, part in zip(self._learned, weighed, strict=True))
        scale = _STEP * error / sum(part * part for part in weighed)
        self._learned = [max(1e-9, f + scale * part) for f, part in zip(self._learned, weighed, strict=True)]
