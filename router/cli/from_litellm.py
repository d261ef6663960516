"""From a LiteLLM proxy's config to a policy: models, aliases, fallbacks; and a list of all that was not carried over.

Pure. The policy lets nothing out unless asked to: what may leave is for its admin to write.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from router.cli.litellm_config import line_of, members
from router.cli.litellm_model import Carried, carry, is_name

_HOME = Carried("home", {"locality": "local", "backend": "engine", "model": "smollm2-135m-instruct", "context": 8192})
_WHY = {
    "litellm_settings.cache": "write `cache: {mode: exact}`",
    "litellm_settings.cache_params": "write `cache`; Redis is GATEHOUSE_REDIS_URL",
    "litellm_settings.callbacks": "metrics stand at /metrics, traces go where OTEL_EXPORTER_OTLP_ENDPOINT says",
    "litellm_settings.success_callback": "metrics stand at /metrics; nothing reports content",
    "litellm_settings.failure_callback": "metrics stand at /metrics; nothing reports content",
    "litellm_settings.drop_params": "hints that a backend lacks are left out, and named in x-gatehouse-ignored",
    "litellm_settings.request_timeout": "write `timeout_seconds` at each model",
    "litellm_settings.context_window_fallbacks": "a model whose window is too small is passed over by itself",
    "litellm_settings.content_policy_fallbacks": "what a provider refuses is told to the caller",
    "router_settings.routing_strategy": "models are chosen by the policy's rules",
    "router_settings.redis_host": "GATEHOUSE_REDIS_URL",
    "router_settings.redis_password": "GATEHOUSE_REDIS_URL",
    "router_settings.redis_port": "GATEHOUSE_REDIS_URL",
    "general_settings.master_key": "keys are made with `gatehouse keys create`; none is copied",
    "general_settings.database_url": "state stands in GATEHOUSE_STATE_DIR; nothing is copied",
    "environment_variables": "set them where the gateway is started; none is copied",
    "guardrails": "see `sensitivity` and `decisions`",
}
_READ = ("model_list", "router_settings", "litellm_settings", "general_settings")


@dataclass(frozen=True, slots=True, order=True)
class NotCarried:
    """One thing of the config that the policy does not have, or that wants a look."""

    line: int
    key: str
    why: str


@dataclass(frozen=True, slots=True)
class Translated:
    """The policy's text, how many models of how many it has, and what it lacks."""

    text: str
    models: int
    of: int
    not_carried: tuple[NotCarried, ...]


def translate(config: Mapping[str, Any], *, opens_public: bool = False) -> Translated:
    """The policy that a config comes to. With `opens_public`, public requests may leave; else nothing may."""
    notes: list[NotCarried] = []
    models, groups = _models(config["model_list"], notes)
    if not any(model.keys["locality"] == "local" for model in models.values()):
        home = _HOME if "home" not in models else Carried("engine-home", _HOME.keys)
        models = {home.name: home, **models}
    aliases = _aliases(config, groups, models, notes)
    fallbacks = _fallbacks(config, groups, models, notes)
    for section, part in members(config):
        _note_section(config, section, part, notes)
    text = _written(models, aliases, fallbacks, opens_public=opens_public)
    return Translated(text, sum(map(len, groups.values())), len(config["model_list"]), tuple(sorted(set(notes))))


def _models(entries: list[Any], notes: list[NotCarried]) -> tuple[dict[str, Carried], dict[str, list[str]]]:
    """The models by their names here, and which of them a name of LiteLLM's means, in order."""
    models: dict[str, Carried] = {}
    groups: dict[str, list[str]] = {}

    def note(line: int, key: str, why: str) -> None:
        notes.append(NotCarried(line, key, why))

    for entry in entries:
        group = entry.get("model_name") if isinstance(entry, Mapping) else None
        if not isinstance(group, str) or "*" in group:
            note(line_of(entry), "model_name", "a pattern, or no name: left out; name each model")
            continue
        name = _free(group, models)
        made = carry(entry, name, note)
        if made is None:
            continue
        for key, _ in members(entry):
            if key not in ("model_name", "litellm_params", "model_info"):
                note(line_of(entry, key), key, "no such key of a model")
        if group in groups:
            note(
                line_of(entry),
                "model_name",
                f"another deployment of the same name: it is '{name}', and nothing is spread",
            )
        elif name != group:
            note(line_of(entry), "model_name", f"this name cannot be a model's here: it is '{name}'")
        models[name] = made
        groups.setdefault(group, []).append(name)
    return models, groups


def _free(group: str, models: Mapping[str, Carried]) -> str:
    cleaned = "".join(each if each.isascii() and (each.isalnum() or each in "._:/@+-") else "-" for each in group)
    base = cleaned[:60].strip("-._:/@+") or "model"
    name, number = (base if is_name(base) else f"{base}-model"), 1
    taken = {each.casefold() for each in models}
    while name.casefold() in taken:
        number += 1
        name = f"{base}-{number}"
    return name


def _aliases(
    config: Mapping[str, Any], groups: Mapping[str, list[str]], models: Mapping[str, Carried], notes: list[NotCarried]
) -> dict[str, str]:
    """`model_group_alias`, and LiteLLM's names that are called otherwise here."""
    aliases = {group: names[0] for group, names in groups.items() if group != names[0] and _is_alias(group, models)}
    for section, key in (("router_settings", "model_group_alias"), ("litellm_settings", "model_alias_map")):
        part = config.get(section)
        listed = part.get(key) if isinstance(part, Mapping) else None
        for alias, target in members(listed):
            wanted = target.get("model") if isinstance(target, Mapping) else target
            if isinstance(wanted, str) and wanted in groups and _is_alias(alias, models):
                aliases[alias] = groups[wanted][0]
            else:
                notes.append(NotCarried(line_of(listed, alias), f"{section}.{key}", "leads to no model that is here"))
    return aliases


def _is_alias(word: str, models: Mapping[str, Carried]) -> bool:
    is_plain = word.isascii() and word.isprintable() and 0 < len(word) <= 64 and not set(word) & set("* ")
    return is_plain and word not in models and word not in ("auto", "local", "lan", "cloud")


def _fallbacks(
    config: Mapping[str, Any], groups: Mapping[str, list[str]], models: Mapping[str, Carried], notes: list[NotCarried]
) -> list[str]:
    """Who is asked after the default cloud model; the other lists are told as what to write."""
    default = _default_cloud(models)
    found: list[str] = []
    for section in ("router_settings", "litellm_settings"):
        part = config.get(section)
        listed = part.get("fallbacks") if isinstance(part, Mapping) else None
        for entry in listed if isinstance(listed, list) else []:
            for group, after in members(entry):
                known = [groups[each][0] for each in after if each in groups] if isinstance(after, list) else []
                outside = [each for each in known if models[each].keys["locality"] != "local"]
                if outside and default is not None and default in groups.get(group, ()) and not found:
                    found = [each for each in outside if each != default][:16]
                    continue
                what = (
                    f"write `fallback: [{', '.join(outside)}]` at a rule that routes to it"
                    if outside
                    else "nothing to ask"
                )
                notes.append(NotCarried(line_of(entry, group), f"{section}.fallbacks", what))
    return found


def _default_cloud(models: Mapping[str, Carried]) -> str | None:
    return next((name for name, model in models.items() if model.keys["locality"] == "cloud"), None)


_CARRIED = {"router_settings": ("model_group_alias", "fallbacks"), "litellm_settings": ("model_alias_map", "fallbacks")}


def _note_section(config: Mapping[str, Any], section: str, part: Any, notes: list[NotCarried]) -> None:
    if section == "model_list":
        return
    if section not in _READ or not isinstance(part, Mapping):
        notes.append(NotCarried(line_of(config, section), section, _WHY.get(section, "no counterpart")))
        return
    for key, _ in members(part):
        if key not in _CARRIED.get(section, ()):
            path = f"{section}.{key}"
            notes.append(NotCarried(line_of(part, key), path, _WHY.get(path, "no counterpart")))


def _written(
    models: Mapping[str, Carried], aliases: Mapping[str, str], fallbacks: list[str], *, opens_public: bool
) -> str:
    cloud = _default_cloud(models)
    local = next(name for name, model in models.items() if model.keys["locality"] == "local")
    defaults = {"local": local, **({"cloud": cloud} if cloud is not None else {})}
    hosts = sorted({_range(model.host) for model in models.values() if model.host is not None})
    lines = [*_HEAD, "version: 1", "mode: enforce", "", "models:"]
    for name, model in models.items():
        lines += [f"  {_flow(name)}:", *(f"    {key}: {_flow(value)}" for key, value in model.keys.items())]
    lines += ["", f"defaults: {_flow(defaults)}"]
    lines += [f"aliases: {_flow(dict(aliases))}"] if aliases else []
    lines += [f"networks: {_flow({'lan': hosts})}"] if hosts else []
    lines += ["", *_SENSITIVITY, "", *_egress(opens_public)]
    if cloud is not None:
        rule = ["  - name: hard-questions", "    priority: 50", "    when: {all: [{complexity: {at_least: 0.7}}]}"]
        rule += [f"    route: {_flow(cloud)}", *([f"    fallback: {_flow(fallbacks)}"] if fallbacks else [])]
        lines += ["", "decisions:", *rule]
    return "\n".join(lines) + "\n"


_HEAD = (
    "# Made by `gatehouse import litellm`. It lets nothing out until you write under `egress` what may leave.",
    "# See policies/README.md, and the recipes for longer lists of what is sensitive. Then prove it:",
    "# `gatehouse policy validate`, `gatehouse policy probe`.",
)
_SENSITIVITY = (
    "sensitivity:",
    "  levels:                          # what is not listed counts as confidential",
    "    restricted: [SECRET, CREDENTIALS, CREDIT_CARD, IBAN_CODE, US_SSN]",
)


def _range(host: str) -> str:
    return f"{host}/128" if ":" in host else f"{host}/32"


def _egress(opens_public: bool) -> tuple[str, ...]:
    levels = ("internal", "confidential", "restricted")
    public = "full" if opens_public else "none"
    return (
        "egress:" if opens_public else "egress:                            # nothing may leave",
        f"  public: {{payload: {public}}}",
        *(f"  {level}: {{payload: none}}" for level in levels),
    )


def _flow(value: Any) -> str:
    """A value in one line; text in quotes where it would read as something else."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_flow(key)}: {_flow(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str):
        is_plain = value[:1].isalpha() and all(each.isascii() and (each.isalnum() or each in "._-/") for each in value)
        return value if is_plain and value.lower() not in _SPECIAL else json.dumps(value)
    return f"{value:.10g}" if isinstance(value, float) else str(value)


_SPECIAL = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
