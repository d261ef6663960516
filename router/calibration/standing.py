"""The cards that this gateway goes by, shipped and made here, and what they promise under the policy in force.

Read whole at the start and when a card changes; a request only looks up. A card that cannot be read is none, and said.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from importlib.resources.abc import Traversable
from urllib.parse import quote, unquote

from router.calibration.targets import (
    GradedAnswers,
    Standard,
    Standards,
    complaints,
    read_graded,
    standard_for,
    standards,
)
from router.calibration.thresholds import Kind

log = logging.getLogger("gatehouse.calibration")

FOLDER = "calibration"  # below the state folder
_PREFIX, _SUFFIX = "confidence-", ".json"


def card_name(model: str) -> str:
    """The file of a model's card; `model` is the backend's name for it, whatever characters that has."""
    return f"{_PREFIX}{quote(model, safe='')}{_SUFFIX}"


def cards_in(folder: Traversable) -> Iterator[tuple[str, bytes]]:
    """Every card of a folder by its file's name, in order; none of a folder that is not there."""
    if folder.is_dir():
        for entry in sorted(folder.iterdir(), key=lambda each: each.name):
            if entry.name.startswith(_PREFIX) and entry.name.endswith(_SUFFIX):
                yield entry.name, entry.read_bytes()


def digest_of_cards(folder: Traversable) -> str:
    """Changes when a card in the folder does. SHA-256, hex. Raises `OSError`."""
    whole = hashlib.sha256()
    for name, data in cards_in(folder):
        whole.update(name.encode() + b"\0" + hashlib.sha256(data).digest())
    return whole.hexdigest()


class Promises:
    """What each model's graded answers promise. A later folder's card takes the place of an earlier one's."""

    def __init__(self, folders: Sequence[Traversable]) -> None:
        self._folders = tuple(folders)
        self._graded: dict[str, GradedAnswers] = {}
        self._made: dict[tuple[Kind, float, str], Standards] = {}
        self.reload()

    def reload(self) -> None:
        """Read every card anew. What is unreadable counts for nothing, so its model is uncalibrated."""
        graded: dict[str, GradedAnswers] = {}
        for folder in self._folders:
            for name, data in cards_in(folder):
                model = unquote(name.removeprefix(_PREFIX).removesuffix(_SUFFIX))
                graded.pop(model, None)
                try:
                    card = json.loads(data)
                    if card["model"] != model:
                        raise ValueError("it is another model's")
                    if "graded" in card:
                        digest = hashlib.sha256(data).hexdigest()
                        graded[model] = read_graded(model, digest, card["graded"], card.get("volume"))
                except (ValueError, KeyError, TypeError, AttributeError):
                    log.warning("%s is not a readable calibration card: it promises nothing", name)
        self._graded, self._made = graded, {}

    def standard(self, kind: Kind, target: float, model: str, task: str | None) -> Standard:
        """What an answer of `model` (the backend's name) to a request of this task is held against."""
        return standard_for(self._standards(kind, target, model), task)

    def complaints(self, kind: Kind, target: float, models: Sequence[str]) -> list[str]:
        """Where nothing can be promised under a target, in words; `models` are backends' names."""
        return [line for model in models for line in complaints(self._standards(kind, target, model))]

    def _standards(self, kind: Kind, target: float, model: str) -> Standards:
        key = (kind, target, model)
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = standards(kind, target, model, self._graded.get(model))
        return found
