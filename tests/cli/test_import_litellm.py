"""`gatehouse import litellm` makes a good policy that lets nothing out and holds no key; the rest is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml.comments import CommentedMap

from policies.comparing.proof import reachable
from policies.schema import compile_policy
from policies.text.layout import formatted
from policies.types import Policy
from router.cli.from_litellm import Translated, translate
from router.cli.litellm_config import NotAConfig, read_config
from tests.cli.test_commands import gatehouse

CONFIGS = Path(__file__).with_name("litellm")
SECRETS = ("sk-live", "5yW0", "hunter", "sk-1234", "sk-lf", "postgresql", "redis.team")


def translated(name: str, **options: bool) -> tuple[Translated, Policy]:
    made = translate(read_config(CONFIGS / f"{name}.yaml"), **options)
    return made, compile_policy(made.text, "p")


def told(made: Translated) -> dict[str, str]:
    return {f"{each.line} {each.key}": each.why for each in made.not_carried}


def leaving(policy: Policy) -> set[tuple[str, str]]:
    cells = reachable(policy)
    return {(cell.level.word, cell.payload) for cell in cells if cell.locality != "local" and cell.payload != "none"}


@pytest.mark.parametrize("name", ["small", "team", "house"])
def test_nothing_may_leave_and_no_secret_stands_anywhere(name: str) -> None:
    made, policy = translated(name)
    assert leaving(policy) == set()
    words = made.text + " ".join(each.key + each.why for each in made.not_carried)
    assert not [secret for secret in SECRETS if secret in words]
    assert formatted(made.text, "p") == made.text


def test_public_may_leave_only_when_asked_for() -> None:
    assert leaving(translated("team", opens_public=True)[1]) == {("public", "full")}


def test_a_small_config_comes_over_whole() -> None:
    made, policy = translated("small")
    assert (made.models, made.of, made.not_carried) == (2, 2, ())
    cloud, home = policy.models["gpt-4o-mini"], policy.models["llama3.2"]
    assert (cloud.locality, cloud.base_url, cloud.api_key_env) == (
        "cloud",
        "https://api.openai.com/v1",
        "OPENAI_API_KEY",
    )
    assert (home.locality, home.base_url, home.model) == ("local", "http://localhost:11434/v1", "llama3.2")
    assert (policy.default_local, policy.default_cloud) == ("llama3.2", "gpt-4o-mini")


def test_models_keep_what_the_language_has() -> None:
    made, policy = translated("team")
    west = policy.models["gpt-4o"]
    assert (west.backend, west.base_url, west.model) == (
        "openai",
        "https://team-west.openai.azure.com/openai/v1",
        "gpt-4o-eu",
    )
    assert (west.region, west.context, west.timeout_seconds, west.api_key_env) == ("eu", 128_000, 45, "AZURE_API_KEY")
    assert west.price is not None
    assert (west.price.input_per_1m, west.price.output_per_1m) == (2.5, 10)
    assert {"vision", "tools"} <= west.capabilities
    assert "json_schema" not in west.capabilities
    assert policy.models["claude-sonnet"].backend == "litellm"
    assert policy.models["groq-llama"].api_key_env == "GROQ_API_KEY"
    assert policy.models["gpt-4o-2"].api_key_env == "GPT_4O_2_API_KEY"
    assert set(policy.models) == {"home", "gpt-4o", "gpt-4o-2", "claude-sonnet", "Gemini-2.5-Flash", "groq-llama"}
    assert (made.models, made.of) == (5, 9)
    assert dict(policy.aliases) == {"gpt-4": "gpt-4o", "fast": "groq-llama"}
    hard = next(rule for rule in policy.rules if rule.name == "hard-questions")
    assert hard.route == "gpt-4o"
    assert tuple(hard.fallback or ()) == ("claude-sonnet",)


@pytest.mark.parametrize(
    ("line_and_key", "why"),
    [
        ("5 model", "check that your resource has it"),
        ("10 litellm_params.rpm", "no requests a minute"),
        ("11 litellm_params.tpm", "no tokens a minute"),
        ("15 model_info.base_model", "no such key"),
        ("22 model_name", "another deployment of the same name: it is 'gpt-4o-2'"),
        ("25 api_key", "a key stands there, and is not copied: put it into the variable GPT_4O_2_API_KEY"),
        ("26 litellm_params.organization", "no such header"),
        ("31 litellm_params.max_tokens", "no such key"),
        ("32 model_name", "it is 'Gemini-2.5-Flash'"),
        ("39 model", "no backend speaks to this provider yet: left out"),
        ("41 model_info.mode", "only models for chat"),
        ("44 model_name", "a pattern, or no name: left out"),
        ("47 api_base", "its address stands in the variable QWEN_BASE: left out"),
        ("50 router_settings.routing_strategy", "chosen by the policy's rules"),
        ("57 router_settings.model_group_alias", "leads to no model that is here"),
        ("60 router_settings.fallbacks", "write `fallback: [gpt-4o]` at a rule that routes to it"),
        ("63 litellm_settings.drop_params", "x-gatehouse-ignored"),
        ("66 litellm_settings.success_callback", "nothing reports content"),
        ("70 general_settings.master_key", "none is copied"),
        ("71 general_settings.database_url", "nothing is copied"),
        ("73 environment_variables", "none is copied"),
    ],
)
def test_what_is_not_carried_over_is_told_with_its_line(line_and_key: str, why: str) -> None:
    notes = told(translated("team")[0])
    assert why in notes.get(line_and_key, ""), notes


def test_what_is_near_is_proven_by_its_address() -> None:
    made, policy = translated("house")
    where = {name: model.locality for name, model in policy.models.items()}
    assert where == {"local-model": "local", "ward": "lan", "ward6": "lan", "lab": "cloud", "notes": "local"}
    assert set(policy.lan_networks) == {"10.20.0.7/32", "fd00::7/128"}
    assert policy.models["local-model"].api_key_env is None
    assert "a host's name proves nothing" in told(made)["10 api_base"]
    assert "a server without an address: left out" in told(made)["14 api_base"]


def test_the_command_writes_a_policy_that_validates_and_never_over_another(tmp_path: Path) -> None:
    target = tmp_path / "policy.yaml"
    made = gatehouse("import", "litellm", str(CONFIGS / "team.yaml"), "-o", str(target), folder=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "5 of 9 models carried over" in made.stderr
    assert "team.yaml:25" in made.stderr
    assert "write `fallback: [gpt-4o]`" in made.stderr  # brackets are text, not markup
    assert not [secret for secret in SECRETS if secret in made.stderr + made.stdout + target.read_text()]
    assert gatehouse("policy", "validate", str(target), folder=tmp_path).returncode == 0
    again = gatehouse("import", "litellm", str(CONFIGS / "small.yaml"), "-o", str(target), folder=tmp_path)
    assert again.returncode == 1
    assert "is there already" in again.stderr


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: [", "line 1: not YAML"),
        ("- 1\n", "no `model_list`"),
        ("model_list: 3\n", "no `model_list`"),
        ("x: \xff", "not UTF-8"),
        ("model_list: []\n#" + "x" * (1 << 20), "may have"),
    ],
)
def test_what_is_no_config_is_told(text: str, why: str, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(NotAConfig, match=why):
        read_config(file)


ODD = st.none() | st.booleans() | st.integers(-5, 9) | st.floats(allow_nan=True) | st.text(max_size=12)
MODELS = st.sampled_from(
    ["gpt-4o", "openai/x", "ollama/y", "azure/z", "anthropic/c", "x/y/z", "groq/", "/", "a b", "ü", ""]
)
BASES = st.sampled_from(
    ["http://localhost:1", "http://10.0.0.1/v1", "https://a.b/v1", "http://[::1]:2", "x", "os.environ/B"]
)
PARAMETERS = st.fixed_dictionaries(
    {}, optional={"model": MODELS | ODD, "api_base": BASES | ODD, "api_key": ODD, "timeout": ODD}
)
INFO = st.dictionaries(st.sampled_from(["mode", "max_tokens", "input_cost_per_token", "supports_vision"]), ODD) | ODD
ENTRY = st.fixed_dictionaries(
    {}, optional={"model_name": MODELS | ODD, "litellm_params": PARAMETERS | ODD, "model_info": INFO}
)


@settings(max_examples=150, deadline=None)
@given(
    entries=st.lists(ENTRY | ODD, max_size=5), aliases=st.dictionaries(st.text(max_size=6), MODELS | ODD, max_size=3)
)
@example([{"model_name": "gpt-4o", "litellm_params": {"model": "", "api_base": "http://localhost:1"}}], {})
@example([{"model_name": "a", "litellm_params": {"model": "anthropic", "custom_llm_provider": "anthropic"}}], {})
@example([{"model_name": "a", "litellm_params": {"model": "anthropic/", "custom_llm_provider": "anthropic"}}], {})
def test_whatever_stands_in_a_config_the_policy_loads_and_is_closed(
    entries: list[Any], aliases: dict[str, Any]
) -> None:
    config = CommentedMap(model_list=entries, router_settings={"model_group_alias": aliases, "fallbacks": [aliases]})
    made = translate(config)
    assert leaving(compile_policy(made.text, "p")) == set()
