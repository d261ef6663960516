"""How many tokens fit in one step, and who gets them: steps stay short, so that nobody waits long for anybody."""

from __future__ import annotations

from collections.abc import Sequence

TARGET_S = 0.08  # of one step; a cancellation or a newcomer waits for at most one
LEAST = 8  # prompt tokens a step, however slow the machine is: a prompt gets read
_FIRST_GUESS_S = 0.005  # a token
_WEIGHT = 0.2


class Pace:
    """Learns what a token costs on this machine, with this model, now."""

    def __init__(self) -> None:
        self._token_s = _FIRST_GUESS_S

    def learn(self, tokens: int, seconds: float) -> None:
        """One step took so long. Steps of few tokens say little of what one more costs."""
        if tokens >= LEAST:
            self._token_s += _WEIGHT * (seconds / tokens - self._token_s)

    def room(self, taken: int, most: int) -> int:
        """Prompt tokens for a step that already has `taken` others and can hold `most` in all."""
        fitting = int(TARGET_S / max(self._token_s, 1e-6)) - taken
        return max(0, min(max(LEAST, fitting), most - taken))


def share(remaining: Sequence[int], room: int) -> list[int]:
    """How many of `room` tokens each prompt gets, where `remaining` is what each still needs.

    Equal shares, and what a short prompt does not need goes to the others (max-min fairness): a long prompt cannot
    stall a short one. Prompts that came together are read together, which keeps the model's batches full.
    """
    given = [0] * len(remaining)
    left = len(remaining)
    for index in sorted(range(len(remaining)), key=lambda index: remaining[index]):
        given[index] = min(remaining[index], -(-room // left))
        room -= given[index]
        left -= 1
    return given
