"""Asks a child process what a GGUF file says of itself; the child checks the header in Python, before native code.

Nothing here reads a model file's content: a hostile one can at most end the child.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from router.models.catalogue import ModelFileError
from router.settings import engine_environment

_TIMEOUT_S = 120.0
_LONGEST_REASON = 400  # characters


@dataclass(frozen=True, slots=True)
class FileHeader:
    """What the check found. `context`: tokens that the model was trained for, None for an adapter."""

    architecture: str
    kind: str  # model | adapter | embedding
    context: int | None
    has_template: bool
    has_tools: bool


def inspect_file(path: Path) -> FileHeader:
    """The header of the GGUF at `path`, checked. Raises ModelFileError with the check's one line."""
    argv = [sys.executable, "-P", "-m", "router.engine", "--inspect", str(path.absolute())]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module; the path is one argument
            argv,
            check=False,
            env=engine_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        raise ModelFileError(
            f"{path} is not a usable GGUF: its header could not be read in {_TIMEOUT_S:.0f} s"
        ) from None
    if done.returncode != 0:
        raise ModelFileError(f"{path} is not a usable GGUF: {_reason(done)}")
    try:
        facts = json.loads(done.stdout)
        kind = str(facts["kind"])
        return FileHeader(
            architecture=str(facts["architecture"]),
            kind=kind,
            context=None if kind == "adapter" else int(facts["context_length"]),
            has_template=bool(facts["has_template"]),
            has_tools=bool(facts["has_tools"]),
        )
    except (ValueError, KeyError, TypeError):
        raise ModelFileError(f"{path} could not be checked: the engine gave no answer about it") from None


def _reason(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    if done.returncode < 0 or not lines:
        return f"the check of its header ended with {done.returncode}"
    return "".join(character for character in lines[-1] if character.isprintable())[:_LONGEST_REASON]
