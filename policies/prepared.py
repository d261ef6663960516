"""What `decide` needs of a policy each time, made once: its rules behind gates, its models as they usually stand.

It says nothing that the policy does not say; a policy that was changed (`replace`) is prepared anew.
"""

from __future__ import annotations

from collections.abc import Mapping

from classifiers.types import Signals
from policies.candidates import Targets
from policies.gate import Gate
from policies.types import Facts, Level, Policy, Release


class Prepared:
    """One policy, made ready."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.forbids = Gate(rule for rule in policy.rules if rule.forbid)
        self.routes = Gate(rule for rule in policy.rules if rule.route is not None)
        self._least_context = min((model.context for model in policy.models.values()), default=0)
        self._has_specialists = any(model.good_at for model in policy.models.values())
        self._usual: dict[tuple[Level, Level | None], Targets] = {}  # twenty at most

    def targets(
        self,
        facts: Facts,
        level: Level,
        forbidden: Mapping[str, str],
        kept: Level | None,
        signals: Signals,
        release: Release | None = None,
    ) -> Targets:
        """All models for this request. Of most requests only the levels count: these share what was found before.

        `release` is one that counts for this very request, which shares nothing with others then.
        """
        if release is not None or forbidden or self._has_specialists or self._is_special(facts):
            return Targets(self._policy, facts, level, forbidden, kept, signals.values, release)
        usual = self._usual.get((level, kept))
        if usual is None:
            usual = self._usual[level, kept] = Targets(self._policy, Facts(), level, {}, kept)
        return usual

    def _is_special(self, facts: Facts) -> bool:
        """Whether anything in them may bar a model, or be more than one can do."""
        if facts.locked or facts.local_only or facts.tools or facts.needs or facts.unknown_fields or facts.unavailable:
            return True
        return facts.input_tokens + (facts.output_tokens or 1) > self._least_context


def prepare(policy: Policy) -> Prepared:
    """The policy made ready; it keeps what was made."""
    if not policy.prepared:
        policy.prepared.append(Prepared(policy))
    made = policy.prepared[0]
    assert isinstance(made, Prepared), "only this function puts anything there"
    return made
