"""What runs beside what: no unit is forgotten, and the longest begin first."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.parallel import TOGETHER, turn_of, unit_of

TESTS = Path(__file__).parents[1]
# What each process may have for itself: threads, files and objects, but neither a gateway nor an engine.
LIGHT = {"classifiers", "policies", "models", "overload"}


def fixtures_of(file: Path) -> dict[str, tuple[bool, set[str]]]:
    """Fixture -> whether it is one of the session, and what it asks for."""
    found = {}
    for function in functions_of(file):
        marks = [ast.unparse(mark) for mark in function.decorator_list]
        if any(mark.startswith("pytest.fixture") for mark in marks):
            session = any("session" in mark for mark in marks)
            found[function.name] = (session, {argument.arg for argument in function.args.args})
    return found


def functions_of(file: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(file.read_text("utf-8"))
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def sharers(folder: Path) -> set[str]:
    """The files that use what the folder's conftest starts for the session, but for its scripted models."""
    fixtures = fixtures_of(folder / "conftest.py")
    shared = {name for name, (session, _) in fixtures.items() if session} - {"cloud"}
    while more := {name for name, (_, asks) in fixtures.items() if asks & shared} - shared:
        shared |= more
    using = set()
    for file in folder.glob("test_*.py"):
        own = fixtures_of(file)
        asked = {name for _, asks in own.values() for name in asks}
        tests = [function for function in functions_of(file) if function.name.startswith("test_")]
        asked |= {argument.arg for function in tests for argument in function.args.args}
        using |= {f"tests/{folder.name}/{file.name}"} if asked & (shared - own.keys()) else set()
    return using


@pytest.mark.parametrize(
    "folder",
    [folder for folder in sorted(TESTS.iterdir()) if (folder / "conftest.py").exists() and folder.name not in LIGHT],
    ids=lambda folder: folder.name,
)
def test_files_that_share_a_gateway_or_an_engine_of_the_session_are_one_unit(folder: Path) -> None:
    assert len({unit_of(f"{file}::test") for file in sharers(folder)}) <= 1


def test_the_files_that_share_are_found() -> None:
    assert sharers(TESTS / "e2e") == {f"tests/e2e/test_{name}.py" for name in ("answers", "sdk", "wait")}


def test_units_name_what_is_there() -> None:
    assert [name for unit in TOGETHER for name in unit if not (TESTS.parent / name).exists()] == []


def test_a_file_stays_whole_and_the_long_units_begin_first() -> None:
    turns = ["tests/engine/test_chat.py::test_a[1]", "tests/e2e/test_wait.py::test_b", "tests/cli/test_keys.py::test_c"]
    assert sorted(["tests/test_keys.py::test_d", *turns[::-1]], key=turn_of) == [*turns, "tests/test_keys.py::test_d"]
    assert [unit_of(turn) for turn in turns] == ["tests/engine/", "tests/e2e/test_answers.py", "tests/cli/test_keys.py"]
