"""The gateway's telemetry in one object: counts and times always, spans and OTLP export only where a collector is set.

It never blocks a request, never holds content, and sends nothing anywhere but to the collector that the operator named.
OpenTelemetry itself is in `router.telemetry.otlp`, imported only when an exporter is configured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from policies.types import Model
from router.settings import Settings
from router.telemetry.gen_ai import Operation, target_of
from router.telemetry.metrics import MetricStore
from router.telemetry.recorder import Recorder
from router.telemetry.spans import (
    NO_SPAN,
    NoSpan,
    Span,
    allowed_attributes,
    parse_traceparent,
    upstream_attributes,
)

if TYPE_CHECKING:
    from router.telemetry.otlp import Export


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Telemetry(Recorder):
    """One for each process. `start` and `close` bracket its export; without a collector both do nothing."""

    def __init__(
        self,
        *,
        store: MetricStore | None = None,
        otlp_endpoint: str | None = None,
        otlp_headers: str | None = None,
        metrics_interval_s: float = 60.0,
        exports_metrics: bool = False,
    ) -> None:
        """`exports_metrics`: in the parent alone, whose store sums over all processes.

        Raises `ValueError` when the endpoint is not an http(s) URL.
        """
        super().__init__(store if store is not None else MetricStore())
        self._export: Export | None = None
        if otlp_endpoint:
            from router.telemetry.otlp import Export

            interval = metrics_interval_s if exports_metrics else None
            self._export = Export(otlp_endpoint, _parse_headers(otlp_headers), self.store, interval)

    @classmethod
    def from_settings(cls, settings: Settings, *, exports_metrics: bool = False) -> Telemetry:
        """As the operator configured it."""
        return cls(
            otlp_endpoint=settings.otlp_endpoint,
            otlp_headers=settings.otlp_headers,
            metrics_interval_s=settings.otlp_metrics_interval_s,
            exports_metrics=exports_metrics,
        )

    def start(self) -> None:
        """Begin the periodic export of metrics, where there is one."""
        if self._export is not None:
            self._export.start()

    def render(self) -> bytes:
        """Prometheus text over all processes of this gateway. Reads files: call it in a thread."""
        return self.store.render()

    def span_request(
        self, route: str, *, request_id: str = "", traceparent: str | None = None, method: str = "POST"
    ) -> Span | NoSpan:
        """The SERVER span of one request; the caller's `traceparent`, when valid, is its parent.

        `route` is our own path, never the caller's text. `tracestate` and `baggage` are never read.
        """
        if self._export is None:
            return NO_SPAN
        attributes = allowed_attributes(
            {
                "http.request.method": method if method in _METHODS else "_OTHER",
                "http.route": route,
                "url.path": route,
                "url.scheme": "http",
                "gatehouse.request.id": request_id,
            }
        )
        words = (method if method in _METHODS else "HTTP", str(attributes.get("http.route", "")))
        return self._export.server_span(" ".join(words).strip(), attributes, parse_traceparent(traceparent))

    def span_upstream(
        self,
        parent: Span | NoSpan,
        model: Model,
        *,
        operation: Operation = "chat",
        stream: bool = False,
        purpose: str | None = None,
        choices: int | None = None,
        max_tokens: int | None = None,
    ) -> Span | NoSpan:
        """The CLIENT span of one call to a model, under a request's span. `purpose`: a grant's."""
        if self._export is None or isinstance(parent, NoSpan):
            return NO_SPAN
        attributes = upstream_attributes(
            model, operation, stream=stream, purpose=purpose, choices=choices, max_tokens=max_tokens
        )
        return self._export.client_span(f"{operation} {target_of(model).request_model}", attributes, parent)

    def flush(self) -> None:
        """Export everything that waits, now; blocks for as long as the collector takes, at most some seconds."""
        if self._export is not None:
            self._export.flush()

    def close(self, timeout_s: float = 3.0) -> None:
        """Export what waits if that is done in time, then stop. Idempotent."""
        self.write_counts()
        if self._export is not None:
            self._export.close(timeout_s)
            self._export = None


def _parse_headers(text: str | None) -> dict[str, str]:
    """`name=value` pairs with commas between them, values percent-encoded, as OTEL_EXPORTER_OTLP_HEADERS has them."""
    pairs = (part.partition("=") for part in (text or "").split(","))
    return {name.strip().lower(): unquote(value.strip()) for name, equals, value in pairs if equals and name.strip()}
