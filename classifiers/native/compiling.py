"""Compiles the kernels into one library beside their sources. Standard library only: set-up and wheels use it as well.

The library uses CPython's stable ABI, so one build serves every supported Python; and no instruction that another
processor of the architecture might lack.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

LIBRARY: Final = "_kernels.abi3.so"
TAG: Final = "cp311-abi3"  # the stable ABI from Python 3.11 on
# No -march: it must run on other machines. No contraction: a*b+c must round as Python's does.
FLAGS: Final = ("-std=c11", "-O3", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-Wall", "-Wextra")
_SECONDS: Final = 300.0


class CannotCompile(Exception):
    """The compiler is missing or failed; the message says which and how."""


def source_files(folder: Path) -> list[Path]:
    """The C files and headers, in an order that does not depend on the file system."""
    return sorted(path for path in folder.iterdir() if path.suffix in {".c", ".h"})


def source_digest(folder: Path) -> str:
    """Names what a library was made from: the sources and the flags."""
    total = hashlib.sha256(" ".join(FLAGS).encode())
    for path in source_files(folder):
        total.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()[:32]


def link_flags() -> tuple[str, ...]:
    """What makes a module of Python: its functions are found when it is loaded."""
    return ("-bundle", "-undefined", "dynamic_lookup") if sys.platform == "darwin" else ("-shared",)


def compile_kernels(compiler: str, sources: Path, target: Path | None = None, *more: str) -> Path:
    """Compile what stands in `sources` with `compiler`; the library (default: beside them), replaced at once and whole.

    `more` are further flags (sanitizers, in the tests). Raises `CannotCompile`.
    """
    library = target or sources / LIBRARY
    files = [str(path) for path in source_files(sources) if path.suffix == ".c"]
    define = f'-DKERNELS_SOURCE="{source_digest(sources)}"'
    with tempfile.TemporaryDirectory(dir=library.parent, prefix=".kernels-") as folder:
        made = Path(folder) / LIBRARY
        command = [compiler, *FLAGS, *link_flags(), define, *more, "-o", str(made), *files, "-lm"]
        try:
            done = subprocess.run(  # noqa: S603 - the compiler of whoever sets up, on our own files
                command, capture_output=True, text=True, timeout=_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CannotCompile(f"{compiler} cannot be run ({type(error).__name__})") from error
        if done.returncode != 0:
            raise CannotCompile(f"{compiler} failed:\n{done.stderr[-2000:]}")
        made.replace(library)
    return library
