"""What is known of the models that a policy gives to the engine: whether they are here, and what they can do.

The parent finds it out, once a policy version, and tells the workers; a policy's own `capabilities:` come first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from policies.errors import PolicyError, Problem
from policies.tenants import with_models
from policies.types import Model, Policy
from router.models.catalogue import ModelFileError, catalogue
from router.models.local import manifest_entries
from router.models.registry import Contents, Registry
from router.settings import Settings
from router.types import JsonObject


@dataclass(frozen=True, slots=True)
class EngineModel:
    """One model of the engine's. `context`: tokens it was trained for; None: not known.

    `sha256` is of the file where the name alone does not say which it is: a model that was added or pulled unpinned.
    """

    tools: bool = False
    context: int | None = None
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class EngineModels:
    """The engine's models of one policy version: what is known of each by its name, and the manifest for the engine."""

    known: Mapping[str, EngineModel]
    manifest: tuple[JsonObject, ...] = ()

    def message(self) -> dict[str, Any]:
        """`known` as it goes to the workers."""
        return {name: asdict(model) for name, model in self.known.items()}


def names_of(policy: Policy) -> list[str]:
    """The engine's models of a policy, each once; the default comes first, for it is loaded at the start."""
    default = policy.models[policy.default_local]
    served = [model.model for model in (default, *policy.models.values()) if model.backend == "engine"]
    return list(dict.fromkeys(served))


def known_models(policy: Policy, settings: Settings) -> dict[str, EngineModel]:
    """What catalogue and registry say of the engine's models of a policy; no model's file is read.

    Raises `PolicyError` for a registry that is damaged.
    """
    names = names_of(policy)
    contents = _contents(policy, settings) if names else Contents()
    return {name: _known(name, contents) for name in names}


def find(policy: Policy, settings: Settings) -> EngineModels:
    """Look for the engine's models of a policy. May read whole files: not for the event loop.

    Raises `PolicyError` for one that is not on this machine, unless an engine of its own serves them elsewhere.
    """
    known = known_models(policy, settings)
    if settings.engine_socket_path is not None:
        return EngineModels(known)
    entries: dict[str, JsonObject] = {}
    for model in _by_default(policy):
        try:
            found = manifest_entries([model.model], settings.state_dir)
        except ModelFileError as error:
            raise _bad(policy, model, error) from None
        for entry in found:
            entries.setdefault(entry["name"], entry)
    served = with_engine_models(policy, known, settings)
    for model in served.models.values():
        if model.backend == "engine":
            entries[model.model]["context"] = max(model.context, entries[model.model]["context"] or 0)
    return EngineModels(known, tuple(entries.values()))


def with_engine_models(policy: Policy, known: Mapping[str, EngineModel], settings: Settings) -> Policy:
    """The policy with what its engine's models can do. Pure.

    A model whose name does not say which file it is changes the digest: answers of different models never mix.
    """
    models = {name: _served(model, known, settings.engine_context) for name, model in policy.models.items()}
    unpinned = sorted(f"{name}\n{model.sha256}" for name, model in known.items() if model.sha256)
    digest = policy.digest
    if unpinned:
        digest = hashlib.sha256("\n".join([digest, *unpinned]).encode()).hexdigest()
    return with_models(policy, models, digest)


def read_message(message: Mapping[str, Any]) -> dict[str, EngineModel]:
    """What `EngineModels.message` made."""
    return {name: EngineModel(**fields) for name, fields in message.items()}


def _served(model: Model, known: Mapping[str, EngineModel], most: int) -> Model:
    if model.backend != "engine":
        return model
    found = known.get(model.model, EngineModel())
    limits = [limit for limit in (model.context, found.context, most) if limit]
    has_more = found.tools and not model.states_capabilities
    capabilities = model.capabilities | {"tools"} if has_more else model.capabilities
    return replace(model, context=min(limits), capabilities=capabilities)


def _by_default(policy: Policy) -> list[Model]:
    by_model = {model.model: model for model in policy.models.values() if model.backend == "engine"}
    return [by_model[name] for name in names_of(policy)]


def _contents(policy: Policy, settings: Settings) -> Contents:
    try:
        return Registry(settings.state_dir).read()
    except ModelFileError as error:
        raise PolicyError(policy.source, [Problem(0, 0, str(error))]) from None


def _known(name: str, contents: Contents) -> EngineModel:
    entry = contents.models.get(name)
    listed = catalogue().get(name)
    if entry is None:
        return EngineModel() if listed is None else EngineModel(listed.tools, listed.context)
    base = contents.models.get(entry.adapter_of or "")
    listed_base = catalogue().get(entry.adapter_of or "")
    tools = entry.tools or (base is not None and base.tools) or (listed_base is not None and listed_base.tools)
    context = entry.context or (base.context if base is not None else None)
    is_pinned = listed is not None and listed.sha256 == entry.sha256
    return EngineModel(tools, context, "" if is_pinned else entry.sha256)


def _bad(policy: Policy, model: Model, error: ModelFileError) -> PolicyError:
    return PolicyError(policy.source, [Problem(0, 0, f"models.{model.name}: {error}")])


def manifest_file(settings: Settings) -> Path:
    """Where the parent writes the engine's manifest."""
    return settings.runtime_dir / "engine.json"
