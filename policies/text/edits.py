"""Changes to the text of a policy file that leave every other byte of it as it was: comments, order, quotes, spacing.

Pure: text in, text out. What comes out has been compiled, and says the same as before but for the one thing asked.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from ruamel.yaml import YAML
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode

from policies.errors import PolicyError, Problem
from policies.schema import compile_policy
from policies.text.chain import Written
from policies.text.document import Value, parse

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")  # a scalar that needs no quotes, unless it is one of these words
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_KINDS = frozenset({"system", "tool", "signature", "any"})
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})

Replacement = tuple[int, int, str]  # from, to, text


@dataclass(frozen=True, slots=True)
class Edited:
    """`text` is the whole new file; `name` the policy's name for the model that is now `defaults.local`."""

    text: str
    name: str
    was: str  # what defaults.local was
    is_new: bool  # whether an entry of `models` was added


def use_engine_model(
    text: str, source: str, model: str, *, context: int | None = None, parents: Sequence[Written] = ()
) -> Edited:
    """The policy with the engine's `model` as `defaults.local`, under `models` if no entry names it yet.

    `context` is written into a new entry only. Raises `PolicyError` for a policy that is not good before, or would not
    be after. `parents` are the texts of what it extends.
    """
    compile_policy(text, source, parents=parents)
    before = cast("dict[str, Any]", parse(text, source).value)
    body = text.removeprefix("\ufeff")
    root = cast(MappingNode, YAML(pure=True).compose(body))
    if not before.get("models") or "local" not in before.get("defaults", {}):
        message = "the models stand in what this file extends: write 'models' and 'defaults.local' into this one first"
        raise PolicyError(source, [Problem(1, 1, message)])
    name = next((name for name, entry in before["models"].items() if _is_engines(entry, model)), None)
    wanted = copy.deepcopy(before)
    changes: list[Replacement] = []
    is_new = name is None
    if name is None:
        name = _free_name(model, before)
        entry = _entry(model, context)
        wanted["models"][name] = entry
        changes.append(_insertion(body, cast(MappingNode, _member(root, "models")), f"{_quoted(name)}: {_flow(entry)}"))
    wanted["defaults"]["local"] = name
    default = _member(_member(root, "defaults"), "local")
    changes.append((default.start_mark.index, default.end_mark.index, _quoted(name)))
    for start, end, new in sorted(changes, reverse=True):
        body = body[:start] + new + body[end:]
    edited = text[: len(text) - len(text.removeprefix("\ufeff"))] + body
    compile_policy(edited, source, parents=parents)
    if parse(edited, source).value != wanted:
        raise PolicyError(
            source, [Problem(1, 1, f"this file's layout is one that cannot be edited: {_by_hand(name, wanted)}")]
        )
    return Edited(edited, name, before["defaults"]["local"], is_new)


def add_approved_text(text: str, source: str, entry: Mapping[str, str], *, parents: Sequence[Written] = ()) -> str:
    """The policy with one more entry at the end of `approved_texts`.

    Raises `PolicyError` for a policy that is not good before, or would not be after: one that extends another may not
    approve what that does not.
    """
    compile_policy(text, source, parents=parents)
    wanted = copy.deepcopy(cast("dict[str, Any]", parse(text, source).value))
    wanted.setdefault("approved_texts", []).append(dict(entry))
    body = text.removeprefix("\ufeff")
    flow = "{" + ", ".join(f"{key}: {_shown(value)}" for key, value in entry.items()) + "}"
    start, end, new = _listed(body, cast(MappingNode, YAML(pure=True).compose(body)), "approved_texts", flow)
    edited = text[: len(text) - len(body)] + body[:start] + new + body[end:]
    compile_policy(edited, source, parents=parents)
    if parse(edited, source).value != wanted:
        by_hand = f"write `- {flow}` under approved_texts"
        raise PolicyError(source, [Problem(1, 1, f"this file's layout is one that cannot be edited: {by_hand}")])
    return edited


def _listed(text: str, root: MappingNode, key: str, entry: str) -> Replacement:
    """Where and how a new entry of a list goes: behind the last one; a list that is not there stands at the end."""
    newline = "\r\n" if "\r\n" in text else "\n"
    found = [value for name, value in root.value if name.value == key]
    if not found:
        if root.flow_style:
            place = root.start_mark.index + 1
            return place, place, f"{key}: [{entry}], "
        gap = "" if text.endswith("\n") else newline
        return len(text), len(text), f"{gap}{key}:{newline}  - {entry}{newline}"
    items = cast(CollectionNode, found[0])
    if items.flow_style:
        place = _end(items.value[-1]) if items.value else items.start_mark.index + 1
        return place, place, f", {entry}" if items.value else entry
    indent = " " * items.start_mark.column
    place = text.find("\n", _end(items))
    if place < 0:
        return len(text), len(text), f"{newline}{indent}- {entry}{newline}"
    return place + 1, place + 1, f"{indent}- {entry}{newline}"


def _shown(value: str) -> str:
    return value if _DAY.fullmatch(value) or value in _KINDS else json.dumps(value, ensure_ascii=False)


def _is_engines(entry: dict[str, Any], model: str) -> bool:
    return entry.get("backend") == "engine" and entry.get("model") == model


def _free_name(model: str, policy: dict[str, Any]) -> str:
    """The model's own name, or with a number where that is taken or would mean something else."""
    taken = {
        name.casefold() for name in (*policy["models"], *policy.get("aliases", {}), "auto", "local", "lan", "cloud")
    }
    names = (model if number == 1 else f"{model[:60]}-{number}" for number in range(1, 1000))
    return next(name for name in names if name.casefold() not in taken)


def _entry(model: str, context: int | None) -> dict[str, Any]:
    entry: dict[str, Any] = {"locality": "local", "backend": "engine", "model": model}
    if context is not None:
        entry["context"] = context
    return entry


def _member(node: Node, key: str) -> Node:
    members = cast("list[tuple[Node, Node]]", cast(MappingNode, node).value)
    return next(value for name, value in members if isinstance(name, ScalarNode) and name.value == key)


def _insertion(text: str, models: MappingNode, entry: str) -> Replacement:
    """Where and how a new entry of `models` goes: behind the last in a block, first in braces."""
    if models.flow_style:
        place = models.start_mark.index + 1
        return place, place, f"{entry}, "
    indent = " " * models.value[0][0].start_mark.column
    place = text.find("\n", _end(models.value[-1][1]))
    newline = "\r\n" if "\r\n" in text else "\n"
    if place < 0:  # the file ends with this very line
        return len(text), len(text), f"{newline}{indent}{entry}{newline}"
    return place + 1, place + 1, f"{indent}{entry}{newline}"


def _end(node: Node) -> int:
    """The offset behind the last character of a value; a block's own mark stands behind the comments that follow it."""
    if not isinstance(node, CollectionNode) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _end(last[1] if isinstance(node, MappingNode) else last)


def _quoted(word: str) -> str:
    return word if _PLAIN.fullmatch(word) and word.lower() not in _WORDS else f'"{word}"'


def _flow(entry: dict[str, Any]) -> str:
    parts = (f"{key}: {_quoted(value) if isinstance(value, str) else value}" for key, value in entry.items())
    return "{" + ", ".join(parts) + "}"


def _by_hand(name: str, wanted: Value) -> str:
    entry = cast("dict[str, Any]", wanted)["models"][name]
    return f"write `{name}: {_flow(entry)}` under models, and `local: {name}` under defaults"
