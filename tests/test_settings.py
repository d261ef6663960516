"""The operator's settings of the engine: read from the environment, and refused with a word about what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from router.settings import engine_environment, from_environment

BARE = {"HOME": "/nowhere"}


def test_by_default_the_engine_suits_itself_to_the_machine() -> None:
    settings = from_environment(BARE)
    chosen = (settings.engine_threads, settings.engine_context, settings.engine_slots, settings.engine_memory_mb)
    assert chosen == (0, 0, 0, 0)
    assert settings.engine_gpu_layers == "auto"
    assert settings.engine_socket == settings.runtime_dir / "engine.sock"


def test_every_choice_has_a_variable() -> None:
    given = {"THREADS": "3", "CONTEXT": "4096", "SLOTS": "6", "MEMORY_MB": "2000", "QUEUE": "9", "QUEUE_TOKENS": "5000"}
    settings = from_environment({**BARE, **{f"GATEHOUSE_ENGINE_{name}": value for name, value in given.items()}})
    assert {name: str(getattr(settings, f"engine_{name.lower()}")) for name in given} == given


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("THREADS", "-1"),
        ("CONTEXT", "100"),
        ("CONTEXT", "many"),
        ("SLOTS", "1000"),
        ("MEMORY_MB", "-5"),
        ("QUEUE", "0"),
        ("QUEUE_TOKENS", "1"),
        ("GPU_LAYERS", "all"),
        ("GPU_LAYERS", "-1"),
        ("GPU_LAYERS", "auto --model x"),
        ("SOCKET_PATH", "engine.sock"),
        ("SOCKET_PATH", "/" + "x" * 120),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(ValidationError, match=f"engine_{name.lower()}"):
        from_environment({**BARE, f"GATEHOUSE_ENGINE_{name}": value})


def test_another_engines_socket_takes_the_place_of_ours_and_an_empty_one_names_none() -> None:
    named = from_environment({**BARE, "GATEHOUSE_ENGINE_SOCKET_PATH": "/run/gatehouse/engine.sock"})
    assert named.engine_socket == Path("/run/gatehouse/engine.sock")
    assert from_environment({**BARE, "GATEHOUSE_ENGINE_SOCKET_PATH": ""}).engine_socket_path is None


def test_the_engines_environment_holds_no_secret() -> None:
    secrets = {"OPENAI_API_KEY": "sk", "GATEHOUSE_API_KEY": "k", "AWS_SECRET_ACCESS_KEY": "s", "HTTP_PROXY": "p"}
    assert engine_environment({**secrets, "PATH": "/bin", "CUDA_VISIBLE_DEVICES": "0"}) == {
        "PATH": "/bin",
        "CUDA_VISIBLE_DEVICES": "0",
    }
