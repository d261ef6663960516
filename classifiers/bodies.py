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
    for role, text in reversed(list(_messages(body))):
        if role == "user":
            return text
        fallback = fallback or text
    return fallback


def text_size(body: Mapping[str, Any]) -> int:
    """Characters of text in all messages."""
    return sum(len(text) for _, text in _messages(body))


def _messages(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    messages = body.get("messages")
    for message in messages if isinstance(messages, list) else ():
        if isinstance(message, Mapping):
            text = _text(message.get("content"))
            if text:
                role = message.get("role")
                yield (role if isinstance(role, str) else ""), text


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = (part.get("text") if isinstance(part, Mapping) else part for part in content)
    return "\n".join(part for part in parts if isinstance(part, str))
