"""From a file to a model that answers: checked header, weights, cache, self-test. Runs in the loader's thread.

Nothing is handed out before a self-test prompt of several tokens, because some native builds die on the first one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import jinja2
import llama_cpp

from router.engine.accelerator import PROCESSOR, accelerator
from router.engine.adapters import Adapters
from router.engine.gguf import BadModelError, Header, inspect
from router.engine.loop import DecodeLoop, StoppedError
from router.engine.manifest import Entry
from router.engine.native import NativeContext, NativeError, NativeModel
from router.engine.queue import QueueLimits
from router.engine.scheduler import Lane
from router.engine.selftest import self_test
from router.engine.sizing import BATCH, Limits, Plan, plan_chat, plan_embedder
from router.engine.template import ChatTemplate
from router.engine.types import EngineError
from router.engine.vectors import Embedder

_ALL_LAYERS = 999
_UNLOAD_S = 60.0  # for the step in progress to end
_loads = count(1)


class LoadError(Exception):
    """A model that cannot be served; the message holds nothing of the file."""


@dataclass(frozen=True, slots=True)
class LoadSettings:
    """What the operator said about every model."""

    limits: Limits
    threads: int
    queue: QueueLimits
    gpu_layers: int | None = None  # None: all of them where an accelerator is built in
    speculates: bool = True
    verbose: bool = False


@dataclass(frozen=True, slots=True)
class Checked:
    """A file whose header is sound, and what loading it will take."""

    entry: Entry
    header: Header
    plan: Plan


@dataclass(eq=False, slots=True)
class LoadedModel:
    """One model in memory. `lane` and `template` are None where it makes embeddings and nothing else."""

    checked: Checked
    model: NativeModel = field(repr=False)
    adapters: Adapters = field(repr=False)
    fingerprint: str
    context: int  # tokens of prompt and answer together
    native: NativeContext | None = field(default=None, repr=False)
    template: ChatTemplate | None = field(default=None, repr=False)
    lane: Lane | None = field(default=None, repr=False)
    embedder: Embedder | None = field(default=None, repr=False)

    def close(self, loop: DecodeLoop) -> None:
        """Take it off the decode thread, then free everything. Raises StoppedError when that thread has ended.

        What was asked of that thread before, the last piece of an embedding say, is over then too.
        """
        over = loop.call(_nothing) if self.lane is None else loop.detach(self.lane)
        over.result(_UNLOAD_S)
        if self.embedder is not None:
            self.embedder.close()
        for key in self.adapters.keys:
            self.adapters.remove(key)
        if self.native is not None:
            self.native.close()
        self.model.close()

    def drop_adapter(self, key: str, loop: DecodeLoop) -> None:
        """Free one adapter, between two steps. Raises StoppedError."""

        def drop() -> None:
            self.adapters.remove(key)
            if self.lane is not None:
                self.lane.drop_adapter(key)

        loop.call(drop).result(_UNLOAD_S)


def _nothing() -> None:
    return None


def check(entry: Entry, limits: Limits) -> Checked:
    """Read the header of a model's file, in Python. Raises LoadError."""
    try:
        header = inspect(entry.path)
        size = Path(entry.path).stat().st_size
    except BadModelError as error:
        raise LoadError(str(error)) from None
    except OSError as error:
        raise LoadError(f"the file cannot be read: {error.strerror}") from None
    if header.kind == "adapter":
        raise LoadError("this file is a LoRA adapter: its entry must say what it is an adapter of")
    if entry.embedding or header.kind == "embedding":
        return Checked(entry, header, plan_embedder(header, size, limits, entry.context))
    return Checked(entry, header, plan_chat(header, size, limits, entry.context))


def load(checked: Checked, settings: LoadSettings, loop: DecodeLoop) -> LoadedModel:
    """Load, self-test, and let the decode thread serve it. Raises LoadError; nothing stays in memory then."""
    cleanup: list[Callable[[], None]] = []
    try:
        loaded = _build(checked, settings, loop, cleanup)
        if loaded.lane is not None:
            loop.attach(loaded.lane)
    except (NativeError, jinja2.TemplateError, StoppedError, EngineError) as error:
        for free in reversed(cleanup):
            free()
        raise LoadError(_reason(error)) from None
    return loaded


def _reason(error: Exception) -> str:
    if isinstance(error, NativeError):
        return str(error)
    return "the engine is stopping" if isinstance(error, StoppedError) else "the chat template cannot be used"


def _build(
    checked: Checked, settings: LoadSettings, loop: DecodeLoop, cleanup: list[Callable[[], None]]
) -> LoadedModel:
    entry, plan = checked.entry, checked.plan
    layers = _ALL_LAYERS if settings.gpu_layers is None else settings.gpu_layers
    model = NativeModel(entry.path, gpu_layers=layers, verbose=settings.verbose)
    cleanup.append(model.close)
    source = model.template or ""
    known = f"{entry.name} {entry.sha256} {model.description} {llama_cpp.__version__} {source}"
    fingerprint = "fp_" + hashlib.sha256(known.encode()).hexdigest()[:10]
    loaded = LoadedModel(checked, model, Adapters(model), fingerprint, plan.context)
    if plan.slots == 0:
        loaded.embedder = _embedder(loaded, plan, settings.threads, loop)
        loaded.context = loaded.embedder.length
        return loaded
    native = NativeContext(
        model,
        context=plan.context,
        batch=BATCH,
        sequences=plan.slots,
        threads=settings.threads,
        bfloat16_keys=accelerator(settings.gpu_layers) == PROCESSOR,
    )
    cleanup.append(native.close)
    template = ChatTemplate(model, source)
    rounds_alike = self_test(native, template, loop)
    # What looks at every token, or renders often, is done here, on nobody's time.
    _ = model.longest_piece, model.is_end(0), template.public_prefix
    loaded.native, loaded.template = native, template
    loaded.context = min(plan.context, native.length)
    loaded.lane = Lane(
        model,
        native,
        limits=settings.queue,
        clock=loop.clock,
        wake=loop.wake,
        use_adapter=lambda key: loaded.adapters.apply(native.handle, key),
        speculates=settings.speculates,
        rounds_alike=rounds_alike,
    )
    return loaded


def load_embedder(loaded: LoadedModel, plan: Plan, threads: int, loop: DecodeLoop) -> Embedder:
    """A context for embeddings from a chat model. Raises LoadError."""
    try:
        return _embedder(loaded, plan, threads, loop)
    except (NativeError, StoppedError) as error:
        raise LoadError(_reason(error)) from None


def _embedder(loaded: LoadedModel, plan: Plan, threads: int, loop: DecodeLoop) -> Embedder:
    embedder = Embedder(loaded.model, loaded.adapters, plan, loaded.checked.header.pooling, threads=threads)
    try:
        loop.call(embedder.test).result()
    except (NativeError, StoppedError):
        embedder.close()
        raise
    return embedder


def load_adapter(loaded: LoadedModel, entry: Entry) -> str:
    """Read an adapter beside its base model. Returns its key. Raises LoadError."""
    try:
        header = inspect(entry.path)
    except BadModelError as error:
        raise LoadError(str(error)) from None
    except OSError as error:
        raise LoadError(f"the file cannot be read: {error.strerror}") from None
    if header.kind != "adapter":
        raise LoadError("this file is not a LoRA adapter")
    if header.architecture != loaded.checked.header.architecture:
        raise LoadError("this adapter was made for a model of another architecture")
    key = f"{entry.name}#{next(_loads)}"
    try:
        loaded.adapters.load(key, entry.path)
    except NativeError as error:
        raise LoadError(str(error)) from None
    return key
