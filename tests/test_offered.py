"""The names of offered tools, whatever their form: a tool that hides its name has an empty one, never none."""

from __future__ import annotations

from typing import Any

import pytest

from router.offered import offered_tools


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({}, ()),
        ({"tools": None, "functions": None}, ()),
        ({"tools": [{"type": "function", "function": {"name": "a"}}] * 2}, ("a",)),
        ({"tools": [{"type": "custom", "custom": {"name": "b"}}]}, ("b",)),
        ({"tools": [{"type": "web_search_preview"}]}, ("web_search_preview",)),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, ("bash",)),
        ({"tools": [{"type": "function"}]}, ("",)),
        ({"tools": [{"type": "function", "function": {"name": 7}}]}, ("",)),
        ({"tools": [{}]}, ("",)),
        ({"functions": [{"name": "old"}, {}]}, ("old", "")),
        ({"web_search_options": {}}, ("web_search",)),
        ({"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "called"}}]}]}, ()),
    ],
)
def test_every_offered_tool_has_a_name_or_an_empty_one(body: dict[str, Any], names: tuple[str, ...]) -> None:
    assert offered_tools(body) == names
