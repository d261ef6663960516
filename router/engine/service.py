"""The engine as its HTTP side sees it: models by name, one decode thread, chat and embeddings.

It says that it is ready when its first model has answered a self-test.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from router.engine.accelerator import accelerator
from router.engine.answer import Answer
from router.engine.embeddings import EmbeddingsReply, read_texts
from router.engine.loading import LoadSettings
from router.engine.loop import DecodeLoop
from router.engine.manifest import Manifest, ManifestError, SingleModel
from router.engine.pool import Claim, Pool
from router.engine.process import say, usable_memory
from router.engine.prompting import prepare
from router.engine.queue import QueueLimits
from router.engine.sampling import Sampler
from router.engine.sizing import Limits
from router.engine.types import ChatCall, EngineError, Generation, invalid

__all__ = ["Answer", "Engine", "Options"]

# Below this size a prompt is tokenized in well under a millisecond, on the event loop itself.
_INLINE_CHARACTERS = 8192


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    model: str
    alias: str
    threads: int
    context: int
    queue: int
    queue_tokens: int = 131_072
    slots: int = 0  # 0: what suits the machine
    manifest: Path | None = None  # in the place of `model` and `alias`
    memory: int = 0  # bytes for models and caches; 0: half of what may be used
    gpu_layers: int | None = None  # None: all, where an accelerator is built in
    speculates: bool = True
    verbose: bool = False
    confined: bool = False  # what `/health` says: the process has no network and bounded memory


class Engine:
    """The models, their decode thread, and what the HTTP side may ask of them."""

    def __init__(self, options: Options, on_death: Callable[[str], None]) -> None:
        """`on_death` gets the reason, in some thread, when the engine cannot start or cannot go on.

        Raises ManifestError.
        """
        self.options = options
        self.created = int(time.time())
        self.loop = DecodeLoop()
        self._on_death = on_death
        self._is_ready = False
        self._is_stopping = False
        usable = usable_memory()
        settings = LoadSettings(
            limits=Limits(options.memory or usable // 2, usable, options.context, options.slots),
            threads=options.threads,
            queue=QueueLimits(options.queue, options.queue_tokens),
            gpu_layers=options.gpu_layers,
            speculates=options.speculates,
            verbose=options.verbose,
        )
        self.pool = Pool(_manifest(options), settings, self.loop, waiting=options.queue)
        self._thread = threading.Thread(target=self._decode, name="decode", daemon=True)

    @property
    def is_ready(self) -> bool:
        """Whether the first model has passed its self-test."""
        return self._is_ready and not self._is_stopping

    def start(self) -> None:
        """Begin to load. Returns at once."""
        self._thread.start()
        self.pool.bring_first(self._has_first)

    def stop(self, timeout: float = 5.0) -> None:
        """End the decode thread at its next step."""
        self._is_stopping = True
        self.pool.close()
        self.loop.stop()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def names(self) -> tuple[str, ...]:
        """Every model that can be asked for, loaded or not."""
        return self.pool.names()

    async def submit(self, call: ChatCall) -> list[Answer]:
        """Tokenize, check the size, and put the call's choices in line. Raises EngineError."""
        self._check_ready()
        claim = await self.pool.claim(call.model)
        try:
            return await self._submit(call, claim)
        finally:
            claim.release()

    async def embed(
        self, model: str, inputs: Sequence[str | Sequence[int]], dimensions: int | None = None
    ) -> EmbeddingsReply:
        """A vector of length 1 for each text or list of tokens; of `dimensions` or none. Raises EngineError."""
        self._check_ready()
        claim = await self.pool.claim(model)
        try:
            return await read_texts(claim, inputs, self.loop, dimensions)
        finally:
            claim.release()

    def health(self) -> dict[str, Any]:
        """What `/health` says."""
        self.pool.refresh()
        waiting, running = self.pool.depth
        loaded = self.pool.loaded()
        return {
            "status": "ok" if self.is_ready else "loading",
            "model": self.names()[0],
            "waiting": waiting,
            "running": running,
            "context": next((entry["context"] for entry in loaded if "context" in entry), 0),
            "threads": self.options.threads,
            "confined": self.options.confined,
            "accelerator": accelerator(self.options.gpu_layers),
            "loaded": [entry["name"] for entry in loaded],
        }

    def stats(self) -> dict[str, Any]:
        """What `/stats` says: figures of all models."""
        return self.pool.stats()

    async def _submit(self, call: ChatCall, claim: Claim) -> list[Answer]:
        loaded = claim.model
        lane = loaded.lane
        if lane is None:
            raise invalid("This model makes embeddings; it does not chat.", "model", "unsupported_model")
        size = sum(len(message.get("content") or "") for message in call.messages)
        prepared: list[tuple[Generation, Sampler]]
        if size <= _INLINE_CHARACTERS and call.sampling.grammar is None and not call.tools:
            prepared = prepare(loaded, call, claim.adapter)
        else:
            prepared = await claim.in_thread(lambda: prepare(loaded, call, claim.adapter))
        answers: list[Answer] = []
        try:
            for generation, sampler in prepared:
                answers.append(Answer(claim.again(), lane, generation, sampler, answers[0] if answers else None))
                answers[-1].submit()
        except EngineError:
            for answer in answers:
                answer.close()
            raise
        return answers

    def _check_ready(self) -> None:
        if not self.is_ready:
            message = "The local engine is stopping." if self._is_stopping else "The local model is loading."
            raise EngineError(503, "local_unavailable", message, retry_after=1)

    def _has_first(self, reason: str | None) -> None:
        if reason is None:
            self._is_ready = True
        elif not self._is_stopping:
            self._on_death(reason)

    def _decode(self) -> None:
        try:
            self.loop.run()
        finally:
            if not self._is_stopping:
                self._on_death("the decode thread ended unexpectedly")


def _manifest(options: Options) -> Manifest | SingleModel:
    if options.manifest is None:
        return SingleModel(options.alias, options.model)
    try:
        return Manifest(options.manifest, say)
    except ManifestError as error:
        raise ManifestError(f"the manifest cannot be used: {error}") from None
