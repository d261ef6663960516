"""Everyday requests in the six measured languages, as people type them: frames filled with topics, from a seed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from importlib.resources import files


def requests() -> Iterator[tuple[str, str]]:
    """(language, request): every frame with every topic; half of them without marks and capitals, as in a chat."""
    chance = random.Random(20261127)  # noqa: S311  # a reproducible draw, not a secret
    stored = json.loads((files("classifiers.training") / "asking.json").read_text("utf-8"))
    for language, parts in stored.items():
        for frame in parts["frames"]:
            for topic in parts["topics"]:
                text = frame.format(topic)
                yield language, text.lower().strip("¿?!") if chance.random() < 0.5 else text[0].upper() + text[1:]
