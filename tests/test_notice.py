"""The notice is put on a copy: what is on its way into the cache stays as the model said it."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from typing import Any

from router.notice import NoticedChunks, _whole

LINE, SAID = "\n\n[why]", {"reason": "sensitivity"}


def choice(part: str, finish: str | None, **more: Any) -> dict[str, Any]:
    return {"index": 0, part: {"content": "Hello.", **more}, "finish_reason": finish}


def test_a_whole_answer_is_copied_and_only_text_that_ended_gets_a_line() -> None:
    answer = {
        "choices": [
            choice("message", "stop"),
            choice("message", "tool_calls"),
            choice("message", "stop", tool_calls=[1]),
        ]
    }
    before = copy.deepcopy(answer)
    told = _whole(answer, SAID, LINE)
    assert [each["message"]["content"] for each in told["choices"]] == ["Hello." + LINE, "Hello.", "Hello."]
    assert _whole(answer, SAID, None)["gatehouse"] == SAID
    assert answer == before


async def test_chunks_are_copied_too() -> None:
    chunks = [{"choices": [choice("delta", None)]}, {"choices": [choice("delta", "stop")]}, {"choices": []}]
    before = copy.deepcopy(chunks)

    async def source() -> AsyncIterator[dict[str, Any]]:
        for chunk in chunks:
            yield chunk

    told = [chunk async for chunk in NoticedChunks(source(), SAID, LINE)]
    assert [each["delta"]["content"] for chunk in told for each in chunk["choices"]] == ["Hello.", "Hello." + LINE]
    assert chunks == before
