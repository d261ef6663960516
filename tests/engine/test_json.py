"""JSON mode and JSON Schema: what the model says parses and validates, whatever it would rather say."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import numpy as np
import pytest

from router.engine.grammar import json_object_grammar, schema_grammar
from router.engine.native import NativeModel
from router.engine.process import spin_briefly
from router.engine.sampling import Sampler
from router.engine.types import EngineError, Sampling
from router.models.catalogue import embedded_model
from tests.engine.driver import Client, says

PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "role": {"enum": ["doctor", 'nurse "night"', None, 3]},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}

SCHEMAS: dict[str, dict[str, Any]] = {
    "person": PERSON,
    "optional-members-only": {
        "properties": {"a": {"type": "boolean"}, "b": {"type": "null"}, "c": {"const": {"x": [1]}}}
    },
    "required-last": {
        "type": "object",
        "properties": {"a": {"type": "boolean"}, "b": {"type": "boolean"}},
        "required": ["b"],
    },
    "required-unnamed": {"type": "object", "properties": {"a": {"type": "null"}}, "required": ["a", "z"]},
    "array-bounds": {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 4},
    "array-empty": {"type": "array", "maxItems": 0},
    "tuple": {"type": "array", "prefixItems": [{"type": "boolean"}, {"type": "integer"}], "items": False},
    "nullable": {"type": ["boolean", "null"]},
    "union": {
        "anyOf": [{"type": "boolean"}, {"type": "object", "properties": {"k": {"enum": [1]}}, "required": ["k"]}]
    },
    "recursive": {
        "$ref": "#/$defs/node",
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "leaf": {"type": "boolean"},
                    "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                },
                "required": ["leaf", "next"],
            }
        },
    },
    "odd-names": {"type": "object", "properties": {'a"b\\c\n': {"type": "null"}, "é ::= x": {"type": "null"}}},
    "map": {"type": "object", "additionalProperties": {"type": "boolean"}},
    "nothing": {"type": "object", "additionalProperties": False},
    "date": {"type": "string", "format": "date"},
    "date-time": {"type": "string", "format": "date-time"},
    "uuid": {"type": "string", "format": "uuid"},
    "number": {"type": "number"},
    "positive": {"type": "number", "minimum": 0},
    "natural": {"type": "integer", "exclusiveMinimum": 0},
    "anything": {},
    "range": {"type": "integer", "minimum": -120, "exclusiveMaximum": 1234},
    "range-below": {"type": "integer", "maximum": -7},
    "range-above": {"type": "integer", "minimum": 38},
    "real-range": {"type": "number", "minimum": -0.25, "maximum": 17.5},
    "real-open-range": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    "real-above": {"type": "number", "minimum": 0.5},
    "pattern": {"type": "string", "pattern": "^[A-Z][a-z]{1,6}(?:-\\d{2}|_x)?$"},
    "pattern-open": {"type": "string", "pattern": "a[b-d]?"},
    "pattern-escapes": {"type": "string", "pattern": '^\\\\ "\\. (é|\\[|\\w{1,3}\\s\\n)$'},
    "pattern-any": {"type": "string", "pattern": "^(a|b).{2,4}z$"},
}


@pytest.fixture(scope="module")
def model() -> NativeModel:
    spin_briefly()
    return NativeModel(str(embedded_model()))


class Noise:
    """Logits of a model that knows nothing, but for a liking of the tokens that bring JSON to an end."""

    def __init__(self, model: NativeModel, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._model = model
        closing = {'"', "}", "]", "null", "true", "false", "0", ",", ":", '":'}
        self._closing = np.array(
            [model.piece(token).decode("utf-8", "replace").strip() in closing for token in range(model.size)]
        )
        self._end = np.array([model.is_end(token) for token in range(model.size)])

    def say(self, grammar: str, limit: int = 300) -> str:
        sampler = Sampler(self._model, Sampling(temperature=1.0, top_p=1.0, seed=1, grammar=grammar))
        raw = b""
        for step in range(limit):
            logits = self._random.normal(0, 3, self._model.size).astype(np.float32)
            logits[self._closing] += min(8.0 + step / 4, 30.0)
            logits[self._end] += 40
            token = sampler.pick(logits)
            if self._model.is_end(token):
                return raw.decode()
            raw += self._model.piece(token)
        raise AssertionError("it never came to an end")


@pytest.mark.parametrize("name", SCHEMAS)
def test_whatever_the_logits_say_the_grammar_gives_json_that_validates(model: NativeModel, name: str) -> None:
    schema = SCHEMAS[name]
    grammar = schema_grammar(schema)
    for seed in range(3):
        said = Noise(model, seed).say(grammar)
        jsonschema.validate(json.loads(said), schema, format_checker=jsonschema.FormatChecker())


def test_json_mode_gives_an_object(model: NativeModel) -> None:
    assert isinstance(json.loads(Noise(model, 7).say(json_object_grammar())), dict)


@pytest.mark.parametrize(
    ("schema", "keyword"),
    [
        ({"type": "string", "pattern": "^(?!a)"}, "pattern"),
        ({"type": "string", "pattern": "^a$|^b$"}, "pattern"),
        ({"type": "string", "pattern": '^["]$'}, "pattern"),
        ({"type": "string", "pattern": "^a$", "maxLength": 3}, "pattern"),
        ({"type": "number", "maximum": 1e30}, "maximum"),
        ({"type": "integer", "minimum": 5, "maximum": 4}, "maximum"),
        ({"type": "integer", "multipleOf": 5}, "multipleOf"),
        ({"type": "array", "uniqueItems": True}, "uniqueItems"),
        ({"not": {"type": "null"}}, "not"),
        ({"anyOf": [{"type": "null"}], "minimum": 3}, "minimum"),
        ({"allOf": [{"type": "object"}, {"type": "object"}]}, "allOf"),
        ({"$ref": "https://example.com/schema"}, "$ref"),
        ({"$ref": "#/$defs/missing"}, "$ref"),
        ({"type": "object", "properties": {"a": False}}, "false"),
        ({"type": "string", "minLength": 100_000}, "minLength"),
    ],
)
def test_what_the_grammar_cannot_enforce_is_refused_by_name(schema: dict[str, Any], keyword: str) -> None:
    with pytest.raises(EngineError, match=f"`{keyword.replace('$', '[$]')}`") as refusal:
        schema_grammar(schema)
    assert (refusal.value.status, refusal.value.code) == (400, "unsupported_schema")


def test_a_keyword_of_another_type_says_nothing_and_is_no_reason_to_refuse() -> None:
    assert schema_grammar({"type": "boolean", "pattern": "x", "minimum": 3, "title": "t", "default": True})


@pytest.mark.parametrize(
    "schema",
    [
        {"enum": ["x" * 40_000]},
        {"enum": list(range(2000))},
        json.loads('{"items":' * 60 + "{}" + "}" * 60),
    ],
)
def test_a_schema_that_is_too_large_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(EngineError) as refusal:
        schema_grammar(schema)
    assert refusal.value.code == "schema_too_large"


async def test_the_real_model_answers_in_the_schema_plain_and_streamed(client: Client) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "person", "strict": True, "schema": PERSON}}
    body = says("Invent a person.", response_format=form, seed=2, max_tokens=200)
    reply = await client.answer(body)
    assert reply["choices"][0]["finish_reason"] == "stop"
    jsonschema.validate(json.loads(reply["choices"][0]["message"]["content"]), PERSON)
    chunks = await client.chunks(body)
    text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)
    assert text == reply["choices"][0]["message"]["content"]


async def test_the_real_model_answers_in_json_mode(client: Client) -> None:
    body = says(
        "Give me a city and its country.", response_format={"type": "json_object"}, temperature=0, max_tokens=200
    )
    reply = await client.answer(body)
    assert reply["choices"][0]["finish_reason"] == "stop"
    assert isinstance(json.loads(reply["choices"][0]["message"]["content"]), dict)
