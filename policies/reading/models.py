"""From the models, defaults, aliases and networks of a file to compiled ones, with the checks that they need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from policies.addresses import (
    Network,
    cloud_problem,
    is_cloud_name,
    is_plain,
    lan_problem,
    local_problem,
    read_network,
)
from policies.errors import suggest
from policies.good_at import read_good_at
from policies.reading.notes import Notes
from policies.shape.file import PolicyFile
from policies.shape.models import ModelPart
from policies.text.document import Path
from policies.types import Model, Price
from policies.vocabulary import CONTEXT, ENGINE_CAPABILITIES, SERVER_CAPABILITIES

LOCALITIES = ("local", "lan", "cloud")
RESERVED = ("auto",)


def read_networks(file: PolicyFile, notes: Notes) -> tuple[Network, ...]:
    """The ranges of networks.lan."""
    networks = []
    for index, text in enumerate(file.networks.lan):
        path: Path = ("networks", "lan", index)
        network, problem = read_network(text)
        if network is None:
            notes.problem(path, problem or "")
            continue
        if not network.is_private:
            notes.warn(path, "this range is not a private one: everything in it counts as your own network")
        networks.append(network)
    return tuple(networks)


def read_models(file: PolicyFile, networks: Sequence[Network], notes: Notes) -> dict[str, Model]:
    """The models by name, in the order of the file."""
    models = {}
    folded: dict[str, str] = {}
    for name, part in file.models.items():
        path: Path = ("models", name)
        if name.casefold() in folded:
            notes.problem(path, f"'{name}' and '{folded[name.casefold()]}' differ only in case", at_key=True)
        folded[name.casefold()] = name
        if name.casefold() in RESERVED:
            notes.problem(path, f"'{name}' may not be a model's name: it means that the policy chooses", at_key=True)
        if name in LOCALITIES and part.locality != name:
            notes.problem((*path, "locality"), f"a model named '{name}' must have the locality {name}")
        _check_backend(path, part, networks, notes)
        models[name] = _model(name, part)
    if not any(model.locality == "local" for model in models.values()):
        notes.problem(("models",), "no model has the locality local: there must be a home", at_key=True)
    return models


def _model(name: str, part: ModelPart) -> Model:
    usual = ENGINE_CAPABILITIES if part.backend == "engine" else SERVER_CAPABILITIES
    return Model(
        name=name,
        locality=part.locality,
        backend=part.backend,
        model=part.model,
        base_url=part.base_url,
        region=part.region,
        attributes=frozenset(part.attributes),
        api_key_env=part.api_key_env,
        api_key_file=part.api_key_file,
        context=part.context or CONTEXT[part.locality],
        capabilities=usual if part.capabilities is None else frozenset(part.capabilities),
        states_capabilities=part.capabilities is not None,
        price=Price(part.price.input_per_1m, part.price.output_per_1m) if part.price else None,
        proxy=part.proxy,
        ca_file=part.ca_file,
        client_cert_file=part.client_cert_file,
        timeout_seconds=float(part.timeout_seconds),
        first_token_seconds=part.first_token_seconds,
        good_at=read_good_at(part.good_at) if part.good_at else (),
    )


def _check_backend(path: Path, part: ModelPart, networks: Sequence[Network], notes: Notes) -> None:
    if part.api_key_env is not None and part.api_key_file is not None:
        notes.problem((*path, "api_key_file"), "either api_key_env or api_key_file, not both", at_key=True)
    if part.good_at is not None:
        _check_good_at((*path, "good_at"), part, notes)
    if part.proxy is not None:
        problem = "a local model is reached directly" if part.locality == "local" else cloud_problem(part.proxy)
        if problem:
            notes.problem((*path, "proxy"), problem)
    if part.backend == "engine":
        _check_engine(path, part, notes)
        return
    if part.locality != "cloud" and is_cloud_name(part.model):
        notes.problem((*path, "model"), "Ollama answers models with this ending in its own cloud, not at home")
    if part.base_url is None:
        if part.backend == "openai" or part.locality != "cloud":
            notes.problem(path, f"'base_url' is missing in 'models.{path[-1]}'", at_key=True)
        return
    problem = _address_problem(part.base_url, part.locality, networks)
    if problem:
        notes.problem((*path, "base_url"), problem)
    elif part.locality != "local" and is_plain(part.base_url):
        notes.warn((*path, "base_url"), "http is not encrypted: what leaves can be read on its way")


def _check_good_at(path: Path, part: ModelPart, notes: Notes) -> None:
    if part.locality != "local":
        why = "only local models are chosen by what they are good at: let a decision route to others"
        notes.problem(path, why, at_key=True)
    elif part.good_at is not None and not read_good_at(part.good_at):
        notes.problem(path, "'good_at' names nothing: domain: [...], task: [...] or both")


def _address_problem(base_url: str, locality: str, networks: Sequence[Network]) -> str | None:
    if locality == "local":
        return local_problem(base_url)
    return lan_problem(base_url, networks) if locality == "lan" else cloud_problem(base_url)


_NOT_FOR_ENGINE = ("base_url", "api_key_env", "api_key_file", "proxy", "ca_file", "client_cert_file")


def _check_engine(path: Path, part: ModelPart, notes: Notes) -> None:
    if part.locality != "local":
        notes.problem((*path, "locality"), "the engine runs on this host: its locality is local")
    for key in _NOT_FOR_ENGINE:
        if getattr(part, key) is not None:
            notes.problem((*path, key), f"'{key}' has no meaning for backend engine", at_key=True)


def read_defaults(file: PolicyFile, models: Mapping[str, Model], notes: Notes) -> tuple[str, str | None]:
    """The default local model and, where there is a cloud, the default cloud model."""
    clouds = [name for name, model in models.items() if model.locality == "cloud"]
    cloud = file.defaults.cloud
    _check_default("local", file.defaults.local, models, notes)
    if cloud is None and len(clouds) > 1:
        notes.problem(("defaults",), "'cloud' is missing in 'defaults': there are several cloud models", at_key=True)
    if cloud is not None:
        _check_default("cloud", cloud, models, notes)
    return file.defaults.local, cloud or (clouds[0] if clouds else None)


def _check_default(locality: str, name: str, models: Mapping[str, Model], notes: Notes) -> None:
    path: Path = ("defaults", locality)
    model = models.get(name)
    if model is None:
        notes.problem(path, f"there is no model '{name}'{suggest(name, models)}")
    elif model.locality != locality:
        notes.problem(path, f"'{name}' is {model.locality}, not {locality}")
    elif locality in models and name != locality:
        notes.problem(path, f"a model is named '{locality}', so it must be the default")


def read_aliases(file: PolicyFile, models: Mapping[str, Model], notes: Notes) -> tuple[tuple[str, str], ...]:
    """The aliases, the most specific first: exact names, then the longest beginning."""
    for pattern, target in file.aliases.items():
        path: Path = ("aliases", pattern)
        if pattern in models or pattern in (*RESERVED, *LOCALITIES):
            notes.problem(path, f"'{pattern}' has a meaning already: an alias cannot change it", at_key=True)
        if target in ("auto", "local") or target in models:
            continue
        if target in LOCALITIES:
            if not any(model.locality == target for model in models.values()):
                notes.problem(path, f"no model has the locality {target}")
            continue
        words = ("auto", *LOCALITIES, *models)
        notes.problem(path, f"an alias leads to auto, local, lan, cloud or a model{suggest(target, words)}")
    return tuple(sorted(file.aliases.items(), key=lambda item: (item[0].endswith("*"), -len(item[0]), item[0])))
