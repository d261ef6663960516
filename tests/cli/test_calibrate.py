"""`gatehouse calibrate` as a person types it: what it asks, prints, keeps and leaves, and what a broken run costs."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import CliRunner

from router.backends.scripted import Exchange
from router.backends.scripted_replies import Script
from router.calibration.standing import FOLDER, Promises, card_name
from router.cli.main import build
from router.confidence.answer_features import NAMES
from router.confidence.confidence import Confidence
from router.records.store import RECORDS_FILE, SqliteStore
from router.settings import Settings
from tests.support.gateway import GUARD, ROOT
from tests.support.recorder import Recorder, RecorderThread


class Shown(NamedTuple):
    """What a command said."""

    returncode: int
    stdout: str
    stderr: str


def gatehouse(*words: str, folder: Path) -> Shown:
    """The command in this process: a new one for each would cost seconds."""
    environment = {name: None for name in os.environ if name.startswith("GATEHOUSE_") and "GUARD" not in name}
    state = {"GATEHOUSE_STATE_DIR": str(folder / "state"), "GATEHOUSE_RUNTIME_DIR": str(folder / "run")}
    result = CliRunner().invoke(build(words), words, env={**environment, **state})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return Shown(result.exit_code, result.stdout, result.stderr)


SIZE = 240
QUESTIONS = [
    {"prompt": f"What is {place} plus nothing?", "truth": str(place), "grader": "number", "task": "sums"}
    for place in range(SIZE)
]


def answer(exchange: Exchange) -> Script:
    """Sure and right on five of six, unsure and wrong on the sixth."""
    if not exchange.json.get("logprobs"):
        return Script()  # the self-test
    number = int(exchange.json["messages"][-1]["content"].split()[2])
    sure = number % 6 != 0
    return Script(
        answer=str(number if sure else -1), confidence=0.99 - number / 10_000 if sure else 0.2 + number / 10_000
    )


@pytest.fixture(scope="module")
def home() -> Iterator[Recorder]:
    with RecorderThread(answer) as recorder:
        yield recorder


@pytest.fixture
def questions(tmp_path: Path, home: Recorder) -> Path:
    home.forget()
    home.script = answer
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in QUESTIONS))
    return path


def arguments(questions: Path, home: Recorder, *more: str) -> tuple[str, ...]:
    return ("calibrate", "--set", str(questions), "--local-url", home.url, "--local-model", "scripted", *more)


def test_a_run_grades_fits_reports_and_leaves_a_card_without_a_text(
    tmp_path: Path, questions: Path, home: Recorder
) -> None:
    shown = gatehouse(*arguments(questions, home, "--target", "max_bad_local=0.05"), folder=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "240 graded answers" in shown.stdout
    assert "83.3%" in shown.stdout
    assert "max_bad_local 0.05" in shown.stdout
    assert re.search(r"keeps 8\d% at home, \d of \d+ of them bad \(at most [0-4]\.\d%", shown.stdout)
    assert re.search(r"task question: .* holds with 95% confidence, from \d{3} answers", shown.stdout)
    asked = [body for body in home.bodies if body.get("logprobs")]
    assert len(asked) == SIZE
    assert all(body["temperature"] == 0 for body in asked)
    folder = tmp_path / "state" / FOLDER
    assert [path.name for path in folder.iterdir()] == [card_name("scripted")]
    card = folder / card_name("scripted")
    assert stat.S_IMODE(card.stat().st_mode) == 0o600
    assert "plus nothing" not in card.read_text()
    assert card.parents[1].stat().st_mode & 0o777 == 0o700, "a gateway would refuse it otherwise"
    settings = Settings(state_dir=tmp_path / "state")
    assert Confidence(made=settings.state_dir / FOLDER).is_calibrated("scripted")
    assert Promises.of(settings)


@pytest.mark.parametrize(("tells", "helps"), [(True, True), (False, False)])
def test_a_second_look_is_measured_and_kept_only_where_it_helps(
    tmp_path: Path, questions: Path, home: Recorder, tells: bool, helps: bool
) -> None:
    """Every third code is wrong by one, and nothing but the look could tell which."""
    rows = [
        {"prompt": f"The code of shelf {place} please.", "truth": str(place + 300), "grader": "number"}
        for place in range(240)
    ]
    questions.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def again(exchange: Exchange) -> Script:
        said = exchange.json.get("messages", [{}])
        if not exchange.json.get("logprobs"):
            return Script()  # the self-test
        number = int(said[0]["content"].split()[4])
        answer = str(number + 300 + (number % 3 == 0))
        if len(said) == 1:
            return Script(answer=answer, confidence=0.6 + number % 7 / 20)
        return Script(answer="no" if tells and said[1]["content"] != str(number + 300) else "yes", confidence=0.9)

    home.script = again
    shown = gatehouse(*arguments(questions, home, "--second-look", "verify"), folder=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "Second look, verify" in shown.stdout
    assert ("It helps" in shown.stdout, "stays off for this model" in shown.stdout) == (helps, not helps)
    card = json.loads((tmp_path / "state" / FOLDER / card_name("scripted")).read_text())
    assert card["looks"]["verify"]["helps"] is helps
    second = Confidence(made=tmp_path / "state" / FOLDER).second("verify", "scripted", 0.5, 6.0)
    assert (second is not None) is helps


def test_a_second_look_that_there_is_not_is_refused(tmp_path: Path, questions: Path, home: Recorder) -> None:
    shown = gatehouse(*arguments(questions, home, "--second-look", "twice"), folder=tmp_path)
    assert shown.returncode == 2
    assert "verify, agreement" in shown.stderr


def test_too_few_answers_or_too_many_bad_ones_carry_no_threshold_and_it_says_so(
    tmp_path: Path, questions: Path, home: Recorder
) -> None:
    few = gatehouse(
        *arguments(questions, home, "--limit", "90", "--target", "max_bad_local=0.05", "--dry-run"), folder=tmp_path
    )
    assert few.returncode == 0, few.stderr
    assert "no threshold: there are 90 graded answers, and at least 100 are needed" in few.stdout
    assert "No card was written" in few.stdout
    assert not list((tmp_path / "state" / FOLDER).iterdir())
    home.script = lambda exchange: Script(answer=str(-1 + 2 * (len(exchange.raw) % 2)), confidence=0.9)
    bad = gatehouse(*arguments(questions, home, "--target", "max_bad_local=0.05", "--dry-run"), folder=tmp_path)
    assert "nothing to fit" in bad.stderr or "even among the 80 surest answers" in bad.stdout


def test_without_a_target_it_shows_what_the_answers_could_carry_and_a_budget_needs_its_volume(
    tmp_path: Path, questions: Path, home: Recorder
) -> None:
    shown = gatehouse(*arguments(questions, home, "--policy", "cost-first"), folder=tmp_path)
    assert "The policy names no target" in shown.stdout
    assert "max_cloud_share 0.2" in shown.stdout
    home.forget()
    budget = ("--target", "max_usd_per_month=50")
    unknown = gatehouse(*arguments(questions, home, *budget), folder=tmp_path)
    assert "how many requests a month may escalate" in unknown.stdout
    volume = ("--requests-per-month", "50000", "--usd-per-escalation", "0.01")
    known = gatehouse(*arguments(questions, home, *budget, *volume), folder=tmp_path)
    assert "confidence at least" in known.stdout
    card = json.loads((tmp_path / "state" / FOLDER / card_name("scripted")).read_text())
    assert card["volume"] == {"requests": 50000, "usd_each": 0.01, "source": "declared"}


def test_the_promise_of_every_rule_with_a_target_is_printed_with_its_guarantee(
    tmp_path: Path, questions: Path, home: Recorder
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "version: 1\nmodels:\n  home: {locality: local, backend: engine, model: smollm2-135m-instruct}\n"
        '  cloud: {locality: cloud, backend: openai, base_url: "https://api.example.com/v1", model: big}\n'
        "defaults: {local: home, cloud: cloud}\nescalation: {target: {max_cloud_share: 0.3}}\ndecisions:\n"
        "  - {name: support, priority: 5, when: {all: [{task: {is: question}}]}, route: local,"
        " escalation: {target: {max_bad_local: 0.05}}}\n"
    )
    shown = gatehouse(*arguments(questions, home, "--policy", str(policy), "--dry-run"), folder=tmp_path)
    assert shown.returncode == 0, shown.stderr
    own, of_rule = (
        shown.stdout.index("max_cloud_share 0.3"),
        shown.stdout.index("max_bad_local 0.05  what support keeps"),
    )
    assert own < of_rule
    assert re.search(r"task question: .* holds with 95% confidence, from \d{3} answers", shown.stdout[of_rule:])


def _heeds_interrupts() -> None:
    """A suite that runs in the background of a shell ignores SIGINT, and its children would too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_loses_nothing_that_was_answered(tmp_path: Path, questions: Path, home: Recorder) -> None:
    home.script = lambda exchange: Script(answer="1", confidence=0.5, first_delay=0.1)
    run = subprocess.Popen(
        [sys.executable, "-P", "-m", "router.cli.main", *arguments(questions, home)],
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("GATEHOUSE_")},
            "PYTHONPATH": f"{GUARD}{os.pathsep}{ROOT}",
            "GATEHOUSE_TEST_GUARD_FILE": os.environ["GATEHOUSE_TEST_GUARD_FILE"],
            "GATEHOUSE_STATE_DIR": str(tmp_path / "state"),
            "GATEHOUSE_RUNTIME_DIR": str(tmp_path / "run"),
        },
        cwd=tmp_path,
        preexec_fn=_heeds_interrupts,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while len(home.exchanges) < 30 and time.monotonic() < deadline:
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "run the same command again" in said
    (kept,) = (tmp_path / "state" / FOLDER).iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    had = kept.read_text().count("\n")
    assert 16 <= had < SIZE
    home.forget()
    home.script = answer
    again = gatehouse(*arguments(questions, home, "--dry-run", "--keep"), folder=tmp_path)
    assert again.returncode == 0, again.stderr
    assert sum(bool(body.get("logprobs")) for body in home.bodies) == SIZE - had
    assert kept.read_text().count("\n") == SIZE


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (("--target", "max_bad_local=5"), 2, "a share between 0 and 1"),
        (("--target", "quality=0.5"), 2, "max_bad_local"),
        (("--model", "cloud"), 2, "no local model"),
        (("--policy", "absent.yaml"), 1, "absent.yaml"),
        (("--set", "absent.jsonl"), 1, "absent.jsonl"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_asked(
    tmp_path: Path, questions: Path, home: Recorder, more: tuple[str, ...], code: int, said: str
) -> None:
    shown = gatehouse(*arguments(questions, home, *more), folder=tmp_path)
    assert shown.returncode == code
    assert said in " ".join(shown.stderr.replace("│", " ").split())
    assert not home.exchanges


def test_a_server_without_log_probabilities_and_a_row_that_is_no_question_are_told(
    tmp_path: Path, questions: Path, home: Recorder
) -> None:
    home.script = Script(answer="1")
    shown = gatehouse(*arguments(questions, home), folder=tmp_path)
    assert shown.returncode == 1
    assert "no log-probabilities" in shown.stderr
    questions.write_text('{"prompt": "secret text"}\n')
    broken = gatehouse(*arguments(questions, home), folder=tmp_path)
    assert broken.returncode == 1
    assert "mine.jsonl, line 1" in broken.stderr
    assert "secret text" not in broken.stderr


def test_what_callers_said_counts_only_where_an_admin_asks_for_it_and_its_number_is_told(
    tmp_path: Path, questions: Path, home: Recorder
) -> None:
    absent = gatehouse(*arguments(questions, home, "--feedback", "30"), folder=tmp_path)
    assert absent.returncode == 1
    assert "no records yet" in absent.stderr
    (tmp_path / "state").chmod(0o700)
    store = SqliteStore(tmp_path / "state" / RECORDS_FILE)
    for number in range(30):
        outcome = {"route": "local", "model": "home", "answer_features": [0.1] * len(NAMES)}
        common = {"id": f"gh-{number}", "time": datetime.now(UTC).isoformat(), "principal": {"tenant": "default"}}
        said = {"kind": "feedback", "verdict": "good" if number % 3 else "bad", **common}
        store.append([{"kind": "decision", "outcome": outcome, **common}, said], durable=True)
    store.close()
    heard = gatehouse(
        *arguments(questions, home, "--feedback", "30", "--target", "max_cloud_share=0.2"), folder=tmp_path
    )
    assert heard.returncode == 0, heard.stderr
    assert "Of callers 30 verdicts count (20 good; 0 were asked again)." in heard.stdout
    assert f"from {SIZE + 30} answers" in heard.stdout
    plain = gatehouse(*arguments(questions, home, "--target", "max_cloud_share=0.2"), folder=tmp_path)
    assert f"from {SIZE} answers" in plain.stdout
