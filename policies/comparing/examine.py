"""A policy file with all that the static proof says of it, each thing at its place. Reads the file, and no more."""

from __future__ import annotations

from dataclasses import dataclass

from policies.comparing.idle import idle
from policies.reading.notes import Notes
from policies.schema import read_policy
from policies.text.document import Document, Path
from policies.types import Policy


@dataclass(frozen=True, slots=True)
class Examined:
    """A good policy, and as `file:line:column: what` all that its writer most likely did not mean."""

    policy: Policy
    warnings: tuple[str, ...]


def examine(name: str) -> Examined:
    """The policy of a recipe or a file: what its load warns of, then what of it is idle. Raises `PolicyError`."""
    policy, document = read_policy(name)
    notes = Notes(document, policy.source)
    for each in idle(policy):
        subject = f"the rule '{each.path[1]}'" if each.path[0] == "decisions" else f"the model '{each.path[1]}'"
        notes.warn(_located(each.path, document), f"{subject} is idle: {each.why}", at_key=True)
    return Examined(policy, (*policy.warnings, *notes.warnings))


def _located(path: Path, document: Document) -> Path:
    """The path in the file: rules are a list there."""
    kind, name = path
    written = document.value.get(str(kind)) if isinstance(document.value, dict) else None
    if isinstance(written, list):
        for index, each in enumerate(written):
            if isinstance(each, dict) and each.get("name") == name:
                return (kind, index)
    return path
