"""`--local-url` and `--local-model` are held to the rules of a policy's own local model."""

from __future__ import annotations

import pytest

from policies.errors import PolicyError
from policies.override import with_local_model
from policies.schema import load_policy


def test_the_default_local_model_is_served_elsewhere_and_the_digest_says_so() -> None:
    policy = load_policy("default")
    served = with_local_model(policy, "http://127.0.0.1:11434/v1", "llama3.2")
    home = served.models[served.default_local]
    assert (home.backend, home.model, home.locality) == ("openai", "llama3.2", "local")
    assert "tools" in home.capabilities
    other = with_local_model(policy, "http://127.0.0.1:11434/v1", "qwen3")
    assert len({policy.digest, served.digest, other.digest}) == 3


@pytest.mark.parametrize(
    ("url", "model", "word"),
    [
        ("http://10.0.0.5:11434/v1", "llama3.2", "loopback"),
        ("http://example.com/v1", "llama3.2", "loopback"),
        ("ftp://127.0.0.1/v1", "llama3.2", "http"),
        ("http://127.0.0.1:11434/v1", "gpt-oss:120b-cloud", "cloud"),
        ("http://127.0.0.1:11434/v1", None, "name the model"),
        ("unix:relative.sock", "m", "absolute"),
    ],
)
def test_what_is_not_this_machine_or_not_local_is_refused(url: str, model: str | None, word: str) -> None:
    with pytest.raises(PolicyError, match=word):
        with_local_model(load_policy("default"), url, model)
