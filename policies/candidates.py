"""Every model of a policy as one request sees it: lawful or barred by what, able or lacking what, there or down. Pure.

Lawfulness is settled before ability, and both before any choice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from classifiers.types import Signal
from policies.good_at import fits, preferred
from policies.lawful import lawful_payload
from policies.tools import TOOLS, barred_outside
from policies.types import Candidate, Facts, Level, Locality, Model, Payload, Policy, Release

SENSITIVITY = "sensitivity"
LOCAL_ONLY = "local-only"  # what bars an exit when the caller's own header does
LOCKDOWN = "lockdown"  # what bars an exit while an admin has locked them all
AUTO = "auto"
EMBEDS = "embeddings"  # of a server: a model that has it answers nothing else
_TOKENS = " tokens"
LOCALITIES: tuple[Locality, ...] = ("local", "lan", "cloud")


@dataclass(slots=True)
class Target:
    """One model for one request. `barred`: empty, `sensitivity`, a forbid rule, `tools`, `lockdown`, `local-only`."""

    model: Model
    payload: Payload
    barred: str
    why: str
    lacks: tuple[str, ...]
    down: str | None
    fits: tuple[str, ...] = ()  # what of this request a local model is good at

    @property
    def is_lawful(self) -> bool:
        return not self.barred

    @property
    def is_able(self) -> bool:
        return not self.lacks

    @property
    def is_too_small(self) -> bool:
        """It is there, and nothing is missing but room for the request."""
        return self.down is None and len(self.lacks) == 1 and self.lacks[0].endswith(_TOKENS)

    @property
    def is_ready(self) -> bool:
        """Lawful, able and there."""
        return not self.barred and not self.lacks and self.down is None

    @property
    def is_home(self) -> bool:
        return self.model.locality == "local"

    def candidate(self) -> Candidate:
        """The same as a line of the explanation."""
        if self.is_ready:
            return Candidate(self.model.name, True, True, ())
        why = (self.why, *self.lacks, f"not available: {self.down}" if self.down else "")
        return Candidate(self.model.name, self.is_lawful, self.is_able, tuple(part for part in why if part))


class Targets:
    """All models of a policy for one request, in the order in which they are preferred within a locality."""

    def __init__(
        self,
        policy: Policy,
        facts: Facts,
        level: Level,
        forbidden: Mapping[str, str],
        kept: Level | None = Level.RESTRICTED,
        signals: Mapping[str, Signal] = MappingProxyType({}),
        release: Release | None = None,
    ) -> None:
        """`signals` say which local models are good at the request: these come first among the local ones. `release`
        is one that counts for this request."""
        self._policy = policy
        models = preferred(_preferred(policy), signals)
        offers = barred_outside(policy, level, facts)
        self._all = {
            model.name: _assess(policy, facts, level, forbidden, kept, offers, model, release) for model in models
        }
        for target in self._all.values():
            if target.model.good_at:
                target.fits = fits(target.model, signals)
        self._lines: tuple[Candidate, ...] | None = None

    def __iter__(self) -> Iterator[Target]:
        return iter(self._all.values())

    def at(self, *localities: Locality) -> list[Target]:
        """The models of these localities, nearest locality first."""
        return [target for word in localities for target in self if target.model.locality == word]

    def named(self, word: str) -> list[Target]:
        """What a route or a caller means by `word`: the model of that name, or all models of a locality."""
        target = self._all.get(word)
        if target is not None and word not in LOCALITIES:
            return [target]
        return [each for each in self if each.model.locality == word]

    def candidates(self) -> tuple[Candidate, ...]:
        """All of them as lines of the explanation."""
        if self._lines is None:
            self._lines = tuple([target.candidate() for target in self])
        return self._lines


def resolve(policy: Policy, requested: str) -> str | None:
    """What a caller's model name means: `auto`, a locality or a model's name; None when nothing is meant.

    Exact names come before aliases, a more specific alias before a more general one. No alias makes anything lawful.
    """
    if requested in policy.models or requested == AUTO:
        return requested
    if requested in LOCALITIES and any(model.locality == requested for model in policy.models.values()):
        return requested
    for pattern, target in policy.aliases:
        if requested == pattern or (pattern.endswith("*") and requested.startswith(pattern[:-1])):
            return target if target == AUTO or _is_there(policy, target) else None  # a tenant may lack the model
    return None


def _is_there(policy: Policy, word: str) -> bool:
    return word in policy.models or any(model.locality == word for model in policy.models.values())


def first_ready(targets: Iterable[Target]) -> Target | None:
    """The first that is lawful, able and there."""
    return next((target for target in targets if target.is_ready), None)


def _preferred(policy: Policy) -> list[Model]:
    first = (policy.default_local, policy.default_cloud, *LOCALITIES)
    return sorted(policy.models.values(), key=lambda model: model.name not in first)


def _assess(
    policy: Policy,
    facts: Facts,
    level: Level,
    forbidden: Mapping[str, str],
    kept: Level | None,
    offers: str,
    model: Model,
    release: Release | None,
) -> Target:
    payload, why = lawful_payload(policy, level, model, kept)
    if release is not None and release.model == model.name:
        payload, why = "full", ""
    barred = SENSITIVITY if payload == "none" else ""
    if model.locality != "local" and not barred:
        rule = forbidden.get(model.locality) or forbidden.get(model.name)
        if rule is not None:
            payload, barred, why = "none", rule, f"forbidden by {rule}"
        elif facts.locked:
            payload, barred, why = "none", LOCKDOWN, "all exits are locked"
        elif offers:
            payload, barred, why = "none", TOOLS, offers
        elif facts.local_only:
            payload, barred, why = "none", LOCAL_ONLY, "the request asks for local-only"
    down = facts.unavailable.get(model.name) if facts.unavailable else None
    return Target(model, payload, barred, why, _lacks(facts, model), down)


def _lacks(facts: Facts, model: Model) -> tuple[str, ...]:
    lacks = []
    if not facts.needs <= model.capabilities:
        lacks = [need for need in sorted(facts.needs - model.capabilities) if not _implied(need, model)]
    if EMBEDS in model.capabilities and EMBEDS not in facts.needs and model.backend != "engine":
        lacks.append("it only gives embeddings")
    tokens = facts.input_tokens + (facts.output_tokens or 1)
    if tokens > model.context:
        lacks.append(f"{tokens:,} > {model.context:,}{_TOKENS}")
    if facts.unknown_fields and model.locality == "local":
        lacks.append(f"fields that a local model does not take: {', '.join(sorted(facts.unknown_fields))}")
    return tuple(lacks)


def _implied(need: str, model: Model) -> bool:
    return need == "json_mode" and "json_schema" in model.capabilities
