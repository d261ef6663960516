"""How a request is served: within what time, and in whose turn. Nouns only; `policies.reading.serving` reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Urgency = Literal["normal", "low"]


@dataclass(frozen=True, slots=True)
class Serving:
    """Seconds from when the request came in; None: as long as its model may take.

    `low`: it waits at home until nobody else does, but for one in eight.
    """

    total_seconds: float | None = None
    first_token_seconds: float | None = None  # of a stream
    urgency: Urgency = "normal"

    def seconds_until_answer(self, *, stream: bool) -> float | None:
        """Until a whole answer must be there, or a stream's first token."""
        if not stream or self.first_token_seconds is None:
            return self.total_seconds
        total = self.total_seconds
        return self.first_token_seconds if total is None else min(total, self.first_token_seconds)


IN_ANY_TIME = Serving()
