"""What the processes write to stderr: one line a record, ours in full, other libraries' without a word of their text.

A library's message, arguments and exception texts can hold prompts, answers or keys, so a foreign record loses them
when it is made, before any handler can see it. Of exceptions, types and places are kept, never messages.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import traceback
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

OURS = ("gatehouse", "router", "policies", "classifiers")
_PASSING = ("uvicorn.error",)  # says in words of its own what is wrong with the server; from warning on
_BARE = re.compile(r"[A-Za-z0-9_.:/@+-]+")
_MAX_MESSAGE = 2000
_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
_MAX_FRAMES = 8

log = logging.getLogger("gatehouse.process")


def configure_logging(level: str = "info") -> None:
    """Set up logging for a serving process: key=value lines on stderr, `level` for our own loggers.

    Ours are the loggers named `gatehouse.…` or after our packages; what `extra=` gives their records joins the line.
    Raises `ValueError` for a level that does not exist.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"log level {level!r} is not one of debug, info, warning, error")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for name in OURS:
        logging.getLogger(name).setLevel(number)
    logging.getLogger("uvicorn.access").disabled = True
    logging.setLogRecordFactory(make_record)
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread
    sys.unraisablehook = _log_unraisable


def is_ours(name: str) -> bool:
    """Whether a logger's records may be written as they are."""
    return name.partition(".")[0] in OURS


def make_record(
    name: str, level: int, path: str, line: int, message: object, arguments: Any, error: Any, *rest: Any, **named: Any
) -> logging.LogRecord:
    """A record that holds nothing foreign: only a library's name, the place in it and the type of its exception."""
    kind = error[0].__name__ if isinstance(error, tuple) and error[0] is not None else None
    if is_ours(name):
        return logging.LogRecord(name, level, path, line, message, arguments, error, *rest, **named)
    if name in _PASSING and level >= logging.WARNING and not arguments:
        return logging.LogRecord(name, level, path, line, message, (), error, *rest, **named)
    record = logging.LogRecord(name, level, path, line, "text of another library withheld", (), None, None)
    record._withheld = {"at": f"{Path(path).name}:{line}"} | ({"exception": kind} if kind else {})
    return record


class LineFormatter(logging.Formatter):
    """`time=… level=… logger=… message="…"`, then the record's own fields. Always one line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line; an exception becomes its type and where it came through."""
        pairs: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage().strip()[:_MAX_MESSAGE],
        }
        if is_ours(record.name):
            pairs.update((name, value) for name, value in vars(record).items() if name not in _USUAL)
        pairs.update(getattr(record, "_withheld", {}))
        if record.exc_info and record.exc_info[1] is not None:
            pairs.update(_describe(record.exc_info[1]))
        return " ".join(f"{name}={_quote(value)}" for name, value in pairs.items())


def _quote(value: object) -> str:
    text = str(value)
    return text if _BARE.fullmatch(text) else json.dumps(text, ensure_ascii=True)


def _describe(error: BaseException) -> dict[str, str]:
    """Type and places, the innermost first; the messages of an exception and of its causes are not for a log."""
    frames = traceback.extract_tb(error.__traceback__)[-_MAX_FRAMES:]
    places = " < ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    return {"exception": type(error).__name__, "at": places or "-"}


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        log.critical("uncaught exception ends the process", exc_info=(kind, error, trace))


def _log_uncaught_in_thread(details: threading.ExceptHookArgs) -> None:
    if details.exc_value is not None and details.exc_type is not SystemExit:
        caught = (details.exc_type, details.exc_value, details.exc_traceback)
        log.error("uncaught exception ends a thread", exc_info=caught)


def _log_unraisable(details: sys.UnraisableHookArgs) -> None:
    if details.exc_value is not None:
        caught = (type(details.exc_value), details.exc_value, details.exc_traceback)
        log.error("exception could not be raised", exc_info=caught)
