"""Answers that a calibration has got so far, in one private file, so that a run that was broken off goes on from there.

The file holds content and stays in the state folder (0600); whoever asked for it deletes it when the run is done.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from types import TracebackType

import orjson

from router.keys import ensure_private_folder
from router.types import JsonObject


def digest_of(model: str, body: JsonObject) -> str:
    """What an answer belongs to: the model and the whole body that was sent. SHA-256, hex."""
    return hashlib.sha256(orjson.dumps([model, body], option=orjson.OPT_SORT_KEYS)).hexdigest()


class KeptAnswers:
    """A file of lines `{"of": digest, "choice": {…}}`. One writer; a line that a crash cut off is passed over."""

    def __init__(self, path: Path) -> None:
        """Open and read it. Raises `StateFolderError` for a folder open to others, `OSError` for a file in the way."""
        ensure_private_folder(path.parent)
        self._path = path
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path, flags, 0o600)
        os.fchmod(descriptor, 0o600)
        self._file = os.fdopen(descriptor, "r+b")
        self.choices: dict[str, JsonObject] = {}
        whole = True
        for line in self._file:
            whole = line.endswith(b"\n")
            with contextlib.suppress(orjson.JSONDecodeError, KeyError, TypeError):
                row = orjson.loads(line)
                self.choices[row["of"]] = row["choice"]
        if not whole:
            self._file.write(b"\n")

    def __enter__(self) -> KeptAnswers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, of: str, choice: JsonObject) -> None:
        """Keep one answer: it is with the system when this returns, and outlives the process."""
        self.choices[of] = choice
        self._file.write(orjson.dumps({"of": of, "choice": choice}) + b"\n")
        self._file.flush()

    def delete(self) -> None:
        """Remove the file and what it holds."""
        self._path.unlink(missing_ok=True)
