"""The SDK's built wheel, in an environment without the server: it needs openai and nothing else of ours."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.sdk.stand_in import Gateway

SDK = Path(__file__).parents[2] / "sdk"
SCRIPT = """
import importlib.util, sys
from gatehouse import Gatehouse, receipt_of
assert importlib.util.find_spec("router") is None, "the server is here"
with Gatehouse(base_url=sys.argv[1]) as client:
    reply = client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "hello"}])
    print(receipt_of(reply).route, client.explain("hello").sensitivity)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdk-wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=SDK, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_is_typed_small_and_asks_for_openai_only(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = next(archive.read(name).decode() for name in names if name.endswith("METADATA"))
    assert "gatehouse/py.typed" in names
    assert [line for line in metadata.splitlines() if line.startswith("Requires-Dist")] == [
        "Requires-Dist: openai<4,>=2.0"
    ]
    assert {name.split("/")[0] for name in names} == {"gatehouse", "gatehouse-0.1.0.dist-info"}


def test_the_wheel_works_where_the_server_is_not(wheel: Path, gateway: Gateway, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    site = tmp_path / "venv" / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
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
    done = subprocess.run(
        [python, "-I", "-c", SCRIPT, gateway.url], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["local", "restricted"]
