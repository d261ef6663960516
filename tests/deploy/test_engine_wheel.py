"""The compiled engine: kept by what it was built from, trusted once it answered, one rung down when it crashes."""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import sys
from pathlib import Path

import pytest

from deploy import engine_proof, toolchain
from deploy.console import Console, SetupError
from deploy.engine_wheel import EngineWheel, percent, wheel_key
from deploy.environment import Environment, lock_entries
from deploy.processor import Build, Processor, detect, ladder

LOCK = "llama-cpp-python==0.3.36 \\\n    --hash=sha256:aa\n"
ENTRY = lock_entries(LOCK)["llama-cpp-python"]
READY = f"""
exec {sys.executable} - "$@" <<'PYTHON'
import socket, sys
path = sys.argv[sys.argv.index("--socket") + 1]
with socket.socket(socket.AF_UNIX) as server:
    server.bind(path)
    server.listen()
    for status in (b"503 no", b"200 OK"):
        peer, _ = server.accept()
        with peer:
            peer.recv(4096)
            peer.sendall(b"HTTP/1.1 " + status + b"\\r\\ncontent-length: 0\\r\\n\\r\\n")
PYTHON
"""


def environment(folder: Path, engine: str) -> Environment:
    """An environment whose `python` is a script: it logs pip's work, and runs `engine` as the engine."""
    python = folder / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    pip = f'echo "$@" >> {folder}/pip.log; echo "$@" | grep -o "[a-z0-9]*[.]whl" > {folder}/installed'
    python.write_text(f'#!/bin/sh\ncase "$*" in *" -c "*) echo model.gguf;; *pip*) {pip};; *) {engine};; esac\n')
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    return Environment(folder, folder / "venv", Console(folder / "log", io.StringIO()))


def keep(build: Build, name: str) -> Path:
    folder = Path(os.environ["XDG_CACHE_HOME"]) / "gatehouse" / "wheels" / wheel_key(ENTRY, build)
    folder.mkdir(parents=True)
    (folder / name).write_bytes(name.encode())
    note = {"file": name, "sha256": hashlib.sha256(name.encode()).hexdigest()}
    (folder / "wheel.json").write_text(json.dumps(note))
    return folder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("  [12/240] Building CXX object vendor/llama.cpp/src/x.o", "compiled 5 %"),
        ("[ 37%] Building C object", "compiled 37 %"),
        ("*** Configuring CMake...", "configuring"),
        ("  -- Found Threads: TRUE", None),
        ("[notice] a new release of pip", None),
    ],
)
def test_the_compilers_lines_become_percent(line: str, shown: str | None) -> None:
    assert percent(line) == shown


def test_a_wheel_is_kept_under_everything_that_decides_it() -> None:
    build = Build("a", ("-DX=ON",))
    assert wheel_key(ENTRY, build).startswith("0.3.36-")
    assert wheel_key(ENTRY, build) == wheel_key(ENTRY, Build("renamed", ("-DX=ON",)))
    assert wheel_key(ENTRY, build) != wheel_key(ENTRY, Build("a", ("-DX=OFF",)))
    assert wheel_key(ENTRY, build) != wheel_key(ENTRY.replace("aa", "bb"), build)


def test_an_engine_that_becomes_ready_has_answered(cache: Path) -> None:
    assert engine_proof.answers(environment(cache, READY)) is True


@pytest.mark.parametrize("name", ["SEGV", "ILL", "BUS", "ABRT"])
def test_an_engine_that_crashes_in_native_code_is_a_fault_of_the_build(cache: Path, name: str) -> None:
    assert engine_proof.answers(environment(cache, f"kill -{name} $$")) is False


def test_a_crash_that_a_parent_reports_as_a_status_counts_too() -> None:
    assert engine_proof.is_build_fault(139)
    assert not engine_proof.is_build_fault(1)


def test_an_engine_that_ends_with_words_is_reported_in_them_and_nothing_is_rebuilt(cache: Path) -> None:
    with pytest.raises(SetupError, match="not enough memory"):
        engine_proof.answers(environment(cache, "echo not enough memory >&2; exit 3"))


def test_a_build_that_crashes_gives_way_to_a_plainer_one_and_is_remembered(cache: Path) -> None:
    processor = Processor("linux", "x86_64", frozenset(["sse4_2", "avx", "avx2", "fma", "f16c", "bmi2"]))
    fast, plain = ladder(processor)
    keep(fast, "fast.whl")
    keep(plain, "plain.whl")
    place = environment(cache, f"grep -q fast {cache}/installed && kill -SEGV $$; {READY}")
    wheel = EngineWheel(place, LOCK, processor)
    assert not wheel.ready()
    wheel.install()
    assert (cache / "installed").read_text().strip() == "plain.whl"
    assert wheel.ready()
    assert place.read()["engine_build"] == "baseline x86-64"
    (cache / "pip.log").unlink()
    EngineWheel(place, LOCK, processor).install()
    assert "fast.whl" not in (cache / "pip.log").read_text()


def test_when_no_build_answers_the_message_names_the_way_without_one(cache: Path) -> None:
    processor = Processor("linux", "x86_64", frozenset())
    keep(ladder(processor)[0], "plain.whl")
    with pytest.raises(SetupError, match="--local-url"):
        EngineWheel(environment(cache, "kill -ILL $$"), LOCK, processor).install()


def test_a_kept_wheel_that_was_damaged_is_not_used(cache: Path) -> None:
    processor = Processor("linux", "x86_64", frozenset())
    folder = keep(ladder(processor)[0], "plain.whl")
    wheel = EngineWheel(environment(cache, READY), LOCK, processor)
    assert not wheel.needs_compiling()
    (folder / "plain.whl").write_bytes(b"half")
    assert wheel.needs_compiling()


def test_another_processor_makes_the_engine_stale(cache: Path) -> None:
    place = environment(cache, READY)
    old = Processor("linux", "x86_64", frozenset(["sse4_2"]))
    place.remember(engine=EngineWheel(place, LOCK, old).digest)
    assert EngineWheel(place, LOCK, old).ready()
    assert not EngineWheel(place, LOCK, Processor("linux", "x86_64", frozenset())).ready()


def test_this_machines_compiler_is_asked_what_it_takes() -> None:
    assert toolchain.accepts(("-Wall",))
    assert not toolchain.accepts(("-mno-such-instruction-set",))
    assert ladder(detect(), toolchain.accepts)


def test_at_least_one_compiler_runs_and_no_more_than_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= toolchain.parallel_jobs() <= (os.cpu_count() or 1)
    monkeypatch.setenv("CMAKE_BUILD_PARALLEL_LEVEL", "1")
    assert toolchain.parallel_jobs() == 1


def test_without_a_compiler_the_message_names_what_to_install_and_the_way_without(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(cache))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(SetupError, match=r"(?s)No C and C.*--local-url"):
        toolchain.require(environment(cache, READY))
