"""Takes earlier turns out of a conversation: whole turns, with a fixed marker in their place. Pure.

It never touches system messages or the last turn, never cuts into a tool loop, and changes no message that it keeps.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from router.types import JsonObject

# What stands where turns were removed: ours, fixed, and scanned like everything else. A pair, so that roles alternate.
MARKER: tuple[JsonObject, JsonObject] = (
    {"role": "user", "content": "[Earlier messages were removed here by a privacy policy.]"},
    {"role": "assistant", "content": "[Understood.]"},
)
_STANDING = frozenset({"system", "developer"})


def earlier_turns(body: Mapping[str, Any]) -> frozenset[int]:
    """The indexes of the messages before the last user turn, without system messages: what counts as history."""
    messages = _conversation(body)
    if messages is None:
        return frozenset()
    start = _last_turn(messages)
    return frozenset(index for index in range(start) if messages[index]["role"] not in _STANDING)


def without_turns(body: JsonObject, sensitive: Collection[int]) -> tuple[JsonObject, int] | None:
    """The body without every turn that holds one of these messages, and how many messages went.

    A turn is what users said in a row and everything that followed, up to the next user message. None where that may
    not be done: in a tool loop, or where a tool's result would lose its call.
    """
    messages = _conversation(body)
    if not sensitive or messages is None:
        return None
    start = _last_turn(messages)
    if any(messages[index]["role"] not in {"user", *_STANDING} for index in range(start, len(messages))):
        return None
    if not set(sensitive) <= earlier_turns(body):
        return None
    gone: set[int] = set()
    for turn in _turns(messages, start):
        if not set(sensitive).isdisjoint(turn):
            gone.update(turn)
    kept = _with_markers(messages, gone)
    return ({**body, "messages": kept}, len(gone)) if _has_whole_tool_calls(kept) else None


def _conversation(body: Mapping[str, Any]) -> list[JsonObject] | None:
    messages = body.get("messages")
    if not isinstance(messages, list):
        return None
    is_one = all(isinstance(each, dict) and isinstance(each.get("role"), str) for each in messages)
    return messages if is_one else None


def _last_turn(messages: Sequence[JsonObject]) -> int:
    """Where the last run of user messages begins; 0 when there is none."""
    start, seen = 0, False
    for index in range(len(messages) - 1, -1, -1):
        role = messages[index]["role"]
        if role == "user":
            start, seen = index, True
        elif seen and role not in _STANDING:
            break
    return start


def _turns(messages: Sequence[JsonObject], end: int) -> list[list[int]]:
    turns: list[list[int]] = [[]]
    before = ""
    for index in range(end):
        role = messages[index]["role"]
        if role in _STANDING:
            continue
        if role == "user" and before != "user":
            turns.append([])
        turns[-1].append(index)
        before = role
    return turns


def _with_markers(messages: Sequence[JsonObject], gone: Collection[int]) -> list[JsonObject]:
    kept: list[JsonObject] = []
    is_marked = False
    for index, message in enumerate(messages):
        if index not in gone:
            kept.append(message)
            is_marked = is_marked and message["role"] in _STANDING
        elif not is_marked:
            kept.extend(MARKER)
            is_marked = True
    return kept


def _has_whole_tool_calls(messages: Sequence[JsonObject]) -> bool:
    """Whether every call is followed by its results, and every result stands behind its call."""
    waiting: set[str] = set()
    for message in messages:
        if message["role"] == "tool":
            called = message.get("tool_call_id")
            if called not in waiting:
                return False
            waiting.discard(called)
            continue
        if waiting:
            return False
        calls = message.get("tool_calls") or ()
        waiting = {str(call.get("id")) for call in calls if isinstance(call, dict)}
    return not waiting
