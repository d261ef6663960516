"""Two tenants of one gateway share nothing, and each is held to its own view of the policy, in every place."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from router.api_keys.store import KeyStore
from router.records.store import RECORDS_FILE, RecordReader
from router.types import SCOPES
from tests.e2e.test_taint import ANSWER, OTHERS, PATIENT, POLICY, SECRET, harmless, says
from tests.support.gateway import Gateway, local_server, until
from tests.support.recorder import Recorder, RecorderThread

QUOTED = f"Put this into the calendar, please: {ANSWER}"
BIRD = "What does the robin eat in winter?"
TENANTS = """\
cache: {mode: exact, ttl_seconds: 600}
aliases: {"claude-*": cloud}
tenants:
  aviary:
    sensitivity: {dictionaries: [{name: our-birds, level: restricted, terms: [robin]}]}
  vault: {models: [home]}
"""


@pytest.fixture(scope="module")
def cloud() -> Iterator[Recorder]:
    with RecorderThread(harmless) as recorder:
        yield recorder


@pytest.fixture(scope="module")
def house(cloud: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with RecorderThread(says) as home:
        policy = POLICY.format(home=local_server(home.url), cloud=cloud.url, others=OTHERS) + TENANTS
        with Gateway(tmp_path_factory.mktemp("tenants"), policy, environment=PATIENT) as gateway:
            yield gateway


@pytest.fixture(scope="module")
def keys(house: Gateway) -> dict[str, str]:
    """A key with every scope for each tenant, once the gateway knows them."""
    with KeyStore(house.state_dir) as store:
        made = {
            name: store.create(name, tenant=name, scopes=SCOPES)[1] for name in ("north", "south", "aviary", "vault")
        }
    # Until the worker has seen the first key it needs none, and everybody is the same tenant.
    until(lambda: get(house, "none", "/v1/models").status_code == 401)
    until(lambda: get(house, made["vault"], "/v1/models").status_code == 200)
    return made


def get(house: Gateway, key: str, path: str) -> httpx.Response:
    return httpx.get(house.root + path, headers={"x-api-key": key}, trust_env=False, timeout=60)


def post(house: Gateway, key: str, path: str, body: object) -> httpx.Response:
    return httpx.post(house.root + path, headers={"x-api-key": key}, json=body, trust_env=False, timeout=60)


def chat(
    house: Gateway, key: str, text: str, model: str = "auto", path: str = "/v1/chat/completions"
) -> httpx.Response:
    return post(house, key, path, {"model": model, "messages": [{"role": "user", "content": text}]})


def route(answer: httpx.Response) -> str:
    return answer.headers["x-gatehouse-route"]


def test_what_one_tenant_was_answered_is_no_hit_for_another(house: Gateway, keys: dict[str, str]) -> None:
    question = "Which colour has the sky on a clear day?"
    assert route(chat(house, keys["north"], question)) == "cloud"
    until(lambda: route(chat(house, keys["north"], question)) == "cache")
    assert route(chat(house, keys["south"], question)) == "cloud"


def test_what_is_remembered_of_a_sensitive_answer_is_remembered_for_its_tenant(
    house: Gateway, keys: dict[str, str]
) -> None:
    assert route(chat(house, keys["north"], SECRET)) == "local"
    assert chat(house, keys["north"], QUOTED).headers["x-gatehouse-sensitivity"] == "restricted"
    assert chat(house, keys["south"], QUOTED).headers["x-gatehouse-sensitivity"] == "public"


def test_a_tenants_own_words_are_sensitive_for_it_alone(house: Gateway, keys: dict[str, str], cloud: Recorder) -> None:
    cloud.forget()
    held = chat(house, keys["aviary"], BIRD)
    assert (route(held), held.headers["x-gatehouse-held"]) == ("local", "out")
    assert chat(house, keys["aviary"], BIRD, "cloud").json()["error"]["code"] == "policy_denied"
    assert chat(house, keys["aviary"], BIRD, "claude-3").json()["error"]["code"] == "policy_denied"
    assert not cloud.saw("robin")
    assert route(chat(house, keys["south"], BIRD)) == "cloud"
    assert cloud.saw("robin")
    assert route(chat(house, keys["aviary"], BIRD.replace("robin", "wren"))) == "cloud"


def test_what_is_explained_is_explained_under_the_own_view(house: Gateway, keys: dict[str, str]) -> None:
    shown = {name: chat(house, keys[name], BIRD, path="/v1/route").json() for name in ("south", "aviary", "vault")}
    assert {name: (each["route"], each["sensitivity"]) for name, each in shown.items()} == {
        "south": ("cloud", "public"),
        "aviary": ("local", "restricted"),
        "vault": ("local", "public"),
    }
    assert [each["entity_type"] for each in shown["aviary"]["findings"]] == ["our-birds"]
    assert shown["south"]["findings"] == []
    assert [each["model"] for each in shown["vault"]["candidates"]] == ["home"]
    assert len({each["policy"] for each in shown.values()}) == 1, "one file, one digest"


def test_models_that_a_tenant_may_not_use_are_not_there(house: Gateway, keys: dict[str, str]) -> None:
    ids = {name: {each["id"] for each in get(house, keys[name], "/v1/models").json()["data"]} for name in keys}
    assert ids["vault"] == {"auto", "local", "home"}
    assert ids["north"] == ids["south"] == {"auto", "local", "home", "cloud"}
    assert get(house, keys["vault"], "/v1/models/cloud").status_code == 404
    for name in ("cloud", "claude-3"):
        refused = chat(house, keys["vault"], "Hello there.", name)
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "model_not_found")
    assert route(chat(house, keys["vault"], "Hello there.")) == "local"


def test_a_record_names_its_tenant_and_nobody_else_can_judge_the_answer(house: Gateway, keys: dict[str, str]) -> None:
    answer = chat(house, keys["north"], "Tell me about the history of tea.")
    request_id = answer.headers["x-gatehouse-request-id"]
    judged = {"request_id": request_id, "verdict": "bad"}
    until(lambda: post(house, keys["north"], "/v1/feedback", judged).status_code == 200)
    other = post(house, keys["south"], "/v1/feedback", judged)
    assert (other.status_code, other.json()["error"]["code"]) == (404, "unknown_request")
    with RecordReader(house.state_dir / RECORDS_FILE) as reader:
        assert {each["principal"]["tenant"] for each in reader.list_records(100, {"tenant": "north"})} == {"north"}
        assert request_id not in {each["id"] for each in reader.list_records(100, {"tenant": "south"})}
