"""The texts of a canonical chat-completions body, as the learned signals read them. No shape of a body raises."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any


def message_texts(body: Mapping[str, Any], roles: Collection[str]) -> list[str]:
    """The text of each message whose role is in `roles`, oldest first; its text parts joined by newlines."""
    return [text for role, text in _messages(body) if role in roles]


def last_text(body: Mapping[str, Any]) -> str:
    """What the answer must answer: the last user message with a text, or else the last message with one; or ""."""
    fallback = ""
    for message in reversed(_list_of(body)):
        role, text = _said(message)
        if text and role == "user":
            return text
        fallback = fallback or text
    return fallback


def text_size(body: Mapping[str, Any]) -> int:
    """Characters of text in all messages."""
    return sum([len(_said(message)[1]) for message in _list_of(body)])


def _messages(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The role and the text of each message that has a text."""
    return (said for said in map(_said, _list_of(body)) if said[1])


def _list_of(body: Mapping[str, Any]) -> list[Any]:
    messages = body.get("messages")
    return messages if isinstance(messages, list) else []


def _said(message: Any) -> tuple[str, str]:
    """A message's role and text, empty where it has none."""
    if type(message) is not dict and not isinstance(message, Mapping):  # of a class before of an abstract one: cheaper
        return "", ""
    role, content = message.get("role"), message.get("content")
    return role if isinstance(role, str) else "", content if isinstance(content, str) else _text(content)


def _text(content: Any) -> str:
    if not isinstance(content, list):
        return ""
    parts = (part.get("text") if isinstance(part, Mapping) else part for part in content)
    return "\n".join(part for part in parts if isinstance(part, str))
