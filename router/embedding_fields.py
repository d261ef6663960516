"""The one table of an embeddings request's fields: what each may hold, and the body for a model.

Errors name a field, never what stands in it. No I/O, no policy.
"""

from __future__ import annotations

from typing import Any

from policies.types import Model
from router.errors import InvalidRequest
from router.types import JsonObject

MOST_INPUTS = 2048
_CARRIED = ("input", "dimensions")
_MOST_DIMENSIONS = 65_536
_BYTES_PER_TOKEN = 3


def read_embedding_fields(body: JsonObject) -> frozenset[str]:
    """What a body needs of a model. Raises `InvalidRequest` with `param` set for a field that holds what it may not."""
    inputs = body.get("input")
    items = inputs if isinstance(inputs, list) and not _are_tokens(inputs) else [inputs]
    if not 1 <= len(items) <= MOST_INPUTS or not all(_is_input(item) for item in items):
        what = f"a text, a list of tokens, or a list of 1 to {MOST_INPUTS} of them, none of them empty"
        raise InvalidRequest(f"`input` must be {what}.", param="input", code="invalid_value")
    dimensions = body.get("dimensions")
    if dimensions is not None and (type(dimensions) is not int or not 1 <= dimensions <= _MOST_DIMENSIONS):
        raise InvalidRequest("`dimensions` must be a positive whole number.", param="dimensions", code="invalid_value")
    return frozenset({"embeddings"})


def _is_input(item: Any) -> bool:
    return bool(item) and (isinstance(item, str) or _are_tokens(item))


def _are_tokens(item: Any) -> bool:
    return isinstance(item, list) and bool(item) and all(type(token) is int for token in item)


def embedding_tokens(body: JsonObject) -> int:
    """How many tokens the inputs have, an estimate that errs high: one for three bytes of text."""
    inputs = body["input"]
    items: list[Any] = inputs if isinstance(inputs, list) and not _are_tokens(inputs) else [inputs]
    return sum(len(item) if isinstance(item, list) else _tokens_of(item) for item in items)


def _tokens_of(text: str) -> int:
    return -(-len(text.encode("utf-8", "replace")) // _BYTES_PER_TOKEN)


def embedding_body(body: JsonObject, model: Model) -> JsonObject:
    """The body for a model at home or outside: vectors are always asked for as numbers.

    Raises `InvalidRequest` for a target behind litellm, whose arguments are those of chats.
    """
    if model.backend == "litellm":
        raise InvalidRequest(f"Model `{model.name}` gives no embeddings here: its backend is litellm.", param="model")
    asked = {name: body[name] for name in _CARRIED if body.get(name) is not None}
    return {"model": model.model, **asked, "encoding_format": "float"}
