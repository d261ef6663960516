"""Shows on the caller's own terminal where in a request something was found. Never used for logs, records or JSON."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from policies.types import Level, Policy
from router.types import JsonObject

_COLOURS = ("yellow", "cyan", "magenta", "green", "blue", "bright_red", "bright_cyan", "bright_magenta")
_AROUND = 60  # characters shown on both sides of a finding
_PLAIN = ("\n", "\t")


def show_highlighted(console: Console, body: JsonObject, findings: Sequence[JsonObject], policy: Policy) -> None:
    """Print every string in which something was found, the finding by its type's colour, and a legend."""
    entities = list(dict.fromkeys(str(found["entity_type"]) for found in findings))
    styles = {entity: f"bold reverse {_COLOURS[index % len(_COLOURS)]}" for index, entity in enumerate(entities)}
    places: dict[tuple[str, str], list[JsonObject]] = {}
    for found in findings:
        places.setdefault((str(found["pointer"]), str(found["in"])), []).append(found)
    for (pointer, where), here in places.items():
        text = _string_at(body, pointer, where)
        if text is None:
            continue
        console.print(Text(f"{_harmless(pointer)}{' (the key)' if where == 'key' else ''}", style="dim"))
        console.print(_marked(text, here, styles))
    legend = Text("legend: ")
    for entity in entities:
        level = policy.levels.get(entity, Level.CONFIDENTIAL).word
        legend.append(f" {entity} ", style=styles[entity]).append(f" {level}  ")
    console.print(legend)


def _marked(text: str, findings: Sequence[JsonObject], styles: dict[str, str]) -> Text:
    """The text around the findings; what is far from all of them is left out."""
    spans = sorted((int(found["start"]), int(found["end"]), str(found["entity_type"])) for found in findings)
    shown = Text("  ")
    for low, high in _windows(spans, len(text)):
        if low:
            shown.append("… ", style="dim")
        window = Text(_harmless(text[low:high]))
        for start, end, entity in spans:
            if low <= start < high:
                window.stylize(styles[entity], start - low, min(end, high) - low)
        shown.append_text(window)
        if high < len(text):
            shown.append(" …", style="dim")
    return shown


def _windows(spans: Sequence[tuple[int, int, str]], length: int) -> Iterator[tuple[int, int]]:
    low, high = -1, -1
    for start, end, _ in spans:
        if low >= 0 and start - _AROUND <= high:
            high = max(high, min(length, end + _AROUND))
            continue
        if low >= 0:
            yield low, high
        low, high = max(0, start - _AROUND), min(length, end + _AROUND)
    if low >= 0:
        yield low, high


def _harmless(text: str) -> str:
    """The same number of characters, without those that a terminal would obey."""
    return "".join(
        "\ufffd" if unicodedata.category(each) in ("Cc", "Cf", "Cs") and each not in _PLAIN else each for each in text
    )


def _string_at(body: Any, pointer: str, where: str) -> str | None:
    """The string at a JSON pointer (RFC 6901), or the key that leads there."""
    steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
    if where == "key":
        return steps[-1] if steps else None
    value = body
    for step in steps:
        if isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        elif isinstance(value, dict) and step in value:
            value = value[step]
        else:
            return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(int(value))
    return value if isinstance(value, str) else None
