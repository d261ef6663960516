"""A gateway whose admin API listens on a free port, with the keys that the tests ask with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from router.admin.gate import ADMIN_KEY_FILE
from router.api_keys.store import KeyStore
from router.backends.scripted_replies import Script
from router.types import KeyScope
from tests.support.gateway import POLICY, Gateway, local_server
from tests.support.recorder import RecorderThread


def admin_root(gateway: Gateway) -> str:
    """Where the admin API of a gateway is, as it said when it started."""
    line = next(line for line in gateway.announced.splitlines() if line.startswith("  admin "))
    return line.split()[1].removesuffix("/admin/v1;")


@dataclass(slots=True)
class AdminHouse:
    """A running gateway and ways to ask its admin API."""

    gateway: Gateway
    root: str
    key: str
    keys: dict[str, str]

    @property
    def state_dir(self) -> Path:
        return self.gateway.state_dir

    def ask(self, method: str, path: str, key: str | None = "", json: Any = None, **headers: str) -> httpx.Response:
        """With the admin's key, unless another one, or None, is given."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            sent.setdefault("authorization", f"Bearer {key or self.key}")
        url = f"{self.root}/admin/v1{path}"
        return httpx.request(method, url, headers=sent, json=json, trust_env=False, timeout=30)

    def get(self, path: str) -> Any:
        answer = self.ask("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, **body: Any) -> Any:
        answer = self.ask("POST", path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def chat(self, text: str = "What is the capital of France?", key: str = "infer") -> httpx.Response:
        """A request of the data path."""
        body = {"model": "auto", "messages": [{"role": "user", "content": text}]}
        headers = {"authorization": f"Bearer {self.keys[key]}"}
        url = f"{self.gateway.url}/chat/completions"
        return httpx.post(url, json=body, headers=headers, trust_env=False, timeout=30)


def make_key(state_dir: Path, *scopes: KeyScope, tenant: str = "default") -> str:
    with KeyStore(state_dir) as store:
        return store.create("test", scopes=scopes, tenant=tenant)[1]


@pytest.fixture(scope="session")
def admin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdminHouse]:
    with (
        RecorderThread(Script(answer="The cloud answers.")) as cloud,
        RecorderThread(Script(answer="Home answers.")) as home,
    ):
        policy = POLICY.format(home=local_server(home.url), cloud=cloud.url)
        with Gateway(
            tmp_path_factory.mktemp("admin"), policy, environment={"GATEHOUSE_BODY_TIMEOUT_S": "1"}
        ) as gateway:
            state = gateway.state_dir
            keys = {
                "infer": make_key(state, "infer"),
                "read": make_key(state, "read"),
                "admin": make_key(state, "admin"),
                "acme-read": make_key(state, "read", tenant="acme"),
                "acme-admin": make_key(state, "admin", tenant="acme"),
                "acme-infer": make_key(state, "infer", tenant="acme"),
            }
            yield AdminHouse(gateway, admin_root(gateway), (state / ADMIN_KEY_FILE).read_text().strip(), keys)
