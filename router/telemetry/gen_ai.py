"""What OpenTelemetry's conventions call the models of a policy: provider, server, model. Names only, no recording."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal
from urllib.parse import urlsplit

from policies.types import BackendKind, Model

Operation = Literal["chat", "text_completion", "embeddings"]

# The conventions' `gen_ai.provider.name`, by the host of an OpenAI-compatible API (or a domain above it) …
_BY_HOST = {
    "api.openai.com": "openai",
    "openai.azure.com": "azure.ai.openai",
    "services.ai.azure.com": "azure.ai.inference",
    "api.anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "api.cohere.com": "cohere",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "api.moonshot.ai": "moonshot_ai",
    "api.perplexity.ai": "perplexity",
    "api.x.ai": "x_ai",
}
# … and by the prefix of a litellm model.
_BY_PREFIX = {
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "vertex_ai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "xai": "x_ai",
}
_DATED = re.compile(r"-\d{4}-?\d{2}-?\d{2}")


@dataclass(frozen=True, slots=True)
class Target:
    """The attributes that every span and metric of a call to one model has. An empty address: a unix socket."""

    provider: str
    request_model: str
    address: str = ""
    port: int = 0


def target_of(model: Model) -> Target:
    """The model as the conventions name it; remembered."""
    return _target(model.backend, model.model, model.base_url)


@lru_cache(maxsize=1024)
def _target(backend: BackendKind, model: str, base_url: str | None) -> Target:
    if backend == "engine":
        return Target("llama.cpp", model)
    parts = urlsplit(base_url or "")
    host = parts.hostname or ""
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
    if backend == "litellm":
        prefix, slash, _ = model.partition("/")
        return Target(_BY_PREFIX.get(prefix, prefix) if slash else "openai", model, host, port)
    named = (name for known, name in _BY_HOST.items() if host == known or host.endswith("." + known))
    return Target(next(named, "openai"), model, host, port)


def response_model_name(requested: str, answered: str | None) -> str:
    """The name that a reply gives its model, when it is the one asked for or a dated version of it; else nothing.

    A backend's word is foreign text: whatever else it says stays out of telemetry.
    """
    if not answered or not answered.startswith(requested):
        return ""
    rest = answered[len(requested) :]
    return answered if not rest or _DATED.fullmatch(rest) else ""
