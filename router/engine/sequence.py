"""One request inside the decode loop: how far its prompt has been read, what it has said, what it may guess."""

from __future__ import annotations

import time
from collections.abc import Collection

from router.engine.prefix import Partition, Slot
from router.engine.sampling import Sampler
from router.engine.speculate import PromptLookup
from router.engine.text import TextAssembler
from router.engine.types import Emit, Generation


class Sequence:
    """Only the decode thread touches it, but for `is_cancelled`.

    `leader` is another choice of the same request: this one waits until the leader's prompt is read, and takes it over.
    """

    def __init__(self, generation: Generation, sampler: Sampler, emit: Emit, *, leader: Sequence | None = None) -> None:
        self.generation = generation
        self.sampler = sampler
        self.emit = emit
        self.leader = leader
        self.text = TextAssembler(generation.stop)
        self.slot: Slot | None = None
        self.fed = 0  # prompt tokens that are in the cache
        self.cached = 0  # of them, those that were there already
        self.said: list[int] = []
        self.submitted = time.monotonic()
        self.started = 0.0
        self.lost_s = 0.0  # in steps that were given up
        self.is_cancelled = False
        self.is_done = False
        self._lookup: PromptLookup | None = None

    @property
    def is_prefilling(self) -> bool:
        """Whether a part of the prompt is still to be read."""
        return self.fed < len(self.generation.prompt)

    @property
    def wanted(self) -> int:
        """Tokens that it asks for at most, prompt and answer."""
        return len(self.generation.prompt) + self.generation.max_tokens

    @property
    def partition(self) -> Partition | None:
        """Within which it may reuse what the cache holds; None: nothing of anybody's."""
        salt = self.generation.salt
        return None if salt is None else (salt, self.generation.adapter)

    def is_over(self, now: float) -> bool:
        """Whether nobody waits for it any more."""
        expires = self.generation.expires
        return expires is not None and expires <= now

    @property
    def may_start(self) -> bool:
        """Whether it need not wait for its leader any more."""
        leader = self.leader
        return leader is None or leader.is_done or (leader.slot is not None and not leader.is_prefilling)

    def guess(self, ends: Collection[int]) -> list[int]:
        """Tokens that may follow the one chosen last, by prompt lookup; `ends` are those that end an answer."""
        if self._lookup is None:
            self._lookup = PromptLookup([*self.generation.prompt, *self.said], ends)
        return self._lookup.guess(self.generation.max_tokens - len(self.said) - 1)

    def learn(self, guessed: int, right: int) -> None:
        """Say how many tokens of the last guess were right."""
        if self._lookup is not None:
            self._lookup.learn(guessed, right)

    def choose(self, token: int) -> None:
        """Note the token that the model has chosen."""
        self.said.append(token)
        if self._lookup is not None:
            self._lookup.push(token)
