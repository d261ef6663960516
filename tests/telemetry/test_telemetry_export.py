"""What a collector gets: exact names and attributes, one trace from caller to model, and nothing that anybody wrote."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from pydantic import ValidationError

from classifiers.types import Finding, Scan, Signals
from policies.types import Model
from router.errors import UpstreamTimeout
from router.settings import from_environment
from router.telemetry.recorder import ChunkClock
from router.telemetry.spans import ATTRIBUTES, NO_SPAN, NoSpan, Span, allowed_attributes, parse_traceparent
from router.telemetry.telemetry import Telemetry
from router.types import Outcome, Usage
from tests.support.otlp_collector import OtlpCollector, attributes
from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
ROUTE = "/v1/chat/completions"
CLOUD = Model("cloud", "cloud", "openai", "gpt-4o-mini", base_url="https://api.openai.com/v1")
HOME = Model("home", "local", "engine", "smollm2-135m-instruct")
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
CANARY = "canary-7f3a Jane Roe 4111111111111111"
WORD = "canary-7f3a-4111111111111111"  # has the shape of a name, so it must be kept out by what it is


@pytest.fixture
def collector() -> Iterator[OtlpCollector]:
    with OtlpCollector() as collector:
        yield collector


def make_telemetry(collector: OtlpCollector) -> Telemetry:
    return Telemetry(otlp_endpoint=collector.url, exports_metrics=True, metrics_interval_s=3600)


def exchange(telemetry: Telemetry, *, traceparent: str | None = None, error: str | None = None) -> None:
    """One request as the gateway tells it: a root span, a call, and the two records at the end."""
    clock = ChunkClock()
    with telemetry.span_request(ROUTE, request_id="req-1", traceparent=traceparent) as root:
        with telemetry.span_upstream(root, CLOUD, stream=True, purpose="answer", choices=2, max_tokens=64) as call:
            clock.tick()
            clock.tick()
            call.upstream_finished(
                CLOUD,
                usage=Usage(12, 34),
                finish_reasons=["stop"],
                response_model="gpt-4o-mini-2024-07-18",
                first_chunk=0.125,
            )
            if error is not None:
                call.end(error)
        outcome = Outcome(
            "cloud", "cloud", "hard-questions", "public", "1-abc", complexity=0.75, usage={"cloud": Usage(12, 34)}
        )
        outcome.error_code = error
        root.request_finished(outcome, 200 if error is None else 502)
    telemetry.upstream_call(CLOUD, seconds=0.5, usage=Usage(12, 34), clock=clock, error_type=error)
    telemetry.request_finished(outcome, status=200 if error is None else 502, seconds=0.6, waited=0.5, first_chunk=0.2)


def by_kind(collector: OtlpCollector) -> tuple[WireSpan, WireSpan]:
    """The SERVER and the CLIENT span of the one exchange."""
    server = [span for span in collector.spans if span.kind == WireSpan.SPAN_KIND_SERVER]
    client = [span for span in collector.spans if span.kind == WireSpan.SPAN_KIND_CLIENT]
    assert (len(server), len(client)) == (1, 1)
    return server[0], client[0]


def test_the_spans_have_the_conventions_names_and_attributes(collector: OtlpCollector) -> None:
    telemetry = make_telemetry(collector)
    exchange(telemetry)
    telemetry.close()
    server, client = by_kind(collector)
    assert server.name == "POST /v1/chat/completions"
    assert attributes(server.attributes) == {
        "http.request.method": "POST",
        "http.route": ROUTE,
        "url.path": ROUTE,
        "url.scheme": "http",
        "http.response.status_code": 200,
        "gatehouse.request.id": "req-1",
        "gatehouse.route": "cloud",
        "gatehouse.reason": "hard-questions",
        "gatehouse.sensitivity": "public",
        "gatehouse.policy": "1-abc",
        "gatehouse.model": "cloud",
        "gatehouse.complexity": 0.75,
        "gatehouse.cost.usd": 0.0,
    }
    assert client.name == "chat gpt-4o-mini"
    assert attributes(client.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.request.stream": True,
        "gen_ai.request.choice.count": 2,
        "gen_ai.request.max_tokens": 64,
        "server.address": "api.openai.com",
        "server.port": 443,
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.response.time_to_first_chunk": 0.125,
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 34,
        "gatehouse.model": "cloud",
        "gatehouse.purpose": "answer",
    }
    for resource in collector.resources:
        assert resource["service.name"] == "gatehouse"
        assert resource["service.version"]


def test_every_gen_ai_attribute_of_the_list_is_one_of_the_conventions() -> None:
    """And none of those that carry content is in the list."""
    known = {word for name, word in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_")}
    ours = {name for name in ATTRIBUTES if name.startswith("gen_ai.")}
    assert ours <= known
    assert not [name for name in ours if "messages" in name or "tool" in name or "instructions" in name]


def test_the_metrics_arrive_under_their_otel_names_units_and_buckets(collector: OtlpCollector) -> None:
    telemetry = make_telemetry(collector)
    exchange(telemetry)
    telemetry.in_flight(3)
    telemetry.flush()
    seconds = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
    client = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "server.address": "api.openai.com",
        "server.port": 443,
    }
    duration = collector.metrics["gen_ai.client.operation.duration"]
    point = duration.histogram.data_points[0]
    assert duration.unit == "s"
    assert duration.histogram.aggregation_temporality == 2  # cumulative
    assert attributes(point.attributes) == client
    assert (point.count, point.sum, list(point.explicit_bounds)) == (1, 0.5, seconds)
    assert list(point.bucket_counts) == [0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    assert not point.HasField("min")
    assert not point.HasField("max")
    tokens = collector.metrics["gen_ai.client.token.usage"]
    assert tokens.unit == "{token}"
    assert {attributes(p.attributes)["gen_ai.token.type"]: p.sum for p in tokens.histogram.data_points} == {
        "input": 12,
        "output": 34,
    }
    for name in ("gen_ai.client.operation.time_to_first_chunk", "gen_ai.client.operation.time_per_output_chunk"):
        assert [(p.count, list(p.explicit_bounds)) for p in collector.metrics[name].histogram.data_points] == [
            (1, seconds)
        ]
    for name in (
        "gen_ai.server.request.duration",
        "gen_ai.server.time_to_first_token",
        "gen_ai.server.time_per_output_token",
    ):
        point = collector.metrics[name].histogram.data_points[0]
        assert attributes(point.attributes) == {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "gatehouse",
            "gen_ai.request.model": "cloud",
        }
    requests = collector.metrics["gatehouse.requests"]
    assert (requests.unit, requests.sum.is_monotonic, requests.sum.aggregation_temporality) == ("{request}", True, 2)
    assert attributes(requests.sum.data_points[0].attributes) == {
        "gatehouse.route": "cloud",
        "gatehouse.reason": "hard-questions",
        "gatehouse.sensitivity": "public",
        "gatehouse.status": "200",
    }
    assert collector.metrics["gatehouse.requests.in_flight"].gauge.data_points[0].as_int == 3
    telemetry.close()


def test_what_is_exported_twice_has_grown_from_the_same_start(collector: OtlpCollector) -> None:
    """Temporality is cumulative: the same start, a later time, a count that never falls."""
    telemetry = make_telemetry(collector)
    points = []
    for _ in range(2):
        exchange(telemetry)
        telemetry.flush()
        points.append(collector.metrics["gatehouse.requests"].sum.data_points[0])
    telemetry.close()
    assert [point.as_int for point in points] == [1, 2]
    assert points[0].start_time_unix_nano == points[1].start_time_unix_nano
    assert points[0].time_unix_nano < points[1].time_unix_nano


def test_metrics_are_exported_by_themselves_at_the_interval(collector: OtlpCollector) -> None:
    telemetry = Telemetry(otlp_endpoint=collector.url, exports_metrics=True, metrics_interval_s=0.05)
    telemetry.start()
    deadline = time.monotonic() + 60
    while len(collector.metric_requests) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    telemetry.close()
    assert len(collector.metric_requests) >= 2


def test_a_worker_exports_spans_and_no_metrics(collector: OtlpCollector) -> None:
    """The parent alone sees the sum: two exporters would count everything twice."""
    telemetry = Telemetry(otlp_endpoint=collector.url)
    telemetry.start()
    exchange(telemetry)
    telemetry.close()
    assert len(collector.spans) == 2
    assert collector.metric_requests == []


def test_the_operators_headers_reach_the_collector(collector: OtlpCollector) -> None:
    telemetry = Telemetry(otlp_endpoint=collector.url, otlp_headers="x-team=blue%20one, Authorization=Bearer%20k")
    exchange(telemetry)
    telemetry.close()
    assert collector.headers[0]["x-team"] == "blue one"
    assert collector.headers[0]["authorization"] == "Bearer k"


def test_a_callers_trace_goes_on_through_the_gateway(collector: OtlpCollector) -> None:
    telemetry = make_telemetry(collector)
    exchange(telemetry, traceparent=CALLER)
    telemetry.close()
    server, client = by_kind(collector)
    assert server.trace_id.hex() == client.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
    assert server.parent_span_id.hex() == "b7ad6b7169203331"
    assert client.parent_span_id == server.span_id
    assert server.trace_state == client.trace_state == ""


def test_a_caller_that_does_not_sample_is_not_traced(collector: OtlpCollector) -> None:
    telemetry = make_telemetry(collector)
    exchange(telemetry, traceparent=CALLER[:-2] + "00")
    telemetry.close()
    assert collector.spans == []


def test_a_local_model_may_be_told_of_the_trace(collector: OtlpCollector) -> None:
    telemetry = make_telemetry(collector)
    with telemetry.span_request(ROUTE, traceparent=CALLER) as root, telemetry.span_upstream(root, HOME) as call:
        header = call.traceparent
    telemetry.close()
    _, client = by_kind(collector)
    assert header == f"00-0af7651916cd43dd8448eb211c80319c-{client.span_id.hex()}-01"
    assert attributes(client.attributes)["gen_ai.provider.name"] == "llama.cpp"
    assert "server.address" not in attributes(client.attributes)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        CANARY,
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01",
        CALLER + "-more",
        CALLER + "x" * 300,
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-٠١",
    ],
)
def test_a_traceparent_that_is_not_valid_begins_a_trace_of_our_own(
    collector: OtlpCollector, header: str | None
) -> None:
    assert parse_traceparent(header) is None
    telemetry = make_telemetry(collector)
    exchange(telemetry, traceparent=header)
    telemetry.close()
    server, _ = by_kind(collector)
    assert server.parent_span_id == b""


def test_a_later_version_of_traceparent_is_read_by_its_known_part() -> None:
    parsed = parse_traceparent("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-ever")
    assert parsed is not None
    assert parsed.is_sampled


def test_a_failed_call_is_marked_by_its_code_alone(collector: OtlpCollector) -> None:
    telemetry = make_telemetry(collector)
    exchange(telemetry, error="upstream_timeout")
    telemetry.close()
    for span in by_kind(collector):
        assert span.status.code == 2
        assert span.status.message == ""
        assert attributes(span.attributes)["error.type"] == "upstream_timeout"
        assert list(span.events) == []


@pytest.mark.parametrize(
    ("error", "name"), [(UpstreamTimeout(CANARY), "upstream_timeout"), (ValueError(CANARY), "ValueError")]
)
def test_an_exception_leaves_its_name_and_not_its_words(collector: OtlpCollector, error: Exception, name: str) -> None:
    telemetry = make_telemetry(collector)
    with (
        pytest.raises(type(error)),
        telemetry.span_request(ROUTE) as root,
        telemetry.span_upstream(root, HOME),
    ):
        raise error
    telemetry.close()
    assert {attributes(span.attributes)["error.type"] for span in collector.spans} == {name}
    assert not any(b"canary" in body or b"4111" in body for body in collector.raw)


def test_no_canary_in_anything_that_is_exported_or_shown(collector: OtlpCollector) -> None:
    """Planted where a caller's or a backend's words could come in: nothing of it is in OTLP or on the metrics page."""
    telemetry = make_telemetry(collector)
    outcome = Outcome("cloud", CANARY, CANARY, CANARY, CANARY, held=CANARY, usage={CANARY: Usage(1, 1)})
    outcome.error_code = outcome.finish_reason = CANARY
    finding = Finding("EMAIL_ADDRESS", f"/messages/0/{WORD}", "key", 0, 1, 1.0, WORD, 0)
    signals = Signals({}, Scan((finding,), texts=frozenset({CANARY, WORD})), elapsed_ms=1.0)
    with telemetry.span_request(ROUTE, request_id=CANARY, traceparent=CANARY, method=CANARY) as root:
        with telemetry.span_upstream(root, CLOUD, purpose=CANARY, max_tokens=4111111111111111) as call:
            call.upstream_finished(CLOUD, finish_reasons=[WORD, "stop"], response_model=f"gpt-4o-mini-{WORD}")
            call.end(CANARY)
        root.request_finished(outcome, 500)
    telemetry.request_finished(outcome, status=500, seconds=0.1, signals=signals)
    telemetry.upstream_call(CLOUD, seconds=0.1, response_model=WORD, error_type=CANARY)
    telemetry.permit_refused(CANARY)
    telemetry.policy_in_force(CANARY)
    page = telemetry.render()
    telemetry.close()
    assert len(collector.raw) >= 2
    for body in (*collector.raw, page):
        assert b"canary-7f3a" not in body
        assert b"Jane" not in body
        assert b"4111111111111111" not in body
    server, client = by_kind(collector)
    assert (server.name, attributes(server.attributes)["http.request.method"]) == (f"HTTP {ROUTE}", "_OTHER")
    assert attributes(client.attributes)["gen_ai.response.finish_reasons"] == ["other", "stop"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gen_ai.input.messages", "hello"),
        ("gen_ai.request.stop_sequences", "hello"),
        ("http.request.header.authorization", "Bearer"),
        ("gatehouse.made.up", "hello"),
        ("gatehouse.route", "a\nb"),
        ("gatehouse.route", "x" * 129),
        ("gatehouse.confidence", "0.5"),
        ("gatehouse.complexity", float("nan")),
        ("gen_ai.request.max_tokens", 4111111111111111),
        ("gen_ai.request.max_tokens", True),
        ("gen_ai.request.stream", 1),
        ("gen_ai.response.finish_reasons", "stop"),
    ],
)
def test_what_is_not_listed_or_has_another_shape_is_left_out(name: str, value: object) -> None:
    assert allowed_attributes({name: value}) == {}


def test_without_a_collector_a_span_is_nothing_and_opentelemetry_is_not_imported() -> None:
    code = (
        "import sys\n"
        "from router.telemetry.telemetry import Telemetry\n"
        "from policies.types import Model\n"
        "telemetry = Telemetry(); telemetry.start()\n"
        "model = Model('home', 'local', 'engine', 'm')\n"
        "with telemetry.span_request('/v1/chat/completions', traceparent='x') as root:\n"
        "    with telemetry.span_upstream(root, model) as call:\n"
        "        call.upstream_finished(model)\n"
        "telemetry.flush(); telemetry.close()\n"
        "assert not call.is_recording\n"
        "assert not [name for name in sys.modules if name.startswith(('opentelemetry', 'requests'))]\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, check=True, timeout=120)


def test_nothing_and_a_span_offer_the_same_calls() -> None:
    public = {name for name in dir(Span) if not name.startswith("_")}
    assert public <= {name for name in dir(NoSpan) if not name.startswith("_")} | {"span"}
    assert NO_SPAN.traceparent is None


def _said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "gatehouse.telemetry"]


def test_a_collector_that_is_down_blocks_nobody_and_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """5,000 exchanges with nobody listening stay fast, closing is bounded, and the log has one line for each kind."""
    telemetry = Telemetry(otlp_endpoint=f"http://127.0.0.1:{free_port()}", exports_metrics=True, metrics_interval_s=0.2)
    with caplog.at_level(logging.INFO):
        telemetry.start()
        slowest = 0.0
        for _ in range(5000):
            before = time.perf_counter()
            exchange(telemetry)
            slowest = max(slowest, time.perf_counter() - before)
        assert slowest < 4.5  # the exporter gives up after 5 s: nobody has waited for it
        deadline = time.monotonic() + 60
        while len(_said(caplog)) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        before = time.perf_counter()
        telemetry.close(timeout_s=1.0)
        assert time.perf_counter() - before < 4.5
    said = _said(caplog)
    assert len([line for line in said if "spans" in line]) == 1
    assert len([line for line in said if "metrics" in line]) == 1
    assert [record.name for record in caplog.records if record.name.startswith("opentelemetry")] == []


def test_a_collector_that_hangs_blocks_nobody() -> None:
    with OtlpCollector(delay_s=300) as collector:
        telemetry = make_telemetry(collector)
        started = time.perf_counter()
        for _ in range(500):
            exchange(telemetry)
        assert time.perf_counter() - started < 60
        before = time.perf_counter()
        telemetry.close(timeout_s=0.5)
        assert time.perf_counter() - before < 4.5


def test_a_collector_that_comes_back_gets_what_is_new_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), OtlpCollector(status=400) as collector:
        telemetry = make_telemetry(collector)
        exchange(telemetry)
        telemetry.flush()
        collector.status = 200
        exchange(telemetry)
        telemetry.flush()
        telemetry.close()
        assert len(collector.spans) == 2
        assert sum(point.as_int for point in collector.metrics["gatehouse.requests"].sum.data_points) == 2
    said = _said(caplog)
    assert [("again" in line, "spans" in line) for line in said] == [
        (False, True),
        (False, False),
        (True, True),
        (True, False),
    ]


def test_an_endpoint_that_is_no_url_is_refused() -> None:
    with pytest.raises(ValueError, match="otlp_endpoint must be an http"):
        Telemetry(otlp_endpoint="localhost:4318")


def test_proxy_variables_do_not_move_the_export(collector: OtlpCollector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    telemetry = make_telemetry(collector)
    exchange(telemetry)
    telemetry.close()
    assert len(collector.spans) == 2


@pytest.mark.parametrize("switch", ["SPAN_ONLY", "EVENT_ONLY", "SPAN_AND_EVENT", "true", "1", "no_content"])
def test_a_switch_that_asks_for_content_refuses_to_start(switch: str) -> None:
    name = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
    with pytest.raises(ValidationError, match=f"content is never put into telemetry: unset {name}"):
        from_environment({name: switch, "GATEHOUSE_CAPTURE_MESSAGE_CONTENT": "NO_CONTENT"})


@pytest.mark.parametrize("environment", [{}, {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "NO_CONTENT"}])
def test_without_the_switch_settings_load(environment: dict[str, str]) -> None:
    assert from_environment(environment).capture_message_content == "NO_CONTENT"
