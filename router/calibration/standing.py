"""The cards that this gateway goes by, shipped and made here, and what they promise under the policy in force.

Read whole at the start and when a card changes; a request only looks up. A card that cannot be read is none, and said.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from urllib.parse import quote, unquote

from classifiers.types import Signal
from policies.escalation import EscalationPolicy, EscalationTarget, TargetKind
from policies.types import Policy, Reason
from router.calibration.targets import (
    ALL,
    GradedAnswers,
    Standard,
    Standards,
    complaints,
    explain,
    read_graded,
    standard_for,
    standards,
)
from router.calibration.thresholds import Promise
from router.confidence.looks import LOOKS, LookKind
from router.settings import Settings
from router.types import JsonObject, Moment

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


def read_card(model: str, digest: str, card: JsonObject) -> dict[Moment, GradedAnswers]:
    """A card's graded answers: whole ones, and as they were scored by their first tokens.

    Raises `ValueError`, `KeyError`, `TypeError` or `AttributeError` for what is no card.
    """
    volume, commit = card.get("volume"), card.get("commit") or {}
    found: dict[Moment, GradedAnswers] = {}
    if "graded" in card:
        found["whole"] = read_graded(model, digest, card["graded"], volume)
    if "graded" in commit:
        found["commit"] = read_graded(model, digest, commit["graded"], volume)
    for kind in LOOKS:
        look = card.get("looks", {}).get(kind)
        if look is not None and look["helps"] is True:
            found[kind] = read_graded(model, digest, look["graded"], volume)
    return found


def reason_for(standard: Standard) -> Reason:
    """The line of a decision's reasons; unknown where nothing can be promised."""
    return Reason("escalation", None if standard.promise.threshold is None else True, explain(standard))


def targets_of(policy: Policy) -> tuple[EscalationTarget, ...]:
    """Every target that answers at home are held to: the policy's own, and those of its rules."""
    terms = (policy.escalation, *(rule.escalation for rule in policy.rules))
    return tuple(each.target for each in terms if each is not None and each.target is not None and each.has_use)


def _no_price(policy: Policy) -> str:
    """Why a budget cannot be kept, where a cloud model that escalations go to has no price; else empty."""
    for word in policy.escalation.to:
        model = policy.models.get((policy.default_cloud or "") if word == "cloud" else word)
        if model is not None and model.locality == "cloud" and model.price is None:
            return f"model {model.name} has no price, so what escalations cost is not known and none is made"
    return ""


class Promises:
    """What each model's graded answers promise. A later folder's card takes the place of an earlier one's."""

    def __init__(self, folders: Sequence[Traversable]) -> None:
        self._folders = tuple(folders)
        self.budgets_used_up: frozenset[str] = frozenset()  # as the parent says: by rule, "" for the policy's own
        self._graded: dict[str, dict[Moment, GradedAnswers]] = {}
        self._samples: dict[str, int] = {}  # of `agreement`, as it was measured
        self._made: dict[tuple[TargetKind, float, str, Moment], Standards] = {}
        self.reload()

    @classmethod
    def of(cls, settings: Settings) -> Promises:
        """Those shipped, and those made here."""
        return cls([files("router") / "artifacts", settings.state_dir / FOLDER])

    def reload(self) -> None:
        """Read every card anew. What is unreadable counts for nothing, so its model is uncalibrated."""
        graded: dict[str, dict[Moment, GradedAnswers]] = {}
        samples: dict[str, int] = {}
        for folder in self._folders:
            for name, data in cards_in(folder):
                model = unquote(name.removeprefix(_PREFIX).removesuffix(_SUFFIX))
                graded.pop(model, None)
                try:
                    card = json.loads(data)
                    if card["model"] != model:
                        raise ValueError("it is another model's")
                    graded[model] = read_card(model, hashlib.sha256(data).hexdigest(), card)
                    samples[model] = int(card.get("looks", {}).get("agreement", {}).get("samples", 0))
                except (ValueError, KeyError, TypeError, AttributeError):
                    log.warning("%s is not a readable calibration card: it promises nothing", name)
        self._graded, self._samples, self._made = graded, samples, {}

    def standard(
        self,
        policy: Policy,
        name: str,
        signals: Mapping[str, Signal],
        at: Moment = "whole",
        terms: EscalationPolicy | None = None,
    ) -> Standard | None:
        """What the answer of the policy's model `name` is held against; None: there is no target.

        `at`: whether it is judged whole, or by its first tokens, whose confidence is another one. `terms`: a rule's.
        """
        terms = policy.escalation if terms is None else terms
        target = terms.target
        if target is None:
            return None
        if target.kind == "max_usd_per_month":
            is_spent = terms.rule in self.budgets_used_up
            closed = _no_price(policy) or ("this month's budget is used up" if is_spent else "")
            if closed:
                return Standard(Promise(target.kind, target.value, None, 0, why=closed), ALL, "")
        task = signals.get("task")
        told = task.value if task is not None and isinstance(task.value, str) else None
        return standard_for(self._standards(target.kind, target.value, policy.models[name].model, at), told)

    def has_shown(self, policy: Policy, name: str, kind: LookKind) -> bool:
        """Whether calibration has shown that this second look at answers of the policy's model `name` helps."""
        model = policy.models[name].model
        if kind == "agreement" and self._samples.get(model) != policy.escalation.samples:
            return False  # it was measured on another number of answers
        return kind in self._graded.get(model, {})

    def complaints(self, policy: Policy) -> list[str]:
        """Where a policy has a target and nothing can be promised, in words, by local model."""
        models = dict.fromkeys(model.model for model in policy.models.values() if model.locality == "local")
        found: dict[str, None] = {}
        for target in targets_of(policy):
            if target.kind == "max_usd_per_month" and _no_price(policy):
                found[_no_price(policy)] = None
                continue
            for model in models:
                lines = complaints(self._standards(target.kind, target.value, model, "whole"))
                found |= dict.fromkeys(f"{model}: {line}" for line in lines)
        return list(found)

    def _standards(self, kind: TargetKind, target: float, model: str, at: Moment) -> Standards:
        key = (kind, target, model, at)
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = standards(kind, target, model, self._graded.get(model, {}).get(at))
        return found
