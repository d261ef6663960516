"""One request on its way through the straight line: what is known of it so far, and what became of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from classifiers.pseudonyms import Pseudonyms
from classifiers.types import Signals
from policies.tenants import view_of
from policies.types import Decision, EgressPermit, Facts, Policy
from router.budgets.purse import Lease
from router.costs.cost import CallUse
from router.deadlines import Due, due_in
from router.planning import Plan
from router.rates.rates import Ticket
from router.rates.table import Kind, Level
from router.running import Running
from router.telemetry.spans import NO_SPAN, NoSpan, Span
from router.types import ChatRequest, Outcome, Usage

CLIENT_CLOSED = "client_closed"
_MOST_TOKENS = 1 << 40  # an upstream that claims more is not believed


@dataclass(slots=True)
class Exchange:
    """Filled from top to bottom by `Gateway.answer`; read once for the record and the metrics."""

    request: ChatRequest
    running: Running
    on_finish: Callable[[Exchange], None] = field(default=lambda exchange: None, repr=False)
    outcome: Outcome = field(default_factory=Outcome)
    plan: Plan | None = None
    asked: ChatRequest | None = field(default=None, repr=False)  # as it came, once the plan has another form of it
    permits: list[EgressPermit] = field(default_factory=list)
    pseudonyms: Pseudonyms | None = field(default=None, repr=False)  # what placeholders that left stand for
    calls: list[CallUse] = field(default_factory=list)  # every call to a model, in the order in which they began
    leases: list[Lease] = field(default_factory=list)  # money that was held for its calls outside
    ticket: Ticket | None = None  # what it has taken of its caller's minute, where that is limited
    levels: Mapping[Kind, Level] = field(default_factory=dict)  # how those limits stood
    limited_by: str | None = None  # which of them refused it, as `key:tokens`
    stored: tuple[str, Usage] | None = None  # who gave an answer that came from the cache, and its tokens
    waited: float = 0.0  # seconds spent waiting for backends
    first_chunk: float | None = None  # seconds from receipt to the first chunk of a stream
    finished: bool = False
    status: int = 0  # HTTP status that it ended with; 499 when the caller went away
    cut_by: tuple[str, int] | None = None  # what ended it, where that was not its caller: code and status
    span: Span | NoSpan = NO_SPAN
    policy: Policy = field(init=False, repr=False)  # the one in force, as the caller's tenant is held to it

    def __post_init__(self) -> None:
        self.policy = view_of(self.running.policy, self.request.principal.tenant)

    @property
    def original(self) -> ChatRequest:
        """The request as its caller sent it: no bound put in, no turn taken out."""
        return self.asked if self.asked is not None else self.request

    @property
    def planned(self) -> Decision:
        """The decision; there is one from `note` on."""
        assert self.plan is not None
        return self.plan.decision

    @property
    def measured(self) -> Signals:
        """The signals; there are some from `note` on."""
        assert self.plan is not None
        return self.plan.signals

    @property
    def known(self) -> Facts:
        """What was known when it was decided; there is something from `note` on."""
        assert self.plan is not None
        return self.plan.facts

    def due(self, *, before_answer: bool = True) -> Due | None:
        """When it must be over, or, `before_answer`, when a whole answer or the first token must be there."""
        serving, request = self.planned.serving, self.request
        until = serving.seconds_until_answer(stream=request.stream) if before_answer else serving.total_seconds
        return due_in(until, self.elapsed())

    def note(self, plan: Plan) -> None:
        """Keep what was measured and decided, and start the outcome from it."""
        self.plan = plan
        self.asked = self.original
        self.request = plan.request
        decision, outcome = plan.decision, self.outcome
        outcome.policy = self.policy.label
        outcome.sensitivity = decision.sensitivity.word
        outcome.held = decision.held
        outcome.dropped = plan.dropped
        outcome.reason = decision.reason
        outcome.route, outcome.model = decision.route, decision.model or ""
        complexity = plan.signals.values["complexity"].value
        outcome.complexity = complexity if isinstance(complexity, float) else None

    def called(self, model: str) -> CallUse:
        """Begin the account of a call to `model`, the policy's name for it."""
        use = CallUse(model)
        self.calls.append(use)
        return use

    def reported(self, use: CallUse, usage: object) -> Usage | None:
        """Take what a backend says a call has used so far: the last word counts, for some say it with every chunk."""
        if not isinstance(usage, dict):
            return None
        use.reported = counted = usage_of(usage)
        details = usage.get("prompt_tokens_details")
        use.cached_tokens = _tokens(details, "cached_tokens") if isinstance(details, dict) else 0
        total: dict[str, Usage] = {}
        for call in self.calls:
            if call.reported is not None:
                before = total.get(call.model, Usage())
                total[call.model] = Usage(
                    before.input_tokens + call.reported.input_tokens,
                    before.output_tokens + call.reported.output_tokens,
                )
        self.outcome.usage = total
        return counted

    def wasted(self, model: str) -> None:
        """The last answer of `model` is not the one that the caller gets: dropped at home, or the loser of a race."""
        for use in reversed(self.calls):
            if use.model == model and not use.is_wasted:  # second looks are wasted already
                use.is_wasted = True
                return

    def total_usage(self) -> dict[str, int]:
        """OpenAI's `usage` over every model that worked on the answer."""
        prompt = sum(usage.input_tokens for usage in self.outcome.usage.values())
        completion = sum(usage.output_tokens for usage in self.outcome.usage.values())
        return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}

    def finish(self, failure: str | None, status: int) -> None:
        """End it, once: `failure` is the code of what went wrong, None for an answer that is whole."""
        if not self.finished:
            self.finished = True
            if failure == CLIENT_CLOSED and self.cut_by is not None:
                failure, status = self.cut_by  # cancelled all the same, but not by whoever asked
            self.status = status
            self.outcome.error_code = failure
            self.on_finish(self)
            self.running.release()

    def discard(self) -> None:
        """End it without a record: nothing was answered."""
        if not self.finished:
            self.finished = True
            self.span.end()
            self.running.release()

    def elapsed(self) -> float:
        """Seconds since the request was received."""
        return time.perf_counter() - self.request.received


def usage_of(usage: Mapping[str, object]) -> Usage:
    """Tokens of OpenAI's `usage`; what is no number there counts as 0."""
    return Usage(_tokens(usage, "prompt_tokens"), _tokens(usage, "completion_tokens"))


def _tokens(usage: Mapping[str, object], name: str) -> int:
    value = usage.get(name)
    return value if type(value) is int and 0 <= value <= _MOST_TOKENS else 0
