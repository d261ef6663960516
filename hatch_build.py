"""Puts the classifiers' compiled kernels into a wheel and gives it the tag of this platform; without a compiler the
wheel is pure, and the Python beside the kernels does their work. An editable install has them in the clone (deploy/).
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sysconfig
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_FOLDER = "classifiers/native"


class KernelsHook(BuildHookInterface[Any]):
    """One build of one wheel."""

    _made: tempfile.TemporaryDirectory[str] | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile into a folder of our own, so that the build changes nothing in the clone."""
        if version == "editable":
            return
        sources = Path(self.root, _FOLDER)
        compiling = _load(sources / "compiling.py")
        chosen = os.environ.get("CC", "").split()[:1] or ["cc", "gcc", "clang"]
        compiler = next(filter(None, map(shutil.which, chosen)), None)
        if compiler is None:
            self.app.display_warning("no C compiler: the wheel is pure, and its classifiers are slower")
            return
        self._made = tempfile.TemporaryDirectory(prefix="gatehouse-kernels-")
        target = Path(self._made.name, compiling.LIBRARY)
        try:
            compiling.compile_kernels(compiler, sources, target)
        except compiling.CannotCompile as error:
            self.app.display_warning(f"the wheel is pure, and its classifiers are slower: {error}")
            return
        build_data["force_include"][str(target)] = f"{_FOLDER}/{compiling.LIBRARY}"
        build_data["pure_python"] = False
        build_data["tag"] = f"{compiling.TAG}-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """The library is in the wheel."""
        if self._made is not None:
            self._made.cleanup()


def _load(path: Path) -> ModuleType:
    """A module of the clone by its path: the build environment holds none of our packages."""
    spec = importlib.util.spec_from_file_location("gatehouse_compiling", path)
    if spec is None or spec.loader is None:
        raise ImportError(str(path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
