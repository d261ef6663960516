"""The answer of `POST /v1/route`: what would happen to a request, and why. It never holds the text that was found."""

from __future__ import annotations

from typing import Any

from openai import BaseModel
from pydantic import Field


class Finding(BaseModel):
    """One detected item: its place in the request, never its text.

    `pointer` is a JSON pointer (RFC 6901) into the body; `start` and `end` count Unicode code points of its string.
    """

    entity_type: str
    pointer: str
    place: str = Field("value", alias="in")  # `value` or `key`
    start: int
    end: int
    score: float
    detector: str
    group: Any = None  # the same for all pieces of one value
    via: list[str] = Field(default_factory=list)  # how it was wrapped, outermost first: `base64`, …


class SignalValue(BaseModel):
    """One measured fact about the request, or the reason why it could not be measured."""

    value: Any = None
    band: str | None = None
    error: str | None = None


class Reason(BaseModel):
    """What one rule of the policy made of the request."""

    rule: str
    matched: bool | None = None  # None: a signal that it needs was not available
    why: str | None = None


class Unknown(BaseModel):
    """A part of the request that could not be checked, and so counts as sensitive."""

    kind: str
    pointer: str
    detail: str | None = None


class Candidate(BaseModel):
    """One model of the policy: may it answer this request, can it, and if not, why not."""

    model: str
    lawful: bool
    able: bool
    why: list[str] = Field(default_factory=list)


class Refusal(BaseModel):
    """What the request would be refused with."""

    code: str
    status: int
    message: str


class Explanation(BaseModel):
    """A whole decision, made without calling any model."""

    route: str
    model: str | None = None
    rule: str | None = None
    reason: str | None = None
    payload: str | None = None
    sensitivity: str
    held: str | None = None
    findings: list[Finding] = Field(default_factory=list)
    unknowns: list[Unknown] = Field(default_factory=list)
    signals: dict[str, SignalValue] = Field(default_factory=dict)
    candidates: list[Candidate] = Field(default_factory=list)
    reasons: list[Reason] = Field(default_factory=list)
    policy: str | None = None
    refusal: Refusal | None = None


def body(messages: Any, prompt: str | None, fields: dict[str, Any]) -> dict[str, Any]:
    """A chat-completions body from messages, or from one prompt. Raises `ValueError` unless exactly one is given."""
    if (messages is None) == (prompt is None):
        raise ValueError("explain takes a prompt or messages=…, one of the two")
    turns = [{"role": "user", "content": prompt}] if messages is None else list(messages)
    return {"model": "auto", **fields, "messages": turns}
