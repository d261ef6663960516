"""One request on its way through the straight line: what is known of it so far, and what became of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from classifiers.pseudonyms import Pseudonyms
from classifiers.types import Signals
from policies.types import Decision, EgressPermit
from router.planning import Plan
from router.running import Running
from router.spans import NO_SPAN, NoSpan, Span
from router.types import ChatRequest, Outcome, Usage


@dataclass(slots=True)
class Exchange:
    """Filled from top to bottom by `Gateway.answer`; read once for the record and the metrics."""

    request: ChatRequest
    running: Running
    on_finish: Callable[[Exchange], None] = field(default=lambda exchange: None, repr=False)
    outcome: Outcome = field(default_factory=Outcome)
    plan: Plan | None = None
    permits: list[EgressPermit] = field(default_factory=list)
    pseudonyms: Pseudonyms | None = field(default=None, repr=False)  # what placeholders that left stand for
    waited: float = 0.0  # seconds spent waiting for backends
    first_chunk: float | None = None  # seconds from receipt to the first chunk of a stream
    finished: bool = False
    status: int = 0  # HTTP status that it ended with; 499 when the caller went away
    span: Span | NoSpan = NO_SPAN

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

    def note(self, plan: Plan) -> None:
        """Keep what was measured and decided, and start the outcome from it."""
        self.plan = plan
        self.request = plan.request
        decision, outcome = plan.decision, self.outcome
        outcome.policy = self.running.policy.label
        outcome.sensitivity = decision.sensitivity.word
        outcome.held = decision.held
        outcome.dropped = plan.dropped
        outcome.reason = decision.reason
        outcome.route, outcome.model = decision.route, decision.model or ""
        complexity = plan.signals.values["complexity"].value
        outcome.complexity = complexity if isinstance(complexity, float) else None

    def add_usage(self, model: str, usage: object) -> Usage | None:
        """Count what a backend says it used, and its price, under the policy's model name."""
        if not isinstance(usage, dict):
            return None
        counted = Usage(_tokens(usage, "prompt_tokens"), _tokens(usage, "completion_tokens"))
        before = self.outcome.usage.get(model, Usage())
        self.outcome.usage[model] = Usage(
            before.input_tokens + counted.input_tokens, before.output_tokens + counted.output_tokens
        )
        price = self.running.policy.models[model].price
        if price is not None:
            self.outcome.cost_usd += (
                counted.input_tokens * price.input_per_1m + counted.output_tokens * price.output_per_1m
            ) / 1e6
        return counted

    def total_usage(self) -> dict[str, int]:
        """OpenAI's `usage` over every model that worked on the answer."""
        prompt = sum(usage.input_tokens for usage in self.outcome.usage.values())
        completion = sum(usage.output_tokens for usage in self.outcome.usage.values())
        return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}

    def finish(self, failure: str | None, status: int) -> None:
        """End it, once: `failure` is the code of what went wrong, None for an answer that is whole."""
        if not self.finished:
            self.finished = True
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


def _tokens(usage: dict[str, object], name: str) -> int:
    value = usage.get(name)
    return value if isinstance(value, int) and value >= 0 else 0
