"""The words that a policy may use beyond its keys: signals with their operators, capabilities, defaults. Data only."""

from __future__ import annotations

from typing import Literal

from classifiers.registry import SIGNALS
from classifiers.vocabulary import DOMAINS, OTHER, TASKS

# What a signal's value is; `level` is sensitivity, which the policy itself derives.
Kind = Literal["number", "flag", "label", "labels", "level"]

SIGNAL_KINDS: dict[str, Kind] = {"sensitivity": "level", **{name: spec.kind for name, spec in SIGNALS.items()}}
SIGNAL_LABELS: dict[str, tuple[str, ...]] = {name: spec.labels for name, spec in SIGNALS.items() if spec.labels}
# What a local model may be good at; nobody is good at what is not known.
SPECIALIST_DOMAINS = tuple(word for word in DOMAINS if word != OTHER)
SPECIALIST_TASKS = tuple(word for word in TASKS if word != OTHER)
UNIT_SIGNALS = frozenset({"complexity", "injection"})  # in [0, 1]

OPERATORS: dict[Kind, tuple[str, ...]] = {
    "number": ("at_least", "at_most"),
    "flag": ("is",),
    "label": ("is", "in"),
    "labels": ("is", "in"),
    "level": ("at_least", "at_most", "is", "in"),
}

# What a model may be able to do, and what it can where the policy does not say.
CAPABILITIES = (
    *("tools", "json_mode", "json_schema", "vision", "audio", "video", "file", "n", "logprobs", "logit_bias"),
    *("prediction", "web_search", "embeddings"),
)
ENGINE_CAPABILITIES = frozenset(
    {"json_mode", "json_schema", "logprobs", "n", "embeddings"}
)  # of every model; tools depend on which
SERVER_CAPABILITIES = frozenset({"tools", "json_mode", "json_schema", "n", "logprobs", "logit_bias"})
CONTEXT = {"local": 8192, "lan": 8192, "cloud": 128_000}  # tokens, where the policy does not say
