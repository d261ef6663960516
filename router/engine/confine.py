"""What the engine's process gives up before it loads a model: secrets, network, programs, writing, memory without end.

Nothing that is missing on a system is missing silently: it is named on stderr and in `/health`.
"""

from __future__ import annotations

import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path

from router.engine.landlock import LandlockError, forbid_writes
from router.engine.process import say, usable_memory
from router.engine.seccomp import SeccompError, install

# Beyond the budget of models and their caches: the interpreter, computation buffers, requests, 8 MB a thread.
# Measured with SmolLM2-135M on 2 cores: 215 MB.
HEADROOM_BYTES = 1 << 30
_MOST_OF_THE_MACHINE = 0.9

_KEPT_NAMES = frozenset(
    {"PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONPATH"}
    | {"PYTHONHOME", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHONFAULTHANDLER", "__CF_USER_TEXT_ENCODING"}
)
_KEPT_PREFIXES = (
    "LC_",
    "OMP_",
    "GOMP_",
    "KMP_",
    "OPENBLAS_",
    "GGML_",
    "LLAMA_",
    "CUDA_",
    "NVIDIA_",
    "HIP_",
    "HSA_",
    "VK_",
)
# No name that is kept may hold a credential, whatever its prefix.
_SECRET_WORDS = ("KEY", "TOKEN", "SECRET", "PASS", "CREDENTIAL", "AUTH")
_MARK = "GATEHOUSE_ENGINE_STARTED_ANEW"


@dataclass(frozen=True, slots=True)
class Confinement:
    """What holds for this process. `memory`: bytes of private memory that it may have, None: no limit."""

    has_no_network: bool  # nor other programs, nor other processes' memory (seccomp)
    has_no_writing: bool  # to files (Landlock)
    memory: int | None

    @property
    def is_complete(self) -> bool:
        """What `/health` calls `confined`: the filter and the memory limit are in force."""
        return self.has_no_network and self.memory is not None


def kept_environment(environment: dict[str, str]) -> dict[str, str]:
    """The part of `environment` that an engine may see: nothing that could hold a secret."""
    return {name: value for name, value in environment.items() if _is_kept(name)}


def _is_kept(name: str) -> bool:
    if any(word in name for word in _SECRET_WORDS):
        return False
    return name in _KEPT_NAMES or name.startswith(_KEPT_PREFIXES)


def drop_environment() -> None:
    """Start this program anew without what it may not see. Returns when there is nothing to drop.

    Taking names out of `os.environ` would leave them in the process's first memory page, which `/proc/PID/environ`
    shows; only a new program has a new one. Call it first of all: threads and open files do not survive.
    """
    kept = kept_environment(dict(os.environ))
    mark = str(os.getpid())  # the same in the new program; it ends any doubt about names that a system adds itself
    if len(kept) < len(os.environ) and os.environ.get(_MARK) != mark:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**kept, _MARK: mark})  # noqa: S606 - itself
    for name in set(os.environ) - set(kept):
        del os.environ[name]


def confine(folder: Path, memory: int) -> Confinement:
    """Give up what is not needed, for good: see `Confinement`. What this system does not offer is said on stderr.

    `folder` holds the socket, which is removed at the end; `memory` is the budget of models and caches in bytes.
    Call it before any thread is started: a thread that already runs keeps its right to write.
    """
    missing: list[str] = []
    limit = limit_memory(memory)
    if limit is None:
        missing.append(f"no memory limit on {sys.platform}")
    try:
        forbid_writes(folder)
        has_no_writing = True
    except LandlockError as error:
        has_no_writing = False
        missing.append(str(error))
    try:
        install()
        has_no_network = True
    except SeccompError as error:
        has_no_network = False
        missing.append(str(error))
    if missing:
        say(f"this engine is not fully confined: {'; '.join(missing)}")
    return Confinement(has_no_network, has_no_writing, limit)


def limit_memory(budget: int) -> int | None:
    """Bound the private writable memory of this process; an allocation beyond it fails inside. Returns the limit.

    The limit is the budget and `HEADROOM_BYTES`, but no more than nine tenths of what this process may use, unless the
    budget itself is. A model's mapped file does not count: the kernel can drop those pages. None where the limit has
    no force (macOS).
    """
    if sys.platform != "linux":
        return None
    limit = max(budget, min(budget + HEADROOM_BYTES, int(usable_memory() * _MOST_OF_THE_MACHINE)))
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    return limit
