"""What is counted, under which names, and how the processes of one gateway become one page of metrics."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from decimal import Decimal
from pathlib import Path

import pytest
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics
from prometheus_client.parser import text_string_to_metric_families

from classifiers.types import Finding, Scan, Signals, Unknown
from policies.types import Model
from router.costs.cost import Baseline, CallCost, Costs
from router.telemetry.metrics import MAX_NAMES, MetricStore
from router.telemetry.recorder import ChunkClock
from router.telemetry.table import TABLE
from router.telemetry.telemetry import Telemetry
from router.types import Outcome, Usage

ROOT = Path(__file__).resolve().parents[2]
CLOUD = Model("cloud", "cloud", "openai", "gpt-4o-mini", base_url="https://api.openai.com/v1")
HOME = Model("home", "local", "engine", "smollm2-135m-instruct")

SECONDS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
TOKENS = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864]
FIRST_TOKEN = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0]
OUTPUT_TOKEN = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5]
GEN_AI = {
    "gen_ai.client.token.usage": ("{token}", TOKENS),
    "gen_ai.client.operation.duration": ("s", SECONDS),
    "gen_ai.client.operation.time_to_first_chunk": ("s", SECONDS),
    "gen_ai.client.operation.time_per_output_chunk": ("s", SECONDS),
    "gen_ai.server.request.duration": ("s", SECONDS),
    "gen_ai.server.time_to_first_token": ("s", FIRST_TOKEN),
    "gen_ai.server.time_per_output_token": ("s", OUTPUT_TOKEN),
}


def samples(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample of a Prometheus page, by name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def value(text: bytes, name: str, **labels: str) -> float | None:
    return samples(text).get((name, tuple(sorted(labels.items()))))


def answered(**changes: object) -> Outcome:
    outcome = Outcome(route="local", model="home", reason="default", sensitivity="public", policy="1-abc")
    for name, changed in changes.items():
        setattr(outcome, name, changed)
    return outcome


def test_the_table_has_the_conventions_names_units_and_buckets() -> None:
    """The `gen_ai.*` rows are exactly the seven of v1.41.1, and each is a constant of the conventions' own package."""
    ours = {row.name: (row.unit, list(row.buckets)) for row in TABLE if row.name.startswith("gen_ai.")}
    assert ours == GEN_AI
    assert all(row.kind == "histogram" for row in TABLE if row.name in GEN_AI)
    constants = {word for name, word in vars(gen_ai_metrics).items() if name.startswith("GEN_AI_")}
    assert set(ours) <= constants


def test_no_label_can_name_a_caller_or_hold_content() -> None:
    """The labels are those of a closed list; tenant, user, subject, key and prompt are not in it."""
    allowed = {
        "gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "gen_ai_response_model",
        "gen_ai_token_type", "server_address", "server_port", "error_type", "route", "reason", "sensitivity",
        "status", "entity_type", "kind", "model", "code", "result", "cause", "type", "policy", "state",
        "component", "rule", "verdict", "source", "scope", "period",
    }  # fmt: skip
    assert {label for row in TABLE for label in row.labels} == allowed


def test_prometheus_names_follow_from_the_otel_names() -> None:
    names = {row.name: row.prometheus_name for row in TABLE}
    assert names["gen_ai.client.operation.duration"] == "gen_ai_client_operation_duration_seconds"
    assert names["gen_ai.client.token.usage"] == "gen_ai_client_token_usage"
    assert names["gatehouse.overhead"] == "gatehouse_overhead_seconds"
    assert names["gatehouse.egress"] == "gatehouse_egress_bytes"
    assert len(set(names.values())) == len(TABLE)


def test_a_finished_request_is_counted_once_with_its_overhead_tokens_and_findings() -> None:
    telemetry = Telemetry()
    outcome = answered(usage={"home": Usage(12, 21), "cloud": Usage(12, 5)})
    findings = (Finding("EMAIL_ADDRESS", "/messages/0/content", "value", 0, 5, 1.0, "patterns", 0),) * 2
    scan = Scan(findings, (Unknown("image", "/messages/1/content/0"),))
    dollars = Decimal("0.25")
    calls = (
        CallCost("cloud", Usage(12, 5), "reported", "wasted", dollars),
        CallCost("lan", Usage(1, 1), "reported", "answer", None),
    )
    telemetry.request_finished(
        outcome,
        status=200,
        seconds=1.0,
        waited=0.9,
        first_chunk=0.2,
        signals=Signals({}, scan, elapsed_ms=0.4),
        costs=Costs(calls, None, dollars, Baseline(usd=Decimal("0.05")), saved_usd=Decimal("-0.2")),
        rule="hard",
    )
    page = telemetry.render()
    kind = {"route": "local", "reason": "default", "sensitivity": "public", "status": "200"}
    server = {
        "gen_ai_operation_name": "chat",
        "gen_ai_provider_name": "gatehouse",
        "gen_ai_request_model": "home",
    }
    assert value(page, "gatehouse_requests_total", **kind) == 1
    assert value(page, "gen_ai_server_request_duration_seconds_sum", **server, error_type="") == 1.0
    assert value(page, "gatehouse_overhead_seconds_sum", route="local") == pytest.approx(0.1)
    assert value(page, "gen_ai_server_time_to_first_token_seconds_sum", **server) == 0.2
    assert value(page, "gen_ai_server_time_per_output_token_seconds_sum", **server) == pytest.approx(0.8 / 20)
    assert value(page, "gatehouse_tokens_total", model="home", type="output") == 21
    assert value(page, "gatehouse_tokens_total", model="cloud", type="input") == 12
    assert value(page, "gatehouse_cost_usd_total", rule="hard", model="cloud") == 0.25
    assert value(page, "gatehouse_wasted_usd_total", rule="hard", model="cloud") == 0.25
    assert value(page, "gatehouse_baseline_usd_total", rule="hard") == 0.05
    assert value(page, "gatehouse_overspent_usd_total", rule="hard") == 0.2
    assert value(page, "gatehouse_unpriced_total", model="lan") == 1
    assert value(page, "gatehouse_scan_seconds_sum") == pytest.approx(0.0004)
    assert value(page, "gatehouse_findings_total", entity_type="EMAIL_ADDRESS") == 2
    assert value(page, "gatehouse_unknowns_total", kind="image") == 1


def test_a_call_to_a_model_is_timed_chunk_by_chunk() -> None:
    """A clock that ticked n times gives one time to the first chunk and n - 1 times between chunks."""
    telemetry, clock = Telemetry(), ChunkClock()
    for _ in range(5):
        clock.tick()
    telemetry.upstream_call(
        CLOUD, seconds=0.5, usage=Usage(10, 4), clock=clock, response_model="gpt-4o-mini-2024-07-18"
    )
    client = {
        "gen_ai_operation_name": "chat",
        "gen_ai_provider_name": "openai",
        "gen_ai_request_model": "gpt-4o-mini",
        "gen_ai_response_model": "gpt-4o-mini-2024-07-18",
        "server_address": "api.openai.com",
        "server_port": "443",
    }
    page = telemetry.render()
    assert value(page, "gen_ai_client_operation_duration_seconds_count", **client, error_type="") == 1
    assert value(page, "gen_ai_client_operation_time_to_first_chunk_seconds_count", **client) == 1
    assert value(page, "gen_ai_client_operation_time_per_output_chunk_seconds_count", **client) == 4
    assert value(page, "gen_ai_client_token_usage_sum", **client, gen_ai_token_type="input") == 10
    assert value(page, "gen_ai_client_token_usage_sum", **client, gen_ai_token_type="output") == 4


def test_what_did_not_stream_has_no_series_of_streams() -> None:
    """Each histogram is sixteen lines on the page: none is made before it has something to say."""
    telemetry = Telemetry()
    telemetry.upstream_call(CLOUD, seconds=0.5, usage=Usage(10, 4))
    telemetry.request_finished(answered(), status=200, seconds=0.5)
    assert not [name for name, _ in samples(telemetry.render()) if "time_to_first" in name or "time_per" in name]


def test_a_failed_call_has_its_error_type_and_an_engine_has_no_address() -> None:
    telemetry = Telemetry()
    telemetry.upstream_call(HOME, seconds=0.1, error_type="local_unavailable")
    found = [
        dict(labels)
        for name, labels in samples(telemetry.render())
        if name == "gen_ai_client_operation_duration_seconds_count"
    ]
    assert [(labels["error_type"], labels["gen_ai_provider_name"], labels["server_address"]) for labels in found] == [
        ("local_unavailable", "llama.cpp", "")
    ]


@pytest.mark.parametrize(
    ("model", "provider", "address"),
    [
        (Model("m", "cloud", "openai", "x", base_url="https://eu.openai.azure.com/v1"), "azure.ai.openai", None),
        (Model("m", "cloud", "openai", "x", base_url="https://api.groq.com/openai/v1"), "groq", None),
        (Model("m", "cloud", "openai", "x", base_url="https://notapi.openai.com.example/v1"), "openai", None),
        (Model("m", "cloud", "litellm", "anthropic/claude-x"), "anthropic", ""),
        (Model("m", "cloud", "litellm", "bedrock/some-model"), "aws.bedrock", ""),
        (Model("m", "local", "openai", "x", base_url="http://127.0.0.1:11434/v1"), "openai", "127.0.0.1"),
    ],
)
def test_providers_have_the_conventions_names(model: Model, provider: str, address: str | None) -> None:
    telemetry = Telemetry()
    telemetry.upstream_call(model, seconds=0.1)
    labels = next(
        dict(labels)
        for name, labels in samples(telemetry.render())
        if name == "gen_ai_client_operation_duration_seconds_count"
    )
    assert labels["gen_ai_provider_name"] == provider
    assert address is None or labels["server_address"] == address


@pytest.mark.parametrize(
    "foreign",
    ["my card is 4111111111111111", "gpt-4o-mini: 4111 1111", "x" * 200, "naïve", 'a"b', "line\nbreak", " lead"],
)
def test_what_is_no_name_never_becomes_a_label(foreign: str) -> None:
    """A backend's free text as its model name, and a rule or error of a shape that no name has, leave no trace."""
    telemetry = Telemetry()
    telemetry.upstream_call(CLOUD, seconds=0.1, response_model=foreign)
    telemetry.request_finished(answered(reason=foreign + "\x00"), status=200, seconds=0.1)
    page = telemetry.render().decode()
    assert foreign not in page
    assert "4111" not in page
    assert 'reason="invalid"' in page


def test_the_number_of_series_is_bounded_whatever_comes() -> None:
    telemetry = Telemetry()
    for number in range(MAX_NAMES * 2):
        telemetry.request_finished(answered(reason=f"rule-{number}"), status=200, seconds=0.1)
    page = telemetry.render()
    reasons = {dict(labels)["reason"] for name, labels in samples(page) if name == "gatehouse_requests_total"}
    assert len(reasons) == MAX_NAMES + 1
    counted = sum(count for (name, _), count in samples(page).items() if name == "gatehouse_requests_total")
    assert counted == MAX_NAMES * 2


def test_gauges_and_counters_of_the_parent_are_shown() -> None:
    telemetry = Telemetry()
    telemetry.policy_in_force("1-aaa")
    telemetry.policy_in_force("1-bbb")
    telemetry.policy_loaded(is_good=True)
    telemetry.policy_loaded(is_good=False)
    telemetry.engine_state("starting")
    telemetry.engine_state("ready")
    telemetry.engine_ended("hang")
    telemetry.engine_ended("crash")
    telemetry.engine_ended("crash")
    telemetry.worker_restarted()
    telemetry.records_written(3)
    telemetry.records_dropped(2)
    telemetry.degraded("redis", is_degraded=True)
    telemetry.permit_refused("new_finding")
    telemetry.cache_looked_up("hit")
    telemetry.request_shed("local_queue")
    telemetry.in_flight(4)
    telemetry.bytes_left("cloud", 321)
    page = telemetry.render()
    assert value(page, "gatehouse_policy_info", policy="1-bbb") == 1
    assert value(page, "gatehouse_policy_info", policy="1-aaa") is None
    assert value(page, "gatehouse_policy_last_reload_success") == 0
    assert value(page, "gatehouse_policy_reloads_total", result="failure") == 1
    assert value(page, "gatehouse_engine_state", state="ready") == 1
    assert value(page, "gatehouse_engine_state", state="starting") == 0
    assert value(page, "gatehouse_engine_restarts_total", reason="hang") == 1
    assert value(page, "gatehouse_engine_restarts_total", reason="crash") == 2
    assert value(page, "gatehouse_worker_restarts_total") == 1
    assert value(page, "gatehouse_records_written_total") == 3
    assert value(page, "gatehouse_records_dropped_total") == 2
    assert value(page, "gatehouse_degraded", component="redis") == 1
    assert value(page, "gatehouse_permits_refused_total", code="new_finding") == 1
    assert value(page, "gatehouse_cache_total", result="hit") == 1
    assert value(page, "gatehouse_shed_total", cause="local_queue") == 1
    assert value(page, "gatehouse_requests_in_flight") == 4
    assert value(page, "gatehouse_egress_bytes_total", model="cloud") == 321


PARENT = textwrap.dedent("""
    import subprocess, sys
    from pathlib import Path
    from router.telemetry.metrics import forget_process, prepare_metrics_folder, remove_metrics_folder

    folder = prepare_metrics_folder(Path(sys.argv[1]))
    from router.telemetry.telemetry import Telemetry

    telemetry = Telemetry()
    telemetry.records_dropped(5)
    telemetry.policy_in_force("1-parent")
    telemetry.policy_loaded(is_good=True)
    workers = [
        subprocess.Popen([sys.executable, "-c", sys.argv[2], count], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for count in ("3", "4")
    ]
    pages = []
    for worker in workers:
        assert worker.stdout.readline() == b"counted\\n"
    workers[0].stdin.write(b"render\\n")
    workers[0].stdin.flush()
    length = int(workers[0].stdout.readline())
    Path(sys.argv[1], "from_a_worker").write_bytes(workers[0].stdout.read(length))
    Path(sys.argv[1], "from_the_parent").write_bytes(telemetry.render())
    for worker in workers:
        worker.kill()
        worker.wait()
        worker.stdin.close()
        worker.stdout.close()
        forget_process(folder, worker.pid)
    Path(sys.argv[1], "after_death").write_bytes(telemetry.render())
    Path(sys.argv[1], "files").write_text("\\n".join(sorted(path.name for path in folder.glob("*.db"))))
    Path(sys.argv[1], "pids").write_text(" ".join(str(worker.pid) for worker in workers))
    remove_metrics_folder(folder)
""")

WORKER = textwrap.dedent("""
    import sys
    from router.telemetry.telemetry import Telemetry
    from router.types import Outcome

    telemetry = Telemetry()
    outcome = Outcome(route="local", model="home", reason="default", sensitivity="public")
    for _ in range(int(sys.argv[1])):
        telemetry.request_finished(outcome, status=200, seconds=0.03)
    telemetry.in_flight(int(sys.argv[1]))
    telemetry.policy_in_force("1-worker")
    print("counted", flush=True)
    sys.stdin.readline()
    page = telemetry.render()
    sys.stdout.buffer.write(str(len(page)).encode() + b"\\n" + page)
    sys.stdout.flush()
    sys.stdin.readline()
""")


@pytest.fixture(scope="module")
def family_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a parent and two workers, all killed in the end, saw of each other's metrics."""
    folder = tmp_path_factory.mktemp("runtime")
    run = [sys.executable, "-W", "error", "-c", PARENT, str(folder), WORKER]
    subprocess.run(run, cwd=ROOT, check=True, timeout=60)
    return folder


KIND = {"route": "local", "reason": "default", "sensitivity": "public", "status": "200"}


@pytest.mark.parametrize("page_name", ["from_a_worker", "from_the_parent"])
def test_any_process_shows_the_sum_over_all_processes(family_folder: Path, page_name: str) -> None:
    page = (family_folder / page_name).read_bytes()
    assert value(page, "gatehouse_requests_total", **KIND) == 7
    assert value(page, "gatehouse_overhead_seconds_count", route="local") == 7
    assert value(page, "gatehouse_requests_in_flight") == 7
    assert value(page, "gatehouse_records_dropped_total") == 5
    assert value(page, "gatehouse_policy_info", policy="1-parent") == 1
    assert value(page, "gatehouse_policy_info", policy="1-worker") == 1
    assert value(page, "gatehouse_policy_last_reload_success") == 1


def test_a_dead_process_keeps_its_totals_and_loses_its_gauges(family_folder: Path) -> None:
    page = (family_folder / "after_death").read_bytes()
    assert value(page, "gatehouse_requests_total", **KIND) == 7
    assert value(page, "gatehouse_overhead_seconds_count", route="local") == 7
    assert value(page, "gatehouse_overhead_seconds_bucket", route="local", le="0.05") == 7
    assert value(page, "gatehouse_overhead_seconds_bucket", route="local", le="0.025") == 0
    assert value(page, "gatehouse_requests_in_flight") == 0
    assert value(page, "gatehouse_policy_info", policy="1-worker") is None


def test_a_dead_process_leaves_no_file_behind(family_folder: Path) -> None:
    """However often workers restart, the folder holds the files of the living and one pair for all the dead."""
    files = (family_folder / "files").read_text()
    assert "counter_dead.db" in files
    assert "histogram_dead.db" in files
    assert not any(re.search(rf"_{pid}\.db", files) for pid in (family_folder / "pids").read_text().split())
    assert not (family_folder / "metrics").joinpath("1").exists()
    assert list((family_folder / "metrics").iterdir()) == []


def test_a_folder_shared_too_late_is_an_error_not_a_loss(tmp_path: Path) -> None:
    """This process has already imported the library in its other mode: counting beside the others would be silent."""
    with pytest.raises(RuntimeError, match="before prometheus_client is imported"):
        MetricStore(tmp_path)
