"""The command line's `--local-url` and `--local-model`: the same policy with another model at home. Pure.

It is checked like a policy file's own model, and changes the digest: answers of different models never mix.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from policies.addresses import is_cloud_name, local_problem
from policies.errors import PolicyError, Problem
from policies.tenants import with_models
from policies.types import Policy
from policies.vocabulary import SERVER_CAPABILITIES


def with_local_model(policy: Policy, base_url: str, model: str | None) -> Policy:
    """`policy` with its default local model served by the OpenAI-compatible server at `base_url`.

    Raises `PolicyError` when that is not this machine, or the model's name is missing or one that Ollama passes on.
    """
    problem = local_problem(base_url)
    if problem is not None:
        raise PolicyError("--local-url", [Problem(0, 0, problem)])
    if not model:
        raise PolicyError("--local-model", [Problem(0, 0, "name the model that the server at --local-url is to use")])
    if is_cloud_name(model):
        raise PolicyError("--local-model", [Problem(0, 0, f"Ollama answers '{model}' in its cloud: it is not local")])
    home = replace(
        policy.models[policy.default_local],
        backend="openai",
        base_url=base_url,
        model=model,
        capabilities=SERVER_CAPABILITIES,
        api_key_env=None,
        api_key_file=None,
    )
    digest = hashlib.sha256(f"{policy.digest}\n{base_url}\n{model}".encode()).hexdigest()
    return with_models(policy, {home.name: home}, digest)
