"""Where the text of a policy comes from: a shipped recipe by its name, or a file. Reads, within bounds, and no more."""

from __future__ import annotations

import os
import stat
from importlib.resources import files

from policies.errors import PolicyError, Problem, suggest
from policies.text.document import MAX_BYTES

_PROBES = ".probes.yaml"


def recipes() -> tuple[str, ...]:
    """The names of the shipped recipes."""
    names = (entry.name for entry in files("policies").joinpath("recipes").iterdir())
    return tuple(
        sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml") and not name.endswith(_PROBES))
    )


def read_source(name: str) -> tuple[bytes, str]:
    """The bytes of a recipe or a file, at most one more than a policy may have, and the name to show.

    A recipe's name comes first; write `./default` for a file of that name. Raises `PolicyError`.
    """
    known = recipes()
    if name in known:
        return files("policies").joinpath("recipes", f"{name}.yaml").read_bytes(), name
    try:
        return _read(name), name
    except FileNotFoundError:
        hint = suggest(name, known)
        message = f"there is no such file, and no recipe of this name (recipes: {', '.join(known)}){hint}"
    except (OSError, ValueError) as error:
        message = f"cannot be read: {getattr(error, 'strerror', None) or 'not a file name'}"
    raise PolicyError(name, [Problem(0, 0, message)])


def read_beside(name: str) -> tuple[bytes, str] | None:
    """The bytes of the file of probes that stands beside a recipe or a file, and its name; None where there is none.

    Raises `PolicyError` for one that cannot be read.
    """
    if name in recipes():
        file = files("policies").joinpath("recipes", name + _PROBES)
        return (file.read_bytes(), name + _PROBES) if file.is_file() else None
    path = os.path.splitext(name)[0] + _PROBES
    try:
        return _read(path), path
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        message = f"cannot be read: {getattr(error, 'strerror', None) or 'not a file name'}"
        raise PolicyError(path, [Problem(0, 0, message)]) from None


def _read(path: str) -> bytes:
    # Without O_NONBLOCK a named pipe would hold the reader for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "not a regular file")
        return file.read(MAX_BYTES + 1)
