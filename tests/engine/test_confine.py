"""What the engine's process can no longer do: tried in a child that confines itself, and read off a real engine."""

from __future__ import annotations

import errno
import json
import os
import platform
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from router.engine.confine import HEADROOM_BYTES, kept_environment
from router.engine.process import usable_memory
from router.engine.seccomp import MACHINES, build
from tests.engine.confined_child import BUDGET
from tests.engine.driver import Client, EngineProcess, child_environment, engine_argv, says

REFUSED = (
    "socket AF_INET",
    "socket AF_INET datagram",
    "socket AF_INET6",
    "socket AF_UNIX",
    "socketpair datagram",
    "connect",
    "connect AF_UNIX",
    "bind",
    "execve",
    "subprocess",
    "ptrace",
    "process_vm_readv",
    "io_uring",
    "kill the parent",
    "kill the group",
    "limit the parent",
    "a socket in an older thread",
    "a socket in a newer thread",
)
SECRETS = {"OPENAI_API_KEY": "canary-1", "AWS_SECRET_ACCESS_KEY": "canary-2", "DATABASE_URL": "postgres://u:canary-3@h"}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="confinement is Linux's; elsewhere /health says so")


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder, elsewhere = tmp_path_factory.mktemp("own"), tmp_path_factory.mktemp("elsewhere") / "file"
    elsewhere.write_text("x")
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine.confined_child", str(folder), str(elsewhere)],
        env=child_environment(),
        capture_output=True,
        timeout=60,
        check=True,
    )
    return {**json.loads(done.stdout), "log": done.stderr.decode()}


@pytest.mark.parametrize("attempt", REFUSED)
def test_a_confined_process_has_no_network_no_programs_and_no_hold_on_other_processes(
    child: dict[str, Any], attempt: str
) -> None:
    assert child["tried"][attempt] == "EPERM"


def test_what_an_engine_needs_still_works(child: dict[str, Any]) -> None:
    for attempt in (
        "socketpair stream",
        "kill itself",
        "read",
        "remove beside the socket",
        "write to the null device",
        "a hundred megabytes",
    ):
        assert child["tried"][attempt] == "done", attempt


def test_it_changes_no_file_and_where_the_kernel_cannot_forbid_that_it_says_so(child: dict[str, Any]) -> None:
    writing = ("write", "make", "make a folder", "remove in another folder")
    forbidden = child["confinement"]["has_no_writing"]
    wanted = ["EACCES"] * 4 if forbidden else ["done", "done", "EEXIST", "done"]
    assert [child["tried"][attempt] for attempt in writing] == wanted
    assert ("Landlock" in child["log"]) is not forbidden


def test_a_runaway_allocation_fails_inside_the_process(child: dict[str, Any]) -> None:
    assert child["tried"]["three gigabytes"] == "MemoryError"
    assert child["confinement"]["memory"] == min(BUDGET + HEADROOM_BYTES, int(usable_memory() * 0.9))


@pytest.mark.skipif(platform.machine() != "x86_64", reason="x32 and the 32-bit door are x86_64's")
def test_the_doors_of_other_abis_are_shut(child: dict[str, Any], tmp_path: Path) -> None:
    """The x32 call is refused; `int 0x80` gets the same refusal, or ends the program where there is no such door."""
    assert child["tried"]["socket of x32"] == "EPERM"
    code = """
import ctypes, mmap, sys
from pathlib import Path
from router.engine.confine import confine
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
# push rbx; mov eax, 359 (socket); mov ebx, AF_INET; mov ecx, SOCK_STREAM; xor edx, edx; int 0x80; pop rbx; ret
page.write(bytes.fromhex("53b867010000bb02000000b90100000031d2cd805bc3"))
call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
print(call(), flush=True)
confine(Path(sys.argv[1]), 64_000_000)
print(call(), flush=True)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], env=child_environment(), capture_output=True, timeout=60
    )
    results = [int(line) for line in done.stdout.split()]
    if results:
        before, after = results
        assert before >= 0, "the door is there"
        assert after == -errno.EPERM
    else:
        assert done.returncode == -signal.SIGSEGV


@pytest.fixture
def secretive(tmp_path: Path) -> Iterator[EngineProcess]:
    """An engine that a user starts alone, with secrets in the environment."""
    log = tmp_path / "log"
    environment = {**child_environment(), **SECRETS, "HF_TOKEN": "canary-4", "LC_ALL": "C.UTF-8"}
    with log.open("wb") as output:
        argv = engine_argv(tmp_path / "s", "--threads", "2")
        process = subprocess.Popen(argv, env=environment, stdout=output, stderr=output)
    engine = EngineProcess(process, tmp_path / "s", log)
    engine.wait()
    yield engine
    process.kill()
    process.wait()


async def test_a_real_engine_answers_under_the_filter_with_every_thread_and_without_its_users_secrets(
    secretive: EngineProcess,
) -> None:
    own = Path(f"/proc/{secretive.process.pid}")
    async with Client(secretive.socket) as client:
        assert await client.text(says("Hi", max_tokens=4))
        assert (await client.health())["confined"] is True
    threads = [(task / "status").read_text() for task in (own / "task").iterdir()]
    assert len(threads) > 2
    for status in threads:
        shown = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert (shown["Seccomp"], shown["NoNewPrivs"]) == ("2", "1")
    environment = (own / "environ").read_bytes()
    assert b"canary" not in environment
    assert b"LC_ALL=C.UTF-8" in environment
    assert b"PYTHONPATH=" in environment
    limits = (own / "limits").read_text().splitlines()
    data = next(line for line in limits if line.startswith("Max data size")).split()
    assert 0 < int(data[3]) <= max(usable_memory() * 0.9, usable_memory() // 2)
    secretive.process.send_signal(signal.SIGTERM)
    assert secretive.process.wait(10) == 0
    assert not secretive.socket.exists()
    assert secretive.log.read_text() == ""


def test_an_engine_that_runs_out_of_its_memory_while_it_loads_ends_with_three_and_says_so(tmp_path: Path) -> None:
    """400 MB of private memory hold its weights, but not the caches of eight conversations."""
    options = ("--slots", "8", "--context", "8192", "--memory", "8000")
    done = subprocess.run(
        ["/bin/sh", "-c", 'ulimit -d 400000; exec "$@"', "sh", *engine_argv(tmp_path / "s", *options)],
        env=child_environment(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3
    assert done.stderr.decode().count("\n") == 1
    assert "cannot be loaded" in done.stderr.decode()


def test_where_there_is_no_filter_it_says_so_and_serves(tmp_path: Path) -> None:
    """As in a container whose own filter forbids to add another: seccomp(2) fails there."""
    number = MACHINES[platform.machine()].seccomp
    steps = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)]
    code = f"""
import ctypes, os, sys
class Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))
program = Program(4, {b"".join(struct.pack("=HBBI", *step) for step in steps)!r})
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, ctypes.byref(program), 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""
    with (tmp_path / "log").open("wb") as output:
        argv = [sys.executable, "-c", code, *engine_argv(tmp_path / "s")]
        process = subprocess.Popen(argv, env=child_environment(), stdout=output, stderr=output)
    try:
        engine = EngineProcess(process, tmp_path / "s", tmp_path / "log")
        engine.wait()
        health = engine.health()
        assert health is not None
        assert health["confined"] is False
        said = engine.log.read_text()
        assert said.count("\n") == 1
        assert "not fully confined: seccomp: Operation not permitted" in said
    finally:
        process.kill()
        process.wait()


def test_the_environment_that_is_kept_holds_nothing_that_could_be_a_secret() -> None:
    kept = {"PATH": "1", "HOME": "1", "LC_CTYPE": "1", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "0", "TZ": ""}
    dropped = {
        **SECRETS,
        "GGML_API_KEY": "1",
        "NVIDIA_TOKEN": "1",
        "GATEHOUSE_X": "1",
        "SSH_AUTH_SOCK": "1",
        "path": "",
    }
    assert kept_environment({**kept, **dropped}) == kept


def run_filter(code: bytes, arch: int, number: int, arguments: tuple[int, ...]) -> int:
    """What the kernel's BPF machine would return."""
    data = struct.pack("=IIQ6Q", number, arch, 0, *arguments, *[0] * (6 - len(arguments)))
    at = value = 0
    while True:
        operation, if_true, if_false, constant = struct.unpack_from("=HBBI", code, at * 8)
        at += 1
        if operation == 0x20:
            value = struct.unpack_from("=I", data, constant)[0]
        elif operation == 0x54:
            value &= constant
        elif operation == 0x06:
            return int(constant)
        else:
            holds = value == constant if operation == 0x15 else value >= constant
            at += if_true if holds else if_false


@pytest.mark.parametrize(
    ("machine", "number", "arguments", "is_allowed"),
    [
        ("x86_64", 41, (1, 1), False),  # socket
        ("x86_64", 42, (3,), False),  # connect
        ("x86_64", 59, (), False),  # execve
        ("x86_64", 0, (), True),  # read
        ("x86_64", 56, (), True),  # clone: threads
        ("x86_64", 288, (), True),  # accept4
        ("x86_64", 202, (), True),  # futex
        ("x86_64", 53, (1, 1 | 0o2004000), True),  # socketpair, close on exec, without blocking
        ("x86_64", 53, (1, 2), False),
        ("x86_64", 53, (2, 1), False),
        ("x86_64", 62, (77,), True),  # kill
        ("x86_64", 62, (1 << 32 | 77,), True),  # the kernel reads the lower half alone
        ("x86_64", 62, (78,), False),
        ("x86_64", 62, (0xFFFFFFFF,), False),
        ("x86_64", 302, (0,), True),  # prlimit64
        ("x86_64", 302, (77,), True),
        ("x86_64", 302, (1,), False),
        ("x86_64", 0x40000000, (), False),  # x32
        ("aarch64", 198, (1, 1), False),
        ("aarch64", 203, (), False),
        ("aarch64", 221, (), False),
        ("aarch64", 63, (), True),  # read
        ("aarch64", 220, (), True),  # clone
        ("aarch64", 242, (), True),  # accept4
        ("aarch64", 98, (), True),  # futex
        ("aarch64", 41, (), False),  # pivot_root
        ("aarch64", 199, (1, 1), True),
        ("aarch64", 199, (10, 1), False),
        ("aarch64", 131, (77,), True),  # tgkill
        ("aarch64", 131, (1,), False),
        ("aarch64", 261, (5,), False),
    ],
)
def test_the_filter_decides_each_call_as_it_should_on_both_processors(
    machine: str, number: int, arguments: tuple[int, ...], is_allowed: bool
) -> None:
    code = build(MACHINES[machine], 77)
    assert run_filter(code, MACHINES[machine].audit, number, arguments) == (0x7FFF0000 if is_allowed else 0x00050001)


@pytest.mark.parametrize("machine", MACHINES)
def test_a_call_of_a_foreign_abi_is_refused_whatever_its_number(machine: str) -> None:
    code = build(MACHINES[machine], 77)
    for foreign in (0x40000003, 0x40000028):  # i386, arm
        assert all(run_filter(code, foreign, number, ()) == 0x00050001 for number in range(500))
    assert len(code) // 8 < 4096  # the kernel's limit


def test_main_is_started_anew_without_secrets_but_with_its_arguments_and_process_id() -> None:
    code = (
        "import os, sys; from router.engine.confine import drop_environment; before = os.getpid(); drop_environment();"
        "print(os.getpid(), sys.argv[1:], sorted(os.environ))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, "a b", "--c"],
        env={**child_environment(), **SECRETS},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        shown = process.stdout.read().strip()
    assert process.returncode == 0
    assert shown == f"{process.pid} ['a b', '--c'] ['LANG', 'PATH', 'PYTHONPATH']"
    assert os.environ  # ours is untouched
