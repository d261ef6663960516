"""JSON mode and JSON Schema as llama.cpp grammars (GBNF).

A keyword that the grammar cannot enforce is refused by name, never dropped; sizes are capped before native code
sees them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from router.engine.patterns import PatternError, pattern_rule
from router.engine.ranges import Bounds, integer_rule, number_rule
from router.engine.types import EngineError, invalid

MAX_SCHEMA_BYTES = 32 * 1024
MAX_SCHEMA_NODES = 1024
MAX_SCHEMA_DEPTH = 32
MAX_GRAMMAR_BYTES = 128 * 1024
_MAX_REPEAT = 1024  # a longer string or array is lawful but not needed: the bound may be tightened, never loosened

Schema = Mapping[str, Any]

_BASE = {
    "ws": r'| " " | "\n" [ \t]{0,20}',
    # Surrogates cannot be escaped one by one, so that every answer decodes.
    "char": (
        r'[^"\\\x7F\x00-\x1F] | "\\" (["\\/bfnrt] '
        r'| "u" ([0-9a-cA-Ce-fE-F] [0-9a-fA-F]{3} | [dD] [0-7] [0-9a-fA-F]{2}))'
    ),
    "string": r'"\"" char* "\""',
    "natural": '"0" | [1-9] [0-9]{0,15}',
    "integer": '"-"? natural',
    "positive": 'natural ("." [0-9]{1,15})? ([eE] [-+]? [0-9]{1,2})?',
    "number": '"-"? positive',
    "boolean": '"true" | "false"',
    "null": '"null"',
    "member": 'string ws ":" ws value',
    "object": '"{" ws (member ws ("," ws member ws)*)? "}"',
    "array": '"[" ws (value ws ("," ws value ws)*)? "]"',
    "value": "object | array | string | number | boolean | null",
    "date": '[1-9] [0-9]{3} "-" ("0" [1-9] | "1" [0-2]) "-" ("0" [1-9] | "1" [0-9] | "2" [0-8])',
    "hour": '[01] [0-9] | "2" [0-3]',
    "time": 'hour ":" [0-5] [0-9] ":" [0-5] [0-9] ("Z" | [+-] hour ":" [0-5] [0-9])',
    "uuid": '[0-9a-f]{8} "-" [0-9a-f]{4} "-" [0-9a-f]{4} "-" [0-9a-f]{4} "-" [0-9a-f]{12}',
}
_FORMATS = {"date": "date", "time": "time", "date-time": 'date "T" time', "uuid": "uuid"}

# The keywords that constrain each type, and those of them that this converter enforces.
_RANGE = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
_ENFORCED = {
    "object": {"properties", "required", "additionalProperties"},
    "array": {"items", "prefixItems", "minItems", "maxItems"},
    "string": {"minLength", "maxLength", "format", "pattern"},
    "integer": _RANGE,
    "number": _RANGE,
}
_APPLICABLE = {
    "object": _ENFORCED["object"] | {
        "minProperties", "maxProperties", "patternProperties", "propertyNames", "dependentRequired", "dependentSchemas",
        "dependencies", "unevaluatedProperties",
    },
    "array": _ENFORCED["array"] | {
        "uniqueItems", "contains", "minContains", "maxContains", "unevaluatedItems", "additionalItems",
    },
    "string": _ENFORCED["string"],
    "integer": _RANGE | {"multipleOf"},
    "number": _RANGE | {"multipleOf"},
}  # fmt: skip
_ANY_TYPE = {"if", "then", "else", "not", "$dynamicRef", "$recursiveRef"}
_CONSTRAINTS = _ANY_TYPE.union({"type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref"}, *_APPLICABLE.values())
_TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")


def json_object_grammar() -> str:
    """The grammar of `response_format: {"type": "json_object"}`."""
    return _format({**_BASE, "root": "object"})


def schema_grammar(schema: Schema) -> str:
    """The grammar of a JSON Schema (2020-12, the part that a grammar can enforce). Raises EngineError (400)."""
    return compose([schema], lambda names: names[0])


def compose(schemas: Sequence[Schema], root: Callable[[list[str]], str]) -> str:
    """A grammar whose root is `root` of the names of the rules for `schemas`. Raises EngineError (400)."""
    rules: dict[str, str] = {}
    names = []
    for schema in schemas:
        _check_size(schema)
        names.append(_Converter(schema, rules).visit(schema))
    grammar = _format({**_BASE, **rules, "root": root(names)})
    if len(grammar) > MAX_GRAMMAR_BYTES:
        raise _too_large()
    return grammar


def _format(rules: Mapping[str, str]) -> str:
    return "\n".join(f"{name} ::= {body}" for name, body in rules.items())


def _too_large() -> EngineError:
    return invalid(
        f"This JSON schema is too large: at most {MAX_SCHEMA_BYTES} bytes, {MAX_SCHEMA_NODES} nodes and depth "
        f"{MAX_SCHEMA_DEPTH}.",
        "response_format",
        "schema_too_large",
    )


def _unsupported(keyword: str) -> EngineError:
    """`keyword` is one of this module's own words."""
    return invalid(
        f"This model cannot enforce `{keyword}` as it stands in the JSON schema: remove it or write it differently.",
        "response_format",
        "unsupported_schema",
    )


def _check_size(schema: Schema) -> None:
    if len(json.dumps(schema, ensure_ascii=False).encode("utf-8", "replace")) > MAX_SCHEMA_BYTES:
        raise _too_large()
    nodes = 0
    level: list[Any] = [schema]
    for _depth in range(MAX_SCHEMA_DEPTH + 1):
        nodes += len(level)
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            break
    if level or nodes > MAX_SCHEMA_NODES:
        raise _too_large()


def literal(text: str) -> str:
    """`text` itself, as a grammar writes it."""
    escaped = re.sub(r'[\\"\n\r]', lambda found: {"\n": "\\n", "\r": "\\r"}.get(found[0], "\\" + found[0]), text)
    return f'"{escaped}"'


def _constant(value: Any) -> str:
    return literal(json.dumps(value, ensure_ascii=False))


def _number(schema: Schema, keyword: str) -> int | None:
    value = schema.get(keyword)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _unsupported(keyword)
    return value


def _limit(schema: Schema, keyword: str) -> Decimal | None:
    value = schema.get(keyword)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _unsupported(keyword)
    return Decimal(repr(value))


def _bounds(schema: Schema, least: str, most: str) -> tuple[int, int | None]:
    low, high = _number(schema, least) or 0, _number(schema, most)
    if low < 0 or low > _MAX_REPEAT:
        raise _unsupported(least)
    if high is not None and high < low:
        raise _unsupported(most)
    return low, None if high is None else min(high, _MAX_REPEAT)


def _repeat(low: int, high: int | None) -> str:
    return f"{{{low},{'' if high is None else high}}}"


class _Converter:
    """One schema's rules. Names are numbers, so that nothing of the caller's becomes a rule's name."""

    def __init__(self, root: Schema, rules: dict[str, str]) -> None:
        """The rules go into `rules`, beside those of other schemas."""
        self.rules = rules
        self._root = root
        self._references: dict[str, str] = {}

    def _add(self, body: str) -> str:
        name = f"r{len(self.rules)}"
        self.rules[name] = body
        return name

    def visit(self, schema: Any) -> str:
        """The name of the rule for `schema`."""
        if schema is True or schema == {}:
            return "value"
        if not isinstance(schema, dict):
            raise _unsupported("false" if schema is False else "type")
        present = _CONSTRAINTS & schema.keys()
        for keyword in ("$ref", "const", "enum", "anyOf", "oneOf", "allOf"):
            if keyword in present:
                # `type` beside an enumeration says nothing new; anything else would have to hold as well.
                _allow_only(present, {keyword, "type"} if keyword in ("const", "enum") else {keyword})
                return self._structure(keyword, schema[keyword])
        return self._typed(schema, present)

    def _structure(self, keyword: str, value: Any) -> str:
        if keyword == "$ref":
            return self._reference(value)
        if keyword == "const":
            return self._add(_constant(value))
        if not isinstance(value, list) or not value:
            raise _unsupported(keyword)
        if keyword == "enum":
            return self._add(" | ".join(map(_constant, value)))
        if keyword == "allOf" and len(value) > 1:
            raise _unsupported("allOf")
        return self._add(" | ".join([self.visit(part) for part in value]))

    def _typed(self, schema: Schema, present: set[str]) -> str:
        kind = schema.get("type")
        if kind is None:
            # A constraint without a type leaves other types free: choosing the constrained one is lawful.
            kind = next((name for name, words in _APPLICABLE.items() if present & words), None)
            if kind is None:
                _allow_only(present, set())
                return "value"
        if isinstance(kind, list):
            if not kind:
                raise _unsupported("type")
            return self._add(" | ".join([self._one_type({**schema, "type": part}, part) for part in kind]))
        return self._one_type(schema, kind)

    def _one_type(self, schema: Schema, kind: Any) -> str:
        if not isinstance(kind, str) or kind not in _TYPES:
            raise _unsupported("type")
        # In JSON Schema a keyword of another type says nothing about this one.
        relevant = _CONSTRAINTS & schema.keys() & (_APPLICABLE.get(kind, set()) | _ANY_TYPE)
        _allow_only(relevant, _ENFORCED.get(kind, set()))
        build = {
            "object": self._object,
            "array": self._array,
            "string": self._string,
            "integer": self._integer,
            "number": self._real,
        }.get(kind)
        return build(schema) if build else kind

    def _reference(self, pointer: Any) -> str:
        if not isinstance(pointer, str) or not (pointer == "#" or pointer.startswith("#/")):
            raise _unsupported("$ref")
        if pointer not in self._references:
            target: Any = self._root
            for part in pointer.split("/")[1:]:
                key = part.replace("~1", "/").replace("~0", "~")
                if not isinstance(target, dict) or key not in target:
                    raise _unsupported("$ref")
                target = target[key]
            name = self._references[pointer] = self._add("")
            self.rules[name] = self.visit(target)
        return self._references[pointer]

    def _object(self, schema: Schema) -> str:
        properties = schema.get("properties") or {}
        required = schema.get("required") or []
        if not isinstance(properties, dict) or not isinstance(required, list):
            raise _unsupported("properties")
        if not all(isinstance(name, str) for name in required):
            raise _unsupported("required")
        members = {**properties, **{name: True for name in required if name not in properties}}
        if not members:
            return self._map(schema.get("additionalProperties", True))
        # Members beyond those named are never written, which every schema allows.
        rules = [(self._member(name, part), name in required) for name, part in members.items()]
        return self._add(f'"{{" ws {self._members(rules)} "}}"')

    def _map(self, values: Any) -> str:
        if values is False:
            return self._add('"{" ws "}"')
        member = f'string ws ":" ws {self.visit(values)} ws'
        return self._add(f'"{{" ws ({member} ("," ws {member})*)? "}}"')

    def _member(self, name: str, schema: Any) -> str:
        return self._add(f'{_constant(name)} ws ":" ws {self.visit(schema)} ws')

    def _members(self, rules: list[tuple[str, bool]]) -> str:
        """Members in the schema's order: `first` when none is written yet, `after` behind a written one."""
        first = after = self._add('""')
        for member, is_required in reversed(rules):
            first_body = f"{member} {after}" + ("" if is_required else f" | {first}")
            following = f'"," ws {member}'
            after_body = f"{following} {after}" if is_required else f"({following})? {after}"
            first, after = self._add(first_body), self._add(after_body)
        return first

    def _array(self, schema: Schema) -> str:
        low, high = _bounds(schema, "minItems", "maxItems")
        head = schema.get("prefixItems") or []
        if head:
            if not isinstance(head, list) or (high is not None and high < len(head)) or low > len(head):
                raise _unsupported("prefixItems")
            return self._add('"[" ws ' + ' "," ws '.join(f"{self.visit(item)} ws" for item in head) + ' "]"')
        items = schema.get("items", True)
        if items is False or high == 0:
            return self._add('"[" ws "]"')
        item = self.visit(items)
        more = _repeat(max(low - 1, 0), None if high is None else high - 1)
        return self._add(f'"[" ws ({item} ws ("," ws {item} ws){more}){"" if low else "?"} "]"')

    def _string(self, schema: Schema) -> str:
        low, high = _bounds(schema, "minLength", "maxLength")
        body = _FORMATS.get(schema.get("format", ""))  # other formats are annotations
        pattern = schema.get("pattern")
        if pattern is not None:
            if body is not None or low or high is not None or not isinstance(pattern, str):
                raise _unsupported("pattern")  # beside a length or a format it would have to hold as well
            try:
                return self._add(f'"\\"" {pattern_rule(pattern)} "\\""')
            except PatternError:
                raise _unsupported("pattern") from None
        if body is not None:
            if low or high is not None:
                raise _unsupported("format")
            return self._add(f'"\\"" {body} "\\""')
        if not low and high is None:
            return "string"
        return self._add(f'"\\"" char{_repeat(low, high)} "\\""')

    def _integer(self, schema: Schema) -> str:
        return self._numeric(schema, "integer", integer_rule)

    def _real(self, schema: Schema) -> str:
        return self._numeric(schema, "number", number_rule)

    def _numeric(self, schema: Schema, free: str, rule: Callable[[Bounds], str | None]) -> str:
        low, high = _limit(schema, "minimum"), _limit(schema, "maximum")
        above, below = _limit(schema, "exclusiveMinimum"), _limit(schema, "exclusiveMaximum")
        is_low_open = above is not None and (low is None or above >= low)
        is_high_open = below is not None and (high is None or below <= high)
        bounds = Bounds(above if is_low_open else low, below if is_high_open else high, is_low_open, is_high_open)
        if bounds.low is None and bounds.high is None:
            return free
        body = rule(bounds)
        if body is None:
            raise _unsupported(next(word for word in sorted(_RANGE) if schema.get(word) is not None))
        return self._add(body)


def _allow_only(present: set[str], allowed: set[str]) -> None:
    for keyword in sorted(present - allowed):
        raise _unsupported(keyword)
