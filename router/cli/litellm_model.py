"""One entry of a LiteLLM `model_list` as a model of a policy, with what was not carried over. Pure.

A key that stands in the config is never copied, an address is never guessed, and a place counts as near only if its
address proves it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from policies.shape.words import NAME, VARIABLE
from policies.vocabulary import SERVER_CAPABILITIES
from router.cli.litellm_config import line_of, members, variable_of

Note = Callable[[int, str, str], None]  # line, key, why it is not carried over, or what to do

_OPENAI = "https://api.openai.com/v1"
# Providers whose own API is OpenAI-compatible, by LiteLLM's prefix: address and usual variable of the key.
_COMPATIBLE = {
    "openai": (_OPENAI, "OPENAI_API_KEY"),
    "groq": ("https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    "deepseek": ("https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    "openrouter": ("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    "together_ai": ("https://api.together.xyz/v1", "TOGETHERAI_API_KEY"),
    "xai": ("https://api.x.ai/v1", "XAI_API_KEY"),
    "cerebras": ("https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
}
# Those that the litellm library translates for us.
_TRANSLATED = {"anthropic": "ANTHROPIC_API_KEY", "gemini": "GEMINI_API_KEY", "mistral": "MISTRAL_API_KEY"}
_SERVERS = frozenset({"hosted_vllm", "vllm", "openai_like", "lm_studio", "llamafile", "custom_openai"})  # need api_base
_OLLAMA = frozenset({"ollama", "ollama_chat"})
_BARE = re.compile(r"(gpt-|chatgpt-|o[0-9])")
_AZURE_HOSTS = (".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com")
_FLAGS = {
    "supports_function_calling": "tools",
    "supports_vision": "vision",
    "supports_audio_input": "audio",
    "supports_response_schema": "json_schema",
}
_READ = frozenset(
    {"model", "api_base", "base_url", "api_key", "timeout", "input_cost_per_token", "output_cost_per_token"}
    | {"region_name", "custom_llm_provider", "api_version"}
)
_READ_INFO = frozenset(
    {"mode", "input_cost_per_token", "output_cost_per_token", "max_input_tokens", "max_tokens", "id"}
)
_WHY = {
    "tpm": "the language has no tokens a minute of a model",
    "rpm": "the language has no requests a minute of a model",
    "max_parallel_requests": "the language has no such limit of a model",
    "weight": "requests are not spread over deployments",
    "order": "write `fallback` at the rule that routes to it",
    "max_retries": "a call that fails is not repeated with the same model",
    "num_retries": "a call that fails is not repeated with the same model",
    "organization": "no such header is sent",
    "extra_headers": "only headers of a fixed list are sent",
    "tags": "write `attributes`, and require them in `egress`",
    "access_groups": "see `allowed models` of API keys",
}


@dataclass(frozen=True, slots=True)
class Carried:
    """A model as it will stand in the policy. `address` is its host where that is of the LAN."""

    name: str
    keys: Mapping[str, Any]
    host: str | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    backend: str
    model: str
    base_url: str | None
    variable: str | None  # where its key usually is
    locality: str = "cloud"
    host: str | None = field(default=None)


def carry(entry: Mapping[str, Any], name: str, note: Note) -> Carried | None:
    """The model of an entry, or None with a note of why it was left out."""
    parameters, info = entry.get("litellm_params"), entry.get("model_info") or {}
    line = line_of(entry)
    if not isinstance(parameters, Mapping) or not isinstance(parameters.get("model"), str):
        note(line, "litellm_params", "no model is named: left out")
        return None
    mode = info.get("mode", "chat") if isinstance(info, Mapping) else "chat"
    if mode not in ("chat", "responses"):
        note(line, "model_info.mode", "only models for chat are carried over: left out")
        return None
    place = _place(parameters, note)
    if place is None:
        return None
    if not place.model or place.model.endswith("/"):
        note(line_of(parameters, "model"), "model", "no model is named: left out")
        return None
    keys: dict[str, Any] = {"locality": place.locality, "backend": place.backend, "model": place.model}
    region = parameters.get("region_name")
    if region in ("eu", "us") and place.locality != "local":
        keys["region"] = region
    if place.base_url is not None:
        keys["base_url"] = place.base_url
    variable = _variable(parameters, name, place, note)
    if variable is not None:
        keys["api_key_env"] = variable
    _describe(keys, parameters, info if isinstance(info, Mapping) else {})
    _note_rest(parameters, info, note)
    return Carried(name, keys, place.host)


def _place(parameters: Mapping[str, Any], note: Note) -> _Place | None:
    """Who serves the model and where, or None with a note."""
    model = str(parameters["model"])
    line = line_of(parameters, "model")
    provider, _, rest = model.partition("/")
    given = parameters.get("custom_llm_provider")
    if isinstance(given, str):
        provider, rest = given, model.removeprefix(f"{given}/")
    elif not rest:
        provider, rest = ("openai" if _BARE.match(model) or _base(parameters) else ""), model
    base_key = "api_base" if "api_base" in parameters else "base_url"
    base = _base(parameters)
    variable = variable_of(base)
    if base is not None and (variable is not None or urlsplit(base).hostname is None or "@" in base):
        what = f"the variable {variable}" if variable is not None else "a form that is not read"
        note(
            line_of(parameters, base_key),
            base_key,
            f"its address stands in {what}: left out; write `base_url` yourself",
        )
        return None
    if provider in _OLLAMA:
        return _served(
            rest, (base or "http://localhost:11434").rstrip("/").removesuffix("/v1") + "/v1", note, parameters
        )
    if provider in _SERVERS or (provider in _COMPATIBLE and base is not None and base.rstrip("/") != _OPENAI):
        if base is None:
            note(line, "api_base", "a server without an address: left out")
            return None
        return _served(rest, base, note, parameters)
    if provider == "azure" and base is not None and (urlsplit(base).hostname or "").endswith(_AZURE_HOSTS):
        note(line, "model", "by Azure's OpenAI v1 API, which needs no api_version: check that your resource has it")
        return _Place("openai", rest, f"https://{urlsplit(base).hostname}/openai/v1", "AZURE_API_KEY")
    if provider in _COMPATIBLE:
        return _Place("openai", rest, *_COMPATIBLE[provider])
    if provider in _TRANSLATED:
        return _Place("litellm", f"{provider}/{rest}", base, _TRANSLATED[provider])
    note(line, "model", "no backend speaks to this provider yet: left out")
    return None


def _base(parameters: Mapping[str, Any]) -> str | None:
    base = parameters.get("api_base") or parameters.get("base_url")
    return str(base) if base else None


def _served(model: str, base: str, note: Note, parameters: Mapping[str, Any]) -> _Place:
    """A server of its own: local on loopback, lan at a private address, else cloud, for a name proves nothing."""
    host = urlsplit(base).hostname or ""
    line = line_of(parameters, "api_base")
    if host == "localhost":
        return _Place("openai", model, base, None, "local")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if not host.endswith((".com", ".net", ".org", ".io", ".ai", ".cloud")):
            note(
                line,
                "api_base",
                "counts as cloud, as a host's name proves nothing; write `locality: lan` if it is yours",
            )
        return _Place("openai", model, base, None)
    if address.is_loopback:
        return _Place("openai", model, base, None, "local")
    return (
        _Place("openai", model, base, None, "lan", host) if address.is_private else _Place("openai", model, base, None)
    )


def _variable(parameters: Mapping[str, Any], name: str, place: _Place, note: Note) -> str | None:
    """The variable that holds the key. A key that stands there itself is named by a new one, and not copied."""
    given = parameters.get("api_key")
    if given is None:
        return place.variable
    variable = variable_of(given)
    if variable is not None and re.match(VARIABLE, variable):
        return variable
    if place.locality == "local":
        return None  # a word that a local server wants and does not check
    wanted = re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_") + "_API_KEY"
    wanted = wanted if re.match(VARIABLE, wanted) else f"MODEL_{wanted}"
    note(
        line_of(parameters, "api_key"),
        "api_key",
        f"a key stands there, and is not copied: put it into the variable {wanted}",
    )
    return wanted


def _describe(keys: dict[str, Any], parameters: Mapping[str, Any], info: Mapping[str, Any]) -> None:
    context = info.get("max_input_tokens", info.get("max_tokens"))
    if type(context) is int and 0 < context <= 100_000_000:
        keys["context"] = context
    flags = {word: info.get(flag) for flag, word in _FLAGS.items() if isinstance(info.get(flag), bool)}
    if flags:
        able = (SERVER_CAPABILITIES | {word for word, on in flags.items() if on}) - {
            w for w, on in flags.items() if not on
        }
        keys["capabilities"] = sorted(able)
    prices = [parameters.get(key, info.get(key)) for key in ("input_cost_per_token", "output_cost_per_token")]
    numbers = [
        float(price)
        for price in prices
        if isinstance(price, int | float) and not isinstance(price, bool) and price >= 0
    ]
    if len(numbers) == 2:
        keys["price"] = {"input_per_1m": round(numbers[0] * 1e6, 6), "output_per_1m": round(numbers[1] * 1e6, 6)}
    timeout = parameters.get("timeout")
    if isinstance(timeout, int | float) and not isinstance(timeout, bool) and 0 < timeout <= 3600:
        keys["timeout_seconds"] = timeout


def _note_rest(parameters: Mapping[str, Any], info: Any, note: Note) -> None:
    for key, _ in members(parameters):
        if key not in _READ:
            note(line_of(parameters, key), f"litellm_params.{key}", _WHY.get(key, "no such key of a model"))
    for key, _ in members(info):
        if key not in _READ_INFO and key not in _FLAGS:
            note(line_of(info, key), f"model_info.{key}", _WHY.get(key, "no such key of a model"))


def is_name(word: str) -> bool:
    """Whether a LiteLLM model name can be a policy's."""
    return re.match(NAME, word) is not None and word.casefold() not in ("auto", "local", "lan", "cloud")
