"""Consent on a real gateway of two workers: what was held leaves once, to one model, for who asked, and never again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from router.admin.gate import ADMIN_KEY_FILE
from router.api_keys.store import KeyStore
from router.backends.scripted_replies import Script
from router.keys import load_keys
from router.lockdown.lockdown import lock, unlock
from router.records.store import RECORDS_FILE, RecordReader
from tests.admin.conftest import admin_root
from tests.support.gateway import GUARD, POLICY, ROOT, Gateway, local_server, until
from tests.support.recorder import Recorder, RecorderThread
from tests.support.redis_server import RedisServer

ADDRESS = "bob@corp-mail.com"
HARD = (
    "Prove that there are infinitely many primes congruent to 3 modulo 4, then explain with full rigour why the same "
    "elementary argument fails for primes congruent to 1 modulo 4, and give a proof that works there."
)
HELD = f"{HARD} Send the proof to {ADDRESS}."
ANSWER = "The proof of the cloud goes to the address that you have named, and it is a rather long one."
CONSENT = """\
notice: field
cache: {mode: exact, ttl_seconds: 600}
release: {levels: [confidential], by: user, ttl: 30m}
fallback: {local_unavailable: cloud}
tenants:
  ward: {release: {by: approver}}
  closed: {release: {levels: []}}
"""
PATIENT = {"GATEHOUSE_SCAN_BUDGET_MS": "10000", "GATEHOUSE_RECORDS_QUEUE": "10000"}


@dataclass(slots=True)
class House:
    """The gateway, its keys by name, and the tokens that it gave."""

    gateway: Gateway
    cloud: Recorder
    keys: dict[str, str]
    given: list[str]
    home: RecorderThread

    def ask(
        self,
        text: str = HELD,
        token: str | None = None,
        *,
        key: str = "house",
        path: str = "chat/completions",
        model: str = "auto",
        **more: Any,
    ) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.keys[key]}"}
        headers.update({"x-gatehouse-release": token} if token is not None else {})
        url = f"{self.gateway.url}/{path}"
        answer = httpx.post(url, json=body_for(path, text, model, more), headers=headers, timeout=120, trust_env=False)
        if "x-gatehouse-release" in answer.headers:
            self.given.append(answer.headers["x-gatehouse-release"])
        return answer

    def token(self, text: str = HELD, **more: Any) -> str:
        """What a held answer offers."""
        answer = self.ask(text, **more)
        assert answer.headers["x-gatehouse-route"] in ("local", "cache", "refused"), answer.text
        return answer.headers["x-gatehouse-release"]

    def record(self, answer: httpx.Response) -> dict[str, Any]:
        """The decision record of an answer, once it is written."""
        found: list[dict[str, Any]] = []

        def is_there() -> bool:
            with RecordReader(self.gateway.state_dir / RECORDS_FILE) as reader:
                record = reader.get_latest(answer.headers["x-gatehouse-request-id"], "decision")
            found.extend([record] if record is not None else [])
            return bool(found)

        until(is_there, 30)
        return found[0]


def body_for(path: str, text: str, model: str, more: dict[str, Any]) -> dict[str, Any]:
    if path == "responses":
        return {"model": model, "input": text, **more}
    if path == "completions":
        return {"model": model, "prompt": text, **more}
    if path == "messages":
        more = {"max_tokens": 200, **more}
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


@pytest.fixture(scope="module")
def cloud() -> Iterator[Recorder]:
    with RecorderThread(Script(answer=ANSWER)) as recorder:
        yield recorder


@pytest.fixture(scope="module")
def house(cloud: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    thread = RecorderThread(Script(answer="At home."))
    with thread as home:
        policy = POLICY.format(home=local_server(home.url), cloud=cloud.url).replace("0.7", "0.5") + CONSENT
        two = "--workers", "2"
        with Gateway(tmp_path_factory.mktemp("release"), policy, *two, environment=PATIENT) as gateway:
            with KeyStore(gateway.state_dir) as store:
                keys = {
                    "house": store.create("house", scopes=("infer", "read"))[1],
                    "other": store.create("other", scopes=("infer",))[1],
                    "ward": store.create("ward", tenant="ward", scopes=("infer",))[1],
                    "ward-admin": store.create("ward-admin", tenant="ward", scopes=("infer", "read", "admin"))[1],
                    "closed": store.create("closed", tenant="closed", scopes=("infer",))[1],
                }
            made = House(gateway, cloud, keys, [], thread)
            # Until every worker has seen the keys, one of them may know the first ones and not the last.
            known = 0

            def is_known() -> bool:
                nonlocal known
                known = known + 1 if made.ask("Say hello.", key="closed").status_code == 200 else 0
                bare = httpx.get(f"{gateway.url}/models", trust_env=False, headers={"connection": "close"})
                known = known if bare.status_code == 401 else 0
                return known >= 20

            until(is_known, 60)
            yield made


@pytest.fixture(autouse=True)
def _forget(cloud: Recorder) -> None:
    cloud.forget()


def unlike(number: str) -> str:
    """A held request that no other test asks."""
    return f"{HELD} Number {number}."


def test_what_was_held_leaves_once_with_the_token_and_never_again(house: House) -> None:
    held = house.ask()
    assert (held.headers["x-gatehouse-route"], held.headers["x-gatehouse-held"]) == ("local", "hard-questions")
    token = held.headers["x-gatehouse-release"]
    said = held.json()["gatehouse"]["release"]
    assert (said["token"], said["by"], said["model"], said["level"]) == (token, "user", "cloud", "confidential")
    assert not house.cloud.exchanges

    released = house.ask(token=token)
    assert released.status_code == 200
    assert released.json()["choices"][0]["message"]["content"] == ANSWER
    assert released.headers["x-gatehouse-route"] == "cloud"
    assert released.headers["x-gatehouse-reason"] == "hard-questions"
    assert released.headers["x-gatehouse-sensitivity"] == "confidential"
    assert "x-gatehouse-release" not in released.headers
    assert house.cloud.saw(ADDRESS)
    assert not house.cloud.saw(token)
    assert "x-gatehouse" not in str(house.cloud.exchanges[0].headers).lower()

    again = house.ask(token=token)
    assert (again.status_code, again.json()["error"]["code"]) == (403, "release_refused")
    assert again.headers["x-should-retry"] == "false"
    assert len(house.cloud.exchanges) == 1

    record = house.record(released)
    release_id = released.headers["x-gatehouse-released"]
    assert record["outcome"]["release"] == {"result": "used", "id": release_id}
    assert record["facts"]["release"] == {"id": release_id, "model": "cloud", "level": "confidential"}
    assert [permit["release"] for permit in record["permits"]] == [release_id]
    offered = house.record(held)["outcome"]["release"]
    assert offered == {"result": "offered", "id": release_id}


def test_an_answer_to_what_was_released_is_marked_and_not_kept(house: House) -> None:
    text = unlike("marked")
    assert house.ask(text, house.token(text)).headers["x-gatehouse-route"] == "cloud"
    quoted = house.ask(f"{HARD} It was said: {ANSWER}")
    assert (quoted.headers["x-gatehouse-route"], quoted.headers["x-gatehouse-sensitivity"]) == ("local", "confidential")
    assert house.ask(text, house.token(text)).headers["x-gatehouse-route"] == "cloud", "no hit of the cache"
    assert len(house.cloud.exchanges) == 2


@pytest.mark.parametrize("path", ["messages", "responses", "completions"])
def test_every_dialect_offers_and_takes_it(house: House, path: str) -> None:
    text = unlike(path)
    released = house.ask(text, house.token(text, path=path), path=path)
    assert (released.status_code, released.headers["x-gatehouse-route"]) == (200, "cloud")
    assert ANSWER in released.text
    assert len(house.cloud.exchanges) == 1


def test_a_stream_is_offered_it_and_may_be_one_or_not_the_second_time(house: House) -> None:
    text = unlike("stream")
    released = house.ask(text, house.token(text, stream=True), stream=True)
    assert released.headers["x-gatehouse-route"] == "cloud"
    assert (
        "".join(
            choice["delta"].get("content") or ""
            for line in released.text.splitlines()
            if line.startswith("data: {")
            for choice in orjson.loads(line[6:])["choices"]
        )
        == ANSWER
    )
    whole = house.ask(text, house.token(text, stream=True))
    assert whole.json()["choices"][0]["message"]["content"] == ANSWER


def test_a_model_that_was_asked_for_by_name_and_refused_can_be_released(house: House) -> None:
    text = f"Write to {ADDRESS} that we are late."
    denied = house.ask(text, model="cloud")
    assert (denied.status_code, denied.json()["error"]["code"]) == (403, "policy_denied")
    assert "x-gatehouse-release" in denied.json()["error"]["message"]
    token = denied.headers["x-gatehouse-release"]
    assert house.ask(text, token).status_code == 403, "asked for by another name it is another request"
    released = house.ask(text, token, model="cloud")
    assert (released.status_code, released.headers["x-gatehouse-reason"]) == (200, "pinned")


def test_what_home_cannot_take_because_it_is_down_can_be_released(house: House) -> None:
    text = f"Write to {ADDRESS} that we are down."
    house.home.down()
    try:
        refused = house.ask(text)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "sensitive_data_local_unavailable")
        token = refused.headers["x-gatehouse-release"]
        released = house.ask(text, token)
        assert (released.headers["x-gatehouse-route"], released.headers["x-gatehouse-reason"]) == ("cloud", "fallback")
        assert house.ask(text, token).status_code == 403
        assert len(house.cloud.exchanges) == 1
    finally:
        house.home.up()
    other = f"Write to {ADDRESS} that we are up."
    assert house.ask(other).headers["x-gatehouse-route"] == "local", "nothing held it"


def test_whatever_differs_voids_it_and_the_true_one_still_counts(house: House) -> None:
    text = unlike("voided")
    token = house.token(text)
    flipped = token[:20] + ("A" if token[20] != "A" else "B") + token[21:]
    attempts: list[dict[str, Any]] = [
        {"text": text.replace("proof to", "proof To")},
        {"text": text + " "},
        {"temperature": 0.1},
        {"key": "other"},
        {"key": "ward"},
        {"key": "closed"},
        {"model": "cloud"},
        {"model": "gpt-4o"},
        {"path": "completions"},
        {"token": token[:-1]},
        {"token": token[1:]},
        {"token": flipped},
        {"token": token.swapcase()},
        {"token": "ghr1_"},
        {"token": "yes"},
        {"token": house.given[0]},
    ]
    for each in attempts:
        answer = house.ask(**{"text": text, "token": token, **each})
        assert (answer.status_code, answer.headers["x-gatehouse-route"]) == (403, "refused"), each
        assert "release_refused" in answer.text
    assert not house.cloud.exchanges
    assert house.ask(text, token).headers["x-gatehouse-route"] == "cloud"


def test_of_many_at_the_same_time_on_two_workers_one_leaves(house: House) -> None:
    text = unlike("at once")
    token = house.token(text)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: house.ask(text, token), range(16)))
    assert sorted(answer.status_code for answer in answers) == [200] + [403] * 15
    assert len(house.cloud.exchanges) == 1


def test_nothing_restricted_unread_or_of_a_closed_tenant_is_ever_offered(house: House) -> None:
    card = f"{HARD} My card is 4111 1111 1111 1111, and I am {ADDRESS}."
    picture = [
        {"type": "text", "text": HELD},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]
    for answer in (
        house.ask(card),
        house.ask(card, model="cloud"),
        house.ask(HELD, key="closed"),
        house.ask(HELD, messages=[{"role": "user", "content": picture}]),
        house.ask("Say hello."),
    ):
        assert "x-gatehouse-release" not in answer.headers
        assert answer.headers["x-gatehouse-route"] != "cloud"


def test_under_a_lock_it_stays_and_the_token_is_not_used_up(house: House) -> None:
    text, state = unlike("locked"), house.gateway.state_dir
    token = house.token(text)
    lock(state, reason="a drill")
    try:
        answer = house.ask(text, token)
        assert (answer.status_code, answer.headers["x-gatehouse-route"]) == (200, "local")
        assert "x-gatehouse-release" not in answer.headers
        assert not house.cloud.exchanges
    finally:
        unlock(state)
    assert house.ask(text, token).headers["x-gatehouse-route"] == "cloud"


def test_explain_says_what_may_be_released_and_uses_nothing_up(house: House) -> None:
    text = unlike("explained")
    told = house.ask(text, path="route").json()["release"]
    assert told == {"state": "offered", "model": "cloud", "level": "confidential", "by": "user", "ttl_seconds": 1800}
    token = house.token(text)
    explained = house.ask(text, token, path="route").json()
    assert (explained["route"], explained["release"]["state"]) == ("cloud", "released")
    assert house.ask(text, token).headers["x-gatehouse-route"] == "cloud"
    assert house.ask(HARD, path="route").json()["release"] is None


# -- by: approver ------------------------------------------------------------------------------------------------------


def command(house: House, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "router.cli.main", *words, "--state-dir", str(house.gateway.state_dir)],
        env={**os.environ, "PYTHONPATH": f"{GUARD}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=120,
    )


def admin(house: House, method: str, path: str, key: str | None = None, **body: Any) -> httpx.Response:
    own = (house.gateway.state_dir / ADMIN_KEY_FILE).read_text().strip()
    headers = {"authorization": f"Bearer {house.keys[key] if key else own}"}
    url = f"{admin_root(house.gateway)}/admin/v1{path}"
    return httpx.request(method, url, headers=headers, json=body or None, timeout=60, trust_env=False)


def pending(house: House, text: str, token: str, key: str = "ward") -> str:
    """The id under which a repeated request waits."""
    answer = house.ask(text, token, key=key)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "release_pending"), answer.text
    record = house.record(answer)
    assert record["outcome"]["release"]["result"] == "pending"
    return str(record["outcome"]["release"]["id"])


def test_what_an_approver_has_approved_on_the_command_line_leaves_once(house: House) -> None:
    text = unlike("approved")
    token = house.token(text, key="ward")
    assert command(house, "release", "list").stdout.strip() == "Nothing waits."
    which = pending(house, text, token)
    assert pending(house, text, token) == which, "asking again is no second entry"
    (entry,) = orjson.loads(command(house, "release", "list", "--json").stdout)
    assert (entry["id"], entry["state"], entry["tenant"], entry["level"]) == (which, "waiting", "ward", "confidential")
    assert (entry["because"], entry["rule"], entry["model"]) == (["EMAIL_ADDRESS"], "hard-questions", "cloud")
    assert which in command(house, "release", "list").stdout
    assert not house.cloud.exchanges

    assert command(house, "release", "approve", which, "--reason", " ").returncode == 2
    assert command(house, "release", "approve", "rl-none", "--reason", "the patient agreed").returncode == 1
    done = command(house, "release", "approve", which, "--reason", "the patient agreed")
    assert done.returncode == 0, done.stderr
    assert house.ask(text, token, key="house").status_code == 403, "approved for somebody else"
    assert house.ask(text, token, key="ward").headers["x-gatehouse-route"] == "cloud"
    assert house.ask(text, token, key="ward").json()["error"]["code"] == "release_refused"
    assert len(house.cloud.exchanges) == 1
    assert command(house, "release", "approve", which, "--reason", "once more").returncode == 1
    entries = orjson.loads(command(house, "release", "list", "--all", "--json", "--tenant", "ward").stdout)
    assert [(each["state"], each["reason"]) for each in entries if each["id"] == which] == [
        ("used", "the patient agreed")
    ]
    with RecordReader(house.gateway.state_dir / RECORDS_FILE) as reader:
        kept = list(reader.rows_since("", ("audit",)))
    told = [each["audit"] for each in kept if each["audit"]["target"] == which]
    assert [(each["action"], each["result"]) for each in told][:2] == [
        ("release.approve", "begun"),
        ("release.approve", "done"),
    ]


def test_the_admin_api_approves_and_denies_and_nobody_approves_their_own(house: House) -> None:
    yes, no, own = unlike("yes"), unlike("no"), unlike("own")
    tokens = {text: house.token(text, key="ward") for text in (yes, no)}
    tokens[own] = house.token(own, key="ward-admin")
    ids = {text: pending(house, text, tokens[text]) for text in (yes, no)}
    ids[own] = pending(house, own, tokens[own], "ward-admin")
    listed = admin(house, "GET", "/releases", "ward-admin").json()["releases"]
    assert set(ids.values()) <= {each["id"] for each in listed}
    assert {each["tenant"] for each in listed} == {"ward"}
    refused = admin(house, "POST", f"/releases/{ids[own]}/approve", "ward-admin", reason="it is fine")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "own_release")
    assert admin(house, "POST", f"/releases/{ids[yes]}/approve", "ward", reason="I wish").status_code == 403
    assert admin(house, "POST", f"/releases/{ids[yes]}/approve", reason="x").status_code == 400
    approved = admin(house, "POST", f"/releases/{ids[yes]}/approve", "ward-admin", reason="the patient agreed")
    assert (approved.status_code, approved.json()["audited"]) == (200, True)
    assert admin(house, "POST", f"/releases/{ids[no]}/deny", reason="not needed").status_code == 200
    late = admin(house, "POST", f"/releases/{ids[no]}/approve", reason="after all")
    assert (late.status_code, late.json()["error"]["code"]) == (409, "release_decided")
    assert house.ask(yes, tokens[yes], key="ward").headers["x-gatehouse-route"] == "cloud"
    assert house.ask(no, tokens[no], key="ward").status_code == 403
    assert house.ask(own, tokens[own], key="ward-admin").json()["error"]["code"] == "release_pending"


# -- what outlives a restart, and what is written: last, for they change the gateway -----------------------------------


def test_a_restart_forgets_no_use_and_another_version_of_the_policy_voids(house: House) -> None:
    used, unused = unlike("used before"), unlike("not used before")
    tokens = {text: house.token(text) for text in (used, unused)}
    late = house.token(unlike("late"))
    assert house.ask(used, tokens[used]).headers["x-gatehouse-route"] == "cloud"
    house.gateway.stop()
    house.gateway.start()
    assert house.ask(used, tokens[used]).json()["error"]["code"] == "release_refused"
    assert house.ask(unused, tokens[unused]).headers["x-gatehouse-route"] == "cloud"
    text = house.gateway.policy_file.read_text("utf-8")
    house.gateway.policy_file.write_text(text.replace("version: 1", "version: 2", 1), "utf-8")
    seen = 0

    def is_new() -> bool:
        nonlocal seen
        answer = house.ask("Say hello.")
        seen = seen + 1 if answer.headers["x-gatehouse-policy"].startswith("2-") else 0
        return seen >= 20

    until(is_new, 60)
    assert house.ask(unlike("late"), late).json()["error"]["code"] == "release_refused"
    key = {"authorization": f"Bearer {house.keys['house']}"}
    metrics = httpx.get(f"{house.gateway.root}/metrics", headers=key, trust_env=False).text
    assert 'gatehouse_releases_total{result="refused"}' in metrics


def test_no_token_is_in_any_log_record_or_file(house: House) -> None:
    assert len(house.given) > 20
    written = house.gateway.log().encode()
    for path in house.gateway.state_dir.rglob("*"):
        written += path.read_bytes() if path.is_file() else b""
    for token in house.given:
        assert token.encode() not in written
        assert token[5:60].encode() not in written
    assert ADDRESS.encode() not in written


@pytest.mark.parametrize("by", ["user", "approver"])
def test_a_token_of_one_host_counts_on_another_that_shares_its_redis_and_its_secret(tmp_path: Path, by: str) -> None:
    """Behind a balancer the repeated request comes to whatever host, and whoever approves sits at any: once for all."""
    redis = RedisServer(tmp_path)
    redis.start()
    load_keys(tmp_path / "a" / "state")
    (tmp_path / "b" / "state").mkdir(parents=True, mode=0o700)
    shutil.copy2(tmp_path / "a" / "state" / "root.key", tmp_path / "b" / "state" / "root.key")
    shared = {**PATIENT, "GATEHOUSE_REDIS_URL": redis.url, "GATEHOUSE_REDIS_TIMEOUT_MS": "1000"}
    with RecorderThread(Script(answer=ANSWER)) as home, RecorderThread(Script(answer=ANSWER)) as cloud:
        text = POLICY.format(home=local_server(home.url), cloud=cloud.url)
        text += f"release: {{levels: [confidential], by: {by}, ttl: 30m}}\n"
        with (
            Gateway(tmp_path / "a", text, environment=shared) as a,
            Gateway(tmp_path / "b", text, environment=shared) as b,
        ):

            def ask(house: Gateway, token: str | None = None) -> httpx.Response:
                headers = {} if token is None else {"x-gatehouse-release": token}
                body = {"model": "auto", "messages": [{"role": "user", "content": HELD}]}
                url = f"{house.url}/chat/completions"
                return httpx.post(url, json=body, headers=headers, trust_env=False, timeout=60)

            held = ask(a)
            assert held.headers["x-gatehouse-route"] == "local"
            token = held.headers["x-gatehouse-release"]
            assert not cloud.exchanges
            if by == "approver":
                waits = [ask(house, token) for house in (b, a)]
                assert [answer.json()["error"]["code"] for answer in waits] == ["release_pending"] * 2
                assert not cloud.exchanges
                for house in (a, b):
                    (entry,) = orjson.loads(releases(house, shared, "list", "--json"))
                    assert (entry["state"], entry["model"], entry["because"]) == ("waiting", "cloud", ["EMAIL_ADDRESS"])
                assert b"EMAIL_ADDRESS" not in redis.content()
                releases(a, shared, "approve", entry["id"], "--reason", "the address is public")
            released = ask(b, token)
            assert released.headers["x-gatehouse-route"] == "cloud", released.text
            assert len(cloud.exchanges) == 1
            for house in (a, b):
                again = ask(house, token)
                assert (again.status_code, again.json()["error"]["code"]) == (403, "release_refused")
            assert len(cloud.exchanges) == 1
            if by == "approver":
                (entry,) = orjson.loads(releases(a, shared, "list", "--all", "--json"))
                assert (entry["state"], entry["reason"]) == ("used", "the address is public")
    redis.stop()


def releases(house: Gateway, environment: dict[str, str], *arguments: str) -> bytes:
    """`gatehouse release` as somebody at this host runs it."""
    program = [sys.executable, "-m", "router.cli.main", "release", *arguments, "--state-dir", str(house.state_dir)]
    return subprocess.run(program, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, check=True).stdout
