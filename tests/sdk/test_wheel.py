"""The SDK's built wheel, in an environment of its own: it needs openai, and nothing of ours is there."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from deploy.clients import OFFLINE, is_offline
from deploy.console import SetupError
from deploy.sdk import SdkEnvironment, here
from tests.sdk.stand_in import Gateway

ROOT = Path(__file__).parents[2]
SCRIPT = """
import importlib.util, sys
sys.path.insert(0, sys.argv[2])
from gatehouse import Gatehouse, receipt_of
import gatehouse
assert gatehouse.__file__.startswith(sys.argv[2]), gatehouse.__file__
for name in ("router", "policies", "classifiers", "starlette", "numpy", "pytest"):
    assert importlib.util.find_spec(name) is None, f"{name} is here"
with Gatehouse(base_url=sys.argv[1]) as client:
    reply = client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "hello"}])
    print(receipt_of(reply).route, client.explain("hello").sensitivity)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdk-wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT / "sdk", check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def environment() -> SdkEnvironment:
    """Installed if it is not yet."""
    own = here(ROOT)
    if not own.is_complete() and is_offline(os.environ):
        pytest.skip(f"{OFFLINE} is set, and the SDK's environment is not installed on this machine")
    try:
        own.require()
    except SetupError as error:
        pytest.fail(f"The SDK's environment could not be installed: {error}", pytrace=False)
    return own


def test_the_wheel_is_typed_small_and_asks_for_openai_only(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = next(archive.read(name).decode() for name in names if name.endswith("METADATA"))
    assert "gatehouse/py.typed" in names
    assert [line for line in metadata.splitlines() if line.startswith("Requires-Dist")] == [
        "Requires-Dist: openai<4,>=2.0"
    ]
    assert {name.split("/")[0] for name in names} == {"gatehouse", "gatehouse-0.1.0.dist-info"}


def test_the_wheel_works_where_the_server_is_not(
    wheel: Path, environment: SdkEnvironment, gateway: Gateway, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    pip = [environment.python, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet", "--target", site, wheel]
    subprocess.run(pip, check=True, capture_output=True)
    command = [environment.python, "-I", "-c", SCRIPT, gateway.url, site]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["local", "restricted"]
