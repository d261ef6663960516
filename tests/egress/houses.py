"""Gateways in every state that the matrix asks about, each with a recording home and a recording cloud of its own."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from router.backends.scripted import Exchange
from router.backends.scripted_replies import Script
from tests.egress.positions import PUBLIC
from tests.egress.values import PATTERN
from tests.support.gateway import GUARD, ROOT, Gateway, local_server, until
from tests.support.otlp_collector import OtlpCollector
from tests.support.recorder import Recorder, RecorderThread
from tests.support.redis_server import RedisServer

HERE = Path(__file__).resolve().parent
BROKEN = "scripted-broken"  # the model outside that never answers
CAPABILITIES = "[tools, json_schema, json_mode, logprobs, n, prediction]"
POLICY = """\
version: 1
models:
  home: {{locality: local, {home}}}
  cloud: {{locality: cloud, backend: openai, base_url: "{cloud}", model: scripted-cloud, region: us,
          capabilities: {capabilities}}}
  broken: {{locality: cloud, backend: openai, base_url: "{cloud}", model: {broken}, region: us,
           capabilities: {capabilities}}}
  vectors: {{locality: cloud, backend: openai, base_url: "{cloud}", model: scripted-vectors, region: us,
            capabilities: [embeddings]}}
defaults: {{local: home, cloud: cloud}}
aliases: {{"gpt-*": auto}}
sensitivity:
  levels:
    restricted: [CREDIT_CARD, IBAN_CODE, US_SSN, SECRET]
    confidential: [EMAIL_ADDRESS, PHONE_NUMBER, IP_ADDRESS, UK_NHS]
    internal: [ORGANIZATION, AGE]
    public: [LOCATION, DATE_TIME, NRP]
  dictionaries:
    - {{name: project-names, level: restricted, terms: [{terms}]}}
  patterns:
    - {{name: case-numbers, level: confidential, regex: '{pattern}'}}
egress:
  public: {{payload: full}}
  internal: {{payload: full}}
{egress}cache: {{mode: exact}}
{ways}
"""
# Every other way out is switched on as well: what is sensitive shall find none of them open.
LATER_WAYS = "escalation: {threshold: 1.0, max_hops: 1, stream: hold}\nfallback: {local_unavailable: cloud}\n"
BY_RULE = (
    """\
decisions:
  - {name: out, priority: 50, when: {all: [{complexity: {at_least: 0.0}}]}, route: cloud}
"""
    + LATER_WAYS
)
COMMITTING = "escalation: {threshold: 1.0, stream: commit, hold_tokens: 1}\nfallback: {local_unavailable: cloud}\n"
RACING = "escalation: {threshold: 1.0, stream: commit, race: 0.0}\nfallback: {local_unavailable: cloud}\n"
HOPPING = "escalation: {threshold: 1.0, stream: hold, max_hops: 2, to: [broken, cloud]}\n"
SIMILAR = BY_RULE.replace("route: cloud}", "route: cloud, cache: {mode: semantic}}")
SHADOW = BY_RULE + "mode: shadow\non_pinned_denied: local\n"
# Proxies of the environment are to be ignored: whatever went to this one would be lost.
NO_PROXY_WORKS = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"), "http://127.0.0.1:9")
PATIENT = {"GATEHOUSE_SCAN_BUDGET_MS": "5000"}  # on a busy machine the scan may be slow: its verdict is what is tested


@dataclass(frozen=True, slots=True)
class Fault:
    """One state of a house: how a public request leaves it, and what becomes of a sensitive one."""

    name: str
    ways: str = BY_RULE
    model: str = "auto"
    home_is_down: bool = False
    redis: str = "up"  # up, hanging, down
    detectors: str = ""  # the folder of what takes the detectors' place: faulty, slow
    cloud_fails: bool = False
    is_warm: bool = False  # the public twin of each request was answered before, and is cached
    reloads: bool = False  # the policy is replaced again and again in the meantime
    sensitive: tuple[int, str | None] = (200, None)  # status and code of the answer
    held: str | None = "out"  # the rule that would have sent an `auto` request out
    public_leaves: bool = True
    reason: str = "out"  # why a public request left


_AT_HOME_DOWN = (503, "sensitive_data_local_unavailable")
FAULTS = {
    fault.name: fault
    for fault in (
        Fault("normal"),
        Fault("cloud pinned", model="cloud", sensitive=(403, "policy_denied"), held=None, reason="pinned"),
        Fault("redis hanging", redis="hanging"),
        Fault("redis down", redis="down"),
        Fault("local down", home_is_down=True, sensitive=_AT_HOME_DOWN),
        Fault("escalating", LATER_WAYS, held=None, reason="escalation"),
        Fault("falling back", LATER_WAYS, home_is_down=True, sensitive=_AT_HOME_DOWN, held=None, reason="fallback"),
        Fault("shadow", SHADOW, model="cloud", held=None, reason="pinned"),
        Fault("detectors raising", detectors="faulty", public_leaves=False),
    )
}
# States in which only the cells of the covering array are asked.
MORE_FAULTS = {
    fault.name: fault
    for fault in (
        Fault("detectors slow", detectors="slow", held=None, public_leaves=False),
        Fault("cloud failing", cloud_fails=True),
        Fault("committing", COMMITTING, held=None, reason="escalation"),
        Fault("racing", RACING, held=None, reason="escalation"),
        Fault("hopping", HOPPING, held=None, reason="escalation"),
        Fault("cache warm", is_warm=True),
        Fault("similar warm", SIMILAR, is_warm=True),
        Fault("policy reloading", reloads=True),
    )
}
_FAILING = Script(status=503, headers=(("Retry-After", "0"),))
_ANSWERING = Script(answer="From outside.")
_SETTINGS = {"slow": {"GATEHOUSE_SCAN_BUDGET_MS": "2", "GATEHOUSE_SCAN_BUDGET_MS_PER_KB": "0"}}


def _from_outside(exchange: Exchange) -> Script:
    return _FAILING if exchange.json.get("model") == BROKEN else _ANSWERING


def policy_text(home: str, cloud: str, ways: str = BY_RULE, terms: list[str] | None = None, egress: str = "") -> str:
    """The matrix's policy. `home` is the rest of the local model's entry, `cloud` an URL, `egress` more of it."""
    return POLICY.format(
        home=home,
        cloud=cloud,
        ways=ways,
        egress=egress,
        capabilities=CAPABILITIES,
        broken=BROKEN,
        pattern=PATTERN,
        terms=", ".join(terms or ["Bluebird"]),
    )


def home_server(url: str) -> str:
    """The local model's entry for a scripted server that can do whatever the cloud can."""
    return local_server(url).partition(", capabilities")[0] + f", capabilities: {CAPABILITIES}"


class House:
    """A running gateway with its neighbours: what it may call at home, what is outside, and the Redis beside it."""

    def __init__(
        self, gateway: Gateway, home: RecorderThread, cloud: Recorder, redis: RedisServer, spans: OtlpCollector
    ) -> None:
        self.gateway = gateway
        self.home = home.recorder
        self.cloud = cloud
        self.spans = spans
        self._answering = cloud.script
        self._home_thread = home
        self._redis = redis
        self._home_is_down = False
        self._redis_is = "up"
        self._asked = 0

    def become(self, fault: Fault) -> None:
        """Bring the neighbours into the state that the fault says, whatever it was before; no breaker is left open."""
        has_recovered = {"home": self._home_is_down, "cloud": self.cloud.script is _FAILING}
        self.cloud.script = _FAILING if fault.cloud_fails else self._answering
        if fault.home_is_down != self._home_is_down:
            (self._home_thread.down if fault.home_is_down else self._home_thread.up)()
            self._home_is_down = fault.home_is_down
        if fault.redis != self._redis_is:
            self._restore_redis()
            if fault.redis == "hanging":
                self._redis.pause()
            elif fault.redis == "down":
                self._redis.kill()
            self._redis_is = fault.redis
        if has_recovered["home"] and not fault.home_is_down:
            until(lambda: self._answers("home"), 60)
        if has_recovered["cloud"] and not fault.cloud_fails:
            until(lambda: self._answers("cloud"), 60)

    def _answers(self, model: str) -> bool:
        self._asked += 1
        asked = {"model": model, "messages": [{"role": "user", "content": f"{PUBLIC} {self._asked}"}]}
        url = f"{self.gateway.url}/chat/completions"
        return httpx.post(url, json=asked, trust_env=False, timeout=60).status_code == 200

    def reload(self, number: int) -> None:
        """Replace the policy by one that differs in nothing that matters here."""
        text = self.gateway.policy_file.read_text("utf-8").partition("\nheaders_after:")[0]
        draft = self.gateway.policy_file.with_suffix(".draft")
        draft.write_text(f"{text}\nheaders_after: {10 + number % 7}\n", "utf-8")
        draft.replace(self.gateway.policy_file)

    def kept(self) -> Iterator[tuple[str, bytes]]:
        """All that stays of the requests outside of the models' memory, by the name of the place."""
        yield "the log", self.gateway.log_file.read_bytes()
        yield "the metrics", httpx.get(self.gateway.root + "/metrics", trust_env=False, timeout=60).content
        yield "the spans", b"\n".join(self.spans.raw)
        yield "redis", self._redis.content() if self._redis_is == "up" else b""
        for folder in (self.gateway.state_dir, self.gateway.folder / "run"):
            for path in folder.rglob("*"):
                if path.is_file():
                    yield f"the disk: {path.name}", path.read_bytes()

    def _restore_redis(self) -> None:
        if self._redis_is == "hanging":
            self._redis.resume()
        elif self._redis_is == "down":
            self._redis.start()


@contextmanager
def house(
    folder: Path,
    ways: str = BY_RULE,
    *,
    detectors: str = "",
    terms: Iterable[str] = (),
    settings: Mapping[str, str] = PATIENT,
    egress: str = "",
) -> Iterator[House]:
    """The gateway with this policy, ready to be asked."""
    with ExitStack() as stack:
        home = RecorderThread(Script(answer="At home.", confidence=0.2))  # an answer that escalates where it may
        home_url = stack.enter_context(home).url
        cloud = stack.enter_context(RecorderThread(_from_outside))
        spans = stack.enter_context(OtlpCollector())
        folder.mkdir(parents=True, exist_ok=True)
        redis = RedisServer(folder)
        redis.start()
        stack.callback(redis.stop)
        environment = {**NO_PROXY_WORKS, **settings, **_SETTINGS.get(detectors, {})}
        environment |= {"GATEHOUSE_REDIS_URL": redis.url, "OTEL_EXPORTER_OTLP_ENDPOINT": spans.url}
        if detectors:
            environment["PYTHONPATH"] = os.pathsep.join(map(str, (HERE / detectors, GUARD, ROOT)))
        text = policy_text(home_server(home_url), cloud.url, ways, [*terms, "Bluebird"], egress)
        gateway = stack.enter_context(Gateway(folder / "gateway", text, environment=environment))
        yield House(gateway, home, cloud, redis, spans)
