"""Spans and metrics on their way to an OTLP collector. The only importer of OpenTelemetry, itself imported only then.

Everything waits in bounded queues and is sent by threads of its own. Nothing is read from the environment that could
send it elsewhere: no proxy, no resource, no sampler; and nothing is sent but names of a list and numbers.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import requests
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import export as otel
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from router.telemetry.metrics import MetricStore
from router.telemetry.spans import Span, TraceParent, Value
from router.telemetry.table import Definition

if TYPE_CHECKING:
    from router.telemetry.metrics import Metric as Family
    from router.telemetry.metrics import Sample

log = logging.getLogger("gatehouse.telemetry")

_EXPORT_TIMEOUT_S = 5.0
_SPAN_QUEUE = 2048  # spans that wait for the collector; what does not fit is dropped
_SPAN_BATCH = 512
_SPAN_DELAY_MS = 2000
_DISTRIBUTION = "gatehouse-server"
_SCOPE = "gatehouse"


class Export:
    """Spans and, when `metrics_interval_s` is given, metrics of one process, to one collector.

    Raises `ValueError` when the endpoint is not an http(s) URL.
    """

    def __init__(
        self, endpoint: str, headers: Mapping[str, str], store: MetricStore, metrics_interval_s: float | None
    ) -> None:
        # `_Watched` says once what the library says at each attempt, with the collector's words in it.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL + 1)
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("otlp_endpoint must be an http:// or https:// URL")
        address = f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname
        base = endpoint.rstrip("/")

        def options(path: str) -> dict[str, Any]:
            return {
                "endpoint": f"{base}/v1/{path}",
                "headers": dict(headers),
                "timeout": _EXPORT_TIMEOUT_S,
                "compression": Compression.Gzip,
                "session": _make_session(),
            }

        resource = _make_resource()
        self._spans = _Watched(OTLPSpanExporter(**options("traces")), "spans", address)
        self._provider = _make_provider(self._spans, resource)
        self._tracer = self._provider.get_tracer(_SCOPE, _server_version())
        self._metrics: _MetricsExport | None = None
        if metrics_interval_s is not None:
            watched = _Watched(OTLPMetricExporter(**options("metrics")), "metrics", address)
            self._metrics = _MetricsExport(watched, store, resource, metrics_interval_s)

    def server_span(self, name: str, attributes: Mapping[str, Value], caller: TraceParent | None) -> Span:
        """Begin the span of a request, in the caller's trace when it has one."""
        return self._begin(name, SpanKind.SERVER, attributes, _remote_context(caller))

    def client_span(self, name: str, attributes: Mapping[str, Value], parent: Span) -> Span:
        """Begin the span of a call to a model."""
        return self._begin(name, SpanKind.CLIENT, attributes, set_span_in_context(parent.span, Context()))

    def _begin(self, name: str, kind: SpanKind, attributes: Mapping[str, Value], context: Context) -> Span:
        span = self._tracer.start_span(
            name,
            context=context,
            kind=kind,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        )
        return Span(span, Status(StatusCode.ERROR))

    def start(self) -> None:
        """Begin the periodic export."""
        if self._metrics is not None:
            self._metrics.start()

    def flush(self) -> None:
        """Export what waits, now."""
        self._provider.force_flush()
        if self._metrics is not None:
            self._metrics.push()

    def close(self, timeout_s: float) -> None:
        """The library waits up to 30 s for a collector that is down; this waits for `timeout_s`."""
        closing: list[Callable[[], object]] = [self._provider.shutdown]
        if self._metrics is not None:
            closing.append(self._metrics.finish)
        threads = [threading.Thread(target=close, daemon=True) for close in closing]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + timeout_s
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._spans.shutdown()
        if self._metrics is not None:
            self._metrics.stop()


def _remote_context(caller: TraceParent | None) -> Context:
    """A context with the caller's span as the parent, or an empty one."""
    if caller is None:
        return Context()
    flags = TraceFlags(TraceFlags.SAMPLED if caller.is_sampled else TraceFlags.DEFAULT)
    parent = SpanContext(caller.trace_id, caller.span_id, is_remote=True, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(parent), Context())


def _server_version() -> str:
    try:
        return version(_DISTRIBUTION)
    except PackageNotFoundError:
        return "0+source"


def _make_resource() -> Resource:
    """`service.instance.id` keeps the series of two gateways apart."""
    return Resource(
        {
            "service.name": "gatehouse",
            "service.version": _server_version(),
            "service.instance.id": str(uuid.uuid4()),
            "telemetry.sdk.language": "python",
            "telemetry.sdk.name": "opentelemetry",
            "telemetry.sdk.version": version("opentelemetry-sdk"),
        }
    )


def _make_session() -> requests.Session:
    """A session that follows neither proxy variables nor `.netrc`."""
    session = requests.Session()
    session.trust_env = False
    return session


def _make_provider(exporter: _Watched, resource: Resource) -> TracerProvider:
    provider = TracerProvider(sampler=ParentBased(ALWAYS_ON), resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(
        BatchSpanProcessor(
            cast("SpanExporter", exporter),
            max_queue_size=_SPAN_QUEUE,
            schedule_delay_millis=_SPAN_DELAY_MS,
            max_export_batch_size=_SPAN_BATCH,
        )
    )
    return provider


class _Watched:
    """An exporter with its state: one log line when the collector goes, one when it is back."""

    def __init__(self, exporter: OTLPSpanExporter | OTLPMetricExporter, what: str, address: str) -> None:
        self._exporter = exporter
        self._what = what
        self._address = address
        self._is_up = True
        self._has_stopped = False

    def export(self, batch: Any) -> Any:
        """What the exporter says; nothing is sent any more once stopped."""
        if self._has_stopped:
            return SpanExportResult.FAILURE
        result = self._exporter.export(batch)
        self._note(result in (SpanExportResult.SUCCESS, otel.MetricExportResult.SUCCESS))
        return result

    def _note(self, is_up: bool) -> None:
        if is_up == self._is_up or self._has_stopped:
            return
        self._is_up = is_up
        if is_up:
            log.info("collector %s takes %s again", self._address, self._what)
        else:
            log.warning("collector %s does not take %s: they are dropped until it does", self._address, self._what)

    def shutdown(self) -> None:
        """Stop at once: a retry that waits is given up. Idempotent."""
        if not self._has_stopped:
            self._has_stopped = True
            self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Nothing waits here."""
        return True


class _MetricsExport:
    """Sends what the metric store shows, under the OpenTelemetry names, every `interval_s` and once at the end."""

    def __init__(self, exporter: _Watched, store: MetricStore, resource: Resource, interval_s: float) -> None:
        self._exporter = exporter
        self._store = store
        self._resource = resource
        self._interval_s = interval_s
        self._since_ns = time.time_ns()
        self._ending = threading.Event()
        self._pushing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="gatehouse-metrics-export", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        while not self._ending.wait(self._interval_s):
            self.push()

    def push(self) -> None:
        """Export once; blocks until the collector has answered or the time is up."""
        with self._pushing:
            self._exporter.export(self._read())

    def finish(self) -> None:
        self._ending.set()
        self.push()

    def stop(self) -> None:
        self._ending.set()
        self._exporter.shutdown()

    def _read(self) -> otel.MetricsData:
        now = time.time_ns()
        metrics = [
            _to_metric(definition, family, self._since_ns, now)
            for definition, family in self._store.collect()
            if family.samples
        ]
        scope = otel.ScopeMetrics(InstrumentationScope(_SCOPE, _server_version()), metrics, "")
        return otel.MetricsData([otel.ResourceMetrics(self._resource, [scope], "")])


def _to_metric(definition: Definition, family: Family, since_ns: int, now_ns: int) -> otel.Metric:
    """One metric with its own name, unit and attributes: cumulative, and monotonic where it counts."""
    cumulative = otel.AggregationTemporality.CUMULATIVE
    if definition.kind == "histogram":
        points = _histogram_points(definition, family.samples, since_ns, now_ns)
        data: otel.DataT = otel.Histogram(points, cumulative)
    else:
        numbers = [
            otel.NumberDataPoint(
                attributes=_attributes(definition, sample.labels),
                start_time_unix_nano=since_ns,
                time_unix_nano=now_ns,
                value=int(sample.value) if definition.is_integer else float(sample.value),
            )
            for sample in family.samples
        ]
        data = otel.Gauge(numbers) if definition.kind == "gauge" else otel.Sum(numbers, cumulative, True)
    return otel.Metric(definition.name, definition.help, definition.unit, data)


def _attributes(definition: Definition, labels: Mapping[str, str]) -> dict[str, str | int]:
    named = {name: labels.get(label, "") for name, label in zip(definition.attributes, definition.labels, strict=True)}
    return {
        name: int(value) if name == "server.port" and value.isdecimal() else value
        for name, value in named.items()
        if value
    }


def _histogram_points(
    definition: Definition, samples: Sequence[Sample], since_ns: int, now_ns: int
) -> list[otel.HistogramDataPoint]:
    """Prometheus' cumulative buckets taken apart into OpenTelemetry's, one point for each set of labels."""
    sums: dict[tuple[str, ...], float] = {}
    buckets: dict[tuple[str, ...], list[tuple[float, int]]] = {}
    for sample in samples:
        key = tuple(sample.labels.get(label, "") for label in definition.labels)
        if sample.name.endswith("_sum"):
            sums[key] = sample.value
        elif sample.name.endswith("_bucket"):
            buckets.setdefault(key, []).append((float(sample.labels["le"]), int(sample.value)))
    points = []
    for key, cumulative in buckets.items():
        counts = [count for _, count in sorted(cumulative)]
        point = otel.HistogramDataPoint(
            attributes=_attributes(definition, dict(zip(definition.labels, key, strict=True))),
            start_time_unix_nano=since_ns,
            time_unix_nano=now_ns,
            count=counts[-1],
            sum=sums.get(key, 0.0),
            bucket_counts=[count - before for count, before in zip(counts, [0, *counts[:-1]], strict=True)],
            explicit_bounds=list(definition.buckets),
            min=cast("float", None),  # not known of a sum over processes: the field stays unset on the wire
            max=cast("float", None),
        )
        points.append(point)
    return points
