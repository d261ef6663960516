"""Prompts from chat templates: what the template may share, what callers may not forge, and models without one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from router.engine.native import NativeModel
from router.engine.process import spin_briefly
from router.engine.template import NEUTRAL_SYSTEM, ChatTemplate, texts_of
from router.engine.tools import GRANITE, HERMES, LLAMA
from router.engine.types import EngineError
from tests.engine.conftest import Launch
from tests.engine.driver import Client, says
from tests.engine.models import entry, write_manifest
from tests.support.tiny_gguf import FAMILIES, make_model

CHAT_FAMILIES = [name for name, family in FAMILIES.items() if family.template is not None]
TOOL: dict[str, Any] = {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": {}}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spin_briefly()
    return tmp_path_factory.mktemp("models")


def open_template(folder: Path, family: str) -> tuple[NativeModel, ChatTemplate]:
    model = NativeModel(str(make_model(family, folder)))
    return model, ChatTemplate(model, model.template)


def text(model: NativeModel, tokens: list[int] | tuple[int, ...]) -> str:
    return b"".join(model.piece(token, special=True) for token in tokens).decode("utf-8", "replace")


def user(content: str) -> dict[str, str]:
    return {"role": "user", "content": content}


@pytest.mark.parametrize("family", CHAT_FAMILIES)
def test_the_public_prefix_begins_every_prompt_without_a_system_message_and_ends_before_the_users_words(
    folder: Path, family: str
) -> None:
    model, template = open_template(folder, family)
    prefix = template.public_prefix
    for words in ("Hello", "x", "7", " ", "\n", "<|im_end|>", "a secret", "You are a helpful assistant."):
        prompt = template.encode([user(words)])
        assert template.public_length(prompt) == len(prefix) > 0
    assert "x" not in text(model, prefix[-1:])
    assert "7" not in text(model, prefix[-1:])


@pytest.mark.parametrize("family", ["smollm2", "qwen2.5", "llama-3.2"])
def test_a_prompt_with_a_system_message_of_the_callers_or_with_tools_shares_nothing(folder: Path, family: str) -> None:
    _, template = open_template(folder, family)
    mine = template.encode([{"role": "system", "content": "You are the bank's assistant."}, user("Hello")])
    assert template.public_length(mine) == 0
    if template.tool_form is not None and family == "qwen2.5":  # its tools stand in the system's turn
        assert template.public_length(template.encode([user("Hello")], [TOOL])) == 0
    assert template.public_length(template.encode([user("Hello")])[:3]) == 0


def test_a_model_that_has_a_system_role_gets_our_neutral_one(folder: Path) -> None:
    for family, has_system in (("smollm2", True), ("gemma", False)):
        model, template = open_template(folder, family)
        assert (NEUTRAL_SYSTEM in text(model, template.encode([user("Hi")]))) is has_system


@pytest.mark.parametrize("family", CHAT_FAMILIES)
def test_a_prompt_begins_with_one_bos_at_most(folder: Path, family: str) -> None:
    model, template = open_template(folder, family)
    bos = model.tokenize(model.special_text("bos"), special=True)
    prompt = template.encode([user("Hi")])
    assert prompt[:2] != bos * 2


@pytest.mark.parametrize(("family", "form"), [("qwen2.5", HERMES), ("llama-3.2", LLAMA), ("granite-3", GRANITE)])
def test_a_template_that_shows_tools_has_them_and_knows_its_markers(folder: Path, family: str, form: object) -> None:
    model, template = open_template(folder, family)
    assert template.tool_form is form
    shown = {model.piece(token, special=True) for token in template.shown}
    assert shown == ({b"<|tool_call|>"} if form is GRANITE else set())
    assert '"add"' in text(model, template.encode([user("2 and 2?")], [TOOL]))


@pytest.mark.parametrize("family", ["smollm2", "gemma", "tinyllama"])
def test_a_template_that_shows_none_has_none(folder: Path, family: str) -> None:
    assert open_template(folder, family)[1].tool_form is None


@pytest.mark.parametrize("family", ["qwen2.5", "granite-3"])
def test_no_text_of_a_callers_becomes_a_control_token_wherever_it_stands(folder: Path, family: str) -> None:
    model, template = open_template(folder, family)
    control = set(model.control_texts)
    forged = " ".join(control)

    def count(words: str) -> int:
        call = {"id": "c", "type": "function", "function": {"name": "add", "arguments": {words: [words]}}}
        tool = {"type": "function", "function": {**TOOL["function"], "description": words}}
        messages: list[dict[str, Any]] = [
            {"role": "system", "content": words},
            user(words),
            {"role": "assistant", "content": words, "tool_calls": [call]},
            {"role": "tool", "content": words, "tool_call_id": "c"},
            user("go on"),
        ]
        prompt = template.encode(messages, [tool])
        assert words in text(model, prompt)
        return sum(model.piece(token, special=True).decode() in control for token in prompt)

    assert count(forged) == count("words")


def test_a_callers_mark_of_our_own_kind_is_only_text(folder: Path) -> None:
    model, template = open_template(folder, "smollm2")
    words = "\ue0000:0\ue001 <|im_end|> \ue000ffff:1\ue001"
    assert words in text(model, template.encode([user(words)]))


def test_an_order_that_the_template_refuses_is_a_400(folder: Path) -> None:
    _, template = open_template(folder, "gemma")
    with pytest.raises(EngineError) as refusal:
        template.encode([user("a"), user("b")])
    assert (refusal.value.status, refusal.value.param) == (400, "messages")


def test_ids_of_calls_are_nine_characters_for_templates_of_mistrals_kind(folder: Path) -> None:
    model = NativeModel(str(make_model("ministral", folder)))
    source = """{%- if tools %}[AVAILABLE_TOOLS]{{ tools | tojson }}{% endif %}
    {%- for message in messages %}
    {%- if message.tool_calls %}
    {%- for call in message.tool_calls %}
    {%- if call.id | length != 9 %}{{ raise_exception('nine') }}{% endif %}
    {{- '[TOOL_CALLS]' }}{{ call.function | tojson }}{{ call.id }}
    {%- endfor %}
    {%- elif message.role == 'tool' %}
    {%- if message.tool_call_id | length != 9 %}{{ raise_exception('nine') }}{% endif %}={{ message.tool_call_id }}
    {%- else %}[INST]{{ message.content }}[/INST]
    {%- endif %}
    {%- endfor %}"""
    template = ChatTemplate(model, source)
    call = {"id": "call_0123456789abcdef", "type": "function", "function": {"name": "add", "arguments": {}}}
    messages: list[dict[str, Any]] = [
        user("2?"),
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "4", "tool_call_id": call["id"]},
    ]
    rendered = text(model, template.encode(messages, [TOOL]))
    identifier = rendered.split("=")[1][:9]
    assert rendered.count(identifier) == 2


def test_every_text_that_a_template_may_show_is_counted() -> None:
    assert sorted(texts_of([{"a": "1", "b": ["2", {"c": "3"}], "d": 4}])) == ["1", "2", "3"]


@pytest.mark.parametrize("family", ["pythia", "openelm"])
async def test_a_base_model_without_a_template_answers_and_stops_where_the_user_would_speak(
    launch: Launch, tmp_path: Path, family: str
) -> None:
    manifest = write_manifest(tmp_path / "manifest.json", entry("base", make_model(family, tmp_path)))
    async with Client(launch("--manifest", str(manifest)).socket) as client:
        reply = await client.answer({**says("What is a river?", temperature=0, max_tokens=8), "model": "base"})
        assert reply["choices"][0]["message"]["content"]
        assert reply["usage"]["completion_tokens"] <= 8
    model, template = open_template(tmp_path, family)
    assert template.stops == ("\nUser:",)
    turns = [user("Hi"), {"role": "assistant", "content": "Hello."}, user("Bye")]
    shown = text(model, template.encode(turns)).removeprefix(model.special_text("bos"))
    assert shown.strip() == f"{NEUTRAL_SYSTEM}\n\nUser: Hi\nAssistant: Hello.\nUser: Bye\nAssistant:"
