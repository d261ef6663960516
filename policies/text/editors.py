"""The JSON Schema of the policy file, from which editors complete, explain and underline.

It cannot say everything that the loader checks: a file that fits it may still be refused.
"""

from __future__ import annotations

import json
from typing import Any

from policies.reading.when import MAX_DEPTH
from policies.shape.file import PolicyFile
from policies.vocabulary import SIGNAL_KINDS, SIGNAL_LABELS


def json_schema() -> str:
    """The JSON Schema, as `policies/policy.schema.json` holds it."""
    schema = PolicyFile.model_json_schema()
    definitions: dict[str, Any] = schema["$defs"]
    definitions.update(_when())
    when = definitions["DecisionPart"]["properties"]["when"]
    definitions["DecisionPart"]["properties"]["when"] = {
        "description": when["description"],
        "anyOf": [_ref(f"Condition{MAX_DEPTH}"), _ref("Leaf")],
    }
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Gatehouse policy"}
    return json.dumps({**head, **{key: schema[key] for key in schema if key not in head}}, indent=2) + "\n"


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{name}"}


def _when() -> dict[str, Any]:
    """Leaves, and one definition for each depth of `all` and `any`: the deepest holds leaves only."""
    made: dict[str, Any] = {"Leaf": _leaf()}
    for depth in range(1, MAX_DEPTH + 1):
        entry = _ref("Leaf") if depth == 1 else {"anyOf": [_ref("Leaf"), _ref(f"Condition{depth - 1}")]}
        listed = {"type": "array", "minItems": 1, "items": entry}
        made[f"Condition{depth}"] = _one_of_keys({"all": listed, "any": listed})
    return made


def _leaf() -> dict[str, Any]:
    operators = _one_of_keys(
        {
            "at_least": {"type": ["number", "string"]},
            "at_most": {"type": ["number", "string"]},
            "in": {"type": "array", "items": {"type": "string"}, "minItems": 1},
            "is": {"type": ["boolean", "string"]},
        }
    )
    signals = sorted(SIGNAL_KINDS)
    labelled = {name: _labelled(labels) for name, labels in SIGNAL_LABELS.items()}
    leaf = _one_of_keys({**dict.fromkeys(signals, operators), **labelled})
    return {"description": "One signal, one operator, one value.", **leaf}


def _labelled(labels: tuple[str, ...]) -> dict[str, Any]:
    """A signal whose values are known."""
    word = {"type": "string", "enum": list(labels)}
    return _one_of_keys({"is": word, "in": {"type": "array", "items": word, "minItems": 1}})


def _one_of_keys(properties: dict[str, Any]) -> dict[str, Any]:
    bounds = {"minProperties": 1, "maxProperties": 1, "additionalProperties": False}
    return {"type": "object", **bounds, "properties": properties}
