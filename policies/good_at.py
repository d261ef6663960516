"""What a local model is good at: how a policy says it, and the order of preference that follows from it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import Field

from classifiers.types import Signal
from policies.shape.part import Part
from policies.types import GoodAt, Model
from policies.vocabulary import SPECIALIST_DOMAINS, SPECIALIST_TASKS


class GoodAtPart(Part):
    """What a local model is preferred for."""

    domain: list[Literal[SPECIALIST_DOMAINS]] = Field(  # type: ignore[valid-type]  # a tuple of constants
        default=[], description="What requests may be about."
    )
    task: list[Literal[SPECIALIST_TASKS]] = Field(  # type: ignore[valid-type]  # a tuple of constants
        default=[], description="What requests may want done."
    )


def read_good_at(part: GoodAtPart) -> GoodAt:
    """The labels by signal; empty when none is named."""
    stated = (("domain", frozenset(part.domain)), ("task", frozenset(part.task)))
    return tuple((signal, labels) for signal, labels in stated if labels)


def fits(model: Model, signals: Mapping[str, Signal]) -> tuple[str, ...]:
    """What makes the model good at a request, as `domain medicine`; a signal that is not there makes nobody good."""
    found = []
    for name, labels in model.good_at:
        signal = signals.get(name)
        if signal is not None and signal.error is None and signal.value in labels:
            found.append(f"{name} {signal.value}")
    return tuple(found)


def preferred(models: Iterable[Model], signals: Mapping[str, Signal]) -> list[Model]:
    """Local models that are good at more of what was asked first, else in the order given."""
    listed = list(models)
    if not any(model.good_at for model in listed):
        return listed
    return sorted(listed, key=lambda model: -len(fits(model, signals)))
