"""The tables of detectors and signals, by name. A new one is one file, one line here and, for a detector, one in
`entities.py`; nothing is built at import.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from classifiers.entities import ENTITIES
from classifiers.vocabulary import DOMAINS, LANGUAGES, MODALITIES, TASKS

DETECTORS: Mapping[str, str] = MappingProxyType(
    {
        "email": "classifiers.detectors.email:EmailDetector",
        "phone": "classifiers.detectors.phone:PhoneDetector",
        "card": "classifiers.detectors.card:CardDetector",
        "iban": "classifiers.detectors.iban:IbanDetector",
        "ip": "classifiers.detectors.ip:IpDetector",
        "national_id": "classifiers.detectors.national:NationalIdDetector",
        "health_id": "classifiers.detectors.health:HealthIdDetector",
        "papers": "classifiers.detectors.papers:PaperDetector",
        "accounts": "classifiers.detectors.accounts:AccountDetector",
        "devices": "classifiers.detectors.devices:DeviceDetector",
        "crypto": "classifiers.detectors.crypto:CryptoDetector",
        "secret_rules": "classifiers.detectors.secrets:SecretDetector",
        "passwords": "classifiers.detectors.passwords:PasswordDetector",
        "tokens": "classifiers.detectors.tokens:TokenDetector",
        "private_keys": "classifiers.detectors.private_keys:PrivateKeyDetector",
        "language": "classifiers.detectors.language:LanguageDetector",
        "names": "classifiers.detectors.names:NameDetector",
        "groups": "classifiers.detectors.groups:GroupDetector",
        "meaning": "classifiers.detectors.meaning:MeaningDetector",
    }
)

# What an operator may switch on who has the package: never needed, never loaded otherwise.
OPTIONAL_DETECTORS: Mapping[str, str] = MappingProxyType(
    {"presidio": "classifiers.detectors.presidio:PresidioDetector"}
)


@dataclass(frozen=True, slots=True)
class SignalSpec:
    """What a policy may compare a signal with, and where its constructor stands (None: the pipeline's own).

    `labels`: every value that a signal of labels can have.
    """

    kind: Literal["number", "flag", "label", "labels"]
    where: str | None = None
    labels: tuple[str, ...] = ()
    is_given: bool = False  # whoever serves knows it and adds it; nothing of the text says it
    on_demand: bool = False  # measured only where the policy reads it


SIGNALS: Mapping[str, SignalSpec] = MappingProxyType(
    {
        "complexity": SignalSpec("number", "classifiers.complexity:ComplexitySignal"),
        "injection": SignalSpec("number", "classifiers.injection:InjectionSignal"),
        "has_tools": SignalSpec("flag"),
        "modality": SignalSpec("labels", labels=MODALITIES),
        "context_length": SignalSpec("number"),
        "language": SignalSpec("label", "classifiers.spoken_language:LanguageSignal", LANGUAGES, on_demand=True),
        "domain": SignalSpec("label", "classifiers.domain:DomainSignal", DOMAINS, on_demand=True),
        "task": SignalSpec("label", "classifiers.task:TaskSignal", TASKS, on_demand=True),
        "background": SignalSpec("flag", "classifiers.background:BackgroundSignal", on_demand=True),
        "local_wait_ms": SignalSpec("number", is_given=True),
    }
)


def detectors_with(extra: Iterable[str]) -> Mapping[str, str]:
    """The table of detectors with these optional ones. Raises `KeyError` for a name that is none."""
    return MappingProxyType({**DETECTORS, **{name: OPTIONAL_DETECTORS[name] for name in extra}})


def producible_entities(table: Mapping[str, str] = DETECTORS) -> frozenset[str]:
    """Every entity type that a detector of the table can report. One that cannot be imported reports none."""
    entities: set[str] = set()
    for known, where in table.items():
        if DETECTORS.get(known) == where:
            entities |= ENTITIES[known]
            continue
        module, _, name = where.partition(":")
        try:
            entities |= getattr(importlib.import_module(module), name).entities
        except (ImportError, AttributeError):
            continue
    return frozenset(entities)
