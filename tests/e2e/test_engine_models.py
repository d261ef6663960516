"""Several models in one engine, behind one gateway: named by a policy, changed by a reload, seen in the metrics."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from router.models.install import add
from tests.support.gateway import ENGINE, POLICY, ROOT, Gateway, until
from tests.support.recorder import Recorder
from tests.support.tiny_gguf import make_adapter, make_model

TINY = "  tiny: {locality: local, backend: engine, model: tiny-llama, context: 1024}\n"
LEGAL = "  legal: {locality: local, backend: engine, model: tiny-legal}\n"
NOTHING = {"type": "object", "properties": {}, "additionalProperties": False}
TOOL = {"type": "function", "function": {"name": "pick", "parameters": NOTHING}}


def policy(cloud: Recorder, *more: str) -> str:
    return POLICY.format(home=ENGINE, cloud=cloud.url).replace("defaults:", "".join(more) + "defaults:")


@pytest.fixture(scope="module")
def house(cloud: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        state = folder / "house" / "state"
        add(make_model("llama-3.2", folder), state, name="tiny-llama")
        add(make_adapter(folder), state, name="tiny-legal", adapter_of="tiny-llama")
    with Gateway(folder / "house", policy(cloud, TINY)) as gateway:
        yield gateway


def ask(house: Gateway, model: str, **fields: Any) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 40, **fields}
    return httpx.post(f"{house.url}/chat/completions", json=body, trust_env=False, timeout=60)


def test_each_model_answers_under_its_own_name(house: Gateway) -> None:
    for name, model in (("home", "smollm2-135m-instruct"), ("tiny", "tiny-llama")):
        answer = ask(house, name)
        assert answer.status_code == 200, answer.text
        assert (answer.headers["x-gatehouse-model"], answer.json()["model"]) == (name, model)


def test_a_request_with_tools_stays_at_home_with_the_model_that_has_them(house: Gateway, cloud: Recorder) -> None:
    """The default has none; the cloud would be able and lawful, but a local model is able too."""
    answer = ask(house, "auto", tools=[TOOL], tool_choice="required", temperature=0, max_tokens=200)
    assert answer.status_code == 200, answer.text
    assert (answer.headers["x-gatehouse-route"], answer.headers["x-gatehouse-model"]) == ("local", "tiny")
    (call,) = answer.json()["choices"][0]["message"]["tool_calls"]
    assert call["function"]["name"] == "pick"
    assert json.loads(call["function"]["arguments"]) == {}
    assert not cloud.exchanges


def test_a_reload_adds_and_removes_models_while_the_engine_goes_on(house: Gateway, cloud: Recorder) -> None:
    before = house.children()["router.engine"]
    assert ask(house, "legal").status_code == 404
    house.policy_file.write_text(policy(cloud, TINY, LEGAL))
    until(lambda: ask(house, "legal").status_code == 200)
    house.policy_file.write_text(policy(cloud, TINY))
    until(lambda: ask(house, "legal").status_code == 404)
    assert ask(house, "tiny").status_code == 200
    assert house.children()["router.engine"] == before


def test_the_engines_figures_stand_in_the_metrics_by_model(house: Gateway) -> None:
    assert ask(house, "home", n=2).status_code == 200
    house.wait_for("/metrics", 'gatehouse_engine_decode_tokens_total{model="smollm2-135m-instruct"}')
    page = house.wait_for("/metrics", 'gatehouse_engine_queue_depth{model="smollm2-135m-instruct"} 0.0')
    assert 'gatehouse_engine_loaded{model="smollm2-135m-instruct"} 1.0' in page
    assert 'gatehouse_engine_state{state="ready"} 1.0' in page


def test_the_manifest_is_its_owners_alone(house: Gateway) -> None:
    (manifest,) = Path(house.folder / "run").glob("*/engine.json")
    assert manifest.stat().st_mode & 0o777 == 0o600
    assert json.loads(manifest.read_bytes())["models"][0]["name"] == "smollm2-135m-instruct"
