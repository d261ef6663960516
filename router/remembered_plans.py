"""What was measured and decided of bodies that come again, so that neither is done twice. Bounded; holds no content.

Only bodies in which nothing was found, and of which all was read, are remembered: keyed digests, our words, the
policy's, and numbers. A decision counts again only for facts that equal those it was made of.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from weakref import ref

import orjson

from classifiers.types import Scan, Signal, Signals
from classifiers.walk import strings_of
from policies.candidates import AUTO, LOCALITIES
from policies.prepared import Prepared, prepare
from policies.types import Decision, Facts, Policy
from router.records.record import Said
from router.types import ChatRequest

_MOST = 2048  # bodies; of one that came once only its digest is kept
_LARGEST = 32 * 1024  # bytes of a body: digests of larger ones would hold up the event loop
_LASTING = frozenset({None, "not_asked", "not_available"})  # errors of signals that are so whenever they are asked


@dataclass(frozen=True, slots=True)
class RememberedPlan:
    """Of one body under one policy: its signals, and the decision that was made of them and of these facts."""

    under: ref[Prepared]  # the policy that was in force: weakly, for it is not to outlive its requests here
    values: Mapping[str, Signal]
    facts: Facts
    decision: Decision
    said: Said  # in records

    @property
    def read(self) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
        """What the body needs, what it hints, and its unknown fields."""
        return self.facts.needs, self.facts.hints, self.facts.unknown_fields

    def signals(self, request: ChatRequest) -> Signals:
        """The signals of a request with that very body: its strings are those that were scanned then."""
        return Signals(self.values, Scan(texts=frozenset(strings_of(request.body))))


class RememberedPlans:
    """Least recently used first out. For one event loop."""

    def __init__(self) -> None:
        self._state = hashlib.blake2b(key=secrets.token_bytes(32), digest_size=16)
        self._plans: OrderedDict[bytes, RememberedPlan | None] = OrderedDict()  # None: it came once

    def key(self, request: ChatRequest, policy: Policy) -> bytes | None:
        """Names the body, who asks and the policy; None where it is not worth it, or the body is not JSON."""
        if request.size > _LARGEST:
            return None
        try:
            body = orjson.dumps(request.body)
        except TypeError:  # a lone surrogate, or a number beyond 64 bits
            return None
        state = self._state.copy()
        state.update(f"{request.principal.tenant}\0{policy.digest}\0{request.task}\0".encode("utf-8", "replace"))
        state.update(body)
        return state.digest()

    def find(self, key: bytes | None, policy: Policy) -> RememberedPlan | None:
        """What is remembered under that policy: another version, or another tenant's view, is another object."""
        if key is None:
            return None
        found = self._plans.get(key)
        if found is None or found.under() is not prepare(policy):
            return None
        self._plans.move_to_end(key)
        return found

    def is_new(self, key: bytes | None) -> bool:
        """Whether the body of this key has not come before, as far as is known."""
        return key is not None and key not in self._plans

    def put(self, key: bytes | None, policy: Policy, signals: Signals, facts: Facts, decision: Decision) -> None:
        """Remember a body that has come a second time; of a first one, that it came."""
        if key is None:
            return
        if key not in self._plans:
            self._plans[key] = None
            if len(self._plans) > _MOST:
                self._plans.popitem(last=False)
        elif _is_plain(policy, signals, facts):
            said = Said(decision)
            self._plans[key] = RememberedPlan(ref(prepare(policy)), signals.values, facts, decision, said)
            self._plans.move_to_end(key)

    def __len__(self) -> int:
        return len(self._plans)


def _is_plain(policy: Policy, signals: Signals, facts: Facts) -> bool:
    """Whether nothing of the caller's own words is in it, and nothing that would be measured otherwise next time."""
    if signals.scan.findings or signals.scan.unknowns or facts.tools or facts.taint_source or facts.release is not None:
        return False
    if facts.requested not in policy.models and facts.requested not in (AUTO, *LOCALITIES):
        return False
    return all(signal.error in _LASTING for signal in signals.values.values())
