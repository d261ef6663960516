"""What the gateway counts and times, as one cheap call for each event. Never takes a request's content."""

from __future__ import annotations

import time
from bisect import bisect_left
from typing import TYPE_CHECKING, Literal, get_args

from classifiers.types import Signals
from policies.types import Model
from router.costs.cost import Costs
from router.telemetry.gen_ai import Operation, response_model_name, target_of
from router.telemetry.metrics import MetricStore, observe_many
from router.telemetry.table import TABLE
from router.telemetry.tally import Tally
from router.types import Outcome, Usage

if TYPE_CHECKING:
    from router.telemetry.metrics import Counter, Gauge, Histogram

CacheResult = Literal["hit", "similar", "miss", "error", "stored", "bypassed"]
EngineState = Literal["off", "starting", "ready", "restarting", "crash_loop", "unreachable"]

_SERVER_PROVIDER = "gatehouse"  # towards its callers the gateway is the server, whichever model answered
_MAX_REMEMBERED = 4096  # resolved series that are kept for the next request of the same kind
_PER_CHUNK = "gen_ai.client.operation.time_per_output_chunk"
_CHUNK_BOUNDS = next(definition.buckets for definition in TABLE if definition.name == _PER_CHUNK)


class ChunkClock:
    """Times the chunks of one stream: `tick` for each is cheap, recording waits for the end."""

    __slots__ = ("_last", "_started", "counts", "first", "total")

    def __init__(self, started: float | None = None) -> None:
        """`started`: `time.perf_counter()` when the call began; now, when not given."""
        self._started = self._last = time.perf_counter() if started is None else started
        self.first: float | None = None  # seconds from the call to the first chunk
        self.counts = [0] * (len(_CHUNK_BOUNDS) + 1)
        self.total = 0.0

    def tick(self) -> None:
        """A chunk has come."""
        now = time.perf_counter()
        if self.first is None:
            self.first = now - self._started
        else:
            gap = now - self._last
            self.counts[bisect_left(_CHUNK_BOUNDS, gap)] += 1
            self.total += gap
        self._last = now


class _RequestSeries:
    """The series of one kind of request, looked up once; those of streams when the first one comes."""

    __slots__ = ("_server", "_store", "duration", "overhead", "requests", "stream")

    def __init__(self, store: MetricStore, outcome: Outcome, status: int, operation: Operation) -> None:
        self._store = store
        self._server = server = (operation, _SERVER_PROVIDER, outcome.model)
        self.requests = store.counter(
            "gatehouse.requests", outcome.route, outcome.reason, outcome.sensitivity, str(status)
        )
        self.duration = store.histogram("gen_ai.server.request.duration", *server, outcome.error_code or "")
        self.overhead = store.histogram("gatehouse.overhead", outcome.route)
        self.stream: tuple[Histogram, Histogram] | None = None

    def of_stream(self) -> tuple[Histogram, Histogram]:
        """Time to the first token, time of each after it."""
        if self.stream is None:
            self.stream = (
                self._store.histogram("gen_ai.server.time_to_first_token", *self._server),
                self._store.histogram("gen_ai.server.time_per_output_token", *self._server),
            )
        return self.stream


class _CallSeries:
    """The series of one kind of call to a model, looked up once; those of streams when the first one comes."""

    __slots__ = ("_client", "_store", "duration", "stream", "tokens")

    def __init__(self, store: MetricStore, model: Model, answered: str, error: str, operation: Operation) -> None:
        target = target_of(model)
        self._store = store
        self._client = client = (
            operation,
            target.provider,
            target.request_model,
            answered,
            target.address,
            str(target.port) if target.port else "",
        )
        self.duration = store.histogram("gen_ai.client.operation.duration", *client, error)
        self.tokens: tuple[Histogram, Histogram] | None = None
        self.stream: tuple[Histogram, Histogram] | None = None

    def of_tokens(self) -> tuple[Histogram, Histogram]:
        """Input, output."""
        if self.tokens is None:
            self.tokens = (
                self._store.histogram("gen_ai.client.token.usage", *self._client, "input"),
                self._store.histogram("gen_ai.client.token.usage", *self._client, "output"),
            )
        return self.tokens

    def of_stream(self) -> tuple[Histogram, Histogram]:
        """Time to the first chunk, time of each after it."""
        if self.stream is None:
            self.stream = (
                self._store.histogram("gen_ai.client.operation.time_to_first_chunk", *self._client),
                self._store.histogram(_PER_CHUNK, *self._client),
            )
        return self.stream


class Recorder:
    """Records into one `MetricStore`. Every method is synchronous, costs microseconds and never raises for a value."""

    def __init__(self, store: MetricStore) -> None:
        self.store = store
        self._tally = Tally()  # of what happens with every request
        self._requests: dict[tuple[object, ...], _RequestSeries] = {}
        self._calls: dict[tuple[object, ...], _CallSeries] = {}
        self._counters: dict[tuple[str, ...], Counter] = {}
        self._gauges: dict[tuple[str, ...], Gauge] = {}
        self._scan = store.histogram("gatehouse.scan")
        self._in_flight = store.gauge("gatehouse.requests.in_flight")
        self._policy_label: str | None = None

    def request_finished(
        self,
        outcome: Outcome,
        *,
        status: int,
        seconds: float,
        waited: float = 0.0,
        first_chunk: float | None = None,
        signals: Signals | None = None,
        costs: Costs | None = None,
        rule: str = "",
        operation: Operation = "chat",
    ) -> None:
        """Once for each request, refusals and cache hits included.

        `seconds` is the whole time, `waited` the part of it spent waiting for backends, `first_chunk` the time from
        receipt to the first chunk of a stream.
        """
        key = (
            outcome.route,
            outcome.reason,
            outcome.sensitivity,
            status,
            outcome.model,
            outcome.error_code,
            operation,
        )
        series = self._requests.get(key)
        if series is None:
            series = _RequestSeries(self.store, outcome, status, operation)
            if len(self._requests) < _MAX_REMEMBERED:
                self._requests[key] = series
        tally = self._tally
        tally.add(series.requests)
        tally.see(series.duration, seconds)
        tally.see(series.overhead, seconds - waited if seconds > waited else 0.0)
        if first_chunk is not None:
            self._record_first_token(series, outcome, seconds, first_chunk)
        for name, usage in outcome.usage.items():
            self._add("gatehouse.tokens", name, "input", amount=usage.input_tokens)
            self._add("gatehouse.tokens", name, "output", amount=usage.output_tokens)
        if costs is not None:
            self._record_costs(costs, rule)
        if signals is not None:
            self._record_scan(signals)

    def _record_first_token(self, series: _RequestSeries, outcome: Outcome, seconds: float, first: float) -> None:
        first_token, per_token = series.of_stream()
        self._tally.see(first_token, first)
        used = outcome.usage.get(outcome.model)
        if used is not None and used.output_tokens > 1 and seconds > first:
            self._tally.see(per_token, (seconds - first) / (used.output_tokens - 1))

    def _record_costs(self, costs: Costs, rule: str) -> None:
        for call in costs.calls:
            if call.energy is not None:
                self._add("gatehouse.energy", call.model, amount=call.energy.joules)
            if call.usd is None:
                self._add("gatehouse.unpriced", call.model)
            elif call.usd:
                self._add("gatehouse.cost.usd", rule, call.model, amount=float(call.usd))
                if call.use != "answer":
                    self._add("gatehouse.wasted.usd", rule, call.model, amount=float(call.usd))
        if costs.baseline.usd:
            self._add("gatehouse.baseline.usd", rule, amount=float(costs.baseline.usd))
        if costs.saved_usd:
            name = "gatehouse.saved.usd" if costs.saved_usd > 0 else "gatehouse.overspent.usd"
            self._add(name, rule, amount=abs(float(costs.saved_usd)))

    def _record_scan(self, signals: Signals) -> None:
        self._tally.see(self._scan, signals.elapsed_ms / 1e3)
        for finding in signals.scan.findings:
            self._add("gatehouse.findings", finding.entity_type)
        for unknown in signals.scan.unknowns:
            self._add("gatehouse.unknowns", unknown.kind)

    def upstream_call(
        self,
        model: Model,
        *,
        seconds: float,
        usage: Usage | None = None,
        clock: ChunkClock | None = None,
        response_model: str | None = None,
        error_type: str | None = None,
        operation: Operation = "chat",
    ) -> None:
        """Once for each call to a model that has ended, well or not; `error_type` is our code or a class name."""
        answered = response_model_name(model.model, response_model)
        key = (model.backend, model.model, model.base_url, answered, error_type, operation)
        series = self._calls.get(key)
        if series is None:
            series = _CallSeries(self.store, model, answered, error_type or "", operation)
            if len(self._calls) < _MAX_REMEMBERED:
                self._calls[key] = series
        self._tally.see(series.duration, seconds)
        if usage is not None:
            input_tokens, output_tokens = series.of_tokens()
            self._tally.see(input_tokens, usage.input_tokens)
            self._tally.see(output_tokens, usage.output_tokens)
        if clock is not None and clock.first is not None:
            first_chunk, per_chunk = series.of_stream()
            self._tally.see(first_chunk, clock.first)
            observe_many(per_chunk, clock.counts, clock.total)

    def bytes_left(self, model: str, size: int) -> None:
        """`size` bytes have been written to the target `model` (the policy's name)."""
        self._add("gatehouse.egress", model, amount=size)

    def budget_refused(self, scope: str) -> None:
        """No money was left for a call outside: of `all`, a `tenant` or a `key`; `ledger`: it could not be asked."""
        self._count("gatehouse.budget.refusals", scope)

    def budget_left(self, scope: str, period: str, usd: float) -> None:
        """So much is left of the budget of `all`, of the `tenant` or the `key` that has least, for a day or month."""
        self._set("gatehouse.budget.left.usd", scope, period, value=usd)

    def rate_refused(self, scope: str, kind: str) -> None:
        """As much was asked for as may be in a minute: of `all`, a `tenant` or a `key`; `requests` or `tokens`."""
        self._count("gatehouse.rate.refusals", scope, kind)

    def upstream_retried(self, model: str) -> None:
        """A call to `model` is made once more."""
        self._count("gatehouse.upstream.retries", model)

    def breaker_is(self, model: str, state: str, *, has_changed: bool = True) -> None:
        """The circuit breaker of `model` is, or has come to, `closed`, `half_open` or `open`."""
        self._set("gatehouse.breaker.state", model, value=("closed", "half_open", "open").index(state))
        if has_changed:
            self._count("gatehouse.breaker.transitions", model, state)

    def release_event(self, result: str) -> None:
        """A release was `offered`, is `pending` an approver, was `used`, or a token was `refused`."""
        self._count("gatehouse.releases", result)

    def permit_refused(self, code: str) -> None:
        """`permit` withheld one; `code` is the refusal's."""
        self._count("gatehouse.permits.refused", code)

    def placeholders_met(self, restored: int, strange: int) -> None:
        """An answer is whole: so many placeholders got their value back, so many are mangled or of no use."""
        self._count("gatehouse.placeholders", "restored", amount=restored)
        self._count("gatehouse.placeholders", "strange", amount=strange)

    def cache_looked_up(self, result: CacheResult) -> None:
        """One use of the cache."""
        self._add("gatehouse.cache", result)

    def taint_found(self, level: str, source: str) -> None:
        """A request has inherited `level`; `source` says why (`policies.types.TaintSource`)."""
        self._count("gatehouse.taint.hits", level, source)

    def taint_marked(self, count: int, written: int, forgotten: int) -> None:
        """`count` segments of an answer were marked, others had to give way; `written` places are taken now."""
        self._count("gatehouse.taint.marked", amount=count)
        self._count("gatehouse.taint.forgotten", amount=forgotten)
        self._set("gatehouse.taint.marks", value=written)

    def request_shed(self, cause: str) -> None:
        """A request was refused for want of room: `concurrency`, `local_queue`, `tenant_queue`, …"""
        self._count("gatehouse.shed", cause)

    def in_flight(self, count: int) -> None:
        """Requests that this process is answering now."""
        self._tally.set(self._in_flight, count)

    def policy_in_force(self, label: str) -> None:
        """This process decides by the policy `label` from now on (`Policy.label`)."""
        if self._policy_label is not None and self._policy_label != label:
            self._set("gatehouse.policy.info", self._policy_label, value=0)
        self._policy_label = label
        self._set("gatehouse.policy.info", label, value=1)

    def policy_loaded(self, is_good: bool) -> None:
        """The parent has read the policy anew; a bad one changed nothing."""
        self._set("gatehouse.policy.last_reload_success", value=int(is_good))
        self._count("gatehouse.policy.reloads", "success" if is_good else "failure")

    def policy_is_current(self, is_current: bool) -> None:
        """Whether what is in force is what the policy's files (or its store) say now."""
        self._set("gatehouse.policy.is_current", value=int(is_current))

    def engine_state(self, state: EngineState) -> None:
        """The engine's state, told by the process that supervises it."""
        for name in get_args(EngineState):
            self._set("gatehouse.engine.state", name, value=int(name == state))

    def engine_ended(self, reason: str) -> None:
        """The engine ended although nobody asked it to; `reason` is one of a few words."""
        self._count("gatehouse.engine.restarts", reason)

    def worker_restarted(self) -> None:
        """A worker died and was started again."""
        self._count("gatehouse.worker.restarts")

    def degraded(self, component: str, is_degraded: bool) -> None:
        """`component` (`redis`, `engine`, `policy`, a model's name) does not work as configured, or does again."""
        self._set("gatehouse.degraded", component, value=int(is_degraded))

    def exits_locked(self, everybody: bool, tenants: int, cut: int) -> None:
        """All exits are locked, or those of so many tenants; so many calls were cut for it."""
        self._set("gatehouse.lockdown", "all", value=int(everybody))
        self._set("gatehouse.lockdown", "tenant", value=tenants)
        self._count("gatehouse.lockdown.cut", amount=cut)

    def promise_observed(
        self, model: str, promise: str, promised: float, observed: float, answers: int, is_broken: bool
    ) -> None:
        """What the last answers of `model` (the policy's name) show of what its threshold promises; shares."""
        self._set("gatehouse.promise.promised", model, promise, value=promised)
        self._set("gatehouse.promise.observed", model, promise, value=observed)
        self._set("gatehouse.promise.answers", model, promise, value=answers)
        self._set("gatehouse.promise.broken", model, promise, value=int(is_broken))

    def feedback_taken(self, verdict: str, source: str) -> None:
        """Somebody has said what an answer was worth, or (`reask`) asked again."""
        self._count("gatehouse.feedback", verdict, source)

    def records_written(self, count: int) -> None:
        """Decision records are on the disk."""
        self._count("gatehouse.records.written", amount=count)

    def records_dropped(self, count: int) -> None:
        """Decision records are lost: a full queue, a full disk."""
        self._count("gatehouse.records.dropped", amount=count)

    def write_counts(self) -> None:
        """Write down now what waits for a moment, so that whoever reads the metrics sees it. On the event loop."""
        self._tally.write()

    def _count(self, *series: str, amount: float = 1) -> None:
        counter = self._counter(series)
        if amount > 0:
            counter.inc(amount)

    def _add(self, *series: str, amount: float = 1) -> None:
        """The same within a moment, for what happens with every request."""
        counter = self._counter(series)
        if amount > 0:
            self._tally.add(counter, amount)

    def _counter(self, series: tuple[str, ...]) -> Counter:
        counter = self._counters.get(series)
        if counter is None:
            counter = self.store.counter(*series)
            if len(self._counters) < _MAX_REMEMBERED:
                self._counters[series] = counter
        return counter

    def _set(self, *series: str, value: float) -> None:
        gauge = self._gauges.get(series)
        if gauge is None:
            gauge = self.store.gauge(*series)
            if len(self._gauges) < _MAX_REMEMBERED:
                self._gauges[series] = gauge
        gauge.set(value)
