"""The structure of DESIGN.md, checked: floors, homes of imports, imports without side effects, file sizes."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("classifiers", "policies", "router")

# Longest prefix wins. A module may import its own floor and those below it.
FLOORS = {
    "router.app": 8,
    "router.cli": 8,
    "router.parent": 8,
    "router.api": 7,
    "router.admin": 7,
    "router.gateway": 6,
    "router.answering": 6,
    "router.at_home": 6,
    "router.accounting": 6,
    "router.caching": 6,
    "router.calling": 6,
    "router.chunks": 6,
    "router.exchange": 6,
    "router.following": 6,
    "router.planning": 6,
    "router.relay": 6,
    "router.replies": 6,
    "router.elsewhere": 6,
    "router.rates.limiting": 6,
    "router.outside": 6,
    "router.releases.releases": 6,
    "router.notice": 6,
    "router.racing": 6,
    "router.confidence.judging": 6,
    "router.confidence.second_look": 6,
    "router.similar": 6,
    "router.pseudonyms.restored": 6,
    "router.running": 6,
    "router.processes.engine_child": 6,
    "router.processes.engine_models": 6,
    "router.processes.supervisor": 6,
    "router.models": 6,
    "router": 5,
    "router.types": 4,
    "router.errors": 4,
    "router.settings": 4,
    "policies": 3,
    "classifiers.pipeline": 2,
    "classifiers.measuring": 2,
    "classifiers.process": 2,
    "classifiers.registry": 2,
    "classifiers": 1,
    "classifiers.types": 0,
    "classifiers.frozen": 0,
    "classifiers.training": 9,  # commands that make the artifacts: nothing that serves imports them
}

# A package that only these modules import; every other way to it goes through them.
HOMES = {
    "litellm": ("router.backends.cloud",),
    "fastapi": ("router.admin.description",),
    "redis": ("router.cache.redis",),
    "llama_cpp": ("router.engine",),
    "huggingface_hub": ("router.models.hub",),
    "opentelemetry": ("router.telemetry.telemetry", "router.telemetry.otlp", "router.telemetry.spans"),
    "prometheus_client": ("router.telemetry.metrics",),
    "sklearn": ("classifiers.training",),
    "cel": ("policies.cel",),
    "scipy": ("classifiers.training",),
}


def modules() -> Iterator[tuple[str, Path]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports from the top"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def floor(module: str) -> int:
    return FLOORS[max((prefix for prefix in FLOORS if is_in(module, prefix)), key=len)]


MODULES = dict(modules())


def test_the_modules_are_found() -> None:
    assert len(MODULES) > 60


@pytest.mark.parametrize("module", [name for name in MODULES if not is_in(name, "router.engine")])
def test_a_module_imports_only_its_own_floor_and_those_below(module: str) -> None:
    for imported in imports(MODULES[module]):
        if imported.split(".")[0] in PACKAGES and imported in MODULES:
            assert floor(imported) <= floor(module), f"{module} imports {imported}"
            assert not is_in(imported, "router.engine"), f"{module} shares more than the wire with the engine"


def test_the_engine_shares_nothing_but_the_wire() -> None:
    for module, path in MODULES.items():
        if is_in(module, "router.engine"):
            foreign = [name for name in imports(path) if name.split(".")[0] in PACKAGES]
            assert all(is_in(name, "router.engine") for name in foreign), module


def test_the_sdk_imports_none_of_the_server() -> None:
    for path in (ROOT / "sdk").rglob("*.py"):
        assert not {name.split(".")[0] for name in imports(path)} & set(PACKAGES), path


@pytest.mark.parametrize("package", HOMES)
def test_a_package_with_a_home_is_imported_nowhere_else(package: str) -> None:
    importers = {name for name, path in MODULES.items() if any(is_in(i, package) for i in imports(path))}
    strangers = {name for name in importers if not any(is_in(name, home) for home in HOMES[package])}
    assert not strangers
    assert importers, f"nothing imports {package}: drop its home from this table"


def test_only_settings_reads_the_environment() -> None:
    """Processes are started with an environment by their supervisors, which may hand on, but not read, it."""
    allowed = {"router.settings", "router.parent", "router.processes.supervisor", "router.cli.demo"}
    for module, path in MODULES.items():
        if module in allowed or is_in(module, "router.engine") or is_in(module, "classifiers.training"):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "environb"):
                pytest.fail(f"{module}:{node.lineno} reads the environment")


def test_a_permit_is_constructed_in_one_place() -> None:
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "EgressPermit":
                assert module == "policies.decide", module


def test_broad_excepts_stand_in_two_places() -> None:
    broad = {"Exception", "BaseException"}
    allowed = {"router.api.endpoint", "classifiers.boundary"}
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.ExceptHandler):
                continue
            reraises = any(isinstance(inner, ast.Raise) and inner.exc is None for inner in ast.walk(node))
            caught = isinstance(node.type, ast.Name) and node.type.id in broad
            if (node.type is None or caught) and not reraises:
                assert module in allowed, f"{module}:{node.lineno}"


@pytest.mark.parametrize("module", MODULES)
def test_a_file_holds_one_idea(module: str) -> None:
    """400 lines are the limit; most files stay under 250."""
    assert len(MODULES[module].read_text("utf-8").splitlines()) <= 400


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_says_what_it_is(package: str) -> None:
    for module, path in MODULES.items():
        if is_in(module, package):
            assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), module


def test_importing_the_gateway_opens_nothing_and_loads_nothing_lazy() -> None:
    """No socket, no child, no thread, and none of the packages that are imported only where they are used."""
    program = """
import sys, threading
def watch(event, arguments):
    if event in ("socket.connect", "socket.bind", "subprocess.Popen", "os.system"):
        raise SystemExit(f"{event} at import")
sys.addaudithook(watch)
import router.app, router.parent
assert threading.active_count() == 1, "a thread was started at import"
for name in ("litellm", "fastapi", "sklearn", "llama_cpp", "redis", "opentelemetry.sdk", "scipy", "huggingface_hub"):
    assert name not in sys.modules, f"{name} is imported at start"
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr[-800:]


def test_no_link_is_part_of_the_repository() -> None:
    """One in the place of the environment would, checked out, take the environment's place and lead nowhere."""
    listed = subprocess.run(["git", "ls-files", "--stage"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert [line for line in listed.stdout.splitlines() if line.startswith("120000 ")] == []
