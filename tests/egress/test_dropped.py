"""What a dialect knows and the gateway has no use for goes no further, and embeddings are held as chats are."""

from __future__ import annotations

from typing import Any

import pytest

from tests.egress.asking import Answer, ask
from tests.egress.cells import shown
from tests.egress.covering import Cell
from tests.egress.dialects import asked, path_of, strings
from tests.egress.disguises import DISGUISES, PLAIN, can_stand, planted
from tests.egress.houses import House
from tests.egress.positions import PUBLIC, QUESTION
from tests.egress.values import ENTITIES, TERM, value_of

QUESTION_ITSELF = "{question}"
_SIGNED = [{"type": "thinking", "thinking": "{text}", "signature": "{text}"}, {"type": "text", "text": "Hm."}]
_REASONED = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "{text}"}]}
# Where the text stands, in which dialect: what the request is given for it.
DROPPED: dict[str, tuple[str, dict[str, Any]]] = {
    "metadata, user id": ("messages: content", {"metadata": {"user_id": "{text}"}}),
    "thinking": (
        "messages: content",
        {"messages": [{"role": "assistant", "content": _SIGNED}, {"role": "user", "content": QUESTION_ITSELF}]},
    ),
    "redacted thinking": (
        "messages: content",
        {
            "messages": [
                {"role": "assistant", "content": [{"type": "redacted_thinking", "data": "{text}"}]},
                {"role": "user", "content": QUESTION_ITSELF},
            ]
        },
    ),
    "metadata": ("responses: content", {"metadata": {"note": "{text}"}}),
    "user": ("responses: content", {"user": "{text}"}),
    "safety identifier": ("responses: content", {"safety_identifier": "{text}"}),
    "prompt cache key": ("responses: content", {"prompt_cache_key": "{text}"}),
    "reasoning": ("responses: content", {"input": [_REASONED, {"role": "user", "content": QUESTION_ITSELF}]}),
    "encrypted reasoning": (
        "responses: content",
        {"input": [{**_REASONED, "encrypted_content": "{text}"}, {"role": "user", "content": QUESTION_ITSELF}]},
    ),
    "user of a completion": ("completions: prompt", {"user": "{text}"}),
}


def with_text(value: Any, text: str, question: str = QUESTION) -> Any:
    """The same with the text in every place that is meant for it."""
    if isinstance(value, str):
        return value.replace("{text}", text).replace(QUESTION_ITSELF, question)
    if isinstance(value, dict):
        return {name: with_text(inner, text, question) for name, inner in value.items()}
    return [with_text(inner, text, question) for inner in value]


@pytest.mark.parametrize("entity", ["card", "email", "github_token"])
@pytest.mark.parametrize("name", DROPPED)
async def test_what_a_dialect_has_no_use_for_stays_here_while_the_rest_leaves(
    quiet_house: House, name: str, entity: str
) -> None:
    position, fields = DROPPED[name]
    value = value_of(entity, f"dropped / {name}")
    bodies = [
        asked(position, f"{PUBLIC} {name} {entity} {stream}", stream=stream)
        | with_text(fields, value.text, f"{QUESTION} {PUBLIC}, {name} {entity} {stream}.")
        for stream in (False, True)
    ]
    before = len(quiet_house.cloud.exchanges)
    answers = await ask(quiet_house.gateway.url, bodies, [path_of(position)] * 2)
    arrived = quiet_house.cloud.exchanges[before:]
    assert [answer.route for answer in answers] == ["cloud"] * 2, [*map(str, answers)]
    assert not quiet_house.cloud.saw(value.needle)
    assert [QUESTION in " ".join(strings(exchange.json)) for exchange in arrived] == [True, True]


# Each input's form; the value stands in the last of them.
INPUTS: dict[str, Any] = {
    "text": "{text}",
    "text among others": ["The compact interval.", "{text}"],
    "words around it": ["By the way: {text}."],
}


@pytest.mark.parametrize("form", INPUTS)
async def test_no_sensitive_text_is_embedded_outside(quiet_house: House, form: str) -> None:
    cells = [
        Cell(f"embeddings: {form}", disguise, "cloud pinned", entity, False)
        for disguise in (PLAIN, *DISGUISES[1::6])
        for entity in ENTITIES
        if entity != TERM and can_stand("user content", disguise, entity)
    ]
    received = len(quiet_house.cloud.received)
    bodies = [{"model": "vectors", "input": with_text(INPUTS[form], planted(cell).text)} for cell in cells]
    answers = await ask(quiet_house.gateway.url, bodies, ["/embeddings"] * len(bodies))
    wrong = [f"{cell}: {answer}" for cell, answer in zip(cells, answers, strict=True) if not _is_refused(answer)]
    assert not wrong, wrong[:5]
    assert len(quiet_house.cloud.received) == received
    assert not list(shown(cells, quiet_house))


@pytest.mark.parametrize("form", INPUTS)
async def test_what_is_public_is_embedded_outside_by_name(quiet_house: House, form: str) -> None:
    before = len(quiet_house.cloud.exchanges)
    given = with_text(INPUTS[form], f"{PUBLIC} {form}")
    await ask(quiet_house.gateway.url, [{"model": "vectors", "input": given}], ["/embeddings"])
    assert [exchange.json["input"] for exchange in quiet_house.cloud.exchanges[before:]] == [given]


async def test_tokens_are_embedded_at_home_alone(quiet_house: House) -> None:
    received = len(quiet_house.cloud.received)
    (answer,) = await ask(quiet_house.gateway.url, [{"model": "vectors", "input": [[464, 3290]]}], ["/embeddings"])
    assert _is_refused(answer)
    assert len(quiet_house.cloud.received) == received


def _is_refused(answer: Answer) -> bool:
    return (answer.status, answer.code) == (403, "policy_denied")
