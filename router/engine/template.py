"""Renders the model file's chat template in an immutable sandbox. No text of a caller's becomes a control token."""

from __future__ import annotations

import datetime
import json
import re
import secrets
from collections.abc import Sequence
from typing import Any, NoReturn

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from router.engine.native import NativeModel
from router.engine.types import invalid

# Without a system message some templates, SmolLM2's among them, insert an identity of their own.
NEUTRAL_SYSTEM = "You are a helpful assistant."


class TemplateRefusal(jinja2.TemplateError):
    """The template called `raise_exception`."""


def _refuse(_message: object = None) -> NoReturn:
    raise TemplateRefusal


def _now(form: str) -> str:
    return datetime.datetime.now(datetime.UTC).strftime(form)


def _to_json(value: object, indent: int | None = None, **_options: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


class ChatTemplate:
    """Messages to tokens, by the template of one model."""

    def __init__(self, model: NativeModel, source: str) -> None:
        """Raises jinja2.TemplateError for a template that does not compile."""
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        environment.filters["tojson"] = _to_json
        self._template = environment.from_string(source)
        self._model = model
        self._control = re.compile("|".join(map(re.escape, model.control_texts)) or r"(?!)")
        self._globals = {
            "bos_token": model.special_text("bos"),
            "eos_token": model.special_text("eos"),
            "raise_exception": _refuse,
            "strftime_now": _now,
        }

    def encode(self, messages: Sequence[dict[str, str]]) -> list[int]:
        """The prompt's tokens, with the opening of the assistant's turn. Raises EngineError."""
        nonce = secrets.token_hex(8)
        quoted: list[str] = []

        def quote(match: re.Match[str]) -> str:
            quoted.append(match.group())
            return f"\x02{nonce}:{len(quoted) - 1}\x03"

        shielded = [{**message, "content": self._control.sub(quote, message["content"])} for message in messages]
        rendered = self._render(shielded)
        if not quoted:
            return self._model.tokenize(rendered, special=True, start=True)
        # What the caller wrote of control tokens is tokenized as plain text, between pieces that are not.
        tokens: list[int] = []
        for index, part in enumerate(re.split(f"\x02{nonce}:([0-9]+)\x03", rendered)):
            is_quoted = index % 2 == 1
            text = quoted[int(part)] if is_quoted else part
            tokens += self._model.tokenize(text, special=not is_quoted, start=index == 0)
        return tokens

    def _render(self, messages: list[dict[str, str]]) -> str:
        attempts = [messages]
        if messages[0]["role"] != "system":
            # A template that knows no system role refuses the first attempt.
            attempts.insert(0, [{"role": "system", "content": NEUTRAL_SYSTEM}, *messages])
        for attempt in attempts:
            try:
                return self._template.render(messages=attempt, add_generation_prompt=True, **self._globals)
            except (jinja2.TemplateError, TypeError):
                continue
        raise invalid("This model's chat template does not accept messages in this order.", "messages")
