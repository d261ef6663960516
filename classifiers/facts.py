"""What the walk of a body says of it without reading: tools, parts that are no text, and about how many tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from classifiers.walk import Cell, Walk


def _has_tools(body: Mapping[str, Any], walk: Walk) -> bool:
    return bool(body.get("tools") or body.get("functions"))


def _modality(body: Mapping[str, Any], walk: Walk) -> frozenset[str]:
    return frozenset({"text"} | {unknown.kind for unknown in walk.unknowns} & {"image", "audio", "file"})


def _context_length(body: Mapping[str, Any], walk: Walk) -> int:
    return estimate_tokens(walk.cells, walk.fixed, walk.fixed_size)


_DENSE = bytes(code for code in range(256) if not (chr(code).isascii() and (chr(code).islower() or chr(code) in " \n")))


def estimate_tokens(cells: Iterable[Cell], fixed: int = 0, fixed_size: int = 0) -> int:
    """Tokens of the body's strings for any tokenizer, erring high: what a window is checked against.

    `fixed` more strings hold `fixed_size` small letters.
    """
    own = [cell.text for cell in cells if not cell.via or cell.outer_length == len(cell.text)]
    raw = "".join(own).encode("utf-8", "surrogatepass")
    plain = len(raw.translate(None, _DENSE)) + fixed_size
    return len(raw) + fixed_size - plain + plain // 3 + 6 * (len(own) + fixed) + 8


FACTS: Mapping[str, Callable[[Mapping[str, Any], Walk], bool | int | frozenset[str]]] = {
    "has_tools": _has_tools,
    "modality": _modality,
    "context_length": _context_length,
}
