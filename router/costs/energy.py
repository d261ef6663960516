"""Energy of local answers, an estimate: measured CPU seconds of the engine a token, times watts a busy core.

Nothing is guessed where nothing was measured: an answer of another server, or before the first measurement, has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from router.types import JsonObject

# default_watts: CPU seconds × 5 W, an assumption. stated_watts: × what the operator says. rapl: × joules a busy core
# second as the processor's own counter showed them while the engine worked.
Method = Literal["default_watts", "stated_watts", "rapl"]
DEFAULT_WATTS = 5.0  # of one busy core; server processors spread 3 to 8 (their power limit over their cores)


@dataclass(frozen=True, slots=True)
class Energy:
    """Joules, and the method that they were estimated by."""

    joules: float
    method: Method


@dataclass(frozen=True, slots=True)
class Rate:
    """CPU seconds of the engine for one token of one model."""

    prompt: float
    answer: float


@dataclass(frozen=True, slots=True)
class Burn:
    """What the parent has measured: rates by the engine's model name, and watts of one busy core."""

    rates: Mapping[str, Rate]
    watts: float
    method: Method

    def of(self, model: str, prompt_tokens: int, answer_tokens: int) -> Energy | None:
        """The energy of one call; `prompt_tokens` are those that were not reused. None for a model not measured."""
        rate = self.rates.get(model)
        if rate is None:
            return None
        seconds = prompt_tokens * rate.prompt + answer_tokens * rate.answer
        return Energy(round(seconds * self.watts, 3), self.method)

    def message(self) -> JsonObject:
        """As it goes to the workers."""
        rates = {name: [rate.prompt, rate.answer] for name, rate in self.rates.items()}
        return {"rates": rates, "watts": self.watts, "method": self.method}


def read_burn(message: JsonObject) -> Burn:
    """What `Burn.message` made."""
    rates = {name: Rate(*pair) for name, pair in message["rates"].items()}
    return Burn(rates, message["watts"], message["method"])


def total(parts: Iterable[Energy | None]) -> Energy | None:
    """All parts together; None as soon as one is not known, and 0 J of nothing would say more than is known: None."""
    joules, method = 0.0, None
    for part in parts:
        if part is None:
            return None
        joules, method = joules + part.joules, part.method
    return None if method is None else Energy(round(joules, 3), method)
