"""The template's own opening, which holds nothing of any caller's: read once for each adapter, and shared by all."""

from __future__ import annotations

from router.engine.native import NativeContext
from router.engine.part import index_of
from router.engine.sequence import Sequence
from router.engine.types import Generation


class Openings:
    """The openings saved so far, by adapter. Only the decode thread touches it."""

    def __init__(self, context: NativeContext) -> None:
        self._context = context
        self._saved: dict[str | None, tuple[list[int], bytes]] = {}

    def forget(self, adapter: str) -> None:
        """None of that adapter comes again."""
        self._saved.pop(adapter, None)

    def place(self, generation: Generation, held: list[int], index: int) -> int:
        """Keep it where it stands in a slot that holds `held`, or load it there. Its length in tokens, or 0."""
        public = list(generation.prompt[: generation.public])
        saved, state = self._saved.get(generation.adapter, ([], b""))
        if not public or saved != public:
            return 0
        if held[: len(public)] == public or self._context.load(index, state):
            return min(len(public), len(generation.prompt) - 1)
        return 0

    def cut(self, generation: Generation, start: int, count: int) -> int:
        """End a piece of a prompt where the opening ends, while that is still to be saved."""
        left = generation.public - start
        return left if 0 < left < count and generation.adapter not in self._saved else count

    def save(self, sequence: Sequence) -> None:
        """Save it from a sequence that has read just that."""
        generation = sequence.generation
        if generation.public == sequence.fed > 0 and generation.adapter not in self._saved:
            state = self._context.save(index_of(sequence))
            self._saved[generation.adapter] = (list(generation.prompt[: sequence.fed]), state)
