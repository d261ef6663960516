"""Checks of fallback lists: whom they name, and where a list makes sense at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from policies.errors import suggest
from policies.reading.notes import Notes
from policies.text.document import Path
from policies.types import Model

_LOCALITIES = ("local", "lan", "cloud")


def read_fallback(
    path: Path, words: Sequence[str] | None, route: str | None, models: Mapping[str, Model], notes: Notes
) -> tuple[str, ...] | None:
    """The list as it stands, None where there is none. `route` is what it stands in for, None for any model."""
    for index, word in enumerate(words or ()):
        here = (*path, index)
        if word in (words or ())[:index]:
            notes.problem(here, f"'{word}' stands in this list already")
        elif word == route and word in models:
            notes.problem(here, f"'{word}' is what this list stands in for")
        elif word in _LOCALITIES and not any(model.locality == word for model in models.values()):
            notes.problem(here, f"no model has the locality {word}")
        elif word not in _LOCALITIES and word not in models:
            notes.problem(here, f"'{word}' is no locality and no model{suggest(word, (*_LOCALITIES, *models))}")
    return None if words is None else tuple(words)


def check_place(
    path: Path, words: Sequence[str] | None, route: str | None, models: Mapping[str, Model], notes: Notes
) -> None:
    """A list beside what cannot fail outside: a forbid, or a route home."""
    if words is None:
        return
    if route is None:
        notes.problem(path, "only a route has a fallback: a forbid sends nothing anywhere", at_key=True)
    elif route == "local" or (route in models and models[route].locality == "local"):
        why = "this route leads home: what happens when home is down is said by 'fallback.local_unavailable'"
        notes.problem(path, why, at_key=True)
