"""Reads a LiteLLM proxy's config.yaml, with the line of everything in it. It resolves no variable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import MarkedYAMLError, YAMLError

_MAX_BYTES = 1 << 20
ENV_PREFIX = "os.environ/"


class NotAConfig(Exception):
    """The file is no LiteLLM config; the message says why, without a value of it."""


def read_config(path: Path) -> CommentedMap:
    """The config as mappings that know their lines. Raises `NotAConfig`, `OSError`."""
    data = path.read_bytes()
    if len(data) > _MAX_BYTES:
        raise NotAConfig(f"{len(data):,} bytes: a config may have {_MAX_BYTES:,}")
    try:
        value = YAML(typ="rt", pure=True).load(data.decode("utf-8"))
    except UnicodeDecodeError:
        raise NotAConfig("not UTF-8") from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise NotAConfig(f"line {mark.line + 1 if mark else 1}: not YAML") from None
    except (YAMLError, RecursionError):
        raise NotAConfig("not YAML that can be read") from None
    if not isinstance(value, CommentedMap) or not isinstance(value.get("model_list"), list):
        raise NotAConfig("no `model_list` in it: this is no config of a LiteLLM proxy")
    return value


def line_of(part: Any, key: str | None = None) -> int:
    """The line of a member of a mapping, or of the mapping itself; 1 where it is not known."""
    place = getattr(part, "lc", None)
    if place is None or place.line is None:
        return 1
    if key is not None and place.data and key in place.data:
        return int(place.data[key][0]) + 1
    return int(place.line) + 1


def members(part: Any) -> Iterator[tuple[str, Any]]:
    """The members of a mapping with text for keys; nothing of anything else."""
    if isinstance(part, Mapping):
        yield from ((key, value) for key, value in part.items() if isinstance(key, str))


def variable_of(value: Any) -> str | None:
    """The name of the environment variable that a value is read from, or None."""
    return value.removeprefix(ENV_PREFIX) if isinstance(value, str) and value.startswith(ENV_PREFIX) else None
