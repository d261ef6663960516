"""The compiled kernels of `classifiers/native`, or the reason why the Python beside them does their work.

Decided once a process, before anything is measured: what was made from other sources or fails on a sample is not used.
"""

from __future__ import annotations

import sysconfig
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeVar

from classifiers.boundary import Failure, attempt
from classifiers.native.compiling import LIBRARY, source_digest

FOLDER: Final = Path(__file__).with_name("native")
_T = TypeVar("_T")


@dataclass(slots=True)
class Kernels:
    """Which code works in this process. `refused` names the kernels that did not give what the reference gives."""

    _module: ModuleType | None = None
    _why: str = ""  # empty until somebody has asked
    refused: set[str] = field(default_factory=set)

    def switch_off(self) -> None:
        """Use the reference only: called before anything is loaded. Raises `RuntimeError` where that is too late."""
        if self._module is not None:
            raise RuntimeError("the compiled kernels are in use already")
        self._why = "switched off"

    @property
    def is_off(self) -> bool:
        """Whether somebody switched them off."""
        return self._why == "switched off"

    def module(self) -> Any:
        """The compiled module (`native/_kernels.pyi` says what it offers), or None."""
        if not self._why:
            self._module, self._why = _load()
        return self._module

    def describe(self) -> str:
        """`native`, or `reference` and why; for `/readyz` and `gatehouse doctor`."""
        if self.module() is None:
            return f"reference ({self._why})"
        return f"native, without {', '.join(sorted(self.refused))}" if self.refused else "native"

    def take(self, name: str, make: Callable[[Any], _T], agrees: Callable[[_T], bool]) -> _T | None:
        """What `make` makes of the module, if it `agrees` with the reference on a sample; else None: use the reference.

        An exception counts as disagreement. Kernels are taken when models are loaded, so nothing changes afterwards.
        """
        module = self.module()
        if module is None:
            return None
        made = attempt(make, module)
        if isinstance(made, Failure) or attempt(agrees, made) is not True:
            self.refused.add(name)
            return None
        return made


KERNELS: Final = Kernels()  # a library is loaded once a process; so is this


def _load() -> tuple[ModuleType | None, str]:
    path = FOLDER / LIBRARY
    if not path.is_file():
        return None, "not compiled"
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return None, "this Python has another ABI"
    module = attempt(_import, path)
    if isinstance(module, Failure):
        return None, f"cannot be loaded: {module.error}"
    if getattr(module, "SOURCE", "") != source_digest(FOLDER):
        return None, "compiled from other sources"
    return module, "native"


def _import(path: Path) -> ModuleType:
    loader = ExtensionFileLoader("_kernels", str(path))
    spec = spec_from_file_location("_kernels", path, loader=loader)
    if spec is None:
        raise ImportError(str(path))
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module
