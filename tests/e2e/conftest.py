"""One real gateway with the real model and a recorded cloud for the folder; tests that break things start their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from openai import OpenAI

from router.backends.scripted_replies import Script
from tests.support.gateway import ENGINE, POLICY, Gateway
from tests.support.recorder import Recorder, RecorderThread

HARD = (
    "Prove that there are infinitely many primes congruent to 3 modulo 4, then explain with full rigour why the same "
    "elementary argument fails for primes congruent to 1 modulo 4, and give a proof that works there."
)


TITLES = "  - {name: titles, priority: 40, when: {background: {is: true}}, route: local, urgency: low}\n"


@pytest.fixture(scope="session")
def cloud() -> Iterator[Recorder]:
    with RecorderThread(Script(answer="The cloud answers.")) as recorder:
        yield recorder


@pytest.fixture(autouse=True)
def _forget(cloud: Recorder) -> None:
    cloud.forget()


@pytest.fixture(scope="session")
def house(cloud: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The real model; the cache on; a deadline that the engine is told, and calls of low urgency."""
    policy = POLICY.format(home=ENGINE, cloud=cloud.url) + TITLES + "cache: {mode: exact, ttl_seconds: 600}\n"
    policy = policy.replace("cloud: cloud}", "cloud: cloud, deadline: {total_seconds: 600}}")
    with Gateway(tmp_path_factory.mktemp("house"), policy, typed=True) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def client(house: Gateway) -> Iterator[OpenAI]:
    with OpenAI(base_url=house.url, api_key="none", max_retries=0) as client:
        yield client
