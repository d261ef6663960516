"""Spans as the gateway sees them: nothing at all without an exporter, and with one only attributes of a fixed list.

Never holds content: a value is a number, a truth, or a string that looks like a name of ours or of the policy.
Knows OpenTelemetry's attribute names, imports none of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

from policies.types import Model
from router.errors import GatehouseError
from router.telemetry.gen_ai import Operation, response_model_name, target_of
from router.types import Outcome, Usage

Shape = Literal["name", "path", "int", "float", "bool", "finish"]

# Everything that a span may carry. What is not listed, or has another shape, is left out.
ATTRIBUTES: Mapping[str, Shape] = {
    "error.type": "name",
    "gatehouse.complexity": "float",
    "gatehouse.confidence": "float",
    "gatehouse.cost.usd": "float",
    "gatehouse.held": "name",
    "gatehouse.model": "name",
    "gatehouse.policy": "name",
    "gatehouse.purpose": "name",
    "gatehouse.reason": "name",
    "gatehouse.request.id": "name",
    "gatehouse.route": "name",
    "gatehouse.sensitivity": "name",
    "gen_ai.operation.name": "name",
    "gen_ai.provider.name": "name",
    "gen_ai.request.choice.count": "int",
    "gen_ai.request.max_tokens": "int",
    "gen_ai.request.model": "name",
    "gen_ai.request.stream": "bool",
    "gen_ai.response.finish_reasons": "finish",
    "gen_ai.response.model": "name",
    "gen_ai.response.time_to_first_chunk": "float",
    "gen_ai.usage.input_tokens": "int",
    "gen_ai.usage.output_tokens": "int",
    "http.request.method": "name",
    "http.response.status_code": "int",
    "http.route": "path",
    "server.address": "name",
    "server.port": "int",
    "url.path": "path",
    "url.scheme": "name",
}
_NAME = re.compile(r"[A-Za-z0-9@_][A-Za-z0-9_.:/@+-]{0,127}")  # no space: a sentence is not a name
_PATH = re.compile(r"/[A-Za-z0-9_./{}-]{0,127}")
_FINISH_REASONS = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})
_MAX_INT = 10_000_000  # no count of tokens, ports or choices is larger: a longer number is not one of ours
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)

Value = str | int | float | bool | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TraceParent:
    """A caller's place in its own trace (W3C Trace Context, level 1)."""

    trace_id: int
    span_id: int
    is_sampled: bool


def parse_traceparent(header: str | None) -> TraceParent | None:
    """The caller's `traceparent`, or None when there is none or it is not valid: the trace then begins here."""
    if header is None or len(header) > 256:
        return None
    match = _TRACEPARENT.fullmatch(header.strip())
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    if version == "ff" or (version == "00" and rest) or not int(trace_id, 16) or not int(span_id, 16):
        return None
    return TraceParent(int(trace_id, 16), int(span_id, 16), bool(int(flags, 16) & 1))


def allowed_attributes(wanted: Mapping[str, object]) -> dict[str, Value]:
    """The part of `wanted` that may stand in a span."""
    allowed: dict[str, Value] = {}
    for name, value in wanted.items():
        shape = ATTRIBUTES.get(name)
        checked = None if shape is None else _check(shape, value)
        if checked is not None:
            allowed[name] = checked
    return allowed


def _check(shape: Shape, value: object) -> Value | None:
    if shape == "finish":
        reasons = value if isinstance(value, (list, tuple)) else ()
        return tuple(reason if reason in _FINISH_REASONS else "other" for reason in reasons[:16]) or None
    if shape == "bool":
        return value if isinstance(value, bool) else None
    if isinstance(value, str):
        pattern = {"name": _NAME, "path": _PATH}.get(shape)
        return value if pattern is not None and pattern.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if shape == "int":
        return value if isinstance(value, int) and 0 <= value <= _MAX_INT else None
    return round(float(value), 6) if shape == "float" and abs(value) <= _MAX_INT else None


class NoSpan:
    """Stands where a span would, when nothing is exported. Does nothing, at the price of a call."""

    is_recording = False
    traceparent: str | None = None

    def request_finished(self, outcome: Outcome, status: int) -> None:
        """See `Span.request_finished`."""

    def upstream_finished(self, model: Model, **_: object) -> None:
        """See `Span.upstream_finished`."""

    def end(self, error_type: str | None = None) -> None:
        """See `Span.end`."""

    def __enter__(self) -> NoSpan:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        return None


NO_SPAN = NoSpan()


class Span:
    """One span that will be exported. Ends once, by `end` or by leaving the `with` block."""

    is_recording = True

    def __init__(self, span: Any, error_status: Any) -> None:
        """`span` is OpenTelemetry's; `error_status` its value for a failed one."""
        self.span = span
        self._error_status = error_status
        self._has_ended = False

    @property
    def traceparent(self) -> str | None:
        """The header that continues this trace. For `local` models only: nothing of a caller's headers goes further."""
        context = self.span.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags) & 1:02x}"

    def request_finished(self, outcome: Outcome, status: int) -> None:
        """What became of the request; for the span of `Telemetry.span_request`. 5xx marks it as failed."""
        self._set(
            {
                "http.response.status_code": status,
                "gatehouse.route": outcome.route,
                "gatehouse.reason": outcome.reason,
                "gatehouse.sensitivity": outcome.sensitivity,
                "gatehouse.policy": outcome.policy,
                "gatehouse.model": outcome.model,
                "gatehouse.held": outcome.held,
                "gatehouse.complexity": outcome.complexity,
                "gatehouse.confidence": outcome.confidence,
                "gatehouse.cost.usd": outcome.cost_usd,
                "error.type": outcome.error_code or (str(status) if status >= 500 else None),
            }
        )
        if status >= 500:
            self.span.set_status(self._error_status)

    def upstream_finished(
        self,
        model: Model,
        *,
        usage: Usage | None = None,
        finish_reasons: Sequence[object] = (),
        response_model: str | None = None,
        first_chunk: float | None = None,
    ) -> None:
        """What a model answered with; for the span of `Telemetry.span_upstream`. `first_chunk` in seconds."""
        self._set(
            {
                "gen_ai.usage.input_tokens": usage.input_tokens if usage else None,
                "gen_ai.usage.output_tokens": usage.output_tokens if usage else None,
                "gen_ai.response.finish_reasons": tuple(finish_reasons),
                "gen_ai.response.model": response_model_name(model.model, response_model),
                "gen_ai.response.time_to_first_chunk": first_chunk,
            }
        )

    def end(self, error_type: str | None = None) -> None:
        """End it, as failed when an error type (our code, or a class name) is given."""
        if self._has_ended:
            return
        self._has_ended = True
        if error_type is not None:
            self._set({"error.type": error_type})
            self.span.set_status(self._error_status)
        self.span.end()

    def _set(self, wanted: Mapping[str, object]) -> None:
        self.span.set_attributes(allowed_attributes(wanted))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end(None if error is None else error_name(error))


def error_name(error: BaseException) -> str:
    """What telemetry calls an exception: our stable code, or the class's name. Never its message."""
    return error.code if isinstance(error, GatehouseError) else type(error).__name__


def upstream_attributes(
    model: Model,
    operation: Operation,
    *,
    stream: bool,
    purpose: str | None,
    choices: int | None,
    max_tokens: int | None,
) -> dict[str, Value]:
    """What a call's span is created with, so that samplers see it."""
    target = target_of(model)
    return allowed_attributes(
        {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": target.provider,
            "gen_ai.request.model": target.request_model,
            "gen_ai.request.stream": stream,
            "gen_ai.request.choice.count": choices if choices != 1 else None,
            "gen_ai.request.max_tokens": max_tokens,
            "server.address": target.address,
            "server.port": target.port or None,
            "gatehouse.model": model.name,
            "gatehouse.purpose": purpose,
        }
    )
