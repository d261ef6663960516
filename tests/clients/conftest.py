"""One gateway for the real clients: a scripted server at home and a recorded cloud, both with tools and schemas."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from router.backends.scripted_replies import Script
from tests.support.gateway import POLICY, Gateway, local_server
from tests.support.recorder import Recorder, RecorderThread

HOME = "The model at home answers in words."
CLOUD = "The cloud answers."


@dataclass(frozen=True)
class House:
    """A gateway and who stands behind it."""

    gateway: Gateway
    home: Recorder
    cloud: Recorder

    def script(self, home: Script | None = None, cloud: Script | None = None) -> None:
        """What the two say from now on."""
        self.home.script = home or Script(answer=HOME)
        self.cloud.script = cloud or Script(answer=CLOUD)

    def asked(self) -> dict[str, object]:
        """The last body that the model at home was sent."""
        return dict(self.home.exchanges[-1].json)


@pytest.fixture(scope="session")
def _house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with RecorderThread(Script(answer=HOME)) as home, RecorderThread(Script(answer=CLOUD)) as cloud:
        policy = POLICY.format(home=local_server(home.url), cloud=cloud.url).replace(
            'aliases: {"gpt-*": auto}', 'aliases: {"gpt-*": auto, "claude-*": auto}'
        )
        with Gateway(tmp_path_factory.mktemp("clients"), policy) as gateway:
            yield House(gateway, home, cloud)


@pytest.fixture
def house(_house: House) -> House:
    """As new for each test."""
    _house.home.forget()
    _house.cloud.forget()
    _house.script()
    return _house
