"""`item_reference` of the Responses API: an item of an earlier answer, named by its id instead of sent again.

Some clients refer to whatever they believe to be stored. An item's id is made of its response's (`responses_shape`), so
what is kept of that response has it. It is scanned and decided on as if it had come whole.
"""

from __future__ import annotations

from typing import Any, Protocol

from router.api.dialect import refuse
from router.errors import InvalidRequest
from router.types import JsonObject, Principal

_MOST = 128  # earlier answers that one request may name: each is read from the disk


class Kept(Protocol):
    """Where conversations are kept."""

    async def get(self, principal: Principal, response: str) -> JsonObject | None:
        """What is kept of a response; None for what is not there or is another tenant's."""
        ...


async def resolved(items: Any, principal: Principal, kept: Kept) -> Any:
    """`items` with each reference replaced by what it names. Raises `InvalidRequest`."""
    if not isinstance(items, list) or not any(_is_reference(item) for item in items):
        return items
    known: dict[str, dict[str, JsonObject]] = {}
    whole: list[Any] = []
    for index, item in enumerate(items):
        if not _is_reference(item):
            whole.append(item)
            continue
        own_id = item.get("id")
        if not isinstance(own_id, str):
            raise refuse(f"input[{index}].id", "a string: the id of an item of an earlier response")
        kind, _, rest = own_id.partition("_")
        if kind == "rs":  # reasoning is left out in whatever form it comes
            continue
        response = f"resp_{rest[:-2]}"
        if response not in known:
            if len(known) == _MOST:
                raise InvalidRequest(f"No request may refer to more than {_MOST} earlier responses.", param="input")
            known[response] = await _items_of(kept, principal, response)
        found = known[response].get(own_id)
        if found is None:
            raise InvalidRequest(
                "The item that is referred to is not kept here (any more). Send it whole; with `store: false` most "
                "clients do.",
                param=f"input[{index}].id",
                code="item_not_found",
            )
        whole.append(found)
    return whole


def _is_reference(item: Any) -> bool:
    return isinstance(item, dict) and item.get("type") == "item_reference"


async def _items_of(kept: Kept, principal: Principal, response: str) -> dict[str, JsonObject]:
    state = await kept.get(principal, response)
    return {item["id"]: item for item in state["response"]["output"]} if state is not None else {}
