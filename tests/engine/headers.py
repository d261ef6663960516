"""Writes a header to a file and has it inspected; what a refusal says holds nothing of the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from router.engine.gguf import BadModelError, Header, inspect
from tests.support.raw_gguf import RawGguf

CANARY = "canary-zanzibar"


def inspected(tmp_path: Path, raw: RawGguf | bytes) -> Header:
    path = tmp_path / "model.gguf"
    path.write_bytes(raw if isinstance(raw, bytes) else raw.build())
    return inspect(path)


def refusal(tmp_path: Path, raw: RawGguf | bytes) -> str:
    with pytest.raises(BadModelError) as caught:
        inspected(tmp_path, raw)
    message = str(caught.value)
    assert CANARY not in message
    assert "\n" not in message
    return message
