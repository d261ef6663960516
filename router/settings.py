"""Where the process reads its environment: paths, addresses, limits, names of secrets. Nothing else reads `os.environ`.

Every value has a default that works with no key, no Redis and no hub. Policy (who may go where) is never set here.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

_PREFIX = "GATEHOUSE_"
_CAPTURE_SWITCH = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_ARRAY_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
_METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client knows no other way to be told
# What an engine may see of the environment: nothing that could hold a secret.
_ENGINE_ENVIRONMENT = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONPATH", "OMP_NUM_THREADS"),
    *("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "GGML_VK_VISIBLE_DEVICES"),  # which of the machine's it may use
)
_LISTS = ("admin_names", "admin_origins", "allowed_origins", "extra_detectors")  # written with commas between
_PACKAGES = {"presidio": "presidio_analyzer"}  # optional detector -> the package that it needs
_PATH_BYTES = 100  # of a unix socket's path: what every system takes


class Settings(BaseModel):
    """The operator's settings. `from_environment` reads `GATEHOUSE_<NAME>` for each, and `_FILE` twins of secrets."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535)
    admin_host: str = "127.0.0.1"
    admin_port: int | None = Field(8081, ge=0, le=65535)  # `off`: no admin API; 0: a free one
    admin_names: tuple[str, ...] = ()  # what else its `Host` header may say, with the port where there is one
    admin_origins: tuple[str, ...] = ()  # web pages that may use it
    workers: int = Field(1, ge=1, le=64)
    policy: str = "default"  # a recipe's name or a file
    candidate: str | None = None  # a second one, evaluated beside the first without effect
    state_dir: Path = Path()  # filled by from_environment
    runtime_dir: Path = Path()
    api_key: str | None = Field(None, repr=False)
    jwks_file: Path | None = None  # public keys of an issuer whose tokens are taken beside API keys; with both of:
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    jwt_tenant_claim: str = "tenant"
    jwt_groups_claim: str = "groups"
    jwt_scopes_claim: str = "scope"
    jwt_scope_prefix: str = "gatehouse:"
    local_url: str | None = None  # an OpenAI-compatible server that is there already
    local_model: str | None = None
    redis_url: str | None = Field(None, repr=False)
    redis_timeout_ms: int = Field(50, ge=1)
    lockdown_key: str | None = Field(None, repr=False, min_length=16)  # the same on all hosts: proves the end of a lock
    otlp_endpoint: str | None = None  # OTEL_EXPORTER_OTLP_ENDPOINT
    otlp_headers: str | None = Field(None, repr=False)
    otlp_metrics_interval_s: float = Field(60.0, gt=0)
    capture_message_content: str = "NO_CONTENT"  # OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT
    allowed_origins: tuple[str, ...] = ()
    max_body_bytes: int = Field(8 * 1024 * 1024, ge=1024)
    max_bodies_bytes: int = Field(256 * 1024 * 1024, ge=1024 * 1024)  # of all requests in one worker together
    max_head_bytes: int = Field(64 * 1024, ge=1024)  # of a request's line and headers; more is a 431
    max_json_depth: int = Field(64, ge=4)
    head_timeout_s: float = Field(10.0, gt=0)
    body_timeout_s: float = Field(30.0, gt=0)
    heartbeat_s: float = Field(10.0, gt=0)  # of silence, after which a stream says that it is alive
    write_timeout_s: float = Field(30.0, gt=0)  # for which a caller may leave its answer unread
    max_concurrent: int = Field(512, ge=1)  # requests in one worker; more are refused with 503
    max_connections: int = Field(4096, ge=1)  # to one worker; fewer where it may not have so many files open
    local_timeout_s: float = Field(120.0, gt=0)
    connect_timeout_s: float = Field(5.0, gt=0)
    first_chunk_timeout_s: float = Field(60.0, gt=0)
    idle_chunk_timeout_s: float = Field(30.0, gt=0)
    scan_budget_ms: float = Field(20.0, gt=0)  # plus scan_budget_ms_per_kb for each KB
    scan_budget_ms_per_kb: float = Field(2.0, ge=0)
    extra_detectors: tuple[str, ...] = ()  # `presidio`, where the operator has installed it
    compiled_kernels: bool = True  # `off`: the classifiers' Python works, even where compiled code is there
    cache_max_bytes: int = Field(64 * 1024 * 1024, ge=0)
    responses_ttl_s: float = Field(86_400.0, gt=0, le=366 * 86_400)  # how long `previous_response_id` can be continued
    responses_max_bytes: int = Field(256 * 1024 * 1024, ge=64 * 1024)
    taint_ttl_s: float = Field(86_400.0, gt=0, le=366 * 86_400)  # how long answers to sensitive requests are followed
    taint_max_bytes: int = Field(32 * 1024 * 1024, ge=64 * 1024)  # of the table of their marks, when it is created
    local_watts: float = Field(0.0, ge=0, le=1000)  # of one busy core; 0: the processor's counter, else an assumption
    records_queue: int = Field(10_000, ge=1)
    records_max_bytes: int = Field(1 << 30, ge=1)
    grace_s: float = Field(30.0, ge=0)
    engine_socket_path: Path | None = None  # an engine that runs already (`gatehouse engine`); none of our own then
    engine_threads: int = Field(0, ge=0, le=1024)  # 0: what this process may use
    engine_context: int = Field(0, ge=0, le=16 * 1024 * 1024)  # tokens, at most; 0: as the policy says of each model
    engine_slots: int = Field(0, ge=0, le=256)  # requests answered at the same time by one model; 0: what suits
    engine_memory_mb: int = Field(0, ge=0)  # for all models and their caches; 0: half of what this process may use
    engine_queue: int = Field(64, ge=1)  # requests that wait for one model
    engine_queue_tokens: int = Field(131_072, ge=256)  # tokens that they may ask for together
    engine_gpu_layers: str = Field("auto", pattern=r"^(auto|[0-9]{1,4})$")
    log_level: str = "info"

    @field_validator("capture_message_content")
    @classmethod
    def _never_capture_content(cls, value: str) -> str:
        if value != "NO_CONTENT":
            raise ValueError(f"content is never put into telemetry: unset {_CAPTURE_SWITCH}, or set it to NO_CONTENT")
        return value

    @field_validator("admin_port", mode="before")
    @classmethod
    def _off_is_none(cls, value: object) -> object:
        return None if value == "off" else value

    @field_validator("engine_context")
    @classmethod
    def _leave_room_to_answer(cls, value: int) -> int:
        if 0 < value < 256:
            raise ValueError("a context below 256 tokens answers nothing; 0 means: as the policy says of each model")
        return value

    @field_validator("engine_socket_path", mode="before")
    @classmethod
    def _name_a_socket(cls, value: object) -> object:
        if value in (None, ""):
            return None
        if not str(value).startswith("/") or len(os.fsencode(str(value))) > _PATH_BYTES:
            raise ValueError(f"the engine's socket is named by an absolute path of at most {_PATH_BYTES} bytes")
        return value

    @field_validator("extra_detectors")
    @classmethod
    def _known_detectors(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            package = _PACKAGES.get(name)
            if package is None:
                raise ValueError(f"'{name}' is no optional detector; there is: {', '.join(_PACKAGES)}")
            if importlib.util.find_spec(package) is None:
                raise ValueError(f"{name} is not installed here: pip install {package.replace('_', '-')}")
        return names

    @property
    def engine_socket(self) -> Path:
        """Where the engine listens: ours below the runtime folder, unless another is named."""
        return self.engine_socket_path or self.runtime_dir / "engine.sock"

    @property
    def control_socket(self) -> Path:
        return self.runtime_dir / "control.sock"


def _xdg(environment: Mapping[str, str], name: str, fallback: Path) -> Path:
    value = environment.get(name, "")
    return Path(value) if value.startswith("/") else fallback


def from_environment(environment: Mapping[str, str] | None = None, **overrides: object) -> Settings:
    """Settings from the environment, overridden by what the command line says.

    `GATEHOUSE_API_KEY_FILE`-style twins hold the path of a file with the value. Raises `pydantic.ValidationError` for a
    bad value, `OSError` for a named file that cannot be read.
    """
    env = os.environ if environment is None else environment
    values: dict[str, object] = {}
    for name in Settings.model_fields:
        key = _PREFIX + name.upper()
        if key in env:
            values[name] = env[key]
        elif key + "_FILE" in env:
            values[name] = Path(env[key + "_FILE"]).read_text("utf-8").strip()
    for name in _LISTS:
        if name in values:
            values[name] = tuple(part.strip() for part in str(values[name]).split(",") if part.strip())
    values.setdefault("otlp_endpoint", env.get("OTEL_EXPORTER_OTLP_ENDPOINT") or None)
    values.setdefault("otlp_headers", env.get("OTEL_EXPORTER_OTLP_HEADERS") or None)
    if env.get(_CAPTURE_SWITCH):
        values["capture_message_content"] = env[_CAPTURE_SWITCH]
    home = Path(env.get("HOME", "/"))
    values.setdefault("state_dir", _xdg(env, "XDG_STATE_HOME", home / ".local" / "state") / "gatehouse")
    runtime = _xdg(env, "XDG_RUNTIME_DIR", Path(tempfile.gettempdir()) / f"gatehouse-{os.getuid()}")
    values.setdefault("runtime_dir", runtime / "gatehouse")
    values.update({name: value for name, value in overrides.items() if value is not None})
    return Settings.model_validate(values)


def metrics_folder(environment: Mapping[str, str] | None = None) -> Path | None:
    """The folder in which the processes of one gateway share their metrics, as the parent told its children."""
    env = os.environ if environment is None else environment
    value = env.get(_METRICS_FOLDER)
    return Path(value) if value else None


def share_metrics_folder(folder: Path) -> None:
    """Tell this process and the children it starts. Effective only before `prometheus_client` is imported."""
    os.environ[_METRICS_FOLDER] = str(folder)


def secret(name: str, file: str | None = None, environment: Mapping[str, str] | None = None) -> str | None:
    """The value of an `api_key_env` name, or of its `_file` twin (re-read at each call); None when absent or empty."""
    env = os.environ if environment is None else environment
    path = file or env.get(name + "_FILE")
    if path:
        try:
            return Path(path).read_text("utf-8").strip() or None
        except OSError:
            return None
    return env.get(name) or None


def engine_environment(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The part of the environment that an engine's process is started with: no secret, no address."""
    env = os.environ if environment is None else environment
    return {name: env[name] for name in _ENGINE_ENVIRONMENT if name in env}


def one_thread_for_arrays() -> None:
    """Have numpy's linear algebra in this process's children use one thread, unless the operator says otherwise.

    The detectors' products are tiny: a team of threads costs more than it computes, many times so on a busy machine.
    """
    for name in _ARRAY_THREADS:
        os.environ.setdefault(name, "1")


def set_for_library(values: Mapping[str, str]) -> None:
    """Put switches that a library reads at its import into the environment. Never a secret, never an address."""
    os.environ.update(values)
