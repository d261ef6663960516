"""The nouns of `escalation`: when an answer at home is not good enough, and whether a stream waits to be judged.

Frozen values without logic; `policies.reading.escalation` makes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

StreamMode = Literal["before", "hold", "commit"]
SecondLook = Literal["none", "verify", "agreement"]
TargetKind = Literal["max_bad_local", "max_cloud_share", "max_usd_per_month"]


@dataclass(frozen=True, slots=True)
class EscalationTarget:
    """What escalation shall keep to, in place of a threshold: a share in (0, 1), or USD a month."""

    kind: TargetKind
    value: float


@dataclass(frozen=True, slots=True)
class EscalationPolicy:
    """When a local answer is not good enough, and whether a stream waits for that judgement.

    `threshold` and `target` exclude each other. What a target means as a threshold is known to whoever has calibrated
    the model; the policy alone does not say.
    """

    threshold: float = 0.0  # a confidence below it escalates; 0 never does
    max_hops: int = 0  # how many models outside are asked at most, one after the other, until one answers
    to: tuple[str, ...] = ("cloud",)  # localities and models, in their order
    stream: StreamMode = "before"
    target: EscalationTarget | None = None
    hold_tokens: int = 16  # commit: what is held back until it is judged, at most …
    hold_ms: int = 1500  # … and for how long
    race_from: float | None = None  # complexity from which the cloud is asked at once; None: never
    second_look: SecondLook = "none"
    samples: int = 4  # second_look: agreement
    deadline_seconds: float | None = None  # an answer at home that would take longer is not begun to be judged
    affinity_seconds: float | None = None  # how long a conversation stays where it was answered; None: not at all
    via: str | None = None  # a second local model, asked before any model outside; None: there is none
    rule: str = ""  # the decision whose own terms these are; "": the policy's

    @property
    def judges(self) -> bool:
        """Whether any answer can be found not good enough."""
        return self.threshold > 0.0 or self.target is not None

    @property
    def may_escalate(self) -> bool:
        """Whether one that is not good enough may be handed on to the cloud."""
        return self.max_hops > 0 and self.judges

    @property
    def has_use(self) -> bool:
        """Whether anything follows on an answer that is not good enough: the cloud, or another model at home."""
        return self.judges and (self.max_hops > 0 or self.via is not None)


NO_ESCALATION: Final = EscalationPolicy()
