"""Every key of the language is described, stands in an example of the page, and is suggested to who misspells it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pytest

from policies.errors import PolicyError
from policies.schema import compile_policy
from policies.shape.file import PolicyFile
from policies.shape.part import Part
from policies.shape.probes import ProbesFile
from policies.shape.rules import DecisionPart
from policies.text.document import Path, parse
from tests.policies.test_readme import POLICIES

SCHEMA: dict[str, Any] = json.loads(files("policies").joinpath("policy.schema.json").read_text("utf-8"))


def described(schema: Any, where: str = "") -> Iterator[tuple[str, bool]]:
    """Each property of the schema, with whether it has a description, its own or that of what it refers to."""
    if isinstance(schema, dict):
        for name, part in schema.get("properties", {}).items():
            title = schema.get("title", where)
            meant = SCHEMA["$defs"].get(part.get("$ref", "").rpartition("/")[2], {})
            yield f"{title}.{name}", bool(part.get("description") or meant.get("description"))
        for key, part in schema.items():
            yield from described(part, key)
    elif isinstance(schema, list):
        for part in schema:
            yield from described(part, where)


def test_every_key_has_a_description_that_editors_show() -> None:
    of_conditions = ("Leaf", "Condition")  # signals and operators: README explains them
    found = dict(described({key: part for key, part in SCHEMA.items() if key != "$defs"}))
    for name, part in SCHEMA["$defs"].items():
        if not name.startswith(of_conditions):
            found |= dict(described(part, name))
    assert len(found) > 100
    assert [key for key, has_one in found.items() if not has_one] == []
    assert all(part.get("description") for name, part in SCHEMA["$defs"].items() if name.endswith("Part"))


def parts_of(kind: Any) -> Iterator[type[Part]]:
    """The parts that a type of the shape can hold directly, through lists, mappings and alternatives."""
    if isinstance(kind, type) and issubclass(kind, Part):
        yield kind
    elif get_origin(kind) in (Annotated, Union, UnionType, list, dict, tuple):
        for inner in get_args(kind):
            if inner is not NoneType and not isinstance(inner, str):
                yield from parts_of(inner)


def all_parts(root: type[Part]) -> set[type[Part]]:
    found: set[type[Part]] = set()
    left = [root]
    while left:
        part = left.pop()
        if part not in found:
            found.add(part)
            left += [inner for each in part.model_fields.values() for inner in parts_of(each.annotation)]
    return found


def used(value: Any, part: type[Part], path: Path = ()) -> Iterator[tuple[type[Part], str, Path]]:
    """Each (part, key) that a document uses, with the path of the part."""
    for key, inner in value.items():
        if key not in part.model_fields:
            continue
        yield part, key, path
        for kind in parts_of(part.model_fields[key].annotation):
            for at, each in holders(inner, kind):
                yield from used(each, kind, (*path, key, *at))


def holders(value: Any, kind: type[Part]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Where mappings of a part stand in a value: itself, in a list, or under names."""
    if isinstance(value, list):
        yield from (((number,), each) for number, each in enumerate(value) if isinstance(each, dict))
    elif isinstance(value, dict):
        if set(value) & set(kind.model_fields):
            yield (), value
        else:
            yield from (((name,), each) for name, each in value.items() if isinstance(each, dict))


USES = {(part, key): (text, path) for text in POLICIES for part, key, path in used(json.loads(text), PolicyFile)}


EXTRA = {(DecisionPart, "cel")}  # an example with it would load only where the extra is installed


def test_every_key_of_every_part_stands_in_an_example_of_the_page() -> None:
    wanted = {(part, key) for part in all_parts(PolicyFile) for key in part.model_fields}
    assert ProbesFile not in {part for part, _ in wanted}
    assert sorted(f"{part.__name__}.{key}" for part, key in wanted - USES.keys() - EXTRA) == []


def misspelled(key: str) -> str:
    return f"{key}s" if len(key) < 4 else key[:-2] + key[-1] + key[-2] if key[-1] != key[-2] else key[:-1]


@pytest.mark.parametrize(
    ("part", "key"),
    sorted(USES, key=lambda each: (each[0].__name__, each[1])),
    ids=lambda each: getattr(each, "__name__", each),
)
def test_a_misspelled_key_is_told_at_its_place_with_the_right_one(part: type[Part], key: str) -> None:
    text, path = USES[part, key]
    document = json.loads(text)
    at = document
    for step in path:
        at = at[step]
    wrong = misspelled(key)
    assert wrong not in part.model_fields
    at[wrong] = at.pop(key)
    broken = json.dumps(document, indent=1)
    with pytest.raises(PolicyError) as caught:
        compile_policy(broken, "p")
    place = parse(broken, "p").key_at((*path, wrong))
    told = [each.message for each in caught.value.problems if (each.line, each.column) == place]
    assert any(f"unknown key '{wrong}'" in each and f"did you mean '{key}'?" in each for each in told), told
