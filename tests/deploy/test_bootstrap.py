"""The set-up around the engine: what a start needs, what it says when it lacks something, and a second that is free."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from classifiers.native.compiling import LIBRARY, source_files
from deploy import kernels, local_servers, redis_server
from deploy.bootstrap import Setup, check, command_of, needs_engine
from deploy.console import Console, SetupError
from deploy.environment import Environment, digest, lock_entries, project_digest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def console(tmp_path: Path) -> Console:
    return Console(tmp_path / "setup.log", io.StringIO())


@pytest.mark.parametrize(
    ("arguments", "variables", "needed"),
    [
        ([], {}, True),
        (["--port", "9000"], {}, True),
        (["--policy", "offline"], {}, True),
        (["--local-url", "http://127.0.0.1:11434/v1", "--local-model", "m"], {}, False),
        (["--local-url=http://127.0.0.1:11434/v1"], {}, False),
        (["--help"], {}, False),
        ([], {"GATEHOUSE_LOCAL_URL": "http://127.0.0.1:11434/v1"}, False),
        ([], {"GATEHOUSE_LOCAL_URL": ""}, True),
    ],
)
def test_nothing_is_compiled_for_a_server_that_uses_another_model_server(
    arguments: list[str], variables: dict[str, str], needed: bool
) -> None:
    assert needs_engine(arguments, variables) is needed


def test_a_complete_stamp_makes_the_set_up_do_nothing(tmp_path: Path) -> None:
    """Even in an environment that holds nothing but the stamp: it is the stamp that is asked."""
    output = io.StringIO()
    setup = Setup(ROOT, tmp_path / "venv", Console(tmp_path / "log", output))
    bin_folder = tmp_path / "venv" / "bin"
    bin_folder.mkdir(parents=True)
    (bin_folder / "python").touch()
    lock = {name: (ROOT / f"requirements{name}.lock").read_text("utf-8") for name in ("", "-build", "-model")}
    setup.environment.remember(
        base=digest(lock[""]), build=digest(lock["-build"]), project=project_digest(ROOT, editable=True)
    )
    setup.environment.remember(kernels=kernels.wanted(ROOT), kernels_failed="yes")
    assert setup.is_complete(dev=False, engine=False)
    assert not setup.is_complete(dev=False, engine=True)
    setup.complete(dev=False, engine=False)
    assert output.getvalue() == ""
    setup.environment.remember(model=digest(lock["-model"], "--no-deps"), engine=setup.wheel().digest)
    assert setup.is_complete(dev=False, engine=True)
    assert not setup.is_complete(dev=True, engine=True)


def test_a_stamp_of_another_python_or_place_counts_for_nothing(tmp_path: Path, console: Console) -> None:
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    place = Environment(tmp_path, tmp_path / "venv", console)
    place.python.touch()
    place.remember(base="1")
    assert place.has("base", "1")
    stamp = tmp_path / "venv" / "gatehouse-setup.json"
    stamp.write_text(stamp.read_text().replace(str(tmp_path / "venv"), "/moved"))
    assert place.read() == {}
    stamp.write_text("{ not json")
    assert place.read() == {}


def test_a_folder_named_venv_that_is_none_is_not_removed(tmp_path: Path, console: Console) -> None:
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "precious").write_text("x")
    with pytest.raises(SetupError, match="no virtual environment"):
        Environment(tmp_path, tmp_path / "venv", console).create()
    assert (tmp_path / "venv" / "precious").read_text() == "x"


def test_lock_entries_keep_their_hashes_and_both_of_two_markers() -> None:
    text = (
        "a==1 \\\n    --hash=sha256:x\nscipy==1 ; python_full_version < '3.12' \\\n    --hash=sha256:y\n"
        "scipy==2 ; python_full_version >= '3.12' \\\n    --hash=sha256:z\nb[extra]==3 \\\n    --hash=sha256:w\n"
    )
    entries = lock_entries(text)
    assert list(entries) == ["a", "scipy", "b"]
    assert "sha256:y" in entries["scipy"]
    assert "sha256:z" in entries["scipy"]


def test_a_command_that_fails_is_explained_with_its_last_lines_and_the_fix(tmp_path: Path, console: Console) -> None:
    script = "echo one; echo 'ERROR: No matching distribution found for x' >&2; exit 1"
    with pytest.raises(SetupError, match=r"(?s)one.*setup.log.*pip config list"), console.step("Trying") as step:
        console.run(step, ["/bin/sh", "-c", script], os.environ)
    assert "No matching" in (tmp_path / "setup.log").read_text()


def test_a_step_shows_its_title_its_progress_and_its_end(tmp_path: Path) -> None:
    output = io.StringIO()
    console = Console(tmp_path / "log", output, every_s=0.05)
    with console.step("Compiling") as step:
        console.run(
            step, ["/bin/sh", "-c", "echo '[1/4] x'; sleep 0.3"], os.environ, lambda line: f"saw {line.strip()}"
        )
    text = output.getvalue()
    assert "1. Compiling" in text
    assert "saw [1/4] x" in text
    assert "done (0 s)" in text


class _Models(BaseHTTPRequestHandler):
    ours = False

    def do_GET(self) -> None:
        data = json.dumps({"object": "list", "data": [{"id": "llama3.2"}, {"id": "qwen3"}]}).encode()
        self.send_response(200)
        if self.ours:
            self.send_header("x-gatehouse-request-id", "1")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture(params=[False, True], ids=["foreign", "ours"])
def model_server(request: pytest.FixtureRequest) -> Iterator[tuple[int, bool]]:
    handler = type("Handler", (_Models,), {"ours": request.param})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server.server_address[1], request.param
    server.shutdown()
    server.server_close()


def test_a_model_server_on_loopback_is_offered_with_the_line_to_type(model_server: tuple[int, bool]) -> None:
    port, ours = model_server
    found = local_servers.find(((port, "Ollama"), (1, "nobody")))
    text = local_servers.offer(found)
    if ours:
        assert text == ""
    else:
        assert f'make serve ARGS="--local-url http://127.0.0.1:{port}/v1 --local-model llama3.2"' in text


def _program(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def test_redis_on_the_path_is_taken_as_it_is(tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    _program(tmp_path / "bin", "redis-server", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    redis_server.require(console)
    assert not (tmp_path / "setup.log").exists()


def test_without_redis_and_without_a_package_tool_one_line_says_what_to_install(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match="Install it:") as caught:
        redis_server.require(console)
    assert "\n" not in str(caught.value)


def test_where_it_may_the_package_is_installed(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "bin"
    new = tools / "redis-server"
    _program(tools, "apt-get", f"[ $1 = install ] && printf '#!/bin/sh\\n' > {new} && /bin/chmod +x {new}; exit 0")
    _program(
        tools, "sudo", 'while [ "${1#-}" != "$1" ]; do shift; done; exec "$@"'
    )  # asked only where this is not root
    monkeypatch.setenv("PATH", str(tools))
    redis_server.require(console)
    log = (tmp_path / "setup.log").read_text()
    assert log.index("apt-get update") < log.index("apt-get install")


@pytest.mark.parametrize("arguments", [[], ["dance"], ["image"]])
def test_an_unknown_target_gets_the_usage(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deploy.bootstrap", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "usage:" in done.stderr


def test_make_says_which_python_it_needs_when_it_finds_none() -> None:
    done = subprocess.run(["make", "serve", "PYTHON="], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "3.11, 3.12 or 3.13" in done.stderr


def test_make_help_lists_what_a_developer_types() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {line.split()[1] for line in done.stdout.splitlines()} >= {"serve", "test", "check", "lock"}


@pytest.fixture
def clone(tmp_path: Path, console: Console) -> tuple[Path, Environment]:
    """A folder with the kernels' sources, nothing compiled, and the stamp of an environment."""
    folder = kernels.sources(tmp_path)
    folder.mkdir(parents=True)
    for path in source_files(kernels.sources(ROOT)):
        shutil.copy(path, folder)
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "venv" / "bin" / "python").touch()
    return tmp_path, Environment(tmp_path, tmp_path / "venv", console)


def test_the_kernels_are_compiled_once(clone: tuple[Path, Environment], console: Console) -> None:
    root, environment = clone
    kernels.make(root, environment, console)
    library = kernels.sources(root) / LIBRARY
    made = library.stat().st_mtime_ns
    kernels.make(root, environment, console)
    assert library.stat().st_mtime_ns == made
    assert kernels.stands(root, environment)
    library.unlink()
    assert not kernels.stands(root, environment)


def test_without_a_compiler_the_set_up_says_so_and_goes_on(
    clone: tuple[Path, Environment], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And tries again as soon as there is one."""
    root, environment = clone
    output = io.StringIO()
    with monkeypatch.context() as without:
        without.setenv("PATH", str(tmp_path))
        without.delenv("CC", raising=False)
        kernels.make(root, environment, Console(tmp_path / "log", output))
        assert kernels.stands(root, environment)
    assert "run in Python, slower" in output.getvalue()
    assert not kernels.stands(root, environment)


def test_kernels_that_do_not_compile_are_no_reason_to_stop(clone: tuple[Path, Environment], tmp_path: Path) -> None:
    root, environment = clone
    (kernels.sources(root) / "features.c").write_text("no C at all\n")
    output = io.StringIO()
    kernels.make(root, environment, Console(tmp_path / "log", output))
    assert "run in Python, slower" in output.getvalue()
    assert kernels.stands(root, environment)


def test_the_tests_run_in_several_processes_that_keep_what_they_compile_unless_told_otherwise() -> None:
    given = {"PYTHONDONTWRITEBYTECODE": "1", "HOME": "/here"}
    command, variables = command_of("test", ["tests/sdk", "-n", "0"], given)
    assert command == ["python", "-m", "pytest", "-n", "auto", "tests/sdk", "-n", "0"]  # the last one counts
    assert variables == {"HOME": "/here", "PYTHONHASHSEED": "0"}
    assert command_of("test", [], {"PYTHONHASHSEED": "7"})[1] == {"PYTHONHASHSEED": "7"}
    command, variables = command_of("serve", ["--port", "9000"], given)
    assert command == ["gatehouse", "serve", "--port", "9000"]
    assert variables == given


def test_every_check_is_made_and_shown_and_the_first_that_fails_gives_the_status(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    environment = Environment(tmp_path, tmp_path / "venv", Console(tmp_path / "setup.log", sys.stdout))
    environment.bin("").mkdir(parents=True)
    for name, status in (("good", 0), ("bad", 3), ("worse", 4), ("later", 0)):
        _program(environment.bin(""), name, f"echo {name} $1; exit {status}")
    assert check(environment, [["good a", "good b"], ["good c"]]) == 0
    assert capfd.readouterr().out.split("\n")[:-1] == ["$ good a", "good a", "$ good b", "good b", "$ good c", "good c"]
    assert check(environment, [["good a", "bad b", "later c"], ["worse d"]]) == 3
    assert check(environment, [["good a"], ["worse d", "later c"]]) == 4
    shown = capfd.readouterr().out
    assert shown.count("worse d\n") == 4
    assert "later" not in shown
