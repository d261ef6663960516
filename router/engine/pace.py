"""How many prompt tokens fit in one step, and who gets them: steps stay short, so that nobody waits long for anybody.

llama.cpp works a step off in passes over the weights. One pass takes as many tokens from each sequence of a run of
neighbouring slots, so a step in which they all read the same number is one pass, and every other shape is several.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from router.engine.figures import LaneFigures

TARGET_S = 0.09  # of one step; a cancellation or a newcomer waits for at most one
LONG_S = 1.0  # of a step that is given up as soon as somebody comes or goes
SPARE_S = 0.06  # what giving up may cost one prompt in all; from then on it is read in short steps
LEAST = 8  # prompt tokens a step, however slow the machine is: a prompt gets read
_WEIGHT = 0.2
_UNIT = 8  # tokens that weigh as much as a pass in what is learned: with small models they cost about as much
_FIRST_GUESS_S = (0.01, 0.04, 0.04)  # a pass, a unit of an answer's tokens, a unit of a prompt's


class Pace:
    """Learns what a step costs on this machine, with this model, now: its passes, and each token of it.

    Tokens of answers and of prompts cost differently, because each looks back on what its sequence holds.
    Source: normalised least mean squares (Widrow and Hoff, 1960).
    """

    def __init__(self) -> None:
        self._costs = list(_FIRST_GUESS_S)

    def seconds(self, passes: int, said: int, read: int) -> float:
        """What a step with so many tokens of answers and of prompts will take."""
        a_pass, an_answer, a_prompt = self._costs
        return a_pass * passes + (an_answer * said + a_prompt * read) / _UNIT

    def shown_in(self, figures: LaneFigures) -> LaneFigures:
        """The figures, with what has been learned by now if anything was."""
        if figures.steps_total:
            a_pass, an_answer, a_prompt = self._costs
            figures.pass_seconds = a_pass
            figures.answer_token_seconds, figures.prompt_token_seconds = an_answer / _UNIT, a_prompt / _UNIT
        return figures

    def learn(self, passes: int, said: int, read: int, seconds: float) -> None:
        """One step took so long. A step that was held up from outside counts as twice what was expected at most."""
        expected, parts = self.seconds(passes, said, read), (passes, said / _UNIT, read / _UNIT)
        error = _WEIGHT * (min(seconds, 2 * expected) - expected) / sum(part * part for part in parts)
        self._costs = [max(1e-6, cost + error * part) for cost, part in zip(self._costs, parts, strict=True)]

    def room(self, most: int) -> int:
        """Prompt tokens for a step of one pass that can hold `most`."""
        a_pass, _, a_prompt = self._costs
        return min(max(LEAST, int((TARGET_S - a_pass) / a_prompt * _UNIT)), most)

    def shares(
        self, talking: Sequence[int], remaining: Sequence[int], most: int, target_s: float = TARGET_S
    ) -> list[int]:
        """How many prompt tokens each slot reads in a step of `target_s` that can hold `most` tokens.

        By slot: `talking` counts the tokens that are in the step already, `remaining` what its prompt still needs.
        All read the same number or to their end: a long prompt cannot stall a short one, and passes stay few.
        """

        def too_long(level: int) -> bool:
            reads = [min(needed, level) for needed in remaining]
            made = passes([one + other for one, other in zip(talking, reads, strict=True)])
            return said + sum(reads) > most or self.seconds(made, said, sum(reads)) > target_s

        said = sum(talking)
        # The first level that is too long, less one.
        level = bisect_left(range(1, max(remaining, default=0) + 1), True, key=too_long)
        given = [min(needed, level) for needed in remaining]
        least = min(LEAST, most - said)
        return given if sum(given) >= min(least, sum(remaining)) else share(remaining, least)


def passes(counts: Sequence[int]) -> int:
    """The passes that llama.cpp makes of a step with so many tokens of each slot.

    Source: `split_equal` in its llama-batch.cpp: the first run of neighbours gives as many tokens each as all have.
    """
    left, total = list(counts), 0
    for start in range(len(left)):
        while left[start]:
            end = left.index(0, start) if 0 in left[start:] else len(left)
            least = min(left[start:end])
            left[start:end] = [count - least for count in left[start:end]]
            total += 1
    return total


def share(remaining: Sequence[int], room: int) -> list[int]:
    """How many of `room` tokens each prompt gets, where `remaining` is what each still needs.

    Equal shares, and what a short prompt does not need goes to the others (max-min fairness).
    """
    given = [0] * len(remaining)
    left = len(remaining)
    for index in sorted(range(len(remaining)), key=lambda index: remaining[index]):
        given[index] = min(remaining[index], -(-room // left))
        room -= given[index]
        left -= 1
    return given
