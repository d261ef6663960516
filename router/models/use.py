"""Makes a model the default local one: tries it in an engine of its own, then changes the policy file in place.

The file changes last, whole, and only to a policy that compiles; until then nothing has happened.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from policies.errors import PolicyError
from policies.schema import compile_policy
from policies.text.chain import Chains, Written
from policies.text.edits import Edited, use_engine_model
from policies.text.sources import recipes
from policies.types import Policy
from policies.vocabulary import CONTEXT
from router.keys import replace_whole
from router.models.catalogue import ModelFileError
from router.models.local import LocalModel


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """A policy file as it was read: `path` is the file itself, behind any symbolic links."""

    source: str
    path: Path
    data: bytes
    text: str
    parents: tuple[Written, ...]  # the texts of what it extends
    policy: Policy


def read_policy_file(source: str, model: str) -> PolicyFile:
    """The file that a change for `model` would go into. Raises ModelFileError for a recipe, or a policy that is bad."""
    if source in recipes():
        recipe = files("policies").joinpath("recipes", f"{source}.yaml")
        raise ModelFileError(
            f"the policy in force is the recipe {source!r}, which belongs to the package and is not edited. Make it a "
            f"file of your own, then:\n  cp {recipe} policy.yaml\n  gatehouse models use {model} --policy policy.yaml\n"
            "  gatehouse serve --policy policy.yaml"
        )
    try:
        chain = Chains().read(source)
        own, *parents = chain.written()
        policy = compile_policy(own.text, source, parents=parents)
    except PolicyError as error:
        raise ModelFileError(f"the policy is not good as it is, so nothing is changed in it:\n{error}") from None
    return PolicyFile(source, Path(os.path.realpath(source)), chain.files[0][1], own.text, tuple(parents), policy)


def context_for(model: LocalModel, limit: int) -> int:
    """The tokens that the policy gives the model: what it was trained for, within the engine's limit (0: the usual)."""
    most = limit or CONTEXT["local"]
    return min(model.context or most, most)


def make_default(file: PolicyFile, model: LocalModel, context: int) -> Edited:
    """Change `defaults.local` in the file. Raises ModelFileError; then the file is as it was."""
    try:
        edited = use_engine_model(file.text, file.source, model.name, context=context, parents=file.parents)
        if file.path.read_bytes() != file.data:
            raise ModelFileError(
                f"{file.source} was changed by somebody else meanwhile; nothing was written, try again"
            )
        replace_whole(file.path, edited.text.encode("utf-8"), stat.S_IMODE(file.path.stat().st_mode))
    except PolicyError as error:
        raise ModelFileError(f"the policy would not be good, so it stays as it is:\n{error}") from None
    except OSError as error:
        raise ModelFileError(f"{file.source} cannot be written, so it stays as it is: {error.strerror}") from None
    return edited
