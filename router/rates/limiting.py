"""What one exchange takes of its caller's minute: a request before it is looked at, tokens before a model is asked.

What was held is settled with what all calls used when the exchange ends, however it ends.
"""

from __future__ import annotations

from router.costs.cost import used
from router.embedding_fields import embedding_tokens
from router.exchange import Exchange
from router.rates.rates import RateLimited, RateLimits

REASON = "rate_limit"  # the header's word


class Limiting:
    """Asks the worker's `RateLimits` for an exchange. Raises `RateLimited`, `RatesUnavailable`."""

    def __init__(self, rates: RateLimits) -> None:
        self._rates = rates

    async def admit(self, exchange: Exchange) -> None:
        """Take one request, before its body is looked at; where no tokens are left, none is taken either."""
        policy, principal = exchange.policy, exchange.request.principal
        if policy.rates is None and principal.rate is None:
            return
        try:
            exchange.ticket = await self._rates.admit(policy, principal)
        except RateLimited as error:
            _note(exchange, error)
            raise
        if exchange.ticket is not None:
            exchange.levels = exchange.ticket.levels

    async def reserve(self, exchange: Exchange) -> None:
        """Hold the tokens that a model may need for it."""
        if exchange.ticket is None:
            return
        request, known = exchange.request, exchange.known
        prompt = embedding_tokens(request.body) if request.task == "embeddings" else known.input_tokens
        choices = request.body.get("n") or 1
        answer = 0 if request.task == "embeddings" else known.output_tokens * choices
        try:
            await self._rates.reserve(exchange.ticket, exchange.policy, prompt, answer)
        except RateLimited as error:
            _note(exchange, error)
            raise

    def settle(self, exchange: Exchange) -> None:
        """It has ended."""
        if exchange.ticket is not None:
            estimate = exchange.plan.facts.input_tokens if exchange.plan is not None else 0
            total = 0
            for call in exchange.calls:
                usage, _ = used(call, estimate)
                total += usage.input_tokens + usage.output_tokens
            self._rates.settle(exchange.ticket, total)


def _note(exchange: Exchange, error: RateLimited) -> None:
    exchange.levels = error.levels
    exchange.limited_by = f"{error.scope}:{error.kind}"
    exchange.outcome.policy = exchange.policy.label
    exchange.outcome.route, exchange.outcome.reason, exchange.outcome.model = "refused", REASON, ""
