"""Keys of a running gateway: which scope opens which route, and that a revoked key ends on every worker at once."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from router.api_keys.store import KeyStore
from router.backends.scripted_replies import Script
from router.records.store import RECORDS_FILE, RecordReader
from router.types import SCOPES, JsonObject, KeyScope
from tests.support.forked import run_command
from tests.support.gateway import POLICY, ROOT, Gateway, local_server, until
from tests.support.recorder import Recorder, RecorderThread

CHAT = {"model": "auto", "messages": [{"role": "user", "content": "What is the capital of France?"}]}
FEEDBACK = {"request_id": "none", "verdict": "good"}

# route -> scopes that open it; None: no key at all
ROUTES: dict[tuple[str, str], set[str] | None] = {
    ("POST", "/v1/chat/completions"): {"infer"},
    ("POST", "/v1/responses"): {"infer"},
    ("POST", "/v1/messages"): {"infer"},
    ("POST", "/v1/messages/count_tokens"): {"infer", "read"},
    ("POST", "/v1/completions"): {"infer"},
    ("POST", "/v1/embeddings"): {"infer"},
    ("GET", "/v1/responses/resp_none"): {"infer"},
    ("DELETE", "/v1/responses/resp_none"): {"infer"},
    ("POST", "/v1/feedback"): {"infer"},
    ("POST", "/v1/route"): {"read"},
    ("GET", "/metrics"): {"read"},
    ("GET", "/v1/models"): {"infer", "read"},
    ("GET", "/v1/models/home"): {"infer", "read"},
    ("GET", "/healthz"): None,
    ("GET", "/readyz"): None,
}
BODIES = {
    "/v1/chat/completions": CHAT,
    "/v1/route": CHAT,
    "/v1/feedback": FEEDBACK,
    "/v1/responses": {"input": "What is the capital of France?"},
    "/v1/messages": {**CHAT, "max_tokens": 16},
    "/v1/messages/count_tokens": CHAT,
    "/v1/completions": {"prompt": "The capital of France is"},
    "/v1/embeddings": {"input": "France"},
}


@pytest.fixture(scope="module")
def cloud() -> Iterator[Recorder]:
    with RecorderThread(Script(answer="The cloud answers.")) as recorder:
        yield recorder


@pytest.fixture(scope="module")
def house(cloud: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with RecorderThread(Script(answer="Home answers.")) as home:
        policy = POLICY.format(home=local_server(home.url), cloud=cloud.url)
        with Gateway(tmp_path_factory.mktemp("keys"), policy, "--workers", "2") as gateway:
            assert ask(gateway, None).status_code == 200, "on loopback none is needed until there is one"
            with KeyStore(gateway.state_dir) as store:
                store.create("first")
            # From that moment on, on whichever worker: nobody waits until they have been told.
            assert {ask(gateway, None, path="/v1/models", method="GET").status_code for _ in range(20)} == {401}
            yield gateway


def ask(
    house: Gateway, key: str | None, method: str = "POST", path: str = "/v1/chat/completions", **headers: str
) -> httpx.Response:
    """On a connection of its own, so that any worker may answer."""
    sent = {**headers, **({} if key is None else {"authorization": f"Bearer {key}"})}
    return httpx.request(method, house.root + path, headers=sent, json=BODIES.get(path), trust_env=False, timeout=60)


def made(house: Gateway, *scopes: KeyScope, **more: str) -> tuple[str, str]:
    """The id and the text of a new key, once every worker knows it."""
    with KeyStore(house.state_dir) as store:
        key, text = store.create("test", scopes=scopes or ("infer",), **more)  # type: ignore[arg-type]
    for known, status in ((text, {200, 403}), (None, {401})):  # before the first key anybody may look
        until(lambda: {ask(house, known, "GET", "/v1/models").status_code for _ in range(8)} <= status)  # noqa: B023
    return key.id, text


@pytest.mark.parametrize("scope", SCOPES)
def test_a_scope_opens_its_routes_and_no_other(house: Gateway, scope: KeyScope) -> None:
    _, key = made(house, scope)
    for (method, path), scopes in ROUTES.items():
        answer = ask(house, key, method, path)
        without = ask(house, None, method, path)
        if scopes is None:
            assert (answer.status_code, without.status_code) == (200, 200), path
            continue
        assert without.status_code == 401, path
        assert without.json()["error"]["code"] == "invalid_api_key"
        assert without.headers["www-authenticate"] == "Bearer"
        if scope in scopes:
            assert answer.status_code not in (401, 403), path
        else:
            assert answer.status_code == 403, path
            error = answer.json()["error"]
            assert (error["type"], error["code"]) == ("permission_error", "insufficient_scope")


def test_a_revoked_key_ends_on_every_worker(house: Gateway) -> None:
    key_id, key = made(house)
    assert ask(house, key).status_code == 200
    command = ("keys", "revoke", key_id, "--state-dir", str(house.state_dir))
    run_command(*command, env={"PYTHONPATH": str(ROOT)}, cwd=house.folder).check_returncode()

    def has_ended() -> bool:
        return {ask(house, key).json().get("error", {}).get("code") for _ in range(24)} == {"revoked_api_key"}

    until(has_ended)


def test_neither_a_key_nor_who_it_asks_for_is_in_log_or_record_or_leaves(house: Gateway, cloud: Recorder) -> None:
    key_id, key = made(house, tenant="acme", subject_header="x-user")
    answer = httpx.post(
        house.url + "/chat/completions",
        headers={"x-api-key": key, "x-user": "anna.schmidt", "x-other": "strange", "cookie": "a=biscuit"},
        json={**CHAT, "model": "cloud"},
        trust_env=False,
        timeout=60,
    )
    assert answer.headers["x-gatehouse-route"] == "cloud"
    assert cloud.received
    assert cloud.saw_which([key, key.rsplit("-", 1)[1], key_id, "anna.schmidt", "x-user", "strange", "biscuit"]) == []
    request_id = answer.headers["x-gatehouse-request-id"]

    def recorded() -> JsonObject | None:
        with RecordReader(house.state_dir / RECORDS_FILE) as reader:
            return reader.get_record(request_id)

    until(lambda: recorded() is not None)
    record = recorded()
    assert record is not None
    principal = record["principal"]
    assert (principal["tenant"], principal["key_id"]) == ("acme", key_id)
    assert len(principal["subject"]) == 32
    secret = key.rsplit("-", 1)[1]
    for text in (json.dumps(record), house.log()):
        assert secret not in text
        assert "anna" not in text
    assert secret.encode() not in b"".join(path.read_bytes() for path in house.state_dir.iterdir() if path.is_file())
