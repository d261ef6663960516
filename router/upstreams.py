"""What a worker remembers of each model that it asks over a wire: its circuit breaker and its budget of retries.

It outlives a reload of the policy for as long as the model stays the same. Each worker has its own: what one has seen
fail the others find out for themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from policies.types import Model
from router.backends.circuit import FIRST_PAUSE_S, LONGEST_PAUSE_S, Circuit, State
from router.retrying import RetryBudget

BREAKER_OPEN = "breaker_open"  # why a model is not available

OnChange = Callable[[str, State], None]


@dataclass(slots=True)
class Upstream:
    """One model's."""

    model: Model
    circuit: Circuit
    retries: RetryBudget = field(default_factory=RetryBudget)


class Upstreams:
    """All of them, by the policy's names. `on_change` hears the name of a model and the state of its breaker."""

    def __init__(self, on_change: OnChange = lambda name, state: None) -> None:
        self._by_name: dict[str, Upstream] = {}
        self._failing: set[str] = set()
        self._on_change = on_change

    def of(self, model: Model) -> Upstream:
        """That of a model; a new one where the model of that name is another one now."""
        known = self._by_name.get(model.name)
        if known is not None and (known.model is model or known.model == model):
            return known
        longest = FIRST_PAUSE_S if model.locality == "local" else LONGEST_PAUSE_S  # a look at this host costs nothing
        circuit = Circuit(longest, lambda state: self._changed(model.name, circuit, state))
        made = self._by_name[model.name] = Upstream(model, circuit)
        self._failing.discard(model.name)
        return made

    def unavailable(self) -> Mapping[str, str]:
        """Models that may not be asked now, with the reason as a code."""
        if not self._failing:
            return {}
        return {name: BREAKER_OPEN for name in self._failing if self._by_name[name].circuit.wait > 0}

    def states(self, names: Iterable[str]) -> dict[str, State]:
        """Those of these models' breakers that are not closed."""
        return {name: self._by_name[name].circuit.state for name in names if name in self._failing}

    def _changed(self, name: str, circuit: Circuit, state: State) -> None:
        if self._by_name[name].circuit is not circuit:
            return  # of a model that is no more
        (self._failing.discard if state == "closed" else self._failing.add)(name)
        self._on_change(name, state)
