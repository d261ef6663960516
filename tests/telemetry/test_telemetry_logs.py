"""What a serving process writes to stderr, seen from outside: each case runs in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CANARY = "canary-7f3a"
LINE = re.compile(r'time=\S+ level=\w+ logger=\S+ message=("(?:[^"\\]|\\.)*"|\S+)( \w+=("(?:[^"\\]|\\.)*"|\S+))*')


def stderr_of(code: str, *, level: str = "info") -> str:
    """What a process that configured its logging and then ran `code` wrote to stderr."""
    head = f"from router.telemetry.logs import configure_logging\nconfigure_logging({level!r})\nimport logging\n"
    run = subprocess.run(
        [sys.executable, "-c", head + textwrap.dedent(code)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    return run.stderr


def test_our_lines_are_key_value_pairs_with_the_records_own_fields() -> None:
    written = stderr_of("""
        log = logging.getLogger("gatehouse.policy")
        log.info("policy %s is in force", "1-abc", extra={"rules": 3, "source": "a file.yaml"})
        log.debug("not at this level")
    """)
    assert LINE.fullmatch(written.strip())
    assert (
        'level=info logger=gatehouse.policy message="policy 1-abc is in force" rules=3 source="a file.yaml"' in written
    )


def test_a_record_is_always_one_line() -> None:
    """A line break in a value cannot forge a second record."""
    written = stderr_of("""
        logging.getLogger("gatehouse.x").warning("first\\nlevel=error forged\\r\\u2028 line")
    """)
    assert len(written.splitlines()) == 1
    assert LINE.fullmatch(written.strip())


@pytest.mark.parametrize(
    "name", ["LiteLLM", "httpx", "aiohttp.access", "openai._base_client", "asyncio", "urllib3", ""]
)
def test_a_library_is_heard_but_not_quoted(name: str) -> None:
    """Its name, the place and the exception's type are written; message, arguments and exception text are not."""
    written = stderr_of(f"""
        try:
            raise ValueError("{CANARY}-in-the-exception")
        except ValueError:
            extra = {{"body": "{CANARY}-in-a-field"}}
            logging.getLogger({name!r}).error("{CANARY} %s", "{CANARY}-argument", exc_info=True, extra=extra)
    """)
    assert CANARY not in written
    assert f"logger={name or 'root'}" in written
    assert "exception=ValueError" in written


@pytest.mark.parametrize("name", ["LiteLLM", "httpx", "aiohttp.access", "uvicorn.access", "uvicorn.error"])
def test_what_libraries_say_below_a_warning_is_not_written(name: str) -> None:
    written = stderr_of(f"""
        logging.getLogger({name!r}).info("{CANARY}")
        logging.getLogger({name!r}).debug("{CANARY}")
    """)
    assert written == ""


def test_a_librarys_own_handler_gets_nothing_to_print() -> None:
    """litellm installs handlers of its own when it is imported: the text is gone before any handler sees the record."""
    written = stderr_of(f"""
        import sys
        log = logging.getLogger("LiteLLM")
        log.setLevel(logging.DEBUG)
        log.addHandler(logging.StreamHandler(sys.stderr))
        log.debug("request body: {CANARY}")
        log.warning("key %s", "{CANARY}")
    """)
    assert CANARY not in written
    assert "text of another library withheld" in written


def test_warnings_of_libraries_are_withheld() -> None:
    """pydantic's serializer warnings quote the value that they are about."""
    written = stderr_of(f"""
        import warnings
        warnings.warn("input_value='{CANARY}'")
    """)
    assert CANARY not in written
    assert "logger=py.warnings" in written


def test_uvicorn_says_in_its_own_words_what_is_wrong_but_not_what_an_exception_said() -> None:
    written = stderr_of(f"""
        try:
            raise RuntimeError("{CANARY}")
        except RuntimeError as error:
            logging.getLogger("uvicorn.error").error("Exception in ASGI application\\n", exc_info=error)
        logging.getLogger("uvicorn.error").warning("returned '%s'", "{CANARY}")
    """)
    assert CANARY not in written
    assert 'message="Exception in ASGI application" exception=RuntimeError' in written


def test_our_own_exceptions_are_written_as_type_and_place() -> None:
    written = stderr_of(f"""
        def open_it():
            raise KeyError("{CANARY}")
        try:
            open_it()
        except KeyError:
            logging.getLogger("gatehouse.engine").exception("the engine could not be started")
    """)
    assert CANARY not in written
    assert re.search(r'exception=KeyError at="<string>:\d+ open_it < <string>:\d+ <module>"', written)


@pytest.mark.parametrize(
    "code",
    [
        f"raise ValueError('{CANARY}')",
        f"""
        import threading
        def run():
            raise ValueError("{CANARY}")
        thread = threading.Thread(target=run); thread.start(); thread.join()
        """,
        f"""
        class Odd:
            def __del__(self):
                raise ValueError("{CANARY}")
        Odd()
        """,
        f"""
        import asyncio
        async def fail():
            raise ValueError("{CANARY}")
        async def main():
            task = asyncio.create_task(fail())
            await asyncio.sleep(0.01)
            del task
        asyncio.run(main())
        """,
    ],
    ids=["main", "thread", "finalizer", "task"],
)
def test_an_exception_that_nobody_caught_is_written_without_its_words(code: str) -> None:
    written = stderr_of(code)
    assert CANARY not in written
    assert "exception=ValueError" in written
    assert all(LINE.fullmatch(line) for line in written.splitlines())


def test_a_level_that_does_not_exist_is_refused() -> None:
    assert "log level" in stderr_of("", level="loud")
