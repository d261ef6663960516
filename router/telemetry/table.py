"""Every metric of the gateway, as data: name, kind, unit, attributes, buckets. Recording and export read this table.

The `gen_ai.*` names, units and buckets are those of the OpenTelemetry semantic conventions, v1.41.1. An attribute may
hold only a name from the policy, an enum or a number; never a tenant, a user or anything of a request's content.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]
# How a gauge's values of several processes become one; all forget a process that died.
Merge = Literal["livesum", "livemax", "livemostrecent"]

_DURATION = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
_FIRST_TOKEN = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_OUTPUT_TOKEN = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
_OVERHEAD = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)

_CLIENT = (
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "gen_ai.request.model",
    "gen_ai.response.model",
    "server.address",
    "server.port",
)
_SERVER = ("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model")


@dataclass(frozen=True, slots=True)
class Definition:
    """One metric. `attributes` are OpenTelemetry names; the Prometheus names follow from them by rule."""

    name: str
    kind: Kind
    unit: str
    help: str
    attributes: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    merge: Merge = "livesum"  # gauges only
    should_hide_zero: bool = False  # a value of zero says "no longer": that series is not shown
    is_integer: bool = True

    @property
    def prometheus_name(self) -> str:
        """The OpenTelemetry name under Prometheus' rules, without the `_total` that counters get."""
        suffix = {"s": "_seconds", "By": "_bytes", "J": "_joules"}.get(self.unit, "")
        return self.name.replace(".", "_") + suffix

    @property
    def labels(self) -> tuple[str, ...]:
        """The attributes' names as Prometheus labels, in the same order: ours lose `gatehouse.`, dots become `_`."""
        return tuple(name.removeprefix("gatehouse.").replace(".", "_") for name in self.attributes)


def _counter(name: str, unit: str, text: str, *attributes: str, is_integer: bool = True) -> Definition:
    return Definition(name, "counter", unit, text, attributes, is_integer=is_integer)


def _money(name: str, text: str, *attributes: str) -> Definition:
    return _counter(f"gatehouse.{name}", "{USD}", text, "gatehouse.rule", *attributes, is_integer=False)


def _gauge(
    name: str,
    unit: str,
    text: str,
    merge: Merge,
    *attributes: str,
    should_hide_zero: bool = False,
    is_integer: bool = True,
) -> Definition:
    return Definition(
        name,
        "gauge",
        unit,
        text,
        attributes,
        merge=merge,
        should_hide_zero=should_hide_zero,
        is_integer=is_integer,
    )


def _engine_gauge(name: str, unit: str, text: str) -> Definition:
    return _gauge(f"gatehouse.engine.{name}", unit, text, "livemax", "gatehouse.model", is_integer=False)


def _engine_counter(name: str, unit: str, text: str) -> Definition:
    return _counter(f"gatehouse.engine.{name}", unit, text, "gatehouse.model", is_integer=unit != "s")


def _histogram(name: str, unit: str, text: str, buckets: tuple[float, ...], *attributes: str) -> Definition:
    return Definition(name, "histogram", unit, text, attributes, buckets, is_integer=False)


TABLE: tuple[Definition, ...] = (
    # OpenTelemetry's conventions for generative AI: the gateway as a client of its models …
    _histogram(
        "gen_ai.client.token.usage",
        "{token}",
        "Tokens of one call to a model.",
        _TOKENS,
        *_CLIENT,
        "gen_ai.token.type",
    ),
    _histogram(
        "gen_ai.client.operation.duration", "s", "Duration of one call to a model.", _DURATION, *_CLIENT, "error.type"
    ),
    _histogram(
        "gen_ai.client.operation.time_to_first_chunk",
        "s",
        "From a call to the first chunk of its stream.",
        _DURATION,
        *_CLIENT,
    ),
    _histogram(
        "gen_ai.client.operation.time_per_output_chunk",
        "s",
        "Between one chunk of a stream and the next.",
        _DURATION,
        *_CLIENT,
    ),
    # … and as a server of its callers.
    _histogram(
        "gen_ai.server.request.duration", "s", "Duration of one request, whole.", _DURATION, *_SERVER, "error.type"
    ),
    _histogram("gen_ai.server.time_to_first_token", "s", "From a request to its first token.", _FIRST_TOKEN, *_SERVER),
    _histogram(
        "gen_ai.server.time_per_output_token",
        "s",
        "Mean time of an output token after the first, of one request.",
        _OUTPUT_TOKEN,
        *_SERVER,
    ),
    # What the gateway decided and did.
    _counter(
        "gatehouse.requests",
        "{request}",
        "Requests answered or refused.",
        "gatehouse.route",
        "gatehouse.reason",
        "gatehouse.sensitivity",
        "gatehouse.status",
    ),
    _histogram(
        "gatehouse.overhead",
        "s",
        "Time of a request that no backend accounts for.",
        _OVERHEAD,
        "gatehouse.route",
    ),
    _histogram("gatehouse.scan", "s", "Time of one scan and its signals.", _OVERHEAD),
    _counter("gatehouse.findings", "{finding}", "Findings by entity type.", "gatehouse.entity_type"),
    _counter("gatehouse.unknowns", "{part}", "Parts that could not be checked, by kind.", "gatehouse.kind"),
    _counter("gatehouse.egress", "By", "Bytes that left, by model.", "gatehouse.model"),
    _counter(
        "gatehouse.budget.refusals",
        "{call}",
        "Calls outside that no budget had enough left for, by its scope; ledger, unshared: who could not be asked.",
        "gatehouse.scope",
    ),
    _counter(
        "gatehouse.rate.refusals",
        "{request}",
        "Requests refused because as much was asked for as may be in a minute, by scope and kind of the limit.",
        "gatehouse.scope",
        "gatehouse.kind",
    ),
    _counter("gatehouse.upstream.retries", "{call}", "Calls that were made once more, by model.", "gatehouse.model"),
    _counter("gatehouse.permits.refused", "{permit}", "Permits refused, by code.", "gatehouse.code"),
    _counter(
        "gatehouse.releases",
        "{release}",
        "Releases of held requests by result: offered, pending, used, refused.",
        "gatehouse.result",
    ),
    _counter("gatehouse.placeholders", "{placeholder}", "Placeholders in answers by result.", "gatehouse.result"),
    _counter(
        "gatehouse.cache",
        "{lookup}",
        "Cache lookups by result: hit, similar (the answer to another question), miss.",
        "gatehouse.result",
    ),
    _counter(
        "gatehouse.taint.hits",
        "{request}",
        "Requests that inherited a level from answers that they hold, by level and why.",
        "gatehouse.sensitivity",
        "gatehouse.cause",
    ),
    _counter("gatehouse.taint.marked", "{segment}", "Segments of answers that were marked."),
    _counter("gatehouse.taint.forgotten", "{segment}", "Marks that gave way to others before their time."),
    _gauge("gatehouse.taint.marks", "{segment}", "Places taken in the table of marks.", "livemax"),
    _counter("gatehouse.shed", "{request}", "Requests refused for want of room, by cause.", "gatehouse.cause"),
    _counter("gatehouse.tokens", "{token}", "Tokens by model and type.", "gatehouse.model", "gatehouse.type"),
    _money("cost.usd", "Price of all calls, by rule and model. Energy is not in it.", "gatehouse.model"),
    _money("wasted.usd", "Part of the cost: calls whose answer nobody got.", "gatehouse.model"),
    _money("baseline.usd", "What the default cloud model would have cost for the same requests."),
    _money("saved.usd", "Baseline less all cost, of requests where that is more than zero."),
    _money("overspent.usd", "All cost less baseline, of requests where that is more than zero."),
    _counter("gatehouse.unpriced", "{call}", "Calls whose price is not known.", "gatehouse.model"),
    _counter("gatehouse.energy", "J", "Energy of local answers, an estimate.", "gatehouse.model", is_integer=False),
    _counter("gatehouse.feedback", "{verdict}", "Verdicts on answers.", "gatehouse.verdict", "gatehouse.source"),
    # How it stands.
    _gauge(
        "gatehouse.budget.left.usd",
        "{USD}",
        "What is left on this host of everybody's budget, of a tenant's and of a key's: the one with the least.",
        "livemostrecent",
        "gatehouse.scope",
        "gatehouse.period",
        is_integer=False,
    ),
    _gauge("gatehouse.requests.in_flight", "{request}", "Requests being answered.", "livesum"),
    _gauge(
        "gatehouse.policy.info",
        "",
        "1 for each policy that some process has in force.",
        "livemax",
        "gatehouse.policy",
        should_hide_zero=True,
    ),
    _gauge("gatehouse.policy.last_reload_success", "", "1 if the last load of the policy succeeded.", "livemostrecent"),
    _gauge("gatehouse.policy.is_current", "", "1 if what is in force is what its file says now.", "livemostrecent"),
    _counter("gatehouse.policy.reloads", "{reload}", "Loads of the policy by result.", "gatehouse.result"),
    _gauge("gatehouse.engine.state", "", "1 for the engine's present state.", "livemax", "gatehouse.state"),
    _counter("gatehouse.engine.restarts", "{restart}", "Ends of the engine that nobody asked for.", "gatehouse.reason"),
    _counter("gatehouse.worker.restarts", "{restart}", "Restarts of gateway workers."),
    _gauge("gatehouse.degraded", "", "1 for what does not work as configured.", "livemax", "gatehouse.component"),
    _gauge(
        "gatehouse.breaker.state",
        "",
        "A model's circuit breaker, in the worker where it stands worst: 0 closed, 1 half open, 2 open.",
        "livemax",
        "gatehouse.model",
    ),
    _counter(
        "gatehouse.breaker.transitions",
        "{transition}",
        "Changes of a model's circuit breaker, by the state that it came to.",
        "gatehouse.model",
        "gatehouse.state",
    ),
    _gauge(
        "gatehouse.lockdown",
        "{lock}",
        "Whether all exits are locked by an admin (scope all: 1), and of how many tenants.",
        "livemax",
        "gatehouse.scope",
    ),
    _counter("gatehouse.lockdown.cut", "{call}", "Calls outside that a lock has cut."),
    # What thresholds promise, and what the last thousand answers show of it (router/calibration/drift.py).
    _gauge(
        "gatehouse.promise.promised",
        "1",
        "Share that is promised at most: bad among answers kept at home, or escalated among those judged.",
        "livemax",
        "gatehouse.model",
        "gatehouse.kind",
        is_integer=False,
    ),
    _gauge(
        "gatehouse.promise.observed",
        "1",
        "The same share among the last answers.",
        "livemax",
        "gatehouse.model",
        "gatehouse.kind",
        is_integer=False,
    ),
    _gauge(
        "gatehouse.promise.answers",
        "{answer}",
        "Answers that it was observed in.",
        "livemax",
        "gatehouse.model",
        "gatehouse.kind",
    ),
    _gauge(
        "gatehouse.promise.broken",
        "",
        "1 where so many could hardly be by chance.",
        "livemax",
        "gatehouse.model",
        "gatehouse.kind",
    ),
    _counter("gatehouse.records.written", "{record}", "Decision records written."),
    _counter("gatehouse.records.dropped", "{record}", "Decision records dropped."),
    # The engine's own figures, by model, as it gives them each second (router/processes/engine_stats.py).
    _engine_gauge("queue.depth", "{request}", "Requests that wait for the model."),
    _engine_gauge("queue.tokens", "{token}", "Tokens that those who wait ask for, prompts and answers."),
    _engine_gauge("running", "{request}", "Requests that are being decoded."),
    _engine_gauge("slots", "{request}", "Requests that can be decoded at the same time."),
    _engine_gauge("batch.occupancy", "{token}", "Tokens decoded in one step: the mean of the last second."),
    _engine_gauge("prefill.rate", "{token}/s", "Prompt tokens decoded, of the last second."),
    _engine_gauge("decode.rate", "{token}/s", "Answer tokens decoded, of the last second."),
    _engine_gauge("loaded", "", "1 for a model that is in memory."),
    _engine_gauge("model.memory", "By", "Memory of a model that is loaded: weights, caches, buffers."),
    _gauge(
        "gatehouse.engine.memory",
        "By",
        "Memory that the engine's models take together.",
        "livemax",
        should_hide_zero=True,  # a worker's, which knows nothing of it
    ),
    _engine_counter("requests", "{request}", "Requests taken into the line."),
    _engine_counter("cancelled", "{request}", "Requests whose caller went away."),
    _engine_counter("expired", "{request}", "Requests whose deadline passed while they waited."),
    _engine_counter("refused", "{request}", "Requests refused because the line was full."),
    _engine_counter("queue.wait", "s", "Time that requests have waited for a slot."),
    _engine_counter("first_token", "s", "Time from a request to its first token, over all requests."),
    _engine_counter("first_tokens", "{request}", "Requests that have had their first token."),
    _engine_counter("prefill.tokens", "{token}", "Prompt tokens decoded; reused ones are not among them."),
    _engine_counter("prefill", "s", "Time spent in steps, by their share of prompt tokens."),
    _engine_counter("decode.tokens", "{token}", "Answer tokens decoded."),
    _engine_counter("decode", "s", "Time spent in steps, by their share of answer tokens."),
    _engine_counter("sampling", "s", "Time spent choosing tokens."),
    _engine_counter("steps", "{step}", "Decode calls."),
    _engine_counter("batched.tokens", "{token}", "Tokens in all decode calls."),
    _engine_counter("prefix.hits", "{request}", "Requests that reused a prefix of their own partition."),
    _engine_counter("prefix.tokens", "{token}", "Prompt tokens reused."),
    _engine_counter("speculated", "{token}", "Tokens guessed by prompt lookup."),
    _engine_counter("accepted", "{token}", "Guessed tokens that the model chose too."),
)
