"""Two hundred objects of the real model, at temperature 1, over twenty schemas: each one validates."""

from __future__ import annotations

import asyncio
import datetime
import json
from typing import Any

import jsonschema
import pytest

from tests.engine.driver import Client

SEEDS = range(10)
# jsonschema's own checker of `time` is that of draft 3, which has no offsets.
FORMATS = jsonschema.FormatChecker(("date",))
FORMATS.checks("time", ValueError)(lambda value: datetime.time.fromisoformat(value) is not None)
FORMATS.checks("date-time", ValueError)(datetime.datetime.fromisoformat)


def text(most: int = 10, **more: Any) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": most, **more}


def record(required: Any = None, **properties: Any) -> dict[str, Any]:
    names = list(properties) if required is None else required
    return {"type": "object", "properties": properties, "required": names, "additionalProperties": False}


# All are bounded, so that no answer is cut off.
SCHEMAS: dict[str, dict[str, Any]] = {
    "person": record(name=text(), age={"type": "integer", "minimum": 0, "maximum": 120}),
    "town": record(name=text(), country={"type": "string", "pattern": "^[A-Z]{2}$"}, capital={"type": "boolean"}),
    "temperature": record(degrees={"type": "number", "minimum": -30, "maximum": 45.5}, unit={"enum": ["C", "F"]}),
    "chance": record(value={"type": "number", "minimum": 0, "maximum": 1}),
    "price": record(amount={"type": "number", "exclusiveMinimum": 0, "maximum": 99.99}, currency={"const": "EUR"}),
    "year": {"type": "integer", "minimum": 1850, "maximum": 2030},
    "negative": record(depth={"type": "integer", "exclusiveMaximum": 0, "minimum": -11000}),
    "colours": {"type": "array", "items": {"enum": ["red", "green", "blue"]}, "minItems": 1, "maxItems": 3},
    "point": {
        "type": "array",
        "prefixItems": [{"type": "integer", "minimum": 0, "maximum": 9}, {"type": "boolean"}],
        "items": False,
        "minItems": 2,
    },
    "event": record(on={"type": "string", "format": "date"}, at={"type": "string", "format": "time"}),
    "moment": record(when={"type": "string", "format": "date-time"}),
    "ticket": record(id={"type": "string", "pattern": "^(?:BUG|TASK)-\\d{1,4}$"}, open={"type": "boolean"}),
    "phone": record(number={"type": "string", "pattern": "^\\+[1-9][0-9]{1,2} [0-9]{4,8}$"}),
    "address": record(at=record(street=text(), number={"type": "integer", "minimum": 1, "maximum": 99}), city=text()),
    "optional": record(
        ["title"], title=text(), pages={"type": ["integer", "null"], "maximum": 900}, fine={"type": "null"}
    ),
    "shape": {
        "anyOf": [
            record(circle={"type": "number", "minimum": 0, "maximum": 10}),
            record(sides={"type": "integer", "minimum": 3, "maximum": 12}),
        ]
    },
    "shared": {
        "$ref": "#/$defs/pair",
        "$defs": {"pair": record(a={"$ref": "#/$defs/word"}, b={"$ref": "#/$defs/word"}), "word": text(8)},
    },
    "rows": {
        "type": "array",
        "items": record(x={"type": "integer", "minimum": -5, "maximum": 5}, y={"type": "boolean"}),
        "minItems": 2,
        "maxItems": 2,
    },
    "sentiment": record(
        label={"enum": ["positive", "negative", 'so "so"', None]}, score={"type": "integer", "minimum": 1, "maximum": 5}
    ),
    "odd names": record(**{'a "b"': {"type": "boolean"}, "tab\there": {"const": [1, {"é": None}]}, "ü": text(4)}),
}


async def make(client: Client, name: str, seed: int) -> Any:
    form = {"type": "json_schema", "json_schema": {"name": "invented", "strict": True, "schema": SCHEMAS[name]}}
    reply = await client.answer({
        "messages": [{"role": "user", "content": f"Invent a {name}, as JSON."}],
        "response_format": form,
        "temperature": 1,
        "top_p": 1,
        "seed": seed,
        "max_tokens": 400,
        "cache_salt": "schemas",
        "tenant": f"t{seed}",
    })  # fmt: skip
    choice = reply["choices"][0]
    assert choice["finish_reason"] == "stop", name
    return json.loads(choice["message"]["content"])


@pytest.mark.parametrize("group", range(4))
async def test_what_the_model_makes_up_at_temperature_one_validates(client: Client, group: int) -> None:
    names = list(SCHEMAS)[group::4]
    assert len(names) * 4 * len(SEEDS) == 200
    wanted = [(name, seed) for name in names for seed in SEEDS]
    made = await asyncio.gather(*(make(client, name, seed) for name, seed in wanted))
    for (name, _seed), value in zip(wanted, made, strict=True):
        jsonschema.validate(value, SCHEMAS[name], format_checker=FORMATS)
    distinct = {
        name: {json.dumps(value) for (own, _), value in zip(wanted, made, strict=True) if own == name} for name in names
    }
    assert sum(map(len, distinct.values())) > len(wanted) / 2, "the seeds made too little difference to show much"
