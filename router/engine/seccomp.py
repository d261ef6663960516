"""A seccomp filter in BPF, built in Python: the system calls that a running engine never needs fail with EPERM.

It names what is refused rather than what is allowed, because allocators, OpenMP and GPU drivers differ in what they
call. It can only be added to: nothing here or in the process can take it away again.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass

# name: (number on x86_64, number on aarch64), from the kernel's unistd_64.h and asm-generic/unistd.h.
_REFUSED = {
    # The network, and sockets of other programs: the engine only accepts, on a socket that is already bound.
    "socket": (41, 198),
    "connect": (42, 203),
    "bind": (49, 200),
    # Other programs.
    "execve": (59, 221),
    "execveat": (322, 281),
    # Other processes' memory, files and fate. `tkill` names a thread alone, which could be anybody's.
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "kcmp": (312, 272),
    "perf_event_open": (298, 241),
    # io_uring opens sockets without a system call that a filter could see.
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    # The kernel's own doors, some of them open to root alone.
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "mount": (165, 40),
    "umount2": (166, 39),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "open_by_handle_at": (304, 265),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
}
# Allowed for this process only (`prlimit64` writes 0 for itself).
_KILL, _TGKILL, _PRLIMIT64 = (62, 129), (234, 131), (302, 261)
# Allowed for AF_UNIX streams only: an event loop's pipe to itself. A datagram socket could send to any path.
_SOCKETPAIR = (53, 199)
_AF_UNIX, _SOCK_STREAM, _SOCK_TYPE_MASK = 1, 1, 0xF

_X32_BIT = 0x40000000  # the x32 ABI: x86_64's calls under other numbers

# linux/filter.h, linux/seccomp.h, linux/prctl.h
_LOAD, _AND, _JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_ALLOW, _EPERM = 0x7FFF0000, 0x00050001
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16
_SET_MODE_FILTER, _TSYNC = 1, 1
_PR_SET_NO_NEW_PRIVS = 38

_Test = tuple[int, int, tuple[int, ...]]  # an argument, a mask, the values that it may have


class SeccompError(Exception):
    """This system gives no such filter; the text says why."""


@dataclass(frozen=True, slots=True)
class Machine:
    """How one processor's calls are told apart: its audit number, its place in the table, the call `seccomp`."""

    audit: int
    column: int
    seccomp: int


MACHINES = {"x86_64": Machine(0xC000003E, 0, 317), "aarch64": Machine(0xC00000B7, 1, 277)}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def install() -> None:
    """Put the filter on every thread of this process, for good. Raises SeccompError."""
    machine = MACHINES.get(platform.machine())
    if sys.platform != "linux" or machine is None or struct.calcsize("P") != 8:
        raise SeccompError(f"no seccomp filter for {sys.platform} on {platform.machine()}")
    code = build(machine, os.getpid())
    program = _Program(len(code) // 8, code)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise SeccompError(f"no_new_privs: {os.strerror(ctypes.get_errno())}")
    result = libc.syscall(ctypes.c_long(machine.seccomp), _SET_MODE_FILTER, _TSYNC, ctypes.byref(program))
    if result > 0:
        raise SeccompError(f"seccomp: thread {result} has a filter of its own")
    if result < 0:
        raise SeccompError(f"seccomp: {os.strerror(ctypes.get_errno())}")


def build(machine: Machine, pid: int) -> bytes:
    """The filter's instructions (struct sock_filter, 8 bytes each) for a process `pid` on `machine`."""
    # Calls of a foreign ABI (32 bits, with its socketcall, or x32) all fail: their numbers mean other calls.
    parts = [_step(_LOAD, _ARCH_AT), _step(_JUMP_EQUAL, machine.audit, 1, 0), _refuse(), _step(_LOAD, _NUMBER_AT)]
    if machine is MACHINES["x86_64"]:
        parts += [_step(_JUMP_AT_LEAST, _X32_BIT, 0, 1), _refuse()]
    for numbers in _REFUSED.values():
        parts += [_step(_JUMP_EQUAL, numbers[machine.column], 0, 1), _refuse()]
    for numbers in (_KILL, _TGKILL):
        parts += _only(numbers[machine.column], [(0, 0xFFFFFFFF, (pid,))])
    parts += _only(_PRLIMIT64[machine.column], [(0, 0xFFFFFFFF, (0, pid))])
    stream: list[_Test] = [(0, 0xFFFFFFFF, (_AF_UNIX,)), (1, _SOCK_TYPE_MASK, (_SOCK_STREAM,))]
    parts += _only(_SOCKETPAIR[machine.column], stream)
    return b"".join([*parts, _allow()])


def _only(number: int, tests: list[_Test]) -> Iterator[bytes]:
    """Call `number` is allowed when each (argument, mask, values) holds: low 32 bits under the mask are one of them."""
    body: list[bytes] = []
    for argument, mask, values in tests:
        body += [_step(_LOAD, _ARGUMENTS_AT + 8 * argument), _step(_AND, mask)]
        for left, value in zip(range(len(values), 0, -1), values, strict=True):
            body.append(_step(_JUMP_EQUAL, value, left, 0))  # over the other values and the refusal
        body.append(_refuse())
    body.append(_allow())
    yield _step(_JUMP_EQUAL, number, 0, len(body))
    yield from body


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _refuse() -> bytes:
    return _step(_RETURN, _EPERM)


def _allow() -> bytes:
    return _step(_RETURN, _ALLOW)
