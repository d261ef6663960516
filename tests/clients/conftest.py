"""One gateway for the real clients: a scripted server at home and a recorded cloud, both with tools and schemas."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.clients import OFFLINE, Clients, here, is_offline
from deploy.console import SetupError
from router.backends.scripted import ScriptSource
from router.backends.scripted_replies import Script
from tests.clients.talk import embedding_or
from tests.support.gateway import GUARD, POLICY, ROOT, Gateway, local_server, until
from tests.support.recorder import Recorder, RecorderThread

HOME = "The model at home answers in words."
CLOUD = "The cloud answers."
PAGE = "https://page.example.com"  # a web page that may use the gateway
KEY = "gk-of-the-tests-of-clients"

# Beside the policy of all tests: a model that embeds; and what nobody can pay.
_EMBEDDER = """\
  embedder: {{locality: cloud, backend: openai, base_url: "{cloud}", model: text-embedding-3-small,
             capabilities: [embeddings]}}
defaults:"""
_BUDGETS = """\
budgets: {{all: {{usd_per_day: 0.000001}}}}
defaults:"""


@dataclass(frozen=True)
class House:
    """A gateway and who stands behind it."""

    gateway: Gateway
    home: Recorder
    cloud: Recorder

    def script(self, home: ScriptSource | None = None, cloud: ScriptSource | None = None) -> None:
        """What the two say from now on."""
        self.home.script = home or Script(answer=HOME)
        self.cloud.script = cloud or embedding_or(Script(answer=CLOUD))

    def asked(self) -> dict[str, Any]:
        """The last body that the model at home was sent."""
        return dict(self.home.exchanges[-1].json)


@pytest.fixture(scope="session")
def _house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with RecorderThread(Script(answer=HOME)) as home, RecorderThread(Script(answer=CLOUD)) as cloud:
        policy = POLICY.replace("defaults:", _EMBEDDER, 1).format(home=local_server(home.url), cloud=cloud.url)
        policy = policy.replace('aliases: {"gpt-*": auto}', 'aliases: {"gpt-*": auto, "claude-*": auto}')
        # Whatever is silent for a tenth of a second is told so: every client meets heartbeats amid its streams.
        variables = {"GATEHOUSE_ALLOWED_ORIGINS": PAGE, "GATEHOUSE_HEARTBEAT_S": "0.1"}
        with Gateway(tmp_path_factory.mktemp("clients"), policy, environment=variables) as gateway:
            yield House(gateway, home, cloud)


@pytest.fixture
def house(_house: House) -> House:
    """As new for each test: both models answer, so that no circuit breaker is open after what a test had them do."""
    _house.script()
    for model in ("local", "cloud"):
        until(lambda model=model: _answers(_house, model), seconds=60)  # type: ignore[misc]
    _house.home.forget()
    _house.cloud.forget()
    return _house


def _answers(house: House, model: str) -> bool:
    body = {"model": model, "messages": [{"role": "user", "content": "Say hello."}]}
    url = f"{house.gateway.url}/chat/completions"
    return httpx.post(url, json=body, trust_env=False, timeout=60).status_code == 200


@pytest.fixture(scope="session")
def keyed(_house: House, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway before the same models, that wants `KEY` and may spend nothing."""
    _house.script()  # it asks the model at home before it says that it is ready
    policy = POLICY.replace("defaults:", _BUDGETS, 1).replace("scripted-cloud,", "scripted-cloud, {price},")
    policy = policy.format(
        home=local_server(_house.home.url),
        cloud=_house.cloud.url,
        price="price: {input_per_1m: 1000, output_per_1m: 1000}",
    )
    with Gateway(tmp_path_factory.mktemp("keyed"), policy, environment={"GATEHOUSE_API_KEY": KEY}) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def others() -> Clients:
    """The clients that stand in no environment of ours, installed if they are not yet."""
    clients = here(ROOT)
    if not clients.is_complete() and is_offline(os.environ):
        pytest.skip(f"{OFFLINE} is set, and the clients of requirements-clients.lock are not installed on this machine")
    try:
        clients.require()
    except SetupError as error:
        pytest.fail(f"The clients could not be installed: {error}", pytrace=False)
    return clients


def told_by(command: Sequence[str | Path], **variables: str) -> dict[str, Any]:
    """What a program prints: JSON. It has no proxy, no key and no settings of whoever runs the tests."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "GATEHOUSE_TEST_GUARD_FILE") if name in os.environ}
    variables = {**kept, "PYTHONPATH": str(GUARD), **variables}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    told: dict[str, Any] = json.loads(done.stdout)
    return told
