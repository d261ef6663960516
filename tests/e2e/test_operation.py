"""How a gateway is run: policies that change, keys, workers, origins, and the end of its processes."""

from __future__ import annotations

import signal
from pathlib import Path

import httpx
import psutil
import pytest
from openai import OpenAI

from router.backends.scripted_replies import Script
from tests.e2e.conftest import HARD
from tests.support.gateway import ENGINE, POLICY, Gateway, local_server, until
from tests.support.recorder import Recorder, RecorderThread

ESCALATION = "escalation: {{threshold: 0.5, max_hops: 1, stream: {stream}}}\n"


def test_a_policy_is_reloaded_and_a_bad_one_keeps_the_last_good_in_force(tmp_path: Path) -> None:
    with RecorderThread(Script()) as home, RecorderThread(Script()) as cloud:
        policy = POLICY.format(home=local_server(home.url), cloud=cloud.url)
        with Gateway(tmp_path, policy) as house:
            first = httpx.get(f"{house.root}/readyz", trust_env=False, timeout=60).json()["policy"]["running_digest"]
            house.policy_file.write_text(policy.replace("version: 1", "version: 1\nmodee: enforce"))
            seen = house.wait_for("/readyz", "policy_reload_failed")
            assert "policy.yaml:2:1" in seen
            assert first in seen
            assert (
                "gatehouse_policy_last_reload_success"
                in httpx.get(f"{house.root}/metrics", trust_env=False, timeout=60).text
            )
            house.policy_file.write_text(policy.replace("0.7", "0.0001"))
            until(lambda: first not in httpx.get(f"{house.root}/readyz", trust_env=False, timeout=60).text)
            with OpenAI(base_url=house.url, api_key="x", max_retries=0) as client:
                until(lambda: _route(client) == "cloud")
            house.policy_file.write_text(policy)
            house.process.send_signal(signal.SIGHUP)
            house.wait_for("/readyz", first)


def _route(client: OpenAI) -> str:
    raw = client.chat.completions.with_raw_response.create(
        model="auto", messages=[{"role": "user", "content": "Say hello."}]
    )
    return raw.headers["x-gatehouse-route"]


def test_the_policy_watcher_survives_the_swap_of_a_symbolic_link(tmp_path: Path) -> None:
    """As Kubernetes publishes a ConfigMap: the file is a link into a folder that is itself a link."""
    with RecorderThread(Script()) as home, RecorderThread(Script()) as cloud:
        policy = POLICY.format(home=local_server(home.url), cloud=cloud.url)
        mount = tmp_path / "mount"
        for number, text in enumerate((policy, policy.replace("0.7", "0.0001"))):
            (mount / f"..{number}").mkdir(parents=True)
            (mount / f"..{number}" / "policy.yaml").write_text(text)
        (mount / "..data").symlink_to("..0")
        (mount / "policy.yaml").symlink_to("..data/policy.yaml")
        with (
            Gateway(tmp_path, str(mount / "policy.yaml")) as house,
            OpenAI(base_url=house.url, api_key="x", max_retries=0) as client,
        ):
            assert _route(client) == "local"
            (mount / "..new").symlink_to("..1")
            (mount / "..new").rename(mount / "..data")
            until(lambda: _route(client) == "cloud")


def test_a_wrong_policy_at_the_start_is_no_start(tmp_path: Path) -> None:
    house = Gateway(tmp_path, "version: 1\nmodels: {}\nescallation: {}\n")
    with pytest.raises(RuntimeError, match=r"policy\.yaml:3:1.*escalation"):
        house.start()
    assert house.process.wait(60) == 1


def test_on_an_open_address_the_first_start_makes_a_key_and_asks_for_it(tmp_path: Path) -> None:
    with RecorderThread(Script()) as home, RecorderThread(Script()) as cloud:
        policy = POLICY.format(home=local_server(home.url), cloud=cloud.url)
        with Gateway(tmp_path, policy, "--host", "0.0.0.0") as house:
            address = house.root.replace("0.0.0.0", "127.0.0.1")
            assert "cat " in house.announced
            told = {path.name: path for path in house.state_dir.iterdir() if str(path) in house.announced}
            assert told.keys() == {"api.key", "admin.key"}
            for path in told.values():
                assert path.stat().st_mode & 0o777 == 0o600
                assert path.read_text().strip() not in house.announced + house.log()
            key_file = told["api.key"]
            body = {"messages": [{"role": "user", "content": "Say hello."}]}
            for path in ("/v1/chat/completions", "/v1/route"):
                assert httpx.post(address + path, json=body, trust_env=False, timeout=60).status_code == 401
            assert httpx.get(f"{address}/v1/models", trust_env=False, timeout=60).status_code == 401
            assert httpx.get(f"{address}/healthz", trust_env=False, timeout=60).status_code == 200
            key = {"authorization": f"Bearer {key_file.read_text().strip()}"}
            answer = httpx.post(f"{address}/v1/chat/completions", json=body, headers=key, trust_env=False, timeout=60)
            assert answer.status_code == 200


def test_two_workers_answer_and_their_metrics_add_up(tmp_path: Path) -> None:
    with RecorderThread(Script()) as home, RecorderThread(Script()) as cloud:
        policy = POLICY.format(home=local_server(home.url), cloud=cloud.url)
        with Gateway(tmp_path, policy, "--workers", "2") as house:
            for number in range(40):
                body = {"messages": [{"role": "user", "content": f"Say {number}."}]}
                assert (
                    httpx.post(f"{house.url}/chat/completions", json=body, trust_env=False, timeout=60).status_code
                    == 200
                )

            def counted() -> float:
                text = httpx.get(f"{house.root}/metrics", trust_env=False, timeout=60).text
                lines = [line for line in text.splitlines() if line.startswith("gatehouse_requests_total{")]
                return sum(float(line.split()[-1]) for line in lines)

            until(lambda: counted() >= 40)  # the last ones are accounted for a moment after their answers
            assert counted() == 40


def test_a_hard_question_stays_home_when_the_cloud_has_no_key(tmp_path: Path) -> None:
    with RecorderThread(Script()) as home, RecorderThread(Script()) as cloud:
        policy = POLICY.format(home=local_server(home.url), cloud=cloud.url)
        policy = policy.replace("region: us,", "region: us, api_key_env: GATEHOUSE_TEST_ABSENT_KEY,")
        with Gateway(tmp_path, policy) as house:
            body = {"messages": [{"role": "user", "content": HARD}]}
            answer = httpx.post(f"{house.url}/chat/completions", json=body, trust_env=False, timeout=60)
            assert answer.headers["x-gatehouse-route"] == "local"
            listed = {m["id"]: m for m in httpx.get(f"{house.url}/models", trust_env=False, timeout=60).json()["data"]}
            assert listed["cloud"]["gatehouse"]["available"] is False
            assert "GATEHOUSE_TEST_ABSENT_KEY" in listed["cloud"]["gatehouse"]["why"]
            assert house.log().count("GATEHOUSE_TEST_ABSENT_KEY") == 1
            assert not cloud.exchanges


def test_a_web_page_may_ask_only_from_an_origin_that_is_listed(tmp_path: Path) -> None:
    with RecorderThread(Script()) as home, RecorderThread(Script()) as cloud:
        policy = POLICY.format(home=local_server(home.url), cloud=cloud.url)
        listed = {"GATEHOUSE_ALLOWED_ORIGINS": "https://chat.example"}
        body = {"messages": [{"role": "user", "content": "Say hello."}]}
        with Gateway(tmp_path, policy, environment=listed) as house, httpx.Client(trust_env=False, timeout=60) as http:
            url = f"{house.url}/chat/completions"
            allowed = http.post(url, json=body, headers={"origin": "https://chat.example"})
            assert allowed.status_code == 200
            assert allowed.headers["access-control-allow-origin"] == "https://chat.example"
            assert "x-gatehouse-route" in allowed.headers["access-control-expose-headers"]
            ask = {"origin": "https://chat.example", "access-control-request-method": "POST"}
            assert http.options(url, headers=ask).status_code == 200
            foreign = http.post(url, json=body, headers={"origin": "https://evil.example"})
            assert (foreign.status_code, foreign.json()["error"]["code"]) == (403, "origin_not_allowed")
            assert "access-control-allow-origin" not in foreign.headers
            asked = [exchange for exchange in home.exchanges if exchange.method == "POST"]
            assert len(asked) == 2  # the self-test, and the request that was allowed


def test_workers_and_engine_end_when_their_parent_is_killed(cloud: Recorder, tmp_path: Path) -> None:
    """A gateway without its record writer must not go on answering."""
    house = Gateway(tmp_path, POLICY.format(home=ENGINE, cloud=cloud.url)).start()
    children = [psutil.Process(pid) for pid in house.children().values()]
    assert len(children) == 2
    house.process.kill()
    house.stop()
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{house.root}/healthz", trust_env=False, timeout=60)


@pytest.mark.parametrize("when", ["start", "reload"])
def test_an_engine_model_that_is_not_here_is_a_policy_that_is_not_good(tmp_path: Path, when: str) -> None:
    with RecorderThread(Script()) as home, RecorderThread(Script()) as cloud:
        absent = POLICY.format(home="backend: engine, model: absent-9b", cloud=cloud.url)
        if when == "start":
            house = Gateway(tmp_path, absent)
            with pytest.raises(RuntimeError, match=r"models\.home.*absent-9b"):
                house.start()
            return
        with Gateway(tmp_path, POLICY.format(home=local_server(home.url), cloud=cloud.url)) as house:
            house.policy_file.write_text(absent)
            assert "absent-9b" in house.wait_for("/readyz", "policy_reload_failed")
            body = {"messages": [{"role": "user", "content": "Say hello."}]}
            assert (
                httpx.post(f"{house.url}/chat/completions", json=body, trust_env=False, timeout=60).status_code == 200
            )
