"""The built wheel, installed without the clone: it brings its data, and no folder of the caller's takes its place."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DATA = {".yaml", ".json", ".npz", ".jsonl"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and the packages that it needs, and nothing of the clone."""
    place = tmp_path_factory.mktemp("installed")
    venv.create(place, with_pip=False, symlinks=True)
    python = place / "bin" / "python"
    site = place / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")  # their .pth files are not followed
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "--no-deps",
        "--no-index",
        "--quiet",
        str(wheel),
    ]
    subprocess.run(pip, check=True, capture_output=True)
    return place


@pytest.fixture
def decoy(tmp_path: Path) -> Path:
    """A folder in which somebody keeps packages of the same names."""
    for name in ("router", "policies", "classifiers"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('the decoy was imported')\n")
    return tmp_path


def test_every_data_file_of_the_packages_is_in_the_wheel(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "router", "policies", "classifiers"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    wanted = {name for name in listed if Path(name).suffix in DATA | {".py"} and (ROOT / name).is_file()}
    assert "policies/recipes/default.yaml" in wanted
    assert wanted <= names
    assert not [name for name in names if name.startswith(("tests/", "deploy/", "sdk/"))]


def test_the_licence_and_the_notice_travel_with_the_wheel(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert any(name.endswith("licenses/NOTICE") for name in names)


def test_recipes_load_from_the_wheel_in_a_folder_that_holds_a_decoy(installed: Path, decoy: Path) -> None:
    script = (
        "import importlib.resources as r, classifiers, policies, router.settings, sys;"
        "recipe = r.files('policies') / 'recipes' / 'default.yaml';"
        "assert 'version: 1' in recipe.read_text('utf-8');"
        "print(router.settings.__file__)"
    )
    python = installed / "bin" / "python"
    done = subprocess.run([python, "-P", "-c", script], cwd=decoy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(installed)


def test_the_command_of_the_wheel_runs_in_a_folder_that_holds_a_decoy(installed: Path, decoy: Path) -> None:
    command = [str(installed / "bin" / "gatehouse"), "--help"]
    done = subprocess.run(command, cwd=decoy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "serve" in done.stdout


def test_the_wheel_carries_the_compiled_kernels_and_says_for_which_machines(wheel: Path, installed: Path) -> None:
    assert "-cp311-abi3-" in wheel.name
    script = "from classifiers.kernels import KERNELS; print(KERNELS.describe())"
    done = subprocess.run(
        [installed / "bin" / "python", "-P", "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "native"


def test_without_a_compiler_the_wheel_is_pure(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    variables = {**os.environ, "CC": str(tmp_path / "no-compiler")}
    subprocess.run(command, cwd=ROOT, env=variables, check=True, capture_output=True)
    made = next(tmp_path.glob("*.whl"))
    assert made.name.endswith("-py3-none-any.whl")
    assert not [name for name in zipfile.ZipFile(made).namelist() if name.endswith(".so")]
