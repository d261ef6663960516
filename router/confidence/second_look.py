"""Takes the second look at a local answer: the same model, here at home, asked again. It opens no exit.

A look that fails or does not tell is none: the first judgement stands then.
"""

from __future__ import annotations

import asyncio

import orjson

from router import fields
from router.calling import Calls
from router.confidence.looks import LookKind, can_look, content, look_bodies, look_value
from router.costs.cost import CallUse
from router.deadlines import engine_fields
from router.errors import GatehouseError
from router.exchange import Exchange
from router.partitions import Partitions
from router.types import JsonObject, Outgoing


class SecondLook:
    """Asks the model that has answered; what it costs counts as wasted, for nobody gets to read it."""

    def __init__(self, calls: Calls, partitions: Partitions) -> None:
        self._calls = calls
        self._partitions = partitions

    async def look(self, exchange: Exchange, name: str, kind: LookKind, completion: JsonObject) -> float | None:
        """The number of the look (`router.confidence.looks.look_value`); None where there is none."""
        choices = completion.get("choices") or [{}]
        answer, body = content(choices[0]), exchange.request.body
        if not can_look(body, answer):
            return None
        bodies = look_bodies(kind, body, answer, exchange.policy.escalation.samples)
        asked: list[asyncio.Task[JsonObject]] = []
        try:
            async with asyncio.TaskGroup() as group:
                asked += [group.create_task(self._ask(exchange, name, each)) for each in bodies]
        except* GatehouseError:
            asked.clear()
        return look_value(kind, answer, [each.result() for each in asked])

    async def _ask(self, exchange: Exchange, name: str, body: JsonObject) -> JsonObject:
        model, request = exchange.policy.models[name], exchange.request
        home, _ = fields.local_body(body, model, stream=False, want_logprobs="logprobs" in body)
        home |= engine_fields(model, exchange.planned.serving, exchange.due())
        home |= self._partitions.fields(model, request.principal.tenant, exchange.planned.sensitivity)
        outgoing = Outgoing(orjson.dumps(home), stream=False, request_id=request.id)
        completion = await self._calls.complete(exchange, name, outgoing, on_end=_waste)
        choices = completion.get("choices") or [{}]
        choice: JsonObject = choices[0]
        return choice


def _waste(use: CallUse) -> None:
    use.is_wasted = True
