"""How many tokens fit in one step, and who gets them: steps stay short, so that nobody waits long for anybody."""

from __future__ import annotations

from collections.abc import Sequence

TARGET_S = 0.08  # of one step; a cancellation or a newcomer waits for at most one
LEAST = 8  # prompt tokens a step, however slow the machine is: a prompt gets read
_FIRST_GUESS_S = 0.005  # a token
_WEIGHT = 0.2
_OLDEST_SHARE = 0.25  # of the prompt tokens of a step, for whoever came first: a long prompt is never starved


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
    """How many of `room` tokens each prompt gets; `remaining` is what each still needs, in the order of their arrival.

    The first has a share of its own; the rest goes to the shortest first, which is the least waiting for all.
    """
    given = [0] * len(remaining)
    if not remaining:
        return given
    given[0] = min(remaining[0], max(1, int(room * _OLDEST_SHARE)), room)
    room -= given[0]
    for index in sorted(range(len(remaining)), key=lambda index: remaining[index]):
        more = min(remaining[index] - given[index], room)
        given[index] += more
        room -= more
    return given
