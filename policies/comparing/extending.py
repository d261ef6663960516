"""A policy may only tighten what it extends: checked from the files alone, whatever a request may hold.

Of a file, its models are part of what is extended: nothing new can be reached. Of a recipe they are examples: the
child's own stand in their place, and the recipe's egress rules hold for them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from policies.comparing.compare import Difference, compare
from policies.reading.notes import Notes
from policies.text.document import Document, Path
from policies.types import Policy

_EXTENDS: Path = ("extends",)


def check_tightens(parent: Policy, child: Policy, document: Document, notes: Notes, *, is_recipe: bool) -> None:
    """Note a problem for everything that the child lets pass and its parent does not, where the child says it."""
    if is_recipe:
        parent = replace(parent, models=child.models, lan_networks=child.lan_networks)
    for each in compare(parent, child):
        if each.direction == "loosens" and not _is_new_model(each, parent):
            notes.problem(_place(each, document), f"looser than what this extends: {each.what}", at_key=True)


def _is_new_model(each: Difference, parent: Policy) -> bool:
    """A model that is new loosens only where it can be reached, which is a difference of its own."""
    return each.path.startswith("models.") and each.path.removeprefix("models.") not in parent.models


def _place(each: Difference, document: Document) -> Path:
    """Where the child says it: the longest part of the path that stands in its own file, else what it extends."""
    for path in _paths(each.path, document):
        for length in range(len(path), 0, -1):
            if path[:length] in document.keys and path[:length] not in document.origins:
                return path[:length]
    return _EXTENDS


def _paths(dotted: str, document: Document) -> Iterable[Path]:
    first, _, rest = dotted.partition(".")
    if first == "decisions":
        assert isinstance(document.value, dict)
        rules = document.value.get("decisions")
        for index, rule in enumerate(rules if isinstance(rules, list) else ()):
            if isinstance(rule, dict) and rule.get("name") == rest:
                yield ("decisions", index, "name")
        return
    yield (first, rest) if first == "models" else tuple(dotted.split("."))
