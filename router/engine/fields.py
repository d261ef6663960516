"""Reads single values out of a request's body. Errors name fields and numbers, never what stands in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from router.engine.types import invalid


def shown(name: str) -> str:
    """A field's name if it looks like one; what else stands in its place is the caller's and is not repeated."""
    return name if re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,47}", name) else "(a name that is not shown)"


def boolean(body: Mapping[str, Any], name: str, default: bool = False) -> bool:
    """A boolean. Raises EngineError (400)."""
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise invalid(f"`{name}` must be true or false.", name)
    return value


def integer(body: Mapping[str, Any], name: str, least: int, most: int) -> int | None:
    """An integer within bounds, or None where there is none. Raises EngineError (400)."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise invalid(f"`{name}` must be an integer from {least} to {most}.", name)
    return value


def real(body: Mapping[str, Any], name: str, default: float, least: float, most: float) -> float:
    """A number within bounds. Raises EngineError (400)."""
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise invalid(f"`{name}` must be a number from {least:g} to {most:g}.", name)
    return float(value)
