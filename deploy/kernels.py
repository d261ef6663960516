"""The classifiers' compiled kernels, made in the clone. `python -m deploy.kernels` makes them by hand.

They are never needed: without a compiler, or where it fails, the Python beside them does the same work more slowly.
"""

from __future__ import annotations

import sys
from pathlib import Path

from classifiers.native.compiling import LIBRARY, CannotCompile, compile_kernels, source_digest
from deploy.console import Console
from deploy.environment import Environment, digest
from deploy.toolchain import compiler, install_hint

LAYER = "kernels"


def sources(root: Path) -> Path:
    """The folder of the C files in a clone; the library lies beside them."""
    return root / "classifiers" / "native"


def find_compiler() -> str | None:
    """A C compiler, or None."""
    return compiler("CC", "cc", "gcc", "clang")


def wanted(root: Path) -> str:
    """What the stamp says once they stand: the sources, and which compiler there was."""
    return digest(source_digest(sources(root)), find_compiler() or "none")


def is_current(root: Path) -> bool:
    """Whether the library is there and says that it was made from these sources."""
    try:
        return source_digest(sources(root)).encode() in (sources(root) / LIBRARY).read_bytes()
    except OSError:
        return False


def stands(root: Path, environment: Environment) -> bool:
    """Whether nothing is to be done: they are compiled, or it has been tried with this compiler."""
    known = environment.read()
    return known.get(LAYER) == wanted(root) and (is_current(root) or known.get(f"{LAYER}_failed") == "yes")


def make(root: Path, environment: Environment, console: Console) -> None:
    """Compile them unless they stand. Never raises: what goes wrong is said, and remembered until something changes."""
    if stands(root, environment):
        return
    found, failed = find_compiler(), "no"
    if found is None:
        failed = "yes"
        console.say(f"     No C compiler, so the classifiers run in Python, slower. To compile them: {install_hint()}")
    else:
        try:
            with console.step("Compiling the classifiers' kernels"):
                compile_kernels(found, sources(root))
        except CannotCompile as error:
            failed = "yes"
            console.say(f"     The classifiers run in Python, slower. {error}")
    environment.remember(**{LAYER: wanted(root), f"{LAYER}_failed": failed})


def main() -> int:
    """By hand: compile, or say why not."""
    root, found = Path(__file__).resolve().parent.parent, find_compiler()
    if found is None:
        sys.stderr.write(f"No C compiler was found. Install one:  {install_hint()}\n")
        return 1
    try:
        library = compile_kernels(found, sources(root))
    except CannotCompile as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{library}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
