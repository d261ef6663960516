"""Gets the local model's answers to many bodies, several at once, keeping each as it comes. Never grades, never exits.

Works with any local backend; what a run that was broken off has kept is not asked again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import orjson

from router.backends.base import Backend
from router.calibration.kept import KeptAnswers, digest_of
from router.errors import GatehouseError
from router.types import JsonObject, Outgoing

AT_ONCE = 8
_WAITS_SECONDS = (1.0, 2.0, 4.0, 8.0)  # where the server does not say how long
_NOT_NOW = frozenset({429, 503})
_NOT_THIS = frozenset({400, 413, 422})  # this body, and no other


class Unanswered(Exception):
    """The model could not answer; the message says why and holds no content."""


async def collect(
    backend: Backend,
    bodies: Sequence[JsonObject],
    kept: KeptAnswers,
    *,
    at_once: int = AT_ONCE,
    on_answer: Callable[[int], None] = lambda count: None,
) -> list[JsonObject]:
    """The first entry of `choices` for each body, in their order; `{"refused": code}` for a body that it cannot take.

    `on_answer` gets how many have come since it was last called. Raises `Unanswered` when the model goes on failing;
    what was answered by then is kept.
    """
    digests = [digest_of(backend.model.model, body) for body in bodies]
    missing = {of: body for of, body in zip(digests, bodies, strict=True) if of not in kept.choices}
    on_answer(len(bodies) - len(missing))
    waiting = iter(missing.items())

    async def work() -> None:
        for of, body in waiting:
            kept.add(of, await _ask(backend, body))
            on_answer(1)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(at_once, len(missing))):
                group.create_task(work())
    except* GatehouseError as errors:
        raise Unanswered(f"{backend.model.model} does not answer: {errors.exceptions[0]}") from None
    return [kept.choices[of] for of in digests]


async def _ask(backend: Backend, body: JsonObject) -> JsonObject:
    """One answer; a full queue and a restart are waited for."""
    outgoing = Outgoing(orjson.dumps(body), stream=False)
    for wait in (*_WAITS_SECONDS, None):
        try:
            completion = await backend.complete(outgoing)
        except GatehouseError as error:
            if error.status in _NOT_NOW and wait is not None:
                await asyncio.sleep(error.retry_after or wait)
            elif error.status in _NOT_THIS:
                return {"refused": error.code}
            else:
                raise
        else:
            choices = completion.get("choices")
            if isinstance(choices, list) and choices and isinstance(choices[0], dict):
                choice: JsonObject = choices[0]
                return choice
            return {"refused": "no_choice"}
    raise AssertionError("the last try returns or raises")
