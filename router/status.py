"""What a worker knows of its own health: ready once, degraded by name. One bad shared file must not unready a fleet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from router.types import JsonObject


@dataclass(slots=True)
class Status:
    """Written by the parts that notice, read by `/readyz`. Names and states only, no content."""

    policy: JsonObject = field(default_factory=dict)  # running digest, file digest, last error, as the parent says
    engine: JsonObject = field(default_factory=dict)  # state and restarts, as the parent says
    classifiers: str = ""  # what does their arithmetic: `native`, or `reference` and why
    admin: str = "off"  # how the listener of the admin API stands, as the parent says
    records_failing: str | None = None  # why decision records cannot be written
    answered: set[str] = field(default_factory=set)  # models whose self-test has been answered
    failing: dict[str, str] = field(default_factory=dict)  # model -> code of its last self-test
    promises_broken: list[str] = field(default_factory=list)  # what a threshold promised, and traffic does not keep
    uncalibrated: list[str] = field(default_factory=list)  # what the policy targets and no card can promise, in words
    breakers: Mapping[str, str] = field(default_factory=dict)  # model -> its breaker's state, where it is not closed
    cache_state: str = "ok"
    taint_state: str = "ok"
    locked: tuple[str, ...] = ()  # how exits are locked by an admin: `lockdown`, …
    locks_shared: str = "ok"  # whether the locks of other hosts are known, as the parent says
    draining: bool = False

    @property
    def ready(self) -> bool:
        """True from the first answered self-test on, until the process drains."""
        return bool(self.policy) and bool(self.answered) and not self.draining

    def degraded(self) -> list[str]:
        """What is not as it should be, in short names."""
        found = list(self.locked)
        if self.locks_shared != "ok":
            found.append(f"lockdown_shared_{self.locks_shared}")
        if self.policy.get("last_error"):
            found.append("policy_reload_failed")
        if (self.policy.get("candidate") or {}).get("last_error"):
            found.append("candidate_not_loaded")
        if self.policy.get("versions_failing"):
            found.append("policy_versions_not_written")
        if self.engine.get("state") not in (None, "ready"):
            found.append(f"engine_{self.engine['state']}")
        if self.admin not in ("off", "listening"):
            found.append(f"admin_{self.admin}")
        if self.records_failing:
            found.append("records_not_written")
        if self.cache_state != "ok":
            found.append(f"cache_{self.cache_state}")
        if self.taint_state != "ok":
            found.append(f"taint_{self.taint_state}")
        if self.uncalibrated:
            found.append("uncalibrated")
        found.extend(self.promises_broken)
        found.extend(f"breaker_{name}_{state}" for name, state in sorted(self.breakers.items()))
        found.extend(f"model_{name}_{code}" for name, code in sorted(self.failing.items()))
        return found

    def report(self) -> JsonObject:
        """The body of `/readyz`."""
        state = "draining" if self.draining else "ready" if self.ready else "starting"
        return {
            "status": state,
            "degraded": self.degraded(),
            "classifiers": self.classifiers,
            "policy": self.policy,
            "engine": self.engine,
            "models": {"answered": sorted(self.answered), "failing": self.failing},
            "uncalibrated": self.uncalibrated,
        }
