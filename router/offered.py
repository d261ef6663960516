"""The names of the tools that a request offers to a model: a caller's own words, never written down."""

from __future__ import annotations

from typing import Any

from router.types import JsonObject


def offered_tools(body: JsonObject) -> tuple[str, ...]:
    """The names in `tools` and `functions`, each once; a built-in tool's is its type; empty where none can be read."""
    names = [_name(tool) for tool in body.get("tools") or ()]
    names += [_text(function.get("name")) for function in body.get("functions") or ()]
    if body.get("web_search_options") is not None:
        names.append("web_search")
    return tuple(dict.fromkeys(names))


def _name(tool: JsonObject) -> str:
    kind = _text(tool.get("type"))
    inner = tool.get(kind)
    return _text(inner.get("name")) if isinstance(inner, dict) else _text(tool.get("name")) or _builtin(kind)


def _builtin(kind: str) -> str:
    return "" if kind == "function" else kind


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
