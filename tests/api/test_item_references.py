"""References to items of earlier answers: each answer is read once, and one request may name only so many."""

from __future__ import annotations

from typing import Any

import pytest

from router.api.item_references import resolved
from router.errors import InvalidRequest
from router.types import JsonObject, Principal


class Shelf:
    """Keeps two items of every response."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def get(self, principal: Principal, response: str) -> JsonObject | None:
        self.asked.append(response)
        own_id = response.removeprefix("resp_")
        return {"response": {"output": [{"id": f"msg_{own_id}00"}, {"id": f"fc_{own_id}01"}]}}


def references(*ids: str) -> list[Any]:
    return [{"type": "item_reference", "id": each} for each in ids]


async def test_each_answer_is_read_once_and_other_items_stay_where_they_are() -> None:
    shelf, text = Shelf(), {"role": "user", "content": "x"}
    items = [text, *references("msg_a00", "fc_a01", "msg_b00"), text]
    whole = await resolved(items, Principal(), shelf)
    assert whole == [text, {"id": "msg_a00"}, {"id": "fc_a01"}, {"id": "msg_b00"}, text]
    assert shelf.asked == ["resp_a", "resp_b"]
    assert await resolved("text", Principal(), shelf) == "text"


async def test_only_so_many_answers_may_be_named() -> None:
    shelf = Shelf()
    with pytest.raises(InvalidRequest, match="more than 128"):
        await resolved(references(*(f"msg_{number}00" for number in range(500))), Principal(), shelf)
    assert len(shelf.asked) == 128
