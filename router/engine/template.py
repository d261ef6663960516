"""Renders the model file's chat template in an immutable sandbox. No text of a caller's becomes a control token."""

from __future__ import annotations

import datetime
import hashlib
import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import jinja2

from router.engine.native import NativeModel
from router.engine.sandbox import RENDER_ERRORS, TemplateSandbox
from router.engine.tools import MISTRAL, MISTRAL_NAMED, ToolForm, form_of
from router.engine.types import EngineError, invalid

# Without a system message some templates, SmolLM2's among them, insert an identity of their own.
NEUTRAL_SYSTEM = "You are a helpful assistant."
# For base models, whose files have no template: turns that any text of the web has taught them to go on with.
FALLBACK = """{%- for message in messages %}
{%- if message.role == 'system' %}{{- message.content + '\\n\\n' }}
{%- elif message.role == 'user' %}{{- 'User: ' + message.content + '\\n' }}
{%- elif message.role == 'assistant' %}{{- 'Assistant: ' + message.content + '\\n' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- 'Assistant:' }}{%- endif %}"""
FALLBACK_STOPS = ("\nUser:",)

# Marks of what a caller wrote of control tokens: private use characters, which JSON does not escape.
_OPEN, _SHUT = "\ue000", "\ue001"
_PROBE = {"type": "function", "function": {"name": "probe_7c1f", "description": "", "parameters": {}}}
# Beginnings of users' texts that grow together with what stands before them in different ways, or not at all.
_BEGINNINGS = ("Hello", "x", "7", " a", "\n", "[", "é", "東")
_MISTRAL_ID_LENGTH = 9  # their templates refuse any other

Message = Mapping[str, Any]


class TemplateRefusal(jinja2.TemplateError):
    """The template called `raise_exception`."""


def _refuse(_message: object = None) -> NoReturn:
    raise TemplateRefusal


def _now(form: str) -> str:
    return datetime.datetime.now(datetime.UTC).strftime(form)


def _to_json(
    value: object,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
    ensure_ascii: bool = False,  # never: it would escape the marks
) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent, separators=separators, sort_keys=sort_keys)


class ChatTemplate:
    """Messages to tokens, by the template of one model."""

    def __init__(self, model: NativeModel, source: str | None) -> None:
        """Without a `source`: a base model's fallback. Raises jinja2.TemplateError for one that does not compile."""
        environment = TemplateSandbox()
        environment.filters["tojson"] = _to_json
        self._template = environment.compile_source(source or FALLBACK)
        self._model = model
        self._control = re.compile("|".join(map(re.escape, model.control_texts)) or r"(?!)")
        self._globals = {
            "bos_token": model.special_text("bos"),
            "eos_token": model.special_text("eos"),
            "raise_exception": _refuse,
            "strftime_now": _now,
        }
        self.stops: tuple[str, ...] = () if source else FALLBACK_STOPS
        self.tool_form: ToolForm | None = form_of(source) if source and self._shows_tools() else None
        markers = self.tool_form.markers if self.tool_form else ()
        encoded = [model.tokenize(marker, special=True) for marker in markers]
        self.shown = frozenset(tokens[0] for tokens in encoded if len(tokens) == 1)
        self._public: tuple[str, tuple[int, ...]] = ("", ())

    def encode(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()) -> list[int]:
        """The prompt's tokens, with the opening of the assistant's turn. Raises EngineError."""
        nonce = secrets.token_hex(8)
        quoted: list[str] = []

        def mark(match: re.Match[str]) -> str:
            quoted.append(match.group())
            return f"{_OPEN}{nonce}:{len(quoted) - 1}{_SHUT}"

        def quote(text: str) -> str:
            return self._control.sub(mark, text)

        rendered = self._render(
            [{**_shielded(self._fitted(message), quote), "role": message["role"]} for message in messages],
            [_shielded(tool, quote) for tool in tools],
        )
        if not quoted:
            return self._tokenize(rendered, special=True, is_start=True)
        # What the caller wrote of control tokens is tokenized as plain text, between pieces that are not.
        tokens: list[int] = []
        for index, part in enumerate(re.split(f"{_OPEN}{nonce}:([0-9]+){_SHUT}", rendered)):
            is_quoted = index % 2 == 1
            text = quoted[int(part)] if is_quoted else part
            tokens += self._tokenize(text, special=not is_quoted, is_start=index == 0)
        return tokens

    @property
    def public_prefix(self) -> tuple[int, ...]:
        """The tokens that every prompt without a system message and tools begins with: they hold nothing of a caller's.

        Some templates write the day's date, so it is made anew each day.
        """
        day = _now("%Y-%m-%d")
        if self._public[0] != day:
            self._public = (day, self._common_prefix())
        return self._public[1]

    def public_length(self, prompt: Sequence[int]) -> int:
        """How many tokens at the beginning of `prompt` are the public prefix: all of it or none."""
        prefix = self.public_prefix
        return len(prefix) if tuple(prompt[: len(prefix)]) == prefix else 0

    def _common_prefix(self) -> tuple[int, ...]:
        """What prompts have in common whose users' texts have not even their first character in common."""
        try:
            prompts = [self.encode([{"role": "user", "content": text}]) for text in _BEGINNINGS]
        except EngineError:
            return ()
        pairs = enumerate(zip(*prompts, strict=False))
        return tuple(prompts[0][: next((at for at, tokens in pairs if len(set(tokens)) > 1), 0)])

    def _shows_tools(self) -> bool:
        """Whether the template does anything with tools: whether a tool's name comes out of it."""
        try:
            return "probe_7c1f" in self._render([{"role": "user", "content": "x"}], [_PROBE])
        except EngineError:
            return False

    def _fitted(self, message: Message) -> Message:
        """The message with ids of the length that Mistral's templates insist on."""
        if self.tool_form not in (MISTRAL, MISTRAL_NAMED):
            return message
        fitted = dict(message)
        if "tool_call_id" in fitted:
            fitted["tool_call_id"] = _short(fitted["tool_call_id"])
        if fitted.get("tool_calls"):
            fitted["tool_calls"] = [{**call, "id": _short(call["id"])} for call in fitted["tool_calls"]]
        return fitted

    def _tokenize(self, text: str, *, special: bool, is_start: bool) -> list[int]:
        """Tokens of `text`; one BOS at the start, whether the template writes it or the vocabulary adds it."""
        bos = str(self._globals["bos_token"])
        if is_start and special and bos and text.startswith(bos):
            return self._model.tokenize(text, special=True)
        return self._model.tokenize(text, special=special, start=is_start)

    def _render(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> str:
        attempts = [messages]
        if messages[0]["role"] != "system":
            # A template that knows no system role refuses the first attempt.
            attempts.insert(0, [{"role": "system", "content": NEUTRAL_SYSTEM}, *messages])
        for attempt in attempts:
            try:
                return self._template.render(
                    messages=attempt, tools=tools or None, add_generation_prompt=True, **self._globals
                )
            except RENDER_ERRORS:
                continue
        raise invalid("This model's chat template does not accept messages in this order.", "messages")


def texts_of(value: Any) -> Iterator[str]:
    """Every string in a JSON value but keys, which templates need not show."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from texts_of(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from texts_of(each)


def _shielded(value: Any, quote: Callable[[str], str]) -> Any:
    """The same JSON value with every string, keys included, put through `quote`."""
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, Mapping):
        return {quote(key): _shielded(each, quote) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_shielded(each, quote) for each in value]
    return value


def _short(identifier: str) -> str:
    """Nine letters and digits that stand for a call's id."""
    return hashlib.sha256(identifier.encode()).hexdigest()[:_MISTRAL_ID_LENGTH]
